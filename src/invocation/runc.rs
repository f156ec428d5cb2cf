//! runc 1.1 to 1.5: urfave/cli over Go's `flag` package. One dash or two, `--name=value`, no abbreviations, and inside a command options may
//! follow the id because urfave/cli sorts them to the front first.

use super::{Grammar, OptionSpec, Scan, flag, valued};

pub(super) const GRAMMAR: Grammar = Grammar {
    globals: &[
        valued(&["log"]),
        valued(&["log-format"]),
        valued(&["root"]),
        valued(&["rootless"]),
        valued(&["criu"]), // up to 1.1
        flag(&["debug"]),
        flag(&["systemd-cgroup"]),
    ],
    create: &[
        valued(&["bundle", "b"]),
        valued(&["console-socket"]),
        valued(&["pidfd-socket"]), // since 1.2
        valued(&["pid-file"]),
        valued(&["preserve-fds"]),
        flag(&["no-pivot"]),
        flag(&["no-new-keyring"]),
    ],
    run: &[
        valued(&["bundle", "b"]),
        valued(&["console-socket"]),
        valued(&["pidfd-socket"]),
        valued(&["pid-file"]),
        valued(&["preserve-fds"]),
        flag(&["detach", "d"]),
        flag(&["keep"]),
        flag(&["no-subreaper"]),
        flag(&["no-pivot"]),
        flag(&["no-new-keyring"]),
    ],
    restore: &[
        valued(&["bundle", "b"]),
        valued(&["console-socket"]),
        valued(&["image-path"]),
        valued(&["work-path"]),
        valued(&["manage-cgroups-mode"]),
        valued(&["pid-file"]),
        valued(&["empty-ns"]),
        valued(&["lsm-profile"]),
        valued(&["lsm-mount-context"]),
        flag(&["detach", "d"]),
        flag(&["tcp-established"]),
        flag(&["ext-unix-sk"]),
        flag(&["shell-job"]),
        flag(&["file-locks"]),
        flag(&["no-subreaper"]),
        flag(&["no-pivot"]),
        flag(&["auto-dedup"]),
        flag(&["lazy-pages"]),
    ],
    checkpoint: None,
    scan_globals: scan_flags,
    scan_command: |table, words, scan| scan_flags(table, &options_first(table, words), scan),
    restore_operands: 1,
    empty_bundle_is_cwd: true,
};

/// Go's `flag.FlagSet.Parse`: options up to the first other word or `--`. `-h`, `-v` and their long forms are in no table, so they end the
/// scan as unknown.
fn scan_flags<'a>(table: &'static [OptionSpec], words: &[&'a [u8]], scan: &mut Scan<'a>) -> Option<()> {
    let mut spelt: Vec<(&'static str, &'a [u8])> = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.clone().next() {
        if word.len() < 2 || word[0] != b'-' {
            break;
        }
        rest.next();
        if *word == b"--" {
            break;
        }
        let (name, value) = name_and_value(word);
        let option = table.iter().find(|option| option.names.iter().any(|n| n.as_bytes() == name))?;
        let value = match (option.takes_value, value) {
            (_, Some(value)) => value,
            (true, None) => rest.next()?,
            (false, None) => b"",
        };
        scan.options.push((option.names[0], value));
        spelt.push((option.names[0], name));
    }
    scan.operands.extend(rest);
    // urfave/cli, normalizeFlags: `-b X --bundle Y` is a usage error.
    let two_forms = spelt.iter().any(|(option, name)| spelt.iter().any(|(other, form)| option == other && name != form));
    (!two_forms).then_some(())
}

/// `--name=value`, `-name=value`, `--name`, `-name`. Three dashes leave a dash in the name, which no table knows.
fn name_and_value(word: &[u8]) -> (&[u8], Option<&[u8]>) {
    let word = word.strip_prefix(b"--").or_else(|| word.strip_prefix(b"-")).unwrap_or(word);
    match word.iter().position(|b| *b == b'=') {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    }
}

/// urfave/cli v1, `reorderArgs`: known options, and whatever follows one written without `=`, move in front of the operands. It does so for
/// flags too, so `--no-pivot ID --bundle X` ends the options at ID; copied as it is, because what counts is what runc will see.
fn options_first<'a>(table: &'static [OptionSpec], words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut front: Vec<&'a [u8]> = Vec::with_capacity(words.len());
    let mut operands: Vec<&'a [u8]> = Vec::new();
    let mut may_be_value = false;
    for (index, word) in words.iter().enumerate() {
        let known = is_known_option(table, word);
        if may_be_value && !known {
            may_be_value = false;
            front.push(word);
        } else if *word == b"--" {
            operands.insert(0, word);
            operands.extend(&words[index + 1..]);
            break;
        } else if known {
            may_be_value = !word.contains(&b'=');
            front.push(word);
        } else {
            operands.push(word);
        }
    }
    front.append(&mut operands);
    front
}

fn is_known_option(table: &'static [OptionSpec], word: &[u8]) -> bool {
    if word.len() < 2 || word[0] != b'-' || word == b"--" {
        return false;
    }
    let (name, _) = name_and_value(word);
    // `argIsFlag` takes a third dash away, which Go's `flag` will not.
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let help: [&[u8]; 2] = [b"help", b"h"];
    help.contains(&name) || table.iter().any(|option| option.names.iter().any(|n| n.as_bytes() == name))
}
