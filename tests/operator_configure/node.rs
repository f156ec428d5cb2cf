//! A node for `guard configure`: a folder with settings files, an executable guard, engines that only tell their version.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

pub struct Node {
    dir: tempfile::TempDir,
}

/// What a command printed, with the node's folder as NODE, and its exit status.
#[derive(Debug)]
pub struct Said {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Node {
    /// A node without any engine.
    pub fn new() -> Node {
        let node = Node { dir: tempfile::tempdir().unwrap() };
        node.program("guard", "");
        node.program("bin/runc", "");
        node.write("settings.toml", "runtimes = ['runc']\n");
        node
    }

    /// A node on which `engine --version` prints `version`.
    pub fn with_engine(engine: &str, version: &str) -> Node {
        let node = Node::new();
        node.program(&format!("bin/{engine}"), &format!("echo {version}"));
        node
    }

    pub fn containerd(version: &str) -> Node {
        Node::with_engine("containerd", &format!("containerd github.com/containerd/containerd {version}"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("NODE", self.dir.path().to_str().unwrap())).unwrap();
    }

    /// A shell script.
    pub fn program(&self, name: &str, text: &str) {
        self.write(name, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        self.masked(&fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    fn masked(&self, bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap().replace(self.dir.path().to_str().unwrap(), "NODE")
    }

    /// Every file with its content: whatever was left or lost shows.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut pending = vec![self.path("")];
        while let Some(directory) = pending.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    pending.push(path);
                } else {
                    // A FIFO would wait for its writer.
                    let content = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                    found.push((path.to_str().unwrap().to_owned(), content));
                }
            }
        }
        found.sort();
        found
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runc-guard"));
        command.args(["guard", "configure"]).args(words).current_dir(self.dir.path());
        command.env("PATH", self.path("bin")).env("RUNC_GUARD_CONFIG", self.path("settings.toml"));
        command
    }

    pub fn said(&self, output: &Output) -> Said {
        Said { status: output.status.code(), stdout: self.masked(&output.stdout), stderr: self.masked(&output.stderr) }
    }

    pub fn run(&self, words: &[&str]) -> Said {
        self.said(&self.command(words).output().unwrap())
    }

    /// `guard configure` of the node's guard with success.
    pub fn configure(&self, engine: &str, file: &str, more: &[&str]) -> String {
        let guard = self.path("guard");
        let said = self.run(&[&[engine, "--file", file, "--runtime-path", guard.to_str().unwrap()], more].concat());
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{said:?}");
        said.stdout
    }

    pub fn remove(&self, engine: &str, file: &str) -> String {
        let said = self.run(&[engine, "--file", file, "--remove"]);
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{said:?}");
        said.stdout
    }

    /// Why it failed; and that it changed nothing.
    pub fn refused(&self, words: &[&str]) -> String {
        let before = self.files();
        let said = self.run(words);
        assert_eq!((said.status, said.stdout.as_str()), (Some(1), ""), "{said:?}");
        assert!(self.files() == before, "a refusal changes nothing: {said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "one line: {said:?}");
        said.stderr
    }

    pub fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[words, &["--json"]].concat()).stdout).unwrap()
    }
}
