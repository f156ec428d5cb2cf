//! A mount whose server never answers holds neither a container up, for a log that lies there, nor an operator's command (P8, P13).

use crate::call::Outcome;
use crate::dead_server::{DeadServer, MANNERS, Manner};
use crate::node::Node;
use crate::private_mounts::PrivateMounts;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// With a dead mount at `dead`, in which the test does not look. Declared in this order: the mounts go last.
struct Dead {
    server: DeadServer,
    node: Node,
    _mounts: PrivateMounts,
}

impl Dead {
    fn of(manner: Manner) -> Dead {
        let (node, mounts) = (Node::new(), PrivateMounts::new());
        std::fs::create_dir(node.path("dead")).unwrap();
        Dead { server: DeadServer::mount(&node.path("dead"), manner), node, _mounts: mounts }
    }

    /// Settings with this log and this protected root beside the usual one.
    fn settings(&self, log: &str, root: &str) {
        let (runtime, protected) = (self.node.text("bin/runc"), self.node.text("protected"));
        self.node.all_settings(format!("runtimes = ['{runtime}']\nprotected_roots = ['{protected}', '{root}']\nlog = '{log}'\n"));
    }

    /// The control: who just opens it waits.
    #[track_caller]
    fn assert_is_dead(path: &Path) {
        let mut naive = Command::new("sh").args(["-c", ": >>\"$1\"", "sh"]).arg(path).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        assert!(naive.try_wait().unwrap().is_none(), "the naive way waits");
        let _ = naive.kill();
    }
}

#[test]
fn a_log_on_a_dead_mount_holds_no_container_up() {
    for manner in MANNERS {
        let dead = Dead::of(manner);
        for log in ["dead/own.log", "dead/a/b", "link"] {
            let _ = std::os::unix::fs::symlink("dead/own.log", dead.node.path("link"));
            dead.settings(&dead.node.text(log), &dead.node.text("protected"));
            dead.node.config(dead.node.pinning());
            let outcome = dead.node.create().run();
            outcome.reached();
            assert_eq!(String::from_utf8(dead.node.config_state().bytes).unwrap(), dead.node.mended(), "{log}");
            assert!(outcome.took < Duration::from_secs(8), "{manner:?}, {log}: {:?}", outcome.took);
        }
        if manner == Manner::TakesQuestions {
            assert!(dead.server.taken() > 1, "it was asked");
        }
        Dead::assert_is_dead(&dead.node.path("dead/own.log"));
    }
}

#[test]
fn an_error_is_told_on_stderr_when_the_engines_log_is_on_a_dead_mount() {
    for manner in MANNERS {
        let dead = Dead::of(manner);
        dead.node.all_settings("runtimes = ['/nonexistent/runc']");
        let outcome = dead.node.guard(["--log", &dead.node.text("dead/log"), "create", "c1"]).run();
        assert!(outcome.refused().contains("/nonexistent/runc: ENOENT"), "{outcome:?}");
        assert!(outcome.took < Duration::from_secs(8), "{manner:?}: {:?}", outcome.took);
    }
}

/// One of the operator's commands, which must end although something it has asked stays in the kernel.
#[track_caller]
fn operator(dead: &Dead, words: &[&str], status: i32, said: &str) -> Outcome {
    let outcome = dead.node.guard([&["guard"], words].concat()).run();
    let text = outcome.stdout_text() + &outcome.stderr_text();
    assert!(text.contains(said), "{words:?} says {said}: {text}");
    assert_eq!(outcome.status.code(), Some(status), "{words:?}: {text}");
    outcome
}

#[test]
fn the_operators_commands_wait_for_no_dead_mount() {
    for manner in MANNERS {
        let dead = Dead::of(manner);
        let inside = dead.node.text("dead/inside");
        dead.settings(&dead.node.text("own.log"), &inside);
        operator(&dead, &["audit"], 1, "look at the protected roots: ETIMEDOUT; unmount what does not answer");
        operator(&dead, &["holders", &inside], 0, "");
        operator(&dead, &["holders", &dead.node.text("dead")], 0, "the host has it mounted at");
        dead.settings(&dead.node.text("dead/own.log"), &inside);
        let outcome = dead.node.guard(["guard", "doctor"]).run();
        let text = outcome.stdout_text();
        for about in [format!("root {inside}: "), format!("log: {}", dead.node.text("dead/own.log"))] {
            assert!(text.lines().any(|line| line.contains(&about) && line.contains("no answer")), "{about}: {text}");
        }
        if manner == Manner::TakesQuestions {
            assert!(dead.server.taken() > 1, "it was asked");
        }
    }
}

/// A reader of a command's output waits until everybody has closed it.
#[test]
fn a_pipe_behind_an_operators_command_ends_with_it() {
    let dead = Dead::of(Manner::TakesQuestions);
    dead.settings("", &dead.node.text("dead/inside"));
    let (mut reader, writer) = std::io::pipe().unwrap();
    let call = dead.node.guard(["guard", "audit"]).with_fd(9, std::os::fd::OwnedFd::from(writer).into());
    let outcome = call.run();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    drop(call);
    let mut poll = libc::pollfd { fd: std::os::fd::AsRawFd::as_raw_fd(&reader), events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor of our own.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 10_000) }, 1, "the end is seen");
    assert_eq!(std::io::Read::read(&mut reader, &mut [0; 1]).unwrap(), 0);
}
