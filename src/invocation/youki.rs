//! youki: clap. Options may stand before or after the id; `--name=value`, `-bX`, `-b=X`; no abbreviations; a second use of an option, and a
//! separate value that starts with a dash, are errors of clap's.

use super::{Command, Grammar, Invocation, OptionSpec, Scan, flag, valued};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

pub(super) const GRAMMAR: Grammar = Grammar {
    globals: &[
        valued(&["log", "l"]),
        valued(&["log-format"]),
        valued(&["log-level"]),
        valued(&["root", "r"]),
        flag(&["debug"]),
        flag(&["systemd-cgroup", "s"]),
    ],
    create: &[
        valued(&["bundle", "b"]),
        valued(&["console-socket", "c"]),
        valued(&["pid-file", "p"]),
        valued(&["preserve-fds"]),
        flag(&["no-pivot"]),
        flag(&["no-new-keyring"]),
    ],
    run: &[
        valued(&["bundle", "b"]),
        valued(&["console-socket", "c"]),
        valued(&["pid-file", "p"]),
        valued(&["preserve-fds"]),
        flag(&["detach", "d"]),
        flag(&["keep"]),
        flag(&["no-subreaper"]),
        flag(&["no-pivot"]),
        flag(&["no-new-keyring"]),
    ],
    restore: &[], // youki has no such command
    checkpoint: None,
    scan_globals: |table, words, scan| scan_clap(table, words, scan, true),
    scan_command: |table, words, scan| scan_clap(table, words, scan, false),
    restore_operands: 0,
    empty_bundle_is_cwd: false,
};

/// A `restore` that youki will refuse, read in any engine's spelling: all that matters is that nobody asks for help.
pub(super) fn restore<'a>(words: &[&'a [u8]]) -> Option<Invocation<'a>> {
    let asks_for_help = words.iter().any(|word| [b"--help".as_slice(), b"-h"].contains(word));
    let id = words.last().filter(|id| !asks_for_help && !id.starts_with(b"-"))?;
    Some(Invocation {
        command: Command::Restore,
        state_root: None,
        id: OsStr::from_bytes(id),
        bundle: None,
        config_file: None,
        image_path: None,
        work_path: None,
        foreign_words: Vec::new(),
    })
}

fn scan_clap<'a>(table: &'static [OptionSpec], words: &[&'a [u8]], scan: &mut Scan<'a>, stop_at_operand: bool) -> Option<()> {
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        if word == b"--" && !stop_at_operand {
            scan.operands.extend(rest);
            break;
        }
        if word.len() < 2 || word[0] != b'-' {
            scan.operands.push(word);
            if stop_at_operand {
                scan.operands.extend(rest);
                break;
            }
            continue;
        }
        let (name, joined) = split_option(word);
        let is_long = word.starts_with(b"--");
        let is_named = |known: &str| known.as_bytes() == name && (known.len() > 1) == is_long;
        let option = table.iter().find(|option| option.names.iter().any(|known| is_named(known)))?;
        let value = match (option.takes_value, joined) {
            (true, Some(value)) => value,
            (true, None) => rest.next().filter(|value| !value.starts_with(b"-"))?,
            (false, None) => b"",
            (false, Some(_)) => return None, // `--flag=x`, or a cluster of short flags: left to clap
        };
        if scan.options.iter().any(|(given, _)| *given == option.names[0]) {
            return None;
        }
        scan.options.push((option.names[0], value));
    }
    Some(())
}

/// `--name[=value]`, or `-n[[=]value]`.
fn split_option(word: &[u8]) -> (&[u8], Option<&[u8]>) {
    if let Some(long) = word.strip_prefix(b"--") {
        return match long.iter().position(|b| *b == b'=') {
            Some(at) => (&long[..at], Some(&long[at + 1..])),
            None => (long, None),
        };
    }
    let (letter, joined) = word[1..].split_at(1);
    let joined = joined.strip_prefix(b"=").unwrap_or(joined);
    (letter, (word.len() > 2).then_some(joined))
}
