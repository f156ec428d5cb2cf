//! youki: clap.

use super::{Call, Given, Table, find};

const GLOBALS: Table = "log|l= log-format= log-level= root|r= debug systemd-cgroup|s";
const CREATE: Table = "bundle|b= console-socket|c= pid-file|p= preserve-fds= no-pivot no-new-keyring";
const RUN: Table = "bundle|b= console-socket|c= pid-file|p= preserve-fds= detach|d keep no-subreaper no-pivot no-new-keyring";

/// `None`: help, a version, a usage error, or another command. A restore, which youki has not, is one of ours to refuse, unless it asks for help.
#[must_use]
pub fn call<'a>(words: &[&'a [u8]]) -> Option<Call<'a>> {
    let (globals, operands) = parse(GLOBALS, words, true)?;
    let (command, rest) = operands.split_first()?;
    let command_name = String::from_utf8_lossy(command).into_owned();
    let table = match *command {
        b"create" => CREATE,
        b"run" => RUN,
        b"restore" => {
            let id = rest.last()?;
            let sound = !id.starts_with(b"-") && !rest.contains(&b"-h".as_slice()) && !rest.contains(&b"--help".as_slice());
            return sound.then(|| Call { command: command_name, id, ..Call::default() });
        }
        _ => return None,
    };
    let (given, operands) = parse(table, rest, false)?;
    let [id] = operands.as_slice() else { return None };
    let bundle = given.get("bundle").copied();
    let state_root = globals.get("root").copied();
    (bundle != Some(b"")).then(|| Call { command: command_name, id, state_root, bundle, ..Call::default() })
}

fn parse<'a>(table: Table, words: &[&'a [u8]], stop: bool) -> Option<(Given<'a>, Vec<&'a [u8]>)> {
    let (mut given, mut operands) = (Given::new(), Vec::new());
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        let is_operand = word.len() < 2 || word[0] != b'-';
        if is_operand || word == b"--" {
            if is_operand {
                operands.push(word);
            } else if stop {
                return None;
            }
            if stop || !is_operand {
                operands.extend(words);
                break;
            }
            continue;
        }
        let is_long = word[1] == b'-';
        let end = if is_long { word.iter().position(|byte| *byte == b'=').unwrap_or(word.len()) } else { 2 };
        let name = &word[if is_long { 2 } else { 1 }..end];
        let (option, valued) = find(table, name).filter(|_| (name.len() > 1) == is_long)?;
        let joined = (end < word.len()).then(|| word[end..].strip_prefix(b"=").unwrap_or(&word[end..]));
        let value = match (valued, joined) {
            (true, Some(value)) => value,
            (true, None) => words.next_if(|word| !word.starts_with(b"-"))?,
            (false, None) => b"",
            (false, Some(_)) => return None,
        };
        if given.insert(option, value).is_some() {
            return None;
        }
    }
    Some((given, operands))
}
