//! Places in which next to nothing can be had (P14): everything read-only, no /dev, no arguments, a filter against the calls by which a restore is
//! prepared. Passing through always works; what cannot be prepared says so once.

use crate::checkpoint_image::CheckpointImage;
use crate::node::{FileState, Node};
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{RESTORERS, as_made_by, rbind};
use crate::restore_surroundings::{ONE, lacking_one};
use crate::surroundings::deny;
use std::fs;
use std::io;

/// Makes every mount of this thread's own namespace read-only: mount_setattr(2).
fn make_all_read_only() {
    const RDONLY: u64 = 1;
    let attributes = libc::mount_attr { attr_set: RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: a NUL-terminated path, and a structure of the size that is told.
    let result =
        unsafe { libc::syscall(libc::SYS_mount_setattr, -1, c"/".as_ptr(), libc::AT_RECURSIVE, &raw const attributes, size_of_val(&attributes)) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Runs `test` where nothing can be written but the files in which calls leave what they said, and the runtime its record.
fn where_all_is_read_only(node: &Node, test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let body = || {
            let mut mounts = PrivateMounts::new();
            make_all_read_only();
            mounts.tmpfs(node.path("scratch"), "");
            assert_eq!(fs::write(node.path("own.log"), "").unwrap_err().raw_os_error(), Some(libc::EROFS), "the control");
            test();
        };
        scope.spawn(body).join().unwrap();
    });
}

fn recorded_in_scratch(node: &Node, mut call: crate::call::Call) -> crate::call::Call {
    call.record = node.path("scratch/record");
    let entry = format!("FAKE_RUNTIME_RECORD={}", call.record.display());
    call.env(entry)
}

#[test]
fn where_everything_is_read_only_all_is_passed_on() {
    let node = Node::new();
    let before = node.config_state();
    where_all_is_read_only(&node, || {
        for words in
            [&["state", "c1"][..], &["delete", "c1"], &["create", "--bundle", &node.bundle(), "c1"], &["run", "--bundle", &node.bundle(), "c1"]]
        {
            node.assert_passes_through(recorded_in_scratch(&node, node.guard(words)));
        }
    });
    assert_eq!(node.config_state(), before);
    node.settings("on_error = 'fail'");
    where_all_is_read_only(&node, || {
        let log = node.text("log");
        let message = node.guard(["--log", &log, "create", "--bundle", &node.bundle(), "c1"]).run().refused();
        assert!(message.contains("EROFS") && message.matches("config.json").count() == 1, "{message}");
        node.assert_passes_through(recorded_in_scratch(&node, node.guard(["delete", "c1"])));
    });
}

#[test]
fn where_everything_is_read_only_a_restore_that_lacks_something_is_refused_once_and_another_passed_on() {
    let container = lacking_one("runc");
    where_all_is_read_only(&container, || {
        let message = container.restore().run().refused();
        assert!(message.matches("EROFS").count() == 1 && message.contains(&container.text("srv/data/x")), "{message}");
    });
    // With nothing nested, for which a read-only root file system takes an edit, and what CRIU could not make, either.
    container.directory("bundle/rootfs/tmp");
    container.mounts(&[rbind("/data", container.path("srv/data"))]);
    container.image(&CheckpointImage::new().external("/data"));
    where_all_is_read_only(&container, || {
        container.assert_passes_through(recorded_in_scratch(&container, container.restore()));
    });
}

#[test]
fn with_nothing_in_dev() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs("/dev", "");
    // For the test's own use: a file, no device.
    fs::write("/dev/null", "").unwrap();
    for closed in [&[][..], &[0], &[0, 1, 2]] {
        node.config(node.pinning());
        node.assert_passes_through(node.guard(["state", "c1"]).closed(closed));
        node.assert_passes_through(node.create().closed(closed));
        assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended());
    }
    let container = lacking_one("crun");
    assert_eq!(container.made(), as_made_by("crun", &ONE));
}

#[test]
fn without_arguments_or_with_a_name_alone() {
    let node = Node::new();
    let before = FileState::of(&node.path("bundle/config.json"));
    for argv in [&[][..], &["runc"], &[""], &["create"], &["guard"]] {
        node.assert_passes_through(node.guard([""; 0]).argv(argv).cwd(node.bundle()));
    }
    assert_eq!(FileState::of(&node.path("bundle/config.json")), before);
}

#[test]
fn a_restore_with_closed_standard_descriptors_in_every_combination() {
    for combination in 1..8_u8 {
        let closed: Vec<i32> = (0..3).filter(|fd| combination >> fd & 1 == 1).collect();
        let container = lacking_one("runc");
        assert_eq!(container.made_by(container.restore().closed(&closed)), ONE, "{closed:?}");
        let before = container.tree();
        container.settings("polcy = 'warn'");
        let outcome = container.restore_with(&[]).closed(&closed).run();
        assert_eq!((outcome.status.code(), outcome.record.is_some(), container.tree() == before), (Some(1), false, true), "{closed:?}");
        assert_eq!(outcome.stderr.is_empty(), closed.contains(&2), "{closed:?}: {outcome:?}");
    }
}

const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;

/// System calls that a filter may not know, or forbid, and whether a restore is prepared without them.
const DENIED: [(&[i64], bool); 10] = [
    (&[libc::SYS_openat2], true),
    (&[libc::SYS_open_tree], true),
    (&[STATMOUNT, LISTMOUNT], true),
    (&[libc::SYS_openat2, libc::SYS_open_tree, STATMOUNT, LISTMOUNT], true),
    (&[libc::SYS_clone, libc::SYS_clone3], true),
    (&[libc::SYS_close_range], true),
    (&[libc::SYS_pipe2, libc::SYS_pipe], true),
    (&[libc::SYS_unshare, libc::SYS_setns, libc::SYS_mount_setattr, libc::SYS_move_mount], true),
    (&[libc::SYS_statx, STATMOUNT], true),
    (&[libc::SYS_mkdirat], false),
];

#[test]
fn a_restore_under_a_filter_is_prepared_or_says_once_why_not() {
    for runtime in RESTORERS {
        let one = as_made_by(runtime, &ONE);
        for (denied, is_prepared) in DENIED {
            for errno in [libc::ENOSYS, libc::EPERM] {
                let container = lacking_one(runtime);
                let call = container.restore().in_child(deny(denied, errno));
                let before = container.tree();
                let outcome = call.run();
                let told = container.own_log();
                let made = container.tree().made_since(&before);
                println!("{runtime} {denied:?} {errno}: {made:?} {outcome:?} {told:?}");
                if outcome.record.is_some() {
                    let notices = told.iter().flat_map(|line| line["notices"].as_array().unwrap()).count();
                    assert!(told.len() == 1 && (made == one || notices == 1), "{runtime} {denied:?} {errno}: {made:?} {told:?}");
                    outcome.reached();
                } else {
                    outcome.refused();
                }
                assert!(!is_prepared || (made == one && outcome.record.is_some()), "{runtime} {denied:?} {errno}: {made:?} {outcome:?} {told:?}");
                container.assert_passes_through(container.guard(["state", "c1"]).in_child(deny(denied, errno)));
            }
        }
    }
}
