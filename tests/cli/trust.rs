//! What a program that root runs must not trust (P12).

use crate::node::{GUARD, Node, copy_program, install_script, set_mode};
use crate::private_mounts::PrivateMounts;
use crate::told::told;
use std::fs;
use std::io;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

const NOBODY: libc::uid_t = 65_534;

/// Modes and owners by which somebody else than root could write a file, and some by which nobody else can.
const OPEN: [(u32, (u32, u32)); 4] = [(0o666, (0, 0)), (0o622, (0, 0)), (0o664, (0, 1234)), (0o644, (1234, 0))];
const CLOSED: [(u32, (u32, u32)); 3] = [(0o644, (0, 0)), (0o664, (0, 0)), (0o600, (0, 1234))];

fn own(path: &Path, mode: u32, owner: (u32, u32)) {
    chown(path, Some(owner.0), Some(owner.1)).unwrap();
    set_mode(path, mode);
}

#[track_caller]
fn assert_noticed(node: &Node, file: &Path, is_open: bool) {
    assert_told(node, file, is_open, is_open);
}

/// `is_noticed`: also when not strict.
#[track_caller]
fn assert_told(node: &Node, file: &Path, is_noticed: bool, is_open: bool) {
    node.config(node.harmless());
    node.settings("");
    // Mode and owner are those of the caller's file, which `settings` may have written anew.
    node.create().run().reached();
    let noticed = node.own_log().iter().any(|line| line["notices"][0]["msg"].as_str().unwrap().contains(&format!("trust {}: ", file.display())));
    assert_eq!(noticed, is_noticed, "{:?}", node.own_log());
    let _ = fs::remove_file(node.path("own.log"));
    node.settings("strict = true");
    let state = node.guard(["delete", "c1"]).run();
    state.reached();
    if is_open {
        let why = told(node, &["create", "--bundle", &node.bundle(), "c1"], |call| call);
        assert!(why.contains(&format!("trust {}: ", file.display())), "{why}");
    } else {
        node.create().run().reached();
    }
}

#[test]
fn settings_that_others_can_write_are_noticed_and_refused_when_strict() {
    for (modes, is_open) in [(&OPEN[..], true), (&CLOSED, false)] {
        for (mode, owner) in modes {
            let node = Node::new();
            own(&node.path("config.toml"), *mode, *owner);
            assert_noticed(&node, &node.path("config.toml"), is_open);
        }
    }
}

#[test]
fn a_runtime_that_others_can_write_is_noticed_and_refused_when_strict() {
    for (modes, is_open) in [(&OPEN[..], true), (&CLOSED, false)] {
        for (mode, owner) in modes {
            let node = Node::new();
            // No hard link: its mode would be that of the program all tests use.
            let runtime = node.path("bin/runc");
            copy_program(&runtime, &node.path("copy"));
            fs::rename(node.path("copy"), &runtime).unwrap();
            own(&runtime, mode | 0o111, *owner);
            assert_noticed(&node, &runtime, is_open);
        }
    }
}

/// Who can put another file, or directory, in a trusted one's place. Each look costs a system call, so only when strict (and in `guard doctor`).
#[test]
fn a_directory_that_others_can_write_above_settings_or_runtime_is_refused_when_strict_and_a_sticky_one_is_not() {
    let (open, closed) = ([(0o777, (0, 0)), (0o775, (0, 1234)), (0o755, (1234, 0)), (0o1777, (1234, 0))], [(0o755, (0, 0)), (0o1777, (0, 0))]);
    for (modes, is_open) in [(&open[..], true), (&closed, false)] {
        for (mode, owner) in modes {
            for directory in ["etc", "bin"] {
                let node = Node::new();
                fs::create_dir(node.path("etc")).unwrap();
                fs::rename(node.path("config.toml"), node.path("etc/config.toml")).unwrap();
                symlink("etc/config.toml", node.path("config.toml")).unwrap();
                own(&node.path(directory), *mode, *owner);
                assert_told(&node, &node.path(directory), false, is_open);
            }
        }
    }
}

#[test]
fn drop_ins_of_etc_are_looked_at_too() {
    for (path, mode, owner, is_file) in [
        ("conf.d", 0o777, (0, 0), false),
        ("conf.d/50-site.toml", 0o666, (0, 0), true),
        ("conf.d/50-site.toml", 0o644, (1234, 0), true),
        ("", 0o777, (0, 0), false),
    ] {
        let node = Node::new();
        node.config(node.harmless());
        let mut mounts = PrivateMounts::new();
        mounts.tmpfs("/etc", "mode=755");
        let etc = Path::new("/etc/runc-guard");
        fs::create_dir_all(etc.join("conf.d")).unwrap();
        fs::copy(node.path("config.toml"), etc.join("config.toml")).unwrap();
        fs::write(etc.join("conf.d/50-site.toml"), "policy = 'warn'\n").unwrap();
        let create = || node.guard(["create", "--bundle", &node.bundle(), "c1"]).without_environment().run();
        create().reached();
        assert!(!node.path("own.log").exists(), "the control: all is root's alone");
        let open = if path.is_empty() { etc.to_owned() } else { etc.join(path) };
        own(&open, mode, owner);
        create().reached();
        let told = format!("trust {}: ", open.display());
        assert_eq!(fs::read_to_string(node.path("own.log")).unwrap_or_default().contains(&told), is_file);
        fs::write(etc.join("config.toml"), fs::read_to_string(node.path("config.toml")).unwrap() + "strict = true\n").unwrap();
        assert!(create().refused().contains(&told));
        node.guard(["delete", "c1"]).without_environment().run().reached();
    }
}

/// A copy of the guard that anybody can execute, with special rights.
struct Privileged {
    /// First, so that it goes first: a mountpoint cannot be removed.
    _mounts: PrivateMounts,
    node: Node,
    program: PathBuf,
}

impl Privileged {
    fn new(mode: u32) -> Privileged {
        let mut mounts = PrivateMounts::new();
        let node = Node::new();
        set_mode(&node.path("."), 0o755);
        fs::create_dir(node.path("suid")).unwrap();
        // Not nosuid, whatever the temporary directory is.
        mounts.tmpfs(node.path("suid"), "mode=755");
        let program = node.path("suid/runc-guard");
        copy_program(Path::new(GUARD), &program);
        set_mode(&program, mode);
        Privileged { _mounts: mounts, node, program }
    }

    /// A call by somebody who is not root.
    fn call(&self, words: &[&str]) -> crate::call::Call {
        let become_nobody = || {
            // SAFETY: plain calls.
            let results = unsafe { [libc::setgroups(0, std::ptr::null()), libc::setgid(NOBODY), libc::setuid(NOBODY)] };
            if results.contains(&-1) { Err(io::Error::last_os_error()) } else { Ok(()) }
        };
        self.node.guard(words).program(&self.program).in_child(become_nobody)
    }
}

#[test]
fn a_setuid_start_is_refused() {
    for mode in [0o4755, 0o2755, 0o6755] {
        let guard = Privileged::new(mode);
        for words in [&["create", "c1"][..], &["state", "c1"], &["--version"], &["guard", "config"], &["guard", "plan", "create"], &[]] {
            let message = guard.call(words).run().refused();
            assert!(message.contains("EPERM") && message.contains("setuid"), "{mode:o} {words:?}: {message}");
        }
    }
}

#[test]
fn an_ordinary_start_by_somebody_else_is_not_refused() {
    let guard = Privileged::new(0o755);
    set_mode(&guard.node.path("bin"), 0o777);
    guard.call(&["state", "c1"]).run().reached();
}

#[test]
fn a_setuid_guard_that_root_starts_gains_nothing_and_is_not_refused() {
    let guard = Privileged::new(0o4755);
    guard.node.guard(["state", "c1"]).program(&guard.program).run().reached();
}

#[test]
fn a_setuid_start_writes_no_file_for_its_caller() {
    let guard = Privileged::new(0o4755);
    fs::write(guard.node.path("shadow"), "root:*:\n").unwrap();
    set_mode(&guard.node.path("shadow"), 0o600);
    for file in ["shadow", "fresh"] {
        guard.call(&["--log", &guard.node.text(file), "create", "c1"]).run().refused();
    }
    assert_eq!(fs::read_to_string(guard.node.path("shadow")).unwrap(), "root:*:\n");
    assert!(!guard.node.path("fresh").exists());
}

#[test]
fn nothing_of_the_environment_makes_the_guard_run_something_else() {
    let node = Node::new();
    let marker = node.path("ran");
    install_script(&node.path("evil"), format!("#!/bin/sh\ntouch '{}'\n", marker.display()));
    let mut call = node.create().env("RUST_BACKTRACE=1").env("RUNC_GUARD_CHAIN=garbage,1:x,:,99999999999999999999:1");
    for name in ["SHELL", "EDITOR", "PAGER", "TMPDIR", "IFS", "ENV", "BASH_ENV"] {
        call = call.env(format!("{name}={}", node.text("evil")));
    }
    call.run().reached();
    assert!(!marker.exists());
    assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended());
}
