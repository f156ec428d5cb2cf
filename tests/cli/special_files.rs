//! A config.json that is no regular file is not even opened: that would wait for it, or do something to it (P5).

use crate::documents::assert_one_notice;
use crate::node::{Node, names, set_mode};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::FromRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Sees every open, read, write and close of one file.
struct Watch(File);

impl Watch {
    fn of(path: &Path) -> Watch {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: a new descriptor of our own, and a NUL-terminated path.
        unsafe {
            let fd = libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC);
            let watch = Watch(File::from_raw_fd(fd));
            assert_ne!(libc::inotify_add_watch(fd, path.as_ptr(), libc::IN_ALL_EVENTS | libc::IN_DONT_FOLLOW), -1);
            watch
        }
    }

    fn has_seen_something(&mut self) -> bool {
        let mut events = [0; 4096];
        self.0.read(&mut events).is_ok_and(|length| length > 0)
    }
}

/// A bundle without config.json.
fn node() -> Node {
    let node = Node::new();
    fs::remove_file(node.path("bundle/config.json")).unwrap();
    node
}

#[track_caller]
fn assert_not_opened(node: &Node, case: &str) {
    let config = node.path("bundle/config.json");
    let kind = fs::symlink_metadata(&config).unwrap().file_type();
    let mut watch = Watch::of(&config);
    node.create().run().reached();
    assert!(!watch.has_seen_something(), "{case} is not opened");
    assert_eq!(fs::symlink_metadata(&config).unwrap().file_type(), kind, "{case}");
    assert_eq!(names(&node.path("bundle")), ["config.json", "rootfs"], "{case}");
    assert_one_notice(node, case);
    node.settings("strict = true");
    assert!(node.create().run().refused().contains("understand "), "{case}");
}

#[test]
fn the_watch_sees_an_open() {
    let node = Node::new();
    let mut watch = Watch::of(&node.path("bundle/config.json"));
    assert!(!watch.has_seen_something());
    node.create().run().reached();
    assert!(watch.has_seen_something());
}

#[test]
fn a_fifo_without_writer_is_not_waited_for() {
    let node = node();
    mkfifo(&node.path("bundle/config.json"), Mode::S_IRWXU).unwrap();
    assert_not_opened(&node, "a FIFO");
}

#[test]
fn a_waiting_writer_of_a_fifo_is_not_woken() {
    let node = node();
    let fifo = node.path("bundle/config.json");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let path = fifo.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        // SAFETY: a plain call.
        tell.send(unsafe { libc::gettid() }).unwrap();
        OpenOptions::new().write(true).open(path).map(drop)
    });
    let stat = format!("/proc/self/task/{}/syscall", told.recv().unwrap());
    // Until it waits in openat(2).
    while !fs::read_to_string(&stat).unwrap().starts_with(&format!("{} ", libc::SYS_openat)) {
        std::thread::yield_now();
    }
    assert_not_opened(&node, "a FIFO with a writer");
    assert!(!writer.is_finished());
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).unwrap();
    writer.join().unwrap().unwrap();
    drop(reader);
}

#[test]
fn a_socket_is_not_connected_to() {
    let node = node();
    let listener = UnixListener::bind(node.path("bundle/config.json")).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(fs::metadata(node.path("bundle/config.json")).unwrap().file_type().is_socket());
    assert_not_opened(&node, "a socket");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_directory_is_not_read() {
    let node = node();
    fs::create_dir(node.path("bundle/config.json")).unwrap();
    assert_not_opened(&node, "a directory");
}

#[test]
fn a_device_is_not_opened() {
    let node = node();
    nix::sys::stat::mknod(&node.path("bundle/config.json"), nix::sys::stat::SFlag::S_IFCHR, Mode::S_IRWXU, nix::sys::stat::makedev(5, 2)).unwrap();
    assert_not_opened(&node, "the terminal multiplexer, of which every open makes a terminal");
}

#[test]
fn a_symlink_is_not_followed() {
    let node = node();
    fs::write(node.path("elsewhere.json"), node.pinning()).unwrap();
    let before = crate::node::FileState::of(&node.path("elsewhere.json"));
    for target in ["../elsewhere.json", "nowhere", "config.json"] {
        let _ = fs::remove_file(node.path("bundle/config.json"));
        std::os::unix::fs::symlink(target, node.path("bundle/config.json")).unwrap();
        node.settings("");
        assert_not_opened(&node, target);
    }
    assert_eq!(crate::node::FileState::of(&node.path("elsewhere.json")), before);
}

#[test]
fn what_is_missing_is_not_made() {
    let node = node();
    for bundle in ["bundle", "nowhere", "config.toml", "bundle/config.json"] {
        node.guard(["create", "--bundle", &node.text(bundle), "c1"]).run().reached();
        assert_one_notice(&node, bundle);
    }
    assert_eq!(names(&node.path("bundle")), ["rootfs"]);
    assert!(!node.path("nowhere").exists());
}

#[test]
fn a_path_longer_than_any_is_survived() {
    let node = Node::new();
    for bundle in ["x".repeat(300), "x/".repeat(3_000), format!("/{}", "y".repeat(100_000))] {
        node.guard(["create", "--bundle", &bundle, "c1"]).run().reached();
        assert!(node.take_notice()["notices"][0]["msg"].as_str().unwrap().contains("ENAMETOOLONG"));
    }
}

#[test]
fn a_document_without_any_permission_is_roots_all_the_same() {
    let node = Node::new();
    set_mode(&node.path("bundle/config.json"), 0);
    let outcome = node.create().run();
    outcome.reached();
    let config = node.config_state();
    assert_eq!((config.bytes, config.mode & 0o7777), (node.mended().into_bytes(), 0));
}
