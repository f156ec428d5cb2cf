//! A node in a temporary directory: programs in a `bin` that is all of PATH (but for the system's own), and settings.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub const GUARD: &str = env!("CARGO_BIN_EXE_runc-guard");

pub const RUNC: &str = "echo runc version 1.3.6; echo spec: 1.2.0";
pub const CRIU: &str = "case $1 in --version) echo Version: 4.1.1 ;; check) echo Looks good. ;; *) exit 9 ;; esac";

pub struct Node {
    dir: TempDir,
}

/// What doctor said.
pub struct Told {
    pub status: Option<i32>,
    pub text: String,
}

impl Node {
    /// With a runc, a CRIU and a protected root, and settings that name the root.
    pub fn new() -> Node {
        let node = Node { dir: tempfile::Builder::new().prefix("doctor.").tempdir().unwrap() };
        fs::set_permissions(node.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for directory in ["bin", "root"] {
            fs::create_dir(node.path(directory)).unwrap();
        }
        node.program("runc", RUNC);
        node.program("criu", CRIU);
        node.settings("");
        node
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A script in `bin`. Written under another name by a child, because a file that any process has open for writing is not executed.
    pub fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        let copy = Command::new("sh").args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh", script]).arg(&path).status();
        assert!(copy.unwrap().success());
    }

    pub fn settings(&self, more: &str) {
        let text = format!("protected_roots = [\"{}\"]\nlog = \"{}\"\n{more}", self.text("root"), self.text("log"));
        fs::write(self.path("settings.toml"), text).unwrap();
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(GUARD);
        command.args(["guard", "doctor"]).env_clear().env("RUNC_GUARD_CONFIG", self.path("settings.toml"));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.text("bin")));
        command
    }

    pub fn doctor(&self) -> Told {
        told(&mut self.command())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.command().arg("--json").output().unwrap().stdout).unwrap()
    }
}

/// Runs doctor, which never fails and never says anything on stderr.
pub fn told(command: &mut Command) -> Told {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(String::from_utf8(stderr).unwrap(), "");
    Told { status: status.code(), text: String::from_utf8(stdout).unwrap() }
}

impl Told {
    #[track_caller]
    pub fn says(&self, line: &str) {
        let is_there = self.text.lines().any(|said| said.starts_with(line));
        assert!(is_there, "no line {line:?} in\n{}", self.text);
    }

    #[track_caller]
    pub fn says_not(&self, part: &str) {
        assert!(!self.text.contains(part), "{part:?} is in\n{}", self.text);
    }

    /// Every line begins with a level, the last one counts, and the exit status follows from it.
    #[track_caller]
    pub fn is_well_formed(&self) {
        let lines: Vec<&str> = self.text.lines().collect();
        let (last, lines) = lines.split_last().unwrap();
        let number = |level: &str| lines.iter().filter(|line| line.starts_with(&format!("{level:<8} "))).count();
        let (ok, warnings, problems) = (number("ok"), number("warning"), number("problem"));
        assert_eq!(ok + warnings + problems, lines.len(), "{}", self.text);
        let counts = format!("{ok} ok, {warnings} warning{}, {problems} problem{}", plural(warnings), plural(problems));
        assert_eq!(*last, counts);
        assert_eq!(self.status, Some(if problems == 0 { 0 } else { 2 }), "{}", self.text);
    }
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}
