//! Every kind of failure, in every way in which an engine listens: seen once in each place that can be written, never silent, never exit status 0
//! (P10). The many ways in which one kind can come about are in `reporting.rs`.

use crate::call::{Call, Outcome};
use crate::node::{GUARD, copy_program, install_script, set_mode};
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{Container, rbind, tmpfs};
use crate::told::{as_containerd, assert_well_formed};
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

/// What is wrong with a node, and what the message names. The mounts that it took go with the node.
type Spoil = fn(&Container) -> Option<PrivateMounts>;
type Kind = (&'static str, &'static str, Spoil);

/// Without mounts.
macro_rules! spoil {
    ($node:ident: $($what:expr),+) => {{
        fn spoil($node: &Container) -> Option<PrivateMounts> {
            $($what;)+
            None
        }
        spoil
    }};
}

fn runtime(node: &Container, path: impl std::fmt::Display) {
    node.all_settings(format!("runtimes = ['{path}']\nflavour = 'runc'\nlog = ''"));
}

const FAIL: &str = "on_error = 'fail'";

/// Of every command.
const RUNTIMES: [Kind; 8] = [
    ("a runtime that is missing", "ENOENT", spoil!(node: runtime(node, "/nonexistent/runc"))),
    ("a name that PATH lacks", "not in PATH", spoil!(node: runtime(node, "no-such-runtime"))),
    ("a runtime that is not executable", "EACCES", spoil!(node: fs::write(node.path("plain"), "").unwrap(), runtime(node, node.text("plain")))),
    ("a runtime that is a directory", "no regular file", spoil!(node: runtime(node, node.text("bin")))),
    ("a runtime that is a circle", "ELOOP", spoil!(node: symlink("circle", node.path("circle")).unwrap(), runtime(node, node.text("circle")))),
    ("a runtime that is the guard", "itself", spoil!(node: runtime(node, GUARD))),
    ("a runtime that is no program", "ENOEXEC", spoil!(node: install_script(&node.path("text"), "no program"), runtime(node, node.text("text")))),
    (
        "a runtime without interpreter",
        "ENOENT",
        spoil!(node: install_script(&node.path("text"), "#!/nonexistent\n"), runtime(node, node.text("text"))),
    ),
];

/// Of create, run and restore.
const PREPARATIONS: [Kind; 12] = [
    ("a wrong key", "polcy", spoil!(node: node.settings("polcy = 1"))),
    ("a wrong value", "policy", spoil!(node: node.settings("policy = 'x'"))),
    ("settings that are no TOML", "line 4", spoil!(node: node.settings("[[["))),
    ("settings that are no text", "UTF-8", spoil!(node: node.all_settings([node_settings(node).as_bytes(), b"#\xff\n"].concat()))),
    ("settings that are too large", "1 MiB", spoil!(node: node.settings(&"#\n".repeat(1 << 20)))),
    ("settings that are a directory", "regular file", spoil!(node: as_directory(node, "config.toml"))),
    ("settings of others, strict", "trust", spoil!(node: node.settings("strict = true"), set_mode(&node.path("config.toml"), 0o666))),
    ("a runtime of others, strict", "trust", spoil!(node: own_runtime(node), node.settings("strict = true"))),
    ("a directory of others, strict", "trust", spoil!(node: node.settings("strict = true"), set_mode(&node.path("bin"), 0o777))),
    ("a torn document, strict", "understand", spoil!(node: node.config("{"), node.settings("strict = true"))),
    ("no document, strict", "ENOENT", spoil!(node: fs::remove_file(node.path("bundle/config.json")).unwrap(), node.settings("strict = true"))),
    ("a policy against it", "write rslave instead", spoil!(node: node.settings("policy = 'reject'"))),
];

/// Of create and run: what a document cannot be replaced for.
const REPLACEMENTS: [Kind; 3] = [
    ("a read-only bundle", "EROFS", |node| {
        node.settings(FAIL);
        let mut mounts = PrivateMounts::new();
        mounts.read_only(node.path("bundle"));
        Some(mounts)
    }),
    (
        "a directory in the way",
        "temporary file",
        spoil!(node: node.settings(FAIL), fs::create_dir(node.path("bundle/.config.json.runc-guard")).unwrap()),
    ),
    ("a document that somebody has locked", "EWOULDBLOCK", spoil!(node: node.settings(FAIL), lock_for_ever(&node.path("bundle/config.json")))),
];

/// Of restore.
const RESTORES: [Kind; 5] = [
    ("a source that is missing", "ENOENT", spoil!(node: fs::remove_dir_all(node.path("srv/data")).unwrap())),
    ("a file in the way", "no directory", spoil!(node: fs::write(node.path("srv/data/lower"), "").unwrap())),
    ("a FIFO in the way", "no directory", spoil!(node: nix::unistd::mkfifo(&node.path("srv/data/lower"), nix::sys::stat::Mode::S_IRWXU).unwrap())),
    ("a read-only source", "EROFS", |node| {
        let mut mounts = PrivateMounts::new();
        mounts.read_only(node.path("srv/data"));
        Some(mounts)
    }),
    ("a runtime without restore", "no restore", spoil!(node: node.all_settings(node_settings(node).replace("bin/runc", "bin/youki")))),
];

fn node_settings(node: &Container) -> String {
    fs::read_to_string(node.path("config.toml")).unwrap()
}

fn as_directory(node: &Container, name: &str) {
    fs::remove_file(node.path(name)).unwrap();
    fs::create_dir(node.path(name)).unwrap();
}

/// No hard link of what all tests use.
fn own_runtime(node: &Container) {
    copy_program(&node.path("bin/runc"), &node.path("copy"));
    fs::rename(node.path("copy"), node.path("bin/runc")).unwrap();
    chown(node.path("bin/runc"), Some(1234), None).unwrap();
}

/// A writer that is stuck: the lock stays as long as this process.
fn lock_for_ever(path: &Path) {
    let file = fs::File::open(path).unwrap();
    file.lock().unwrap();
    std::mem::forget(file);
}

/// A node on which create, run and restore would all do something.
fn node() -> Container {
    let node = Container::of("runc");
    node.mounts(&[rbind("/data", node.directory("srv/data")), rbind("/host", node.path("protected")), tmpfs("/data/lower/x")]);
    node.directory("bundle/rootfs/data");
    node
}

/// How an engine listens: words before the command, with the log as LOG, whether a line comes into the log, and whether it is JSON.
const LISTENERS: [(&str, &str, bool, bool); 9] = [
    ("containerd", "--root R --log LOG --log-format json", true, true),
    ("podman", "--log-format=json --log=LOG --systemd-cgroup", true, true),
    ("a person", "--log LOG", true, false),
    ("crun, by hand", "--log file:LOG --log-format text", true, false),
    ("nobody", "", false, false),
    ("a log in a directory that is missing", "--log /nonexistent/log --log-format json", false, true),
    ("a log that is a directory", "--log / --log-format json", false, true),
    ("a log on a full disk", "--log /dev/full --log-format json", false, true),
    ("a log that is stderr", "--log /dev/stderr --log-format json", false, true),
];

fn call(node: &Container, listener: &str, command: &str) -> Call {
    let mut words: Vec<String> = listener.split_whitespace().map(|word| word.replace("LOG", &node.text("log"))).collect();
    let (bundle, image) = (node.bundle(), node.text("checkpoint"));
    words.push(command.to_owned());
    match command {
        "state" | "delete" => {}
        "restore" => words.extend(["--bundle", &bundle, "--image-path", &image].map(str::to_owned)),
        _ => words.extend(["--bundle", &bundle].map(str::to_owned)),
    }
    words.push("c1".to_owned());
    node.guard(words)
}

/// The message that came back, in all places alike.
#[track_caller]
fn heard(node: &Container, outcome: &Outcome, (listener, _, is_logged, is_json): (&str, &str, bool, bool)) -> String {
    let log = fs::read_to_string(node.path("log")).unwrap_or_default();
    let _ = fs::remove_file(node.path("log"));
    assert_eq!(log.lines().count(), usize::from(is_logged), "{listener}: {log}");
    if listener == "a log that is stderr" {
        let (line, message) = outcome.stderr_text().split_once('\n').map(|(line, rest)| (line.to_owned(), rest.trim_end().to_owned())).unwrap();
        assert_eq!((as_containerd(&line), outcome.status.code(), outcome.record.is_some()), (message.clone(), Some(1), false), "{outcome:?}");
        return message;
    }
    let message = outcome.refused();
    if is_logged && is_json {
        assert_eq!(as_containerd(&log), message);
    } else if is_logged {
        assert!(log.contains(&format!("level=error msg={}", serde_json::to_string(&message).unwrap())), "{log}");
    }
    message
}

#[test]
fn every_kind_of_failure_is_heard_once_by_every_kind_of_listener() {
    let mut count = 0;
    let kinds: [(&[Kind], &[&str]); 4] = [
        (&RUNTIMES, &["create", "restore", "state", "delete"]),
        (&PREPARATIONS, &["create", "run", "restore"]),
        (&REPLACEMENTS, &["create", "run"]),
        (&RESTORES, &["restore"]),
    ];
    for (kinds, commands) in kinds {
        for (kind, names, spoil) in kinds {
            let node = node();
            println!("{kind}");
            let mounts = spoil(&node);
            for (command, listener) in commands.iter().flat_map(|command| LISTENERS.map(|listener| (command, listener))) {
                let message = heard(&node, &call(&node, listener.1, command).run(), listener);
                assert_well_formed(&message);
                assert!(message.contains(names), "{kind}, {command}, {}: {message}", listener.0);
                count += 1;
            }
            // With nobody to hear it, it is still no success.
            let deaf = call(&node, "", commands[0]).closed(&[0, 1, 2]).run();
            assert_eq!((deaf.status.code(), deaf.record.is_some()), (Some(1), false), "{kind}");
            drop(mounts);
        }
    }
    println!("{count} failures were heard");
    assert!(count > 600, "{count}");
}

/// The control: on the very node, with nothing spoilt, all of it goes on.
#[test]
fn with_nothing_wrong_nothing_is_heard() {
    for command in ["create", "run", "restore", "state", "delete"] {
        for listener in LISTENERS {
            let node = node();
            call(&node, listener.1, command).run().reached();
            assert!(!node.path("log").exists(), "{command}, {}", listener.0);
        }
    }
}
