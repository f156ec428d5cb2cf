//! Asks an installed engine for its version.

use crate::guard::child;
use crate::runtime;

/// How long a program may take to name its version.
const SECONDS: u64 = 5;

/// Major and minor version, as `PROGRAM --version` has them in its third word (containerd and podman do); None: not installed, or no such answer.
pub fn version(program: &str) -> Option<(u64, u64)> {
    let program = runtime::candidates(program).next()?;
    parse(child::ask(&program, &["--version"], SECONDS).text()?)
}

fn parse(answer: &str) -> Option<(u64, u64)> {
    let mut numbers = answer.split_whitespace().nth(2)?.trim_start_matches('v').split('.');
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions_of_real_engines_are_read() {
        assert_eq!(parse("containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+deb13u1\n"), Some((1, 7)));
        assert_eq!(parse("containerd github.com/containerd/containerd/v2 2.1.9+unknown \n"), Some((2, 1)));
        assert_eq!(parse("containerd containerd.io v2.0.5 fb4c30d4ede3531652d86197bf3fc9515e5276d9\n"), Some((2, 0)));
        assert_eq!(parse("podman version 5.8.6\n"), Some((5, 8)));
        assert_eq!(parse("unknown flag"), None);
    }
}
