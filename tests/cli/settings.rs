//! Broken settings fail what they are for, and never `state`, `kill`, `delete` or any other clean-up (P9).

use crate::node::{Node, install_fake_runtime};
use crate::random::Random;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs;
use std::path::PathBuf;

const OTHER_COMMANDS: [&str; 12] = [
    "state c1",
    "start c1",
    "kill c1 9",
    "delete --force c1",
    "exec --process p.json c1",
    "ps --format json c1",
    "list",
    "events c1",
    "update --resources=- c1",
    "pause c1",
    "resume c1",
    "features",
];

/// Wrong settings, the line they are wrong on, and what the message names.
pub const WRONG: &[(&str, usize, &str)] = &[
    ("polcy = 'warn'", 4, "polcy"),
    ("\n\npolicy = 'wran'", 6, "policy"),
    ("policy = 7", 4, "policy"),
    ("policy = warn", 4, "policy"),
    ("policy = 'warn", 4, "policy"),
    ("strict = 'yes'", 4, "strict"),
    ("strict = true\nstrict = false", 5, "strict"),
    ("flavour = 'kata'", 4, "flavour"),
    ("force_rro = 1", 4, "force_rro"),
    ("on_error = 'panic'", 4, "on_error"),
    ("extra_protected_roots = '/x'", 4, "extra_protected_roots"),
    ("extra_protected_roots = ['relative']", 4, "extra_protected_roots"),
    ("extra_protected_roots = [7]", 4, "extra_protected_roots"),
    ("allow_opt_out = ['no-such-rule']", 4, "allow_opt_out"),
    ("[rules.no-such-rule]\nenabled = true", 4, "rules.no-such-rule"),
    ("[rules.slave-protected-binds]\nenabled = 'no'", 5, "rules.slave-protected-binds.enabled"),
    ("[rules.slave-protected-binds]\nonerror = 'fail'", 5, "rules.slave-protected-binds.onerror"),
    ("[rules]\nslave-protected-binds = true", 5, "rules.slave-protected-binds"),
    ("[Rules.slave-protected-binds]\nenabled = true", 4, "Rules"),
];

#[test]
fn wrong_settings_fail_create_run_and_restore_and_name_file_line_and_key() {
    let node = Node::new();
    let before = node.config_state();
    for (text, line, key) in WRONG {
        node.settings(text);
        for command in ["create", "run", "restore"] {
            let message = node.guard([command, "--bundle", &node.bundle(), "c1"]).run().refused();
            let place = format!("runc-guard: read settings {}, line {line}: ", node.text("config.toml"));
            assert!(message.starts_with(&place) && message[place.len()..].contains(key), "{text:?}: {message}");
        }
        node.assert_passes_through(node.guard(["state", "c1"]));
    }
    assert_eq!(node.config_state(), before);
}

#[test]
fn a_key_without_value_is_named() {
    let node = Node::new();
    node.settings("policy");
    assert!(node.create().run().refused().contains("policy"));
}

#[test]
fn wrong_settings_count_before_the_bundle_is_looked_at() {
    let node = Node::new();
    node.settings("polcy = 'warn'");
    fs::remove_file(node.path("bundle/config.json")).unwrap();
    mkfifo(&node.path("bundle/config.json"), Mode::S_IRWXU).unwrap();
    assert!(node.create().run().refused().contains("polcy"));
}

#[test]
fn settings_that_are_no_file_fail_creates_only() {
    let node = Node::new();
    // Without settings the runtime is looked up in PATH.
    let path = format!("PATH={}", node.text("bin"));
    mkfifo(&node.path("fifo.toml"), Mode::S_IRWXU).unwrap();
    fs::write(node.path("large.toml"), "#\n".repeat(1 << 20)).unwrap();
    std::os::unix::fs::symlink("loop.toml", node.path("loop.toml")).unwrap();
    for (name, errno) in
        [("missing.toml", "ENOENT"), ("loop.toml", "ELOOP"), ("config.toml/x", "ENOTDIR"), ("fifo.toml", ""), ("bundle", ""), ("large.toml", "")]
    {
        let call = |words: &[&str]| {
            let call = node.guard(words).without_environment();
            call.env(&path).env(format!("RUNC_GUARD_CONFIG={}", node.text(name)))
        };
        for command in ["create", "run", "restore"] {
            let message = call(&[command, "--bundle", &node.bundle(), "c1"]).run().refused();
            assert!(message.contains(&node.text(name)) && message.contains(errno), "{message}");
        }
        for line in OTHER_COMMANDS {
            node.assert_passes_through(call(&line.split(' ').collect::<Vec<_>>()));
        }
    }
    node.assert_passes_through(node.guard(["state", "c1"]).without_environment().env(&path).env("RUNC_GUARD_CONFIG=/dev/zero"));
    node.assert_passes_through(node.guard(["state", "c1"]).without_environment().env(&path).env("RUNC_GUARD_CONFIG="));
}

/// Texts of at most 1 MiB that make a parser recurse.
fn deep() -> Vec<String> {
    let (depth, path) = (200_000, vec!["a"; 200_000].join("."));
    vec![
        format!("x = {}", "[".repeat(depth)),
        format!("x = {}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("x = {}1{}", "{a=".repeat(depth), "}".repeat(depth)),
        format!("{path} = 1"),
        format!("[{path}]\nb = 1"),
        format!("[[{path}]]\nb = 1"),
        "'".repeat(depth),
        "\"".repeat(depth),
    ]
}

#[test]
fn deep_settings_end_no_call() {
    let node = Node::new();
    for text in deep() {
        node.settings(&text);
        node.create().run().refused();
        node.guard(["delete", "c1"]).run().reached();
    }
}

#[test]
fn settings_wrong_on_every_line_delay_no_call() {
    let node = Node::new();
    for line in ["x\n", "policy = 'warn'\n", "=\n"] {
        node.settings(&line.repeat(1_000_000 / line.len()));
        node.create().run().refused();
        node.guard(["delete", "c1"]).run().reached();
    }
}

/// Settings as an operator would have them, on a runtime that no PATH holds.
struct Damaged {
    node: Node,
    text: String,
    /// The line that names the runtime, and the end of the comment before it.
    runtimes: std::ops::Range<usize>,
    named: PathBuf,
}

impl Damaged {
    fn new() -> Damaged {
        let node = Node::new();
        fs::create_dir(node.path("named")).unwrap();
        let named = node.path("named/runc");
        install_fake_runtime(&named);
        let line = format!("runtimes = ['{}']\n", named.display());
        let example = include_str!("../../config.example.toml");
        let text = example.replace("runtimes = [\"runc\", \"crun\"]\n", &line);
        let start = text.find(&line).unwrap();
        Damaged { node, runtimes: start - 1..start + line.len(), text, named }
    }

    /// One command under damaged settings: a runtime runs, and the named one where its line survived.
    fn assert_reached(&self, bytes: &[u8], line: &str, case: &str) {
        self.node.all_settings(bytes);
        let mut call = self.node.guard(line.split(' ')).env(format!("PATH={}", self.node.text("bin")));
        call.environment.remove(1);
        let in_path = call.record.clone();
        call = call.expecting(&self.named);
        let _ = fs::remove_file(&in_path);
        let outcome = call.run();
        let survived = bytes.get(self.runtimes.clone()) == Some(&self.text.as_bytes()[self.runtimes.clone()]);
        let reached = outcome.record.is_some() || (!survived && in_path.exists());
        assert!(reached, "{case}, {line}: {outcome:?}\n{}", String::from_utf8_lossy(bytes));
        assert!(outcome.status.success() && outcome.stderr.is_empty(), "{case}, {line}: {outcome:?}");
    }
}

#[test]
fn settings_cut_off_anywhere_stop_no_other_command() {
    let damaged = Damaged::new();
    let mut random = Random(9);
    for line in OTHER_COMMANDS {
        for _ in 0..60 {
            let length = random.below(damaged.text.len());
            if !damaged.runtimes.contains(&length) {
                damaged.assert_reached(&damaged.text.as_bytes()[..length], line, &format!("the first {length} bytes"));
            }
        }
    }
}

#[test]
fn settings_cut_off_in_the_line_that_names_the_runtime_stop_no_other_command() {
    let damaged = Damaged::new();
    for length in damaged.runtimes.clone() {
        damaged.assert_reached(&damaged.text.as_bytes()[..length], "delete c1", &format!("the first {length} bytes"));
    }
}

#[test]
fn one_wrong_character_elsewhere_leaves_the_named_runtime_in_force() {
    damage_elsewhere(|random| b"\n\"'[]{}=#.x \x00\x7f"[random.below(14)]);
}

#[test]
fn one_wrong_byte_elsewhere_leaves_the_named_runtime_in_force() {
    damage_elsewhere(|random| u8::try_from(128 + random.below(128)).unwrap());
}

fn damage_elsewhere(byte: impl Fn(&mut Random) -> u8) {
    let damaged = Damaged::new();
    let mut random = Random(10);
    for line in OTHER_COMMANDS {
        for _ in 0..60 {
            let mut bytes = damaged.text.clone().into_bytes();
            let at = random.below(bytes.len());
            if !damaged.runtimes.contains(&at) {
                bytes[at] = byte(&mut random);
                damaged.assert_reached(&bytes, line, &format!("byte {at} is {:?}", char::from(bytes[at])));
            }
        }
    }
}
