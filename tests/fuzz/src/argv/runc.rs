//! runc: urfave/cli v1 over Go's `flag`.

use super::{Call, Given, Table, find};

const GLOBALS: Table = "log= log-format= root= rootless= criu= debug systemd-cgroup";
const CREATE: Table = "bundle|b= console-socket= pidfd-socket= pid-file= preserve-fds= no-pivot no-new-keyring";
const RUN: Table = "bundle|b= console-socket= pidfd-socket= pid-file= preserve-fds= detach|d keep no-subreaper no-pivot no-new-keyring";
const RESTORE: Table = "bundle|b= console-socket= image-path= work-path= manage-cgroups-mode= pid-file= empty-ns= lsm-profile= \
    lsm-mount-context= detach|d tcp-established ext-unix-sk shell-job file-locks no-subreaper no-pivot auto-dedup lazy-pages";

/// `None`: help, a version, a usage error, or another command.
#[must_use]
pub fn call<'a>(words: &[&'a [u8]]) -> Option<Call<'a>> {
    let (globals, operands) = parse(GLOBALS, words)?;
    let (command, rest) = operands.split_first()?;
    let table = match *command {
        b"create" => CREATE,
        b"run" => RUN,
        b"restore" => RESTORE,
        _ => return None,
    };
    let (given, operands) = parse(table, &reordered(table, rest))?;
    let [id] = operands.as_slice() else { return None };
    let get = |name: &str| given.get(name).copied();
    Some(Call {
        command: String::from_utf8_lossy(command).into_owned(),
        id,
        state_root: globals.get("root").copied(),
        bundle: get("bundle").filter(|bundle| !bundle.is_empty()),
        config_file: None,
        image_path: get("image-path"),
        work_path: get("work-path"),
        foreign_words: Vec::new(),
    })
}

/// Go, `flag.FlagSet.parseOne`, and what urfave/cli says to two forms of one flag. What a flag's value may be is not looked at.
fn parse<'a>(table: Table, words: &[&'a [u8]]) -> Option<(Given<'a>, Vec<&'a [u8]>)> {
    let (mut given, mut forms) = (Given::new(), std::collections::BTreeSet::new());
    let mut at = 0;
    while at < words.len() {
        let word = words[at];
        if word.len() < 2 || word[0] != b'-' {
            break;
        }
        at += 1;
        let name = &word[if word[1] == b'-' { 2 } else { 1 }..];
        if word == b"--" {
            break;
        }
        if name.is_empty() || name[0] == b'-' || name[0] == b'=' {
            return None;
        }
        let mut halves = name.splitn(2, |byte| *byte == b'=');
        let (name, joined) = (halves.next()?, halves.next());
        let (option, valued) = find(table, name)?;
        let value = match joined {
            Some(value) => value,
            None if valued => {
                at += 1;
                words.get(at - 1)?
            }
            None => b"",
        };
        given.insert(option, value);
        forms.insert((option, name));
    }
    let twice = given.keys().any(|option| forms.iter().filter(|(of, _)| of == option).count() > 1);
    (!twice).then(|| (given, words[at..].to_vec()))
}

/// urfave/cli v1, `reorderArgs` and `argIsFlag`, as they stand there.
fn reordered<'a>(table: Table, words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let (mut front, mut remaining) = (Vec::new(), Vec::new());
    let mut next_may_be_value = false;
    for (index, word) in words.iter().enumerate() {
        if next_may_be_value && !is_flag(table, word) {
            next_may_be_value = false;
            front.push(*word);
        } else if *word == b"--" {
            remaining.insert(0, *word);
            remaining.extend(&words[index + 1..]);
            break;
        } else if is_flag(table, word) {
            next_may_be_value = !word.contains(&b'=');
            front.push(*word);
        } else {
            remaining.push(*word);
        }
    }
    front.extend(remaining);
    front
}

fn is_flag(table: Table, word: &[u8]) -> bool {
    if word == b"-" || word == b"--" || !word.starts_with(b"-") {
        return false;
    }
    let word = word.strip_prefix(b"--").unwrap_or(word);
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let name = word.split(|byte| *byte == b'=').next().unwrap_or_default();
    name == b"help" || name == b"h" || find(table, name).is_some()
}
