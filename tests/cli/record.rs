//! What the fake runtime wrote down about its start.

use std::fmt::{self, Write as _};
use std::path::Path;

/// How a runtime was started. Two starts are the same when their records are equal: everything but the pid is compared.
#[derive(Clone)]
pub struct Record {
    pub pid: i32,
    pub parent: i32,
    /// Every other line, in the order written.
    lines: Vec<String>,
}

/// One open descriptor.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenFd {
    pub number: i32,
    pub target: String,
}

impl Record {
    /// The record at `path`, which is taken away; `None`: the runtime was not reached.
    pub fn take(path: &Path) -> Option<Record> {
        let text = std::fs::read_to_string(path).ok()?;
        std::fs::remove_file(path).unwrap();
        let number = |word: &str| text.lines().find_map(|line| line.strip_prefix(word)?.parse().ok()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("pid ")).map(str::to_owned).collect();
        Some(Record { pid: number("pid "), parent: number("ppid "), lines })
    }

    fn values(&self, word: &'static str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(move |line| {
            let value = line.strip_prefix(word)?;
            if value.is_empty() { Some(value) } else { value.strip_prefix(' ') }
        })
    }

    /// The one value of `word`.
    pub fn value(&self, word: &'static str) -> &str {
        self.values(word).next().unwrap_or_else(|| panic!("{word} is recorded"))
    }

    /// Puts another value in a line's place, and gives the words of what was there.
    pub fn replace(&mut self, word: &'static str, value: &[u8]) -> Vec<String> {
        let line = self.lines.iter_mut().find(|line| line.starts_with(&format!("{word} -"))).unwrap_or_else(|| panic!("{word} is recorded"));
        let old = String::from_utf8(bytes(&line[word.len() + 1..])).unwrap();
        *line = format!("{word} -");
        value.iter().for_each(|byte| write!(line, "{byte:02x}").unwrap());
        old.split_whitespace().map(str::to_owned).collect()
    }

    pub fn argv(&self) -> Vec<Vec<u8>> {
        self.values("arg").map(bytes).collect()
    }

    pub fn environment(&self) -> Vec<Vec<u8>> {
        self.values("env").map(bytes).collect()
    }

    pub fn open_fds(&self) -> Vec<OpenFd> {
        let fd = |line: &str| {
            let mut words = line.split(' ');
            let number = words.next().unwrap().parse().unwrap();
            OpenFd { number, target: String::from_utf8_lossy(&bytes(words.next().unwrap())).into_owned() }
        };
        self.values("fd").map(fd).collect()
    }

    /// Lines that only one of the two has, for people: `-` ours, `+` the other's.
    pub fn differences(&self, other: &Record) -> Vec<String> {
        let only = |sign, of: &Record, lines: &[String]| {
            let lacking = of.lines.iter().filter(|line| !lines.contains(line));
            lacking.map(|line| format!("{sign} {}", readable(line))).collect::<Vec<_>>()
        };
        let mut differences = only('-', self, &other.lines);
        differences.extend(only('+', other, &self.lines));
        if differences.is_empty() && self.lines != other.lines {
            differences.push("the same lines in another order".to_owned());
        }
        differences
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.lines == other.lines
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines.iter().map(|line| readable(line))).finish()
    }
}

/// A recorded value: `-` and hex digits.
fn bytes(value: &str) -> Vec<u8> {
    let digits = value.strip_prefix('-').unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn readable(line: &str) -> String {
    let word = |word: &str| match word.strip_prefix('-') {
        Some(_) => format!("{:?}", String::from_utf8_lossy(&bytes(word))),
        None => word.to_owned(),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
