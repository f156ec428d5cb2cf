//! Whatever is not create, run or restore reaches the runtime as if the guard were not there (P1).

use crate::node::{FileState, Node, names};
use serde_json::Value;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

/// Calls that engines made, captured: `tests/fixtures/argv.jsonl`.
const RECORDED: &str = include_str!("../fixtures/argv.jsonl");

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// The word after `--log`, or behind `--log=`.
fn log_file(argv: &[String]) -> Option<&str> {
    let joined = argv.iter().find_map(|word| word.strip_prefix("--log="));
    joined.or_else(|| argv.iter().position(|word| word == "--log").map(|at| argv[at + 1].as_str()))
}

#[test]
fn every_recorded_call_reaches_the_runtime_unchanged() {
    let nodes = ["runc", "crun"].map(|runtime| (runtime, Node::with(runtime)));
    let mut seen = 0;
    for line in RECORDED.lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let runtime = call["runtime"].as_str().unwrap();
        let (_, node) = nodes.iter().find(|(name, _)| runtime.starts_with(name)).unwrap();
        let argv = strings(&call["argv"]);
        let file = || File::open(node.path("config.toml")).unwrap();
        let mut guarded = node.guard([""; 0]).argv(&argv).with_fd(3, file()).with_fd(7, file()).with_fd(20, file());
        for entry in strings(&call["env"]) {
            guarded = guarded.env(entry);
        }
        // The one word that is left out: crun refuses it (engines.md, section 8.4).
        let expected: Vec<&String> = argv.iter().filter(|word| !runtime.starts_with("crun") || *word != "-no-subreaper").collect();
        let outcome = node.assert_passes_through_as(guarded, &expected);
        assert!(outcome.status.success());
        assert_eq!(outcome.reached().argv(), expected.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
        assert!(log_file(&argv).is_none_or(|log| !Path::new(log).exists()), "nothing is written to --log");
        assert_eq!(names(&node.path("empty")), [""; 0], "nothing is left in the working directory");
        seen += 1;
    }
    assert!(seen >= 130, "{seen} calls are recorded");
}

/// Calls that are the runtime's own business, by words.
const OTHERS_BUSINESS: &[&str] = &[
    "",
    "--version",
    "-v",
    "--help",
    "features",
    "checkpoint --help",
    "restore --lsm-mount-context",
    "create --help",
    "create --help x",
    "run -h x",
    "restore --help",
    "exec x sh -c create --bundle .",
    "exec --process p.json --detach --pid-file P x create run restore",
    "--root create state x",
    "--log create state x",
    "--root=create state x",
    "-root create state x",
    "-root=/r -log=/nonexistent/l state create",
    "state create",
    "start run",
    "kill create 9",
    "kill --all create KILL",
    "delete --force restore",
    "delete -f create",
    "ps --format json create",
    "list --format json",
    "list -f table",
    "events --interval 1s create",
    "events create",
    "update --resources - create",
    "update --resources=- create",
    "pause create",
    "resume create",
    "spec --bundle .",
    "checkpoint --image-path I --work-path . --leave-running --leave-running create",
    "Create x",
    "creat x",
    "cre x",
    "CREATE x",
    "create",
    "create --bundle",
    "create --bundle .",
    "create x y",
    "create --no-such-option x",
    "create --root R x",
    "create ---bundle . x",
    "-- state create",
    "-x create y",
    "--no-such-option create x",
    "--debug --systemd-cgroup state x",
    "--log-format json --log-format text state x",
    "guards create x",
    "--guard plan create",
];

#[test]
fn calls_that_are_not_ours_leave_a_bundle_in_the_working_directory_alone() {
    for runtime in crate::node::RUNTIMES {
        let node = Node::with(runtime);
        let before = node.config_state();
        for line in OTHERS_BUSINESS {
            let words = line.split(' ').filter(|word| !word.is_empty());
            let outcome = node.assert_passes_through(node.guard(words).cwd(node.bundle()));
            assert!(outcome.status.success(), "{runtime} {line}");
            assert_eq!(node.config_state(), before, "{runtime} {line}");
        }
        assert_eq!(names(&node.path("bundle")), ["config.json", "rootfs"], "{runtime}");
        assert!(!node.path("own.log").exists(), "{runtime}: nothing to tell");
    }
}

#[test]
fn the_same_bundle_is_changed_by_a_create() {
    for runtime in crate::node::RUNTIMES {
        let node = Node::with(runtime);
        node.guard(["create", "x"]).cwd(node.bundle()).run().reached();
        assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended(), "{runtime}");
    }
}

#[test]
fn words_of_a_command_in_a_container_are_not_read() {
    for line in ["exec c sh -c CMD", "exec --cwd / c CMD", "exec --env A=CMD c sh", "exec -e CMD --user 0 c create"] {
        let node = Node::new();
        let words: Vec<String> = line.split(' ').map(|word| word.replace("CMD", "create --bundle . x")).collect();
        let before = node.config_state();
        node.assert_passes_through(node.guard(words).cwd(node.bundle()));
        assert_eq!(node.config_state(), before, "{line}");
    }
}

#[test]
fn arguments_are_bytes() {
    let node = Node::new();
    for word in
        [&b"\xff\xfe"[..], b"\x01\x1b[2J\x7f", b"a\nb\tc", b"", b"=", b"-", b"--", b"---", "\u{2028}\u{fffd}".as_bytes(), &b"x".repeat(100_000)]
    {
        node.assert_passes_through(node.guard([b"state", word]));
        node.assert_passes_through(node.guard([b"--root", word, b"state"]));
        node.assert_passes_through(node.guard([word, b"create", b"x"]));
        node.assert_passes_through(node.guard([b"create", word, word, word]));
    }
}

#[test]
fn the_name_of_the_program_is_passed_on() {
    let node = Node::new();
    for name in [&b"runc"[..], b"/usr/bin/runc", b"", b"\xff", b"guard", b"create", b"-sh"] {
        let outcome = node.assert_passes_through(node.guard([""; 0]).argv([name, b"state", b"x"]));
        assert_eq!(outcome.reached().argv()[0], name);
    }
}

#[test]
fn a_create_that_finds_no_bundle_is_passed_on_with_its_environment_in_order() {
    let node = Node::new();
    let call = node.guard(["create", "x"]).env("Z=1").env("A=\u{e9}").env(b"B=\xff\n").env("A=twice").env("NOEQUALS").env("=").env("");
    let expected = call.environment.clone();
    let outcome = node.assert_passes_through(call);
    assert_eq!(outcome.reached().environment(), expected);
}

#[test]
fn the_runtimes_exit_status_is_the_callers() {
    let node = Node::new();
    for status in [0, 1, 2, 64, 127, 255] {
        for words in [["state", "x"], ["create", "x"]] {
            let outcome = node.guard(words).env(format!("FAKE_RUNTIME_EXIT={status}")).run();
            outcome.reached();
            assert_eq!(outcome.status.code(), Some(status));
        }
    }
}

#[test]
fn the_runtimes_death_by_signal_is_seen_by_the_caller() {
    let node = Node::new();
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGPIPE] {
        for words in [["state", "x"], ["create", "x"]] {
            let outcome = node.guard(words).env(format!("FAKE_RUNTIME_SIGNAL={signal}")).run();
            outcome.reached();
            assert_eq!(outcome.status.signal(), Some(signal));
        }
    }
}

#[test]
fn a_named_settings_file_is_the_only_thing_read_in_the_environment() {
    let node = Node::new();
    let before = FileState::of(&node.path("config.toml"));
    node.assert_passes_through(node.guard(["state", "x"]).env("RUNC_GUARD=1").env("RUST_BACKTRACE=full").env("RUST_LOG=trace"));
    assert_eq!(FileState::of(&node.path("config.toml")), before);
}
