//! The document is replaced whole or not at all, and looks as before but for what changed (P3, P4).

use crate::call::Running;
use crate::node::{Node, TEMPORARY, names, set_mode};
use crate::private_mounts::PrivateMounts;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use xattr::FileExt;

fn text(node: &Node) -> String {
    String::from_utf8(node.config_state().bytes).unwrap()
}

#[test]
fn mode_owner_and_attributes_are_kept_in_a_new_file() {
    for (mode, owner) in [(0o600, (0, 0)), (0o644, (1234, 5678)), (0o4751, (0, 5678)), (0o000, (1234, 0))] {
        let node = Node::new();
        let path = node.path("bundle/config.json");
        let attributes = [("user.test", &b"a\0b"[..]), ("user.empty", b""), ("trusted.test", b"t"), ("security.test", b"s")];
        let file = File::open(&path).unwrap();
        attributes.iter().for_each(|(name, value)| file.set_xattr(name, value).unwrap());
        std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1)).unwrap();
        set_mode(&path, mode);
        let before = node.config_state();
        node.create().run().reached();
        let after = node.config_state();
        assert_eq!((text(&node), after.mode, after.owner), (node.mended(), before.mode, owner), "{mode:o}");
        assert_ne!(after.inode, before.inode, "a new file, never the old one written over");
        let file = File::open(&path).unwrap();
        for (name, value) in attributes {
            assert_eq!(file.get_xattr(name).unwrap().as_deref(), Some(value), "{name}");
        }
        assert_eq!(names(&node.path("bundle")), ["config.json", "rootfs"]);
    }
}

#[test]
fn access_control_lists_are_kept() {
    let node = Node::new();
    let path = node.path("bundle/config.json");
    // Version 2; owner rw, the user 1234 r, group r, mask r, others none.
    let entries: [(u16, u16, u32); 5] = [(1, 6, u32::MAX), (2, 4, 1234), (4, 4, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    File::open(&path).unwrap().set_xattr("system.posix_acl_access", &list).unwrap();
    let before = node.config_state();
    node.create().run().reached();
    assert_eq!(text(&node), node.mended());
    assert_eq!(File::open(&path).unwrap().get_xattr("system.posix_acl_access").unwrap(), Some(list));
    assert_eq!(node.config_state().mode, before.mode);
}

#[test]
fn a_second_run_writes_nothing() {
    let node = Node::new();
    node.create().run().reached();
    let (config, directory) = (node.config_state(), fs::metadata(node.path("bundle")).unwrap());
    for words in [["create", "c1"], ["run", "c1"], ["restore", "c1"]] {
        node.guard(words).cwd(node.bundle()).run().reached();
        assert_eq!(node.config_state(), config);
        let now = fs::metadata(node.path("bundle")).unwrap();
        assert_eq!((now.mtime(), now.mtime_nsec()), (directory.mtime(), directory.mtime_nsec()), "no temporary file came and went");
    }
    assert!(node.own_log().iter().skip(1).all(|line| line["changes"].as_array().unwrap().is_empty()));
}

#[test]
fn what_a_killed_run_left_behind_is_taken_away() {
    let node = Node::new();
    for left in ["torn {", ""] {
        node.config(node.pinning());
        fs::write(node.path("bundle").join(TEMPORARY), left).unwrap();
        node.create().run().reached();
        assert_eq!((text(&node), names(&node.path("bundle"))), (node.mended(), vec!["config.json".to_owned(), "rootfs".to_owned()]));
    }
}

#[test]
fn a_link_with_the_temporary_files_name_is_not_followed() {
    let node = Node::new();
    fs::write(node.path("victim"), "precious").unwrap();
    for target in ["../victim", "nowhere"] {
        node.config(node.pinning());
        std::os::unix::fs::symlink(target, node.path("bundle").join(TEMPORARY)).unwrap();
        node.create().run().reached();
        assert_eq!((text(&node), fs::read_to_string(node.path("victim")).unwrap()), (node.mended(), "precious".to_owned()));
        assert_eq!(names(&node.path("bundle")), ["config.json", "rootfs"]);
    }
    // A hard link loses its name here and nothing else.
    node.config(node.pinning());
    fs::hard_link(node.path("victim"), node.path("bundle").join(TEMPORARY)).unwrap();
    node.create().run().reached();
    assert_eq!((text(&node), fs::read_to_string(node.path("victim")).unwrap()), (node.mended(), "precious".to_owned()));
}

#[test]
fn another_name_of_the_document_keeps_the_old_one() {
    let node = Node::new();
    fs::hard_link(node.path("bundle/config.json"), node.path("kept.json")).unwrap();
    node.create().run().reached();
    assert_eq!((text(&node), fs::read_to_string(node.path("kept.json")).unwrap()), (node.mended(), node.pinning()));
}

/// The document cannot be replaced: the container runs with a notice, or, with `on_error = "fail"`, does not.
#[track_caller]
fn assert_cannot_be_replaced(node: &Node, errno: &str) {
    let before = node.config_state();
    node.create().run().reached();
    let line = node.take_notice();
    let (notice, notices) = (line["notices"][0]["msg"].as_str().unwrap(), line["notices"].as_array().unwrap());
    assert!(notice.starts_with("replace ") && notice.contains(errno), "{line}");
    assert_eq!((notices[0]["rule"].as_str(), line["changes"].as_array().unwrap().len()), (Some("slave-protected-binds"), 0), "{line}");
    node.settings("on_error = 'fail'");
    let message = node.create().run().refused();
    assert!(message.contains("replace ") && message.contains(errno), "{message}");
    node.settings("[rules.slave-protected-binds]\non_error = 'fail'");
    assert_eq!(node.create().run().refused(), message);
    node.settings("on_error = 'fail'\n[rules.slave-protected-binds]\non_error = 'pass'");
    node.create().run().reached();
    assert_eq!(node.config_state(), before);
    assert!(!names(&node.path("bundle")).iter().any(|name| name == TEMPORARY));
}

#[test]
fn a_read_only_bundle_with_nothing_to_change_is_nobodys_business() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    node.settings("on_error = 'fail'\nstrict = true");
    node.config(node.harmless());
    mounts.read_only(node.path("bundle"));
    node.assert_passes_through(node.create());
    assert!(!node.path("own.log").exists());
}

#[test]
fn a_read_only_bundle_that_needs_a_change_says_so() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    mounts.read_only(node.path("bundle"));
    assert_cannot_be_replaced(&node, "EROFS");
}

#[test]
fn a_directory_in_the_temporary_files_place_says_so() {
    let node = Node::new();
    fs::create_dir(node.path("bundle").join(TEMPORARY)).unwrap();
    let before = node.config_state();
    node.create().run().reached();
    assert!(node.take_notice()["notices"][0]["msg"].as_str().unwrap().contains("EISDIR"));
    assert_eq!(node.config_state(), before);
}

/// A document of 20 kB that needs a change.
fn large(node: &Node) -> String {
    node.pinning().replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(20_000)), 1)
}

#[test]
fn a_full_disk_says_so_and_keeps_the_old_document() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs(node.path("bundle"), "size=64k");
    node.config(large(&node));
    fs::create_dir(node.path("bundle/rootfs")).unwrap();
    // Room for the first pages of a temporary file only.
    fs::write(node.path("bundle/filler"), vec![0; 36_000 - 4096]).unwrap();
    assert_cannot_be_replaced(&node, "ENOSPC");
}

#[test]
fn a_directory_of_somebody_else_says_so_without_capabilities() {
    let node = Node::new();
    std::os::unix::fs::chown(node.path("bundle"), Some(1234), Some(1234)).unwrap();
    node.settings("on_error = 'fail'");
    let before = node.config_state();
    let message = node.create().in_child(crate::surroundings::drop_all_capabilities).run().refused();
    assert!(message.contains("EACCES"), "{message}");
    assert_eq!(node.config_state(), before);
}

#[test]
fn a_file_size_limit_says_so() {
    let node = Node::new();
    let limit = || {
        let limit = libc::rlimit { rlim_cur: 16_384, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the kernel reads the structure; SIG_IGN is no function.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit);
        }
        Ok(())
    };
    node.config(large(&node));
    let before = node.config_state();
    node.create().in_child(limit).run().reached();
    let line = node.take_notice();
    assert!(line["notices"][0]["msg"].as_str().unwrap().contains("EFBIG"), "{line}");
    assert_eq!(node.config_state(), before);
    assert_eq!(names(&node.path("bundle")), ["config.json", "rootfs"]);
}

/// A create with settings and a runtime of its own, so that it leaves a record of its own.
fn start_create_with(node: &Node, runtime: &str) -> Running {
    let (scratch, settings, runtime) =
        (node.path(format!("scratch-{runtime}")), node.path(format!("{runtime}.toml")), node.path("bin").join(runtime));
    fs::create_dir_all(&scratch).unwrap();
    fs::write(&settings, format!("runtimes = ['{}']\nprotected_roots = ['{}']\nlog = ''", runtime.display(), node.text("protected"))).unwrap();
    let mut call = node.create().without_environment().env(format!("RUNC_GUARD_CONFIG={}", settings.display()));
    call.scratch = scratch;
    call.expecting(runtime).start()
}

#[test]
fn two_guards_at_once_leave_one_whole_document() {
    let node = Node::new();
    let (old, new) = (node.pinning(), node.mended());
    let path = node.path("bundle/config.json");
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (done, path, old, new) = (Arc::clone(&done), path.clone(), old.clone(), new.clone());
        std::thread::spawn(move || {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                let seen = fs::read_to_string(&path).unwrap();
                assert!(seen == old || seen == new, "torn: {seen}");
                looks += 1;
            }
            looks
        })
    };
    for round in 0..50 {
        let fresh = node.path("fresh.json");
        fs::write(&fresh, &old).unwrap();
        fs::rename(&fresh, &path).unwrap();
        let calls = ["runc", "crun"].map(|runtime| start_create_with(&node, runtime));
        calls.into_iter().for_each(|call| drop(call.wait().reached().clone()));
        assert_eq!(fs::read_to_string(&path).unwrap(), new, "round {round}");
        assert_eq!(names(&node.path("bundle")), ["config.json", "rootfs"], "round {round}");
    }
    done.store(true, Ordering::Relaxed);
    assert!(reader.join().unwrap() > 50);
}
