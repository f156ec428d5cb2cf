//! What a process inherits besides words: the runtime gets it as the caller left it (P1, P14), also when a bundle was rewritten on the way.

use crate::call::{Call, Outcome};
use crate::node::Node;
use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// `state`, and a `create` that rewrites its bundle: both must hand everything on. The direct start is compared with either.
fn assert_inherited(prepare: impl Fn(&Node, Call) -> Call) -> Vec<Outcome> {
    let node = Node::new();
    let state = node.assert_passes_through(prepare(&node, node.guard(["state", "x"])));
    let create = node.assert_passes_through(prepare(&node, node.create()));
    assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended(), "the create was prepared");
    vec![state, create]
}

fn checked(result: c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn dispose(signal: c_int, action: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: SIG_IGN and SIG_DFL are no functions.
    if unsafe { libc::signal(signal, action) } == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[test]
fn ignored_and_default_signals_stay_so() {
    for signal in [libc::SIGPIPE, libc::SIGCHLD, libc::SIGHUP, libc::SIGINT, libc::SIGUSR1, 34, 64] {
        for (action, is_ignored) in [(libc::SIG_IGN, true), (libc::SIG_DFL, false)] {
            for outcome in assert_inherited(|_, call| call.in_child(move || dispose(signal, action))) {
                let ignored: Vec<c_int> = outcome.reached().value("ignored").split(' ').filter_map(|word| word.parse().ok()).collect();
                assert_eq!(ignored.contains(&signal), is_ignored, "{signal}");
            }
        }
    }
}

#[test]
fn blocked_signals_stay_blocked() {
    let block = || {
        // SAFETY: a set of our own.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            for signal in [libc::SIGPIPE, libc::SIGTERM, libc::SIGCHLD, 40] {
                libc::sigaddset(&raw mut set, signal);
            }
            checked(libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()))
        }
    };
    for outcome in assert_inherited(|_, call| call.in_child(block)) {
        assert_eq!(outcome.reached().value("blocked"), "13 15 17 40");
    }
}

#[test]
fn any_umask_is_kept_and_does_not_reach_the_documents_mode() {
    for mask in [0, 0o022, 0o077, 0o777] {
        let node = Node::new();
        crate::node::set_mode(&node.path("bundle/config.json"), 0o640);
        // SAFETY: a plain call.
        let set = move || {
            unsafe { libc::umask(mask) };
            Ok(())
        };
        let outcome = node.assert_passes_through(node.create().in_child(set));
        assert_eq!(outcome.reached().value("umask"), format!("{mask:o}"));
        let config = node.config_state();
        assert_eq!((config.mode & 0o7777, config.bytes), (0o640, node.mended().into_bytes()), "umask {mask:o}");
    }
}

#[test]
fn closed_standard_descriptors_stay_closed() {
    for closed in [&[0][..], &[1], &[2], &[0, 1], &[1, 2], &[0, 2], &[0, 1, 2]] {
        for outcome in assert_inherited(|_, call| call.closed(closed)) {
            let open: Vec<i32> = outcome.reached().open_fds().iter().map(|fd| fd.number).collect();
            assert_eq!(open, [0, 1, 2].into_iter().filter(|fd| !closed.contains(fd)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn open_descriptors_stay_open_and_none_is_added() {
    let numbers = [3, 4, 5, 9, 100, 255, 800];
    let open = |node: &Node, call: Call| {
        let file = || OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(node.path("config.toml")).unwrap();
        numbers.iter().fold(call, |call, number| call.with_fd(*number, file()))
    };
    for outcome in assert_inherited(open) {
        let fds = outcome.reached().open_fds();
        assert_eq!(fds.iter().map(|fd| fd.number).collect::<Vec<_>>(), [&[0, 1, 2], &numbers[..]].concat());
        assert!(fds[3..].iter().all(|fd| fd.target.ends_with("/config.toml")), "{fds:?}");
    }
}

#[test]
fn sockets_and_pipes_of_the_engine_are_kept() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let open = |_: &Node, call: Call| {
        let socket = File::from(std::os::fd::OwnedFd::from(theirs.try_clone().unwrap()));
        let pipe = File::from(std::os::fd::OwnedFd::from(writer.try_clone().unwrap()));
        call.with_fd(3, socket).with_fd(4, pipe).env("LISTEN_FDS=2").env("_OCI_SYNCPIPE=4")
    };
    for outcome in assert_inherited(open) {
        let targets: Vec<String> = outcome.reached().open_fds().into_iter().skip(3).map(|fd| fd.target).collect();
        assert!(targets[0].starts_with("socket:") && targets[1].starts_with("pipe:"), "{targets:?}");
    }
    drop((ours, reader));
}

#[test]
fn a_descriptor_that_closes_on_exec_is_closed() {
    let node = Node::new();
    let path = node.path("config.toml");
    let open = move || {
        let file = File::open(&path)?;
        // SAFETY: duplicates a descriptor of this process.
        checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 50) })
    };
    let outcome = node.assert_passes_through(node.create().in_child(open));
    assert_eq!(outcome.reached().open_fds().len(), 3);
}

#[test]
fn limits_priority_session_and_parent_death_signal_are_kept() {
    let set = || {
        let limit = |resource, value| {
            let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
            // SAFETY: the kernel reads the structure.
            checked(unsafe { libc::setrlimit(resource, &raw const limit) })
        };
        limit(libc::RLIMIT_NOFILE, 1000)?;
        limit(libc::RLIMIT_CORE, 0)?;
        limit(libc::RLIMIT_NPROC, 4321)?;
        // SAFETY: plain calls.
        unsafe {
            checked(libc::setpriority(libc::PRIO_PROCESS, 0, 7))?;
            checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            checked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        }
    };
    for outcome in assert_inherited(|_, call| call.in_child(set)) {
        let record = outcome.reached();
        assert_eq!((record.value("nice"), record.value("deathsig"), record.value("limit 7")), ("7", "9", "1000 1000"));
        assert_eq!(record.value("status NoNewPrivs"), "1");
    }
}

#[test]
fn capabilities_and_ids_are_kept() {
    for outcome in assert_inherited(|_, call| call.in_child(crate::surroundings::drop_all_capabilities)) {
        let record = outcome.reached();
        assert_eq!((record.value("status CapEff"), record.value("status CapBnd")), ("0000000000000000", "0000000000000000"));
    }
}
