//! A bundle, a source and a settings file, and the command over them.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Output};

pub const GUARD: &str = env!("CARGO_BIN_EXE_runc-guard");
pub const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/criu-image");

/// The container of the fixture: a bind at /test, and in it a tmpfs at /test/lower/directory. NODE is the node's path.
pub const SPEC: &str = r#"{"root":{"path":"rootfs"},"mounts":[
    {"destination":"/proc","type":"proc","source":"proc"},
    {"destination":"/test","type":"bind","source":"NODE/srv/test","options":["rbind","rprivate"]},
    {"destination":"/test/lower/directory","type":"tmpfs","source":"tmpfs"}],
    "linux":{"maskedPaths":["/proc/keys","/proc/timer_list"],"namespaces":[{"type":"mount"}]}}"#;

/// A bundle, a source and a settings file.
pub struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    pub fn new() -> Node {
        let node = Node { dir: tempfile::tempdir().unwrap() };
        for directory in ["bundle/rootfs/proc", "bundle/rootfs/sys", "bundle/rootfs/dev", "bundle/rootfs/test", "srv/test"] {
            fs::create_dir_all(node.path(directory)).unwrap();
        }
        node.spec(SPEC);
        node.set("");
        node
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn spec(&self, text: &str) {
        fs::write(self.path("bundle/config.json"), text.replace("NODE", self.dir.path().to_str().unwrap())).unwrap();
    }

    pub fn set(&self, more: &str) {
        let text = format!("runtimes = ['/bin/true']\nflavour = 'runc'\nprotected_roots = []\nlog = '{}'\n{more}", self.text("own.log"));
        fs::write(self.path("settings.toml"), text).unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(GUARD);
        command.args(["guard", "plan", "restore"]).args(words).env("RUNC_GUARD_CONFIG", self.path("settings.toml")).current_dir("/");
        command
    }

    /// Runs a command, which must change nothing here.
    #[track_caller]
    pub fn run(&self, mut command: Command) -> Output {
        let before = self.state();
        let output = command.output().unwrap();
        assert_eq!(self.state(), before, "a plan changes nothing");
        output
    }

    /// What `plan restore` of the fixture prints as text, and its exit status.
    #[track_caller]
    pub fn plan(&self, more: &[&str]) -> (Option<i32>, String) {
        let bundle = self.text("bundle");
        let output = self.run(self.command(&[&["--bundle", &bundle, "--image-path", FIXTURE], more].concat()));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(&self) -> (Option<i32>, Value) {
        let (status, text) = self.plan(&["--json"]);
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "one line: {text}");
        (status, serde_json::from_str(&text).unwrap())
    }

    /// Every inode: path, number, mode, size and times.
    fn state(&self) -> Vec<String> {
        let (mut state, mut pending) = (Vec::new(), vec![self.dir.path().to_owned()]);
        while let Some(path) = pending.pop() {
            let about = fs::symlink_metadata(&path).unwrap();
            let times = (about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec());
            state.push(format!("{} {} {:o} {} {times:?}", path.display(), about.ino(), about.mode(), about.len()));
            if about.is_dir() {
                pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        state.sort();
        state
    }
}

#[track_caller]
pub fn mount<'a>(report: &'a Value, mountpoint: &str) -> &'a Value {
    let mounts = report["mounts"].as_array().unwrap();
    mounts.iter().find(|mount| mount["mountpoint"] == mountpoint).unwrap_or_else(|| panic!("{mountpoint}: {report:#}"))
}

#[track_caller]
pub fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "{line}: {text}");
}
