//! Every failure of the guard's own is seen by the engine, and nothing else is (P10, P13).

use crate::call::Call;
use crate::documents::not_understood;
use crate::node::{GUARD, Node, names};
use crate::settings::WRONG;
use crate::told::{as_containerd, assert_well_formed, told};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

#[test]
fn sixty_failures_are_all_told_and_none_exits_with_zero() {
    let mut failures = 0;
    let mut fail = |prepare: &dyn Fn(&Node)| {
        let node = Node::new();
        prepare(&node);
        let before = node.config_state();
        told(&node, &["create", "--bundle", &node.bundle(), "c1"], |call| call);
        assert_eq!(node.config_state(), before);
        failures += 1;
    };
    for (text, ..) in WRONG {
        fail(&|node| node.settings(text));
    }
    for (_, bytes) in not_understood(&Node::new().pinning()) {
        fail(&|node| {
            node.settings("strict = true");
            node.config(&bytes);
        });
    }
    for runtime in ["/nonexistent/runc", "/", "/dev/null", "no-such-runtime", "/etc/hostname/runc"] {
        fail(&|node| node.all_settings(format!("runtimes = ['{runtime}']")));
    }
    fail(&|node| node.settings("policy = 'reject'"));
    assert!(failures >= 60, "{failures}");
}

/// A call that fails for a missing runtime.
fn failing() -> Node {
    let node = Node::new();
    node.all_settings("runtimes = ['/nonexistent/runc']\nflavour = 'runc'");
    node
}

fn words(line: &str, log: &str) -> Vec<String> {
    line.split(' ').map(|word| word.replace("LOG", log)).collect()
}

#[test]
fn the_log_has_the_format_that_was_asked_for() {
    let node = failing();
    let log = node.text("log");
    for (line, is_json) in [
        ("--log LOG --log-format json create c1", true),
        ("--log-format=json --log LOG create c1", true),
        ("--log-format json --log=LOG create c1", true),
        ("-log LOG -log-format=json state c1", true),
        ("--debug --root R --log LOG --log-format json delete --force c1", true),
        ("--log-format text --log-format json --log LOG create c1", true),
        ("--log /nonexistent/x --log LOG --log-format json create c1", true),
        ("--log LOG create c1", false),
        ("--log LOG --log-format text create c1", false),
        ("--log LOG --log-format=JSON create c1", false),
        ("--log LOG --log-format json --log-format text create c1", false),
    ] {
        let _ = fs::remove_file(&log);
        let message = node.guard(words(line, &log)).run().refused();
        let text = fs::read_to_string(&log).unwrap();
        assert_eq!((text.matches('\n').count(), text.ends_with('\n')), (1, true), "{line}: {text:?}");
        if is_json {
            assert_eq!(as_containerd(&text), message, "{line}");
            continue;
        }
        let time = text.strip_prefix("time=\"").and_then(|rest| rest.split_once('"')).unwrap_or_else(|| panic!("{line}: {text:?}"));
        assert!(humantime::parse_rfc3339(time.0).is_ok(), "{text}");
        assert_eq!(time.1, format!(" level=error msg={}\n", serde_json::to_string(&message).unwrap()), "{line}");
    }
}

#[test]
fn a_line_is_added_to_a_log_and_takes_nothing_away() {
    let node = failing();
    let before = "{\"level\":\"info\",\"msg\":\"earlier\",\"time\":\"2026-01-01T00:00:00Z\"}\n";
    fs::write(node.path("log"), before).unwrap();
    let message = node.guard(words("--log LOG --log-format json create c1", &node.text("log"))).run().refused();
    let text = fs::read_to_string(node.path("log")).unwrap();
    assert!(text.starts_with(before) && text.lines().count() == 2, "{text}");
    assert_eq!(as_containerd(&text), message);
}

#[test]
fn words_after_the_command_are_no_log() {
    let node = failing();
    for line in ["state --log LOG", "exec c1 sh --log LOG", "create c1 --log LOG --log-format json", "-- state --log LOG"] {
        node.guard(words(line, &node.text("log"))).run().refused();
        assert!(!node.path("log").exists(), "{line}");
    }
}

#[test]
fn targets_of_crun_that_are_no_files_make_no_file() {
    let node = failing();
    for target in ["journald:x", "syslog:x", "syslog:", "journald:"] {
        node.guard(["--log", target, "--log-format", "json", "create", "c1"]).run().refused();
        assert_eq!(names(&node.path("empty")), [""; 0], "{target}");
    }
    let message = node.guard(words("--log file:LOG --log-format json create c1", &node.text("log"))).run().refused();
    assert_eq!(as_containerd(&fs::read_to_string(node.path("log")).unwrap()), message);
    assert_eq!(names(&node.path("empty")), [""; 0]);
}

#[test]
fn a_log_that_cannot_be_written_delays_nothing_and_changes_no_message() {
    let node = failing();
    let usual = node.guard(["create", "c1"]).run().refused();
    mkfifo(&node.path("fifo"), Mode::S_IRWXU).unwrap();
    for target in ["missing/log", "fifo", "bundle", "config.toml/x", "/dev/full", "", "nul"] {
        let log = if target.starts_with('/') || target.is_empty() { target.to_owned() } else { node.text(target) };
        for format in ["json", "text"] {
            assert_eq!(node.guard(["--log", &log, "--log-format", format, "create", "c1"]).run().refused(), usual, "{target}");
        }
    }
    assert!(!node.path("missing").exists());
}

#[test]
fn with_closed_standard_descriptors_the_log_alone_tells() {
    let node = failing();
    for closed in [&[2][..], &[0, 1, 2]] {
        let _ = fs::remove_file(node.path("log"));
        let outcome = node.guard(words("--log LOG --log-format json create c1", &node.text("log"))).closed(closed).run();
        assert_eq!((outcome.status.code(), outcome.record.is_some()), (Some(1), false));
        assert_well_formed(&as_containerd(&fs::read_to_string(node.path("log")).unwrap()));
    }
}

#[test]
fn a_full_pipe_as_log_is_not_waited_for() {
    let node = failing();
    mkfifo(&node.path("fifo"), Mode::S_IRWXU).unwrap();
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(node.path("fifo")).unwrap();
    let mut writer = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(node.path("fifo")).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    node.guard(words("--log LOG create c1", &node.text("fifo"))).run().refused();
    drop(reader);
}

/// File names that would forge lines, or terminal output, if they were printed as they are.
const HOSTILE: [&[u8]; 7] = [
    b"a\nb",
    b"a\r\n{\"level\":\"error\",\"msg\":\"forged\",\"time\":\"2026-01-01T00:00:00Z\"}\n",
    b"\x1b[2J\x1b]0;title\x07",
    "\u{2028}\u{2029}\u{85}\u{9b}".as_bytes(),
    b"\xff\xfe\xc0",
    b"\"',\\",
    b"\x7f\x01\t",
];

fn hostile(node: &Node, name: &[u8]) -> PathBuf {
    node.path(PathBuf::from(OsString::from_vec(name.iter().map(|byte| if *byte == b'/' { b'_' } else { *byte }).collect())))
}

#[test]
fn hostile_names_cannot_forge_a_line() {
    for name in HOSTILE {
        let node = Node::new();
        let path = hostile(&node, name);
        let settings = [b"RUNC_GUARD_CONFIG=", path.as_os_str().as_bytes()].concat();
        // The settings file itself, missing.
        told(&node, &["create", "c1"], |mut call: Call| {
            call.environment[0] = settings.clone();
            call
        });
        // A directory of PATH.
        node.all_settings("runtimes = ['runc']\nlog = ''");
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(GUARD, path.join("runc")).unwrap();
        let message = told(&node, &["create", "c1"], |mut call: Call| {
            call.environment[1] = [b"PATH=", path.as_os_str().as_bytes()].concat();
            call
        });
        // A colon ends an entry of PATH.
        assert!(message.contains("runc-guard itself") || name.contains(&b':'), "{message}");
        // The bundle.
        node.settings("strict = true");
        fs::write(path.join("config.json"), "torn {").unwrap();
        let log = node.text("log");
        let argv: Vec<&[u8]> = vec![b"--log", log.as_bytes(), b"--log-format", b"json", b"create", b"--bundle", path.as_os_str().as_bytes(), name];
        let message = node.guard(argv).run().refused();
        assert_well_formed(&message);
        assert_eq!(as_containerd(&fs::read_to_string(&log).unwrap()), message);
        assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1);
    }
}

#[test]
fn a_hostile_mount_cannot_forge_a_line() {
    for name in ["a\\nb", "\\u001b[2J", "\\u2028", "\\u0085", "\\ud83d\\ude00", "no such file or directory"] {
        let node = Node::new();
        node.settings("policy = 'reject'");
        node.config(node.pinning().replace("/host", &format!("/host{name}")));
        if name.starts_with("no such") {
            assert!(node.create().run().refused().contains(name), "a mount's name is the user's");
        } else {
            told(&node, &["create", "--bundle", &node.bundle(), "c1"], |call| call);
        }
    }
}

#[test]
fn a_success_leaves_the_runtimes_log_alone() {
    let node = Node::new();
    let log = node.text("log");
    let create = || node.guard(["--log", &log, "--log-format", "json", "create", "--bundle", &node.bundle(), "c1"]).run();
    for config in [node.pinning(), "torn {".to_owned(), node.harmless()] {
        node.config(config);
        create().reached();
        assert!(!node.path("log").exists());
    }
}

#[test]
fn an_unknown_global_option_after_the_log_does_not_hide_the_log() {
    let node = failing();
    for line in ["--log LOG --log-format json --version", "--log LOG --log-format json --new-option create c1", "--log LOG --log-format json --help"]
    {
        let _ = fs::remove_file(node.path("log"));
        let message = node.guard(words(line, &node.text("log"))).run().refused();
        assert_eq!(as_containerd(&fs::read_to_string(node.path("log")).unwrap()), message, "{line}");
    }
}
