//! The guard's own log: one JSON line for a container of which there is something to tell, best effort, never a danger (P13).

use crate::node::{Node, set_mode};
use crate::private_mounts::PrivateMounts;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Settings with another log.
fn log_to(node: &Node, log: impl std::fmt::Display) {
    node.all_settings(format!("runtimes = ['{}']\nprotected_roots = ['{}']\nlog = '{log}'", node.text("bin/runc"), node.text("protected")));
}

#[test]
fn a_change_is_one_line_with_container_rule_before_and_after() {
    let node = Node::new();
    node.settings("rules.restore-mountpoints.enabled = false");
    let _mounts = PrivateMounts::as_on_a_real(&node);
    for (command, id) in [("create", "c1"), ("run", "c2"), ("restore", "-weird id\u{e9}")] {
        node.config(node.pinning());
        node.guard([command, "--bundle", &node.bundle(), "--", id]).run().reached();
        let mut line = node.take_notice();
        let changes = line["changes"].take();
        for why in [&changes[0]["why"], &changes[1]["why"]] {
            assert!(why.as_str().unwrap().len() > 20, "{changes}");
        }
        assert!(changes[0]["why"].as_str().unwrap().contains(&node.text("protected")), "{changes}");
        let rule = "slave-protected-binds";
        let strip =
            |change: &Value| change.as_object().unwrap().iter().filter(|(key, _)| *key != "why").map(|(k, v)| (k.clone(), v.clone())).collect();
        let changes: Vec<serde_json::Map<String, Value>> = changes.as_array().unwrap().iter().map(strip).collect();
        let expected = json!([
            {"rule": rule, "mount": "/host", "before": ["rbind", "rprivate"], "after": ["rbind", "rslave"]},
            {"rule": rule, "key": "linux.rootfsPropagation", "before": null, "after": "rslave"},
        ]);
        assert_eq!(json!(changes), expected);
        assert_eq!(line["notices"], json!([]), "{line}");
        let about = ["level", "command", "id", "bundle"].map(|key| line[key].as_str().unwrap().to_owned());
        assert_eq!(about, ["info", command, id, &node.bundle()]);
        assert!(humantime::parse_rfc3339(line["time"].as_str().unwrap()).is_ok());
    }
}

#[test]
fn a_bind_that_cannot_receive_an_unmount_is_noticed_at_every_create() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    mounts.bind(node.path("."));
    for _ in 0..2 {
        node.create().run().reached();
        let line = node.take_notice();
        assert!(line["notices"][0]["msg"].as_str().unwrap().contains("is not shared on the host"), "{line}");
    }
}

#[test]
fn nothing_to_tell_makes_no_log() {
    let node = Node::new();
    node.config(node.harmless());
    node.create().run().reached();
    node.guard(["delete", "c1"]).run().reached();
    assert!(!node.path("own.log").exists());
}

#[test]
fn a_log_that_cannot_be_written_fails_and_delays_no_container() {
    let node = Node::new();
    mkfifo(&node.path("fifo"), Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("circle", node.path("circle")).unwrap();
    let targets = ["missing/own.log", "fifo", "bundle", "config.toml/x", "circle"].map(|name| node.text(name));
    for log in targets.iter().map(String::as_str).chain(["/dev/full", "/proc/version", "/", ""]) {
        log_to(&node, log);
        for config in [node.pinning(), "torn {".to_owned()] {
            node.config(config);
            node.create().run().reached();
        }
        node.config(node.pinning());
        node.create().run().reached();
        assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended(), "{log}");
    }
    assert!(!node.path("missing").exists());
}

#[test]
fn a_log_on_a_full_disk_fails_no_container() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    fs::create_dir(node.path("log")).unwrap();
    mounts.tmpfs(node.path("log"), "size=4k");
    fs::write(node.path("log/filler"), [0; 4096]).unwrap();
    log_to(&node, node.text("log/own.log"));
    node.create().run().reached();
    assert_eq!(fs::read(node.path("log/own.log")).unwrap_or_default(), b"");
}

#[test]
fn a_fifo_with_a_reader_gets_whole_lines_and_a_full_one_none() {
    let node = Node::new();
    mkfifo(&node.path("fifo"), Mode::S_IRWXU).unwrap();
    log_to(&node, node.text("fifo"));
    let open = |options: &mut OpenOptions| options.custom_flags(libc::O_NONBLOCK).open(node.path("fifo")).unwrap();
    let mut reader = open(OpenOptions::new().read(true));
    let mut read = || {
        let mut bytes = vec![0; 1 << 20];
        let length = reader.read(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    node.create().run().reached();
    assert_eq!(serde_json::from_str::<Value>(&read()).unwrap()["id"], "c1");
    let mut writer = open(OpenOptions::new().write(true));
    while writer.write(b"x").is_ok() {}
    node.config(node.pinning());
    node.create().run().reached();
    assert!(read().bytes().all(|byte| byte == b'x'));
}

#[test]
fn hostile_names_stay_inside_their_strings() {
    let node = Node::new();
    let names: [&[u8]; 5] = [b"a\n{\"forged\":1}\n", b"\x1b[2J\x07", "\u{2028}\u{85}".as_bytes(), b"\xff\xfe", b"\"\\"];
    for name in names {
        let bundle = [node.bundle().as_bytes(), b"/../", name].concat();
        for words in [vec![&b"create"[..], b"--bundle", &bundle, b"c1"], vec![b"create", b"--bundle", b"/nonexistent", name]] {
            node.guard(words).run().reached();
            let text = fs::read_to_string(node.path("own.log")).unwrap();
            assert!(text.is_ascii() && text.lines().count() == 1 && !text.contains('\u{1b}'), "{text:?}");
            node.take_notice();
        }
    }
    node.config(node.pinning().replace("/host", "/a\\nb\\u2028\\u001b"));
    node.create().run().reached();
    let text = fs::read_to_string(node.path("own.log")).unwrap();
    assert!(text.is_ascii() && text.lines().count() == 1, "{text:?}");
    assert_eq!(node.take_notice()["changes"][0]["mount"], "/a\nb\u{2028}\u{1b}");
}

#[test]
fn secrets_are_in_neither_log() {
    let node = Node::new();
    let secret = "hunter2";
    let with_environment = |text: String| text.replacen('{', &format!(r#"{{"process":{{"env":["TOKEN={secret}"],"args":["{secret}"]}},"#), 1);
    for config in [node.pinning(), node.pinning().replace("[\"rbind\"", "[null,\"rbind\""), "{".to_owned()] {
        for settings in ["", "policy = 'warn'", "policy = 'reject'", "strict = true"] {
            node.settings(settings);
            node.config(with_environment(config.clone()));
            let log = node.text("log");
            let outcome = node.guard(["--log", &log, "create", "--bundle", &node.bundle(), "c1"]).env(format!("TOKEN={secret}")).run();
            let read = |name: &str| fs::read_to_string(node.path(name)).unwrap_or_default();
            let written = [read("own.log"), read("log"), outcome.stderr_text()].concat();
            assert!(!written.contains(secret), "{settings}: {written}");
        }
    }
    assert!(node.path("own.log").exists() && node.path("log").exists(), "something was told");
}

#[test]
fn the_log_is_roots_to_read_and_an_existing_ones_mode_is_kept() {
    let node = Node::new();
    let log = node.path("own.log");
    node.create().run().reached();
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o7, 0);
    set_mode(&log, 0o604);
    node.config(node.pinning());
    node.create().run().reached();
    assert_eq!((fs::metadata(&log).unwrap().mode() & 0o777, node.own_log().len()), (0o604, 2));
}

#[test]
fn twenty_creates_at_once_write_twenty_whole_lines() {
    let nodes: Vec<Node> = (0..20).map(|_| Node::new()).collect();
    let log = nodes[0].text("own.log");
    nodes.iter().for_each(|node| log_to(node, &log));
    // A long line each, so that pieces would show.
    let long = "x".repeat(20_000);
    nodes.iter().for_each(|node| node.config(node.pinning().replace("/host", &format!("/host{long}"))));
    let running: Vec<_> = nodes.iter().map(|node| node.create().start()).collect();
    running.into_iter().for_each(|running| drop(running.wait().reached().clone()));
    let lines = nodes[0].own_log();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line["changes"][0]["mount"].as_str().unwrap().ends_with(&long)));
    assert!(Path::new(&log).exists());
}
