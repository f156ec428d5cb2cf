//! crun 1.8 to 1.29: glibc argp in order, that is getopt_long that stops at the first operand. Long options may be abbreviated, short ones
//! clustered (`-dbX`), values joined or separate; a flag with `=` is an error.

use super::{Grammar, OptionSpec, Scan, flag, foreign, valued};

pub(super) const GRAMMAR: Grammar = Grammar {
    globals: &[
        valued(&["cgroup-manager"]),
        valued(&["log"]),
        valued(&["log-format"]),
        valued(&["log-level"]),
        valued(&["root"]),
        valued(&["rootless"]),
        flag(&["debug"]),
        flag(&["systemd-cgroup"]),
        ANSWERS[0],
        ANSWERS[1],
        ANSWERS[2],
        flag(&["version", "v", "V"]),
    ],
    create: &[
        valued(&["bundle", "b"]),
        valued(&["config", "f"]),
        valued(&["console-socket"]),
        valued(&["preserve-fds"]),
        valued(&["pid-file"]),
        flag(&["no-pivot"]),
        flag(&["no-subreaper"]),
        flag(&["no-new-keyring"]),
        ANSWERS[0],
        ANSWERS[1],
        ANSWERS[2],
    ],
    run: &[
        valued(&["bundle", "b"]),
        valued(&["config", "f"]),
        valued(&["console-socket"]),
        valued(&["preserve-fds"]),
        valued(&["pid-file"]),
        flag(&["detach", "d"]),
        flag(&["keep"]),
        flag(&["no-subreaper"]),
        flag(&["no-new-keyring"]),
        flag(&["no-pivot"]),
        ANSWERS[0],
        ANSWERS[1],
        ANSWERS[2],
    ],
    restore: &[
        valued(&["bundle", "b"]),
        valued(&["console-socket"]),
        valued(&["image-path"]),
        valued(&["work-path"]),
        valued(&["manage-cgroups-mode"]),
        valued(&["pid-file"]),
        valued(&["lsm-profile"]),
        valued(&["lsm-mount-context"]),
        flag(&["detach", "d"]),
        flag(&["tcp-established"]),
        flag(&["tcp-close"]),
        flag(&["ext-unix-sk"]),
        flag(&["shell-job"]),
        flag(&["file-locks"]),
        flag(&["network-lock"]),
        foreign(&["-no-subreaper"]), // containerd and dockerd (go-runc) write it for runc; crun's restore reaps nothing and has no such option
        ANSWERS[0],
        ANSWERS[1],
        ANSWERS[2],
    ],
    checkpoint: Some(&[
        valued(&["image-path"]),
        valued(&["work-path"]),
        valued(&["parent-path"]),
        valued(&["manage-cgroups-mode"]),
        flag(&["leave-running"]),
        flag(&["tcp-established"]),
        flag(&["ext-unix-sk"]),
        flag(&["shell-job"]),
        flag(&["file-locks"]),
        flag(&["network-lock"]),
        flag(&["pre-dump"]),
        ANSWERS[0],
        ANSWERS[1],
        ANSWERS[2],
    ]),
    scan_globals: scan_getopt,
    scan_command: scan_getopt,
    restore_operands: 2,
    empty_bundle_is_cwd: false,
};

/// argp's own options. They take part in the match of abbreviations, and each makes crun answer and exit.
const ANSWERS: [OptionSpec; 3] = [flag(&["help", "?"]), flag(&["usage"]), valued(&["program-name"])];

fn scan_getopt<'a>(table: &'static [OptionSpec], words: &[&'a [u8]], scan: &mut Scan<'a>) -> Option<()> {
    let mut rest = words.iter().copied();
    while let Some(word) = rest.clone().next() {
        if word.len() < 2 || word[0] != b'-' {
            break;
        }
        rest.next();
        if word == b"--" {
            break;
        }
        if table.iter().any(|option| option.foreign && option.names[0].as_bytes() == word) {
            scan.foreign.push(words.len() - rest.len() - 1);
            continue;
        }
        match word.strip_prefix(b"--") {
            Some(long) => scan.options.push(long_option(table, long, &mut rest)?),
            None => short_options(table, &word[1..], &mut rest, &mut scan.options)?,
        }
    }
    scan.operands.extend(rest);
    let answered = scan.options.iter().any(|(name, _)| ["help", "usage", "version", "program-name"].contains(name));
    (!answered).then_some(())
}

/// getopt_long: the exact name, or else a prefix that only one name has.
fn long_option<'a>(table: &'static [OptionSpec], long: &'a [u8], rest: &mut impl Iterator<Item = &'a [u8]>) -> Option<(&'static str, &'a [u8])> {
    let name_end = long.iter().position(|b| *b == b'=');
    let name = &long[..name_end.unwrap_or(long.len())];
    let own = table.iter().filter(|option| !option.foreign);
    let mut candidates = own.clone().filter(|option| option.names[0].as_bytes().starts_with(name));
    let exact = own.clone().find(|option| option.names[0].as_bytes() == name);
    let option = match (exact, candidates.next(), candidates.next()) {
        (Some(exact), ..) => exact,
        (None, Some(only), None) => only,
        _ => return None,
    };
    let value = match (option.takes_value, name_end) {
        (true, Some(at)) => &long[at + 1..],
        (true, None) => rest.next()?,
        (false, None) => b"".as_slice(),
        (false, Some(_)) => return None,
    };
    Some((option.names[0], value))
}

fn short_options<'a>(
    table: &'static [OptionSpec],
    cluster: &'a [u8],
    rest: &mut impl Iterator<Item = &'a [u8]>,
    options: &mut Vec<(&'static str, &'a [u8])>,
) -> Option<()> {
    for (index, letter) in cluster.iter().enumerate() {
        let option = table.iter().find(|option| option.names[1..].iter().any(|name| name.as_bytes() == [*letter]))?;
        if !option.takes_value {
            options.push((option.names[0], b""));
            continue;
        }
        let joined = &cluster[index + 1..];
        options.push((option.names[0], if joined.is_empty() { rest.next()? } else { joined }));
        break;
    }
    Some(())
}
