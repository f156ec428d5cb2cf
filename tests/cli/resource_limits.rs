//! Limits that the caller has set (P14): what they do not let the guard do is an error of its own, never the end of the process, and the runtime
//! starts under them as it would have without the guard.

use crate::call::{Call, Outcome};
use crate::node::{Node, names};
use std::fs;
use std::io;

/// What the settings of `resource` are made before exec.
fn limited(call: Call, resource: libc::__rlimit_resource_t, value: u64) -> Call {
    call.in_child(move || {
        let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: the kernel reads the structure.
        if unsafe { libc::setrlimit(resource, &raw const limit) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    })
}

fn with_sigxfsz_blocked(call: Call) -> Call {
    call.in_child(|| {
        // SAFETY: a set of our own.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&raw mut set, libc::SIGXFSZ);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        }
        Ok(())
    })
}

/// More than a record of the runtime, less than what the guard is to write.
const MOST_BYTES: u64 = 64 << 10;

/// A document beyond [`MOST_BYTES`].
fn large(node: &Node) -> String {
    node.pinning().replacen('{', &format!("{{\"annotations\":{{\"x\":\"{}\"}},", "x".repeat(100_000)), 1)
}

/// The control: a program that just writes is killed.
#[test]
fn who_writes_beyond_the_limit_is_killed() {
    use std::os::unix::process::ExitStatusExt;
    let node = Node::new();
    let program = format!("head -c {MOST_BYTES} /dev/zero >>{0}; exec dd if=/dev/zero of={0} oflag=append conv=notrunc count=1", node.text("file"));
    let call = node.guard([""; 0]).program("/bin/sh").argv(["sh", "-c", &program]);
    assert_eq!(limited(call, libc::RLIMIT_FSIZE, MOST_BYTES).run().status.signal(), Some(libc::SIGXFSZ));
}

#[test]
fn a_document_beyond_the_limit_of_file_sizes_stays_as_it_is_with_a_notice() {
    for prepare in [|call| call, with_sigxfsz_blocked] {
        let node = Node::new();
        node.config(large(&node));
        let before = node.config_state();
        node.assert_passes_through(limited(prepare(node.create()), libc::RLIMIT_FSIZE, MOST_BYTES));
        assert_eq!((node.config_state(), names(&node.path("bundle"))), (before, vec!["config.json".to_owned(), "rootfs".to_owned()]));
        let line = node.take_notice();
        let said = line["notices"][0]["msg"].as_str().unwrap();
        assert!(said.contains("write a temporary file beside it: EFBIG"), "{line}");
        node.settings("on_error = 'fail'");
        assert!(limited(prepare(node.create()), libc::RLIMIT_FSIZE, MOST_BYTES).run().refused().contains("EFBIG"));
    }
}

#[test]
fn a_log_at_the_limit_of_file_sizes_ends_no_container() {
    for prepare in [|call| call, with_sigxfsz_blocked] {
        let node = Node::new();
        let full = vec![b'\n'; usize::try_from(MOST_BYTES).unwrap()];
        fs::write(node.path("own.log"), &full).unwrap();
        node.assert_passes_through(limited(prepare(node.create()), libc::RLIMIT_FSIZE, MOST_BYTES));
        assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended());
        assert_eq!(fs::read(node.path("own.log")).unwrap(), full);
        // The engine's log, in the way of an error.
        node.all_settings("runtimes = ['/nonexistent/runc']");
        let call = node.guard(["--log", &node.text("own.log"), "state", "c1"]);
        assert!(limited(prepare(call), libc::RLIMIT_FSIZE, MOST_BYTES).run().refused().contains("/nonexistent/runc"));
    }
}

#[test]
fn a_limit_of_no_bytes_at_all_is_survived() {
    let node = Node::new();
    // The runtime can write no record either: its exit status tells.
    let reached = |outcome: &Outcome| outcome.status.code() == Some(7) && outcome.stderr.is_empty();
    crate::node::install_script(&node.path("empty/runc"), "#!/bin/sh\nexit 7\n");
    node.all_settings(format!(
        "runtimes = ['{}']\nprotected_roots = ['{}']\nlog = '{}'",
        node.text("empty/runc"),
        node.text("protected"),
        node.text("own.log")
    ));
    let before = node.config_state();
    for call in [node.guard(["state", "c1"]), node.create()] {
        let outcome = limited(call, libc::RLIMIT_FSIZE, 0).run();
        assert!(reached(&outcome), "{outcome:?}");
        assert_eq!(node.config_state(), before);
    }
}

#[test]
fn an_error_on_a_pipe_that_nobody_reads_ends_with_the_usual_status() {
    let node = Node::new();
    node.all_settings("runtimes = ['/nonexistent/runc']");
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let call = node.guard(["--log", &node.text("log"), "create", "c1"]).with_fd(2, std::os::fd::OwnedFd::from(writer).into());
    // The test's own start-up has it ignored.
    let by_default = || {
        // SAFETY: SIG_DFL is no function.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        Ok(())
    };
    let outcome = call.in_child(by_default).run();
    assert_eq!((outcome.status.code(), outcome.record.is_some()), (Some(1), false), "{outcome:?}");
    assert_eq!(fs::read_to_string(node.path("log")).unwrap().lines().count(), 1);
}

/// With so few descriptors that even the runtime cannot write its record, its exit status tells that it was reached.
fn was_reached(outcome: &Outcome) -> bool {
    outcome.record.is_some() || outcome.status.code() == Some(99)
}

#[test]
fn with_few_descriptors_a_state_is_passed_on_and_a_create_is_prepared_or_says_why_not() {
    let (mut prepared, mut others) = (0, 0);
    // Below 4 not even the dynamic loader of this build can start.
    for most in 4..16 {
        let node = Node::new();
        let path = format!("PATH={}", node.text("bin"));
        let state = limited(node.guard(["state", "c1"]).env(&path), libc::RLIMIT_NOFILE, most).run();
        assert!(was_reached(&state), "{most}: {state:?}");
        let create = limited(node.create().env(&path), libc::RLIMIT_NOFILE, most).run();
        let config = String::from_utf8(node.config_state().bytes).unwrap();
        assert!(config == node.pinning() || config == node.mended(), "{most}: {config}");
        if was_reached(&create) {
            prepared += usize::from(config == node.mended());
            assert!(create.stderr.is_empty(), "{create:?}");
        } else {
            assert!(create.refused().contains("EMFILE"), "{most}: {create:?}");
        }
        others += usize::from(config != node.mended());
        assert_eq!(names(&node.path("bundle")), ["config.json", "rootfs"], "{most}");
    }
    println!("{prepared} prepared, {others} not");
    assert!(prepared > 5, "{prepared} {others}");
}

#[test]
fn a_document_for_which_there_is_no_memory_is_left_alone_with_a_notice() {
    let node = Node::new();
    let size = 100 << 20;
    node.config(node.pinning().replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(size)), 1));
    let before = node.config_state();
    node.assert_passes_through(limited(node.create(), libc::RLIMIT_AS, 64 << 20));
    assert!(node.config_state() == before, "it is as it was");
    let line = node.take_notice();
    assert!(line["notices"][0]["msg"].as_str().unwrap().contains("ENOMEM; left as it is"), "{line}");
    node.assert_passes_through(limited(node.create(), libc::RLIMIT_AS, 256 << 20));
    assert!(node.config_state() != before, "the control: with memory it is prepared");
}

#[test]
fn a_small_stack_is_enough() {
    let node = Node::new();
    for bytes in [128 << 10, 256 << 10] {
        node.config(node.pinning());
        node.assert_passes_through(limited(node.guard(["state", "c1"]), libc::RLIMIT_STACK, bytes));
        node.assert_passes_through(limited(node.create(), libc::RLIMIT_STACK, bytes));
        assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended(), "{bytes}");
    }
}
