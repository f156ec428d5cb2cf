//! crun: glibc's argp in order.

use super::{Call, Given, Table, find};
use std::collections::BTreeSet;

const ANSWERS: &str = "help|? usage program-name=";
const GLOBALS: Table = "cgroup-manager= log= log-format= log-level= root= rootless= debug systemd-cgroup help|? usage program-name= version|v|V";
const CREATE: Table = "bundle|b= config|f= console-socket= preserve-fds= pid-file= no-pivot no-subreaper no-new-keyring help|? usage program-name=";
const RUN: Table = "bundle|b= config|f= console-socket= preserve-fds= pid-file= detach|d keep no-subreaper no-new-keyring no-pivot help|? usage \
    program-name=";
const RESTORE: Table = "bundle|b= console-socket= image-path= work-path= manage-cgroups-mode= pid-file= lsm-profile= lsm-mount-context= detach|d \
    tcp-established tcp-close ext-unix-sk shell-job file-locks network-lock help|? usage program-name=";
const CHECKPOINT: Table = "image-path= work-path= parent-path= manage-cgroups-mode= leave-running tcp-established ext-unix-sk shell-job file-locks \
    network-lock pre-dump help|? usage program-name=";

/// `None`: help, a version, a usage error, or another command.
#[must_use]
pub fn call<'a>(words: &[&'a [u8]]) -> Option<Call<'a>> {
    let mut nothing = Vec::new();
    let (globals, command_at) = parse(GLOBALS, words, 0, &mut nothing, false)?;
    let command = *words.get(command_at)?;
    let (table, most_operands) = match command {
        b"create" => (CREATE, 1),
        b"run" => (RUN, 1),
        b"restore" => (RESTORE, 2),
        b"checkpoint" => (CHECKPOINT, 1),
        _ => return None,
    };
    let mut foreign_words = Vec::new();
    let (given, operands_at) = parse(table, words, command_at + 1, &mut foreign_words, command == b"restore")?;
    let operands = &words[operands_at..];
    let get = |name: &str| given.get(name).copied();
    let is_sound = (1..=most_operands).contains(&operands.len()) && get("bundle") != Some(b"");
    is_sound.then(|| Call {
        command: String::from_utf8_lossy(command).into_owned(),
        id: operands[0],
        state_root: globals.get("root").copied(),
        bundle: get("bundle"),
        config_file: get("config").filter(|file| *file != b"config.json"),
        image_path: get("image-path"),
        work_path: get("work-path"),
        // Of argv, which has the program's name in front.
        foreign_words: foreign_words.iter().map(|index| index + 1).collect(),
    })
}

/// getopt_long with `+`; the options, and where the operands begin.
fn parse<'a>(table: Table, words: &[&'a [u8]], from: usize, foreign: &mut Vec<usize>, is_restore: bool) -> Option<(Given<'a>, usize)> {
    let mut given = Given::new();
    let mut at = from;
    while at < words.len() && words[at].len() > 1 && words[at][0] == b'-' {
        let word = words[at];
        at += 1;
        if word == b"--" {
            break;
        }
        if is_restore && word == b"-no-subreaper" {
            foreign.push(at - 1);
        } else if word[1] == b'-' {
            let mut halves = word[2..].splitn(2, |byte| *byte == b'=');
            let (option, valued) = abbreviated(table, halves.next()?)?;
            let value = match (valued, halves.next()) {
                (true, None) => {
                    at += 1;
                    *words.get(at - 1)?
                }
                (true, Some(value)) => value,
                (false, None) => b"",
                (false, Some(_)) => return None,
            };
            given.insert(option, value);
        } else {
            at += cluster(table, &word[1..], words.get(at).copied(), &mut given)?;
        }
    }
    let answers = ANSWERS.split(' ').chain(["version"]).any(|answer| given.contains_key(answer.trim_end_matches('=').trim_end_matches("|?")));
    (!answers).then_some((given, at))
}

/// How many words more it takes.
fn cluster<'a>(table: Table, letters: &'a [u8], next: Option<&'a [u8]>, given: &mut Given<'a>) -> Option<usize> {
    for (index, letter) in letters.iter().enumerate() {
        // A long name of one letter there is not.
        let (option, valued) = find(table, &[*letter])?;
        if !valued {
            given.insert(option, b"");
        } else if index + 1 < letters.len() {
            given.insert(option, &letters[index + 1..]);
            return Some(0);
        } else {
            given.insert(option, next?);
            return Some(1);
        }
    }
    Some(0)
}

/// The long name itself, or the only one that begins so.
fn abbreviated(table: Table, name: &[u8]) -> Option<(&'static str, bool)> {
    let long = |entry: &'static str| entry.trim_end_matches('=').split('|').next().unwrap_or_default();
    let beginning: BTreeSet<&str> = table.split(' ').map(long).filter(|long| long.as_bytes().starts_with(name)).collect();
    let exact = beginning.iter().find(|long| long.as_bytes() == name);
    let only = beginning.first().filter(|_| beginning.len() == 1);
    find(table, exact.or(only)?.as_bytes())
}
