//! The operator's commands, from outside: what they print and their exit status.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SPEC: &str = r#"{"root":{"path":"rootfs"},"mounts":[
    {"destination":"/proc","type":"proc","source":"proc"},
    {"destination":"/host","type":"bind","source":"ROOT","options":["rbind","rprivate"]},
    {"destination":"/apart","type":"bind","source":"APART","options":["rbind","rprivate"]},
    {"destination":"/gone","type":"bind","source":"/nonexistent","options":["rbind","rprivate"]}],
    "linux":{"namespaces":[{"type":"mount"}]}}"#;

/// A bundle, a protected root and a settings file.
struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    fn new(settings: &str) -> Node {
        let node = Node { dir: tempfile::tempdir().unwrap() };
        for directory in ["bundle/rootfs", "root", "apart"] {
            std::fs::create_dir_all(node.path(directory)).unwrap();
        }
        let text = SPEC.replace("ROOT", node.path("root").to_str().unwrap()).replace("APART", node.path("apart").to_str().unwrap());
        std::fs::write(node.path("bundle/config.json"), text).unwrap();
        node.set(settings)
    }

    /// The settings: a protected root, no log, a runtime that is crun by name, and `more`.
    fn set(self, more: &str) -> Node {
        let text = format!("runtimes = ['/bin/true']\nflavour = 'crun'\nprotected_roots = ['{}']\nlog = ''\n{more}", self.path("root").display());
        std::fs::write(self.path("settings.toml"), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn guard(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runc-guard"));
        command.arg("guard").args(words).env("RUNC_GUARD_CONFIG", self.path("settings.toml")).current_dir(self.path("bundle"));
        command.output().unwrap()
    }

    fn plan(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.guard(&[&["plan", "create"], words].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    fn edit(&self, from: &str, to: &str) {
        let path = self.path("bundle/config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(path, text.replace(from, to)).unwrap();
    }
}

fn steps(json: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(json).unwrap()["steps"].as_array().unwrap().clone()
}

#[test]
fn plan_tells_each_mount_looked_at_and_changes_nothing() {
    let node = Node::new("");
    let before = std::fs::read(node.path("bundle/config.json")).unwrap();
    let (status, text) = node.plan(&["--bundle", node.path("bundle").to_str().unwrap()]);
    assert_eq!(status, Some(2), "something would be changed");
    for part in [
        "/host: its source",
        "is the protected root",
        "/host: rbind,rprivate -> rbind,rslave",
        "/apart: its source",
        "overlaps no protected root",
        "linux.rootfsPropagation: unset -> rslave",
        "would be changed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("/gone") && !text.contains("/proc:"), "nothing to look at: {text}");
    assert_eq!(std::fs::read(node.path("bundle/config.json")).unwrap(), before);
}

#[test]
fn plan_as_json_has_the_same_steps() {
    let (status, json) = Node::new("").plan(&["--json"]);
    assert_eq!(status, Some(2));
    let steps = steps(&json);
    let host = steps.iter().find(|step| step["mount"] == "/host").unwrap();
    assert_eq!((&host["action"], &host["rule"]), (&"edit".into(), &"slave-protected-binds".into()));
    assert_eq!(host["before"], serde_json::json!(["rbind", "rprivate"]));
    assert_eq!(host["after"], serde_json::json!(["rbind", "rslave"]));
    assert!(steps.iter().any(|step| step["key"] == "linux.rootfsPropagation" && step["before"].is_null() && step["after"] == "rslave"));
    assert!(steps.iter().any(|step| step["action"] == "keep" && step["why"].as_str().unwrap().starts_with("/apart:")));
}

#[test]
fn plan_ends_with_0_when_there_is_nothing_to_do() {
    let node = Node::new("");
    node.edit("\"rprivate\"", "\"rslave\"");
    node.edit("\"linux\":{", "\"linux\":{\"rootfsPropagation\":\"rslave\",");
    let (status, text) = node.plan(&[]);
    assert_eq!((status, text.contains("nothing to do")), (Some(0), true), "{text}");
}

#[test]
fn plan_without_any_protected_root_looks_at_nothing() {
    let node = Node::new("");
    std::fs::write(node.path("settings.toml"), "runtimes = ['/bin/true']\nflavour = 'runc'\nprotected_roots = []\nlog = ''").unwrap();
    let (status, text) = node.plan(&[]);
    assert_eq!((status, text.as_str()), (Some(0), "nothing to do in . (runc)\n"));
}

#[test]
fn plan_says_what_would_have_no_effect() {
    // The root directory is a plain directory on the mount of the source; on a host without propagation that is said instead.
    let (status, text) = Node::new("").plan(&[]);
    assert_eq!(status, Some(2));
    assert!(text.contains("notice  /host: rslave has no effect: "), "{text}");
}

#[test]
fn plan_shows_a_refusal() {
    let (status, text) = Node::new("policy = 'reject'").plan(&[]);
    assert_eq!(status, Some(2));
    assert!(text.contains("refuse  ") && text.contains("write rslave instead") && text.contains("would be refused"), "{text}");
}

#[test]
fn plan_fails_with_1_and_a_reason() {
    let node = Node::new("");
    let failure = |words: &[&str]| {
        let output = node.guard(words);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(failure(&["plan", "create", "--bundle", "/nonexistent"]).contains("read /nonexistent/config.json: ENOENT"));
    assert!(failure(&["plan", "destroy"]).contains("unrecognized subcommand"));
    node.edit("\"mounts\"", "\"Mounts\"");
    assert!(failure(&["plan", "create"]).contains("understand ./config.json: the key \"Mounts\""));
    let node = node.set("polcy = 1");
    let output = node.guard(&["plan", "create"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("settings.toml, line 5: unknown key polcy"));
}

#[test]
fn config_prints_every_setting_and_its_origin() {
    let node = Node::new("[rules.may-detach-mounts]\nenabled = false");
    let output = node.guard(&["config"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let file = node.path("settings.toml");
    assert!(text.contains(&format!("flavour = \"crun\"    # {}:2\n", file.display())), "{text}");
    assert!(text.contains(&format!("rules.may-detach-mounts.enabled = false    # {}:6\n", file.display())), "{text}");
    assert!(text.contains("policy = \"rewrite\"    # default\n"));
    assert_eq!(text.lines().count(), runc_guard::config::SETTINGS.len());
    let json: Value = serde_json::from_slice(&node.guard(&["config", "--json"]).stdout).unwrap();
    assert_eq!(json["settings"].as_array().unwrap().len(), runc_guard::config::SETTINGS.len());
    assert!(json["settings"].as_array().unwrap().iter().any(|entry| entry["key"] == "log" && entry["value"] == ""));
}

#[test]
fn config_shows_problems_and_fails() {
    let output = Node::new("strict = 'yes'").guard(&["config"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("# problem: read settings "));
}

#[test]
fn help_names_the_commands_and_the_word_guard_alone_is_ours() {
    let node = Node::new("");
    let help = String::from_utf8(node.guard(&["--help"]).stdout).unwrap();
    assert!(help.contains("plan") && help.contains("config"), "{help}");
    // Only in first place: here `guard` is a container's name, and the runtime (/bin/true) answers.
    let output = Command::new(env!("CARGO_BIN_EXE_runc-guard"))
        .args(["state", "guard"])
        .env("RUNC_GUARD_CONFIG", node.path("settings.toml"))
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert!(Path::new("/bin/true").exists());
}

#[test]
fn a_hostile_path_reaches_no_terminal() {
    let node = Node::new("");
    node.edit("\"/host\"", r#""/ho\u001b[2Jst\nrefuse  /forged""#);
    let (_, text) = node.plan(&[]);
    assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line.starts_with("refuse")), "{text}");
    assert!(text.contains(r"/ho\u{1b}[2Jst\nrefuse"), "{text}");
}

#[test]
fn a_report_that_cannot_be_written_is_told() {
    let node = Node::new("");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_runc-guard"))
        .args(["guard", "config"])
        .env("RUNC_GUARD_CONFIG", node.path("settings.toml"))
        .stdout(full)
        .output();
    let run = run.unwrap();
    assert_eq!((run.status.code(), String::from_utf8_lossy(&run.stderr)), (Some(1), "runc-guard: write the report: ENOSPC\n".into()));
}
