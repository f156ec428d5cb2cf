mod foreign_mounts;
mod obstacles;
mod older_kernels;
mod owners;
mod race;
pub mod scratch;

use crate::deadline::within;
use crate::mountpoint::{Base, Found, Kind, NewInode};
use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::mkfifo;
use scratch::{DIRECTORY, FILE, Tree, create, identity, made};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const MISSING: fn(usize) -> Found = |components| Found::Missing { components, read_only: false };

#[test]
pub fn a_look_says_what_is_there_and_how_much_is_missing() {
    let tree = Tree::new();
    tree.make_dirs("a/b");
    fs::write(tree.path("a/file"), "content").unwrap();
    for recursive in [false, true] {
        let base = Base::open(&tree.source(), recursive).unwrap();
        let look = |below: &str| base.look(Path::new(below));
        assert_eq!(look(""), Found::Is(Kind::Directory));
        assert_eq!(look("a/b"), Found::Is(Kind::Directory));
        assert_eq!(look("a/file"), Found::Is(Kind::File));
        assert_eq!(look("a/b/c"), MISSING(1));
        assert_eq!(look("a/b/c/d/e"), MISSING(3));
        assert_eq!(look("x/y"), MISSING(2));
        assert_eq!(look("a/file/x"), Found::NotADirectory("a/file".into()));
        assert_eq!(look("a/file/x/y"), Found::NotADirectory("a/file".into()));
        let long = "n".repeat(256);
        assert_eq!(look(&format!("a/{long}/x")), Found::Unreadable(Path::new("a").join(&long), Errno::ENAMETOOLONG));
    }
}

#[test]
pub fn a_look_leaves_no_trace() {
    let tree = Tree::new();
    let before = identity(&tree.make_dirs("a"));
    assert_eq!(tree.base().look(Path::new("a/b/c")), MISSING(2));
    assert_eq!(identity(&tree.path("a")), before);
    assert_eq!(fs::read_dir(tree.path("a")).unwrap().count(), 0);
}

#[test]
pub fn the_source_may_be_a_file() {
    let tree = Tree::new();
    fs::write(tree.path("file"), "content").unwrap();
    for recursive in [false, true] {
        let base = Base::open(&tree.path("file"), recursive).unwrap();
        assert_eq!(base.look(Path::new("")), Found::Is(Kind::File));
        assert_eq!(base.look(Path::new("x")), Found::NotADirectory("".into()));
        assert_eq!(create(&base, "", FILE), Ok(false));
        assert_eq!(create(&base, "x", FILE), Err("create file x: ENOTDIR".to_owned()));
    }
}

/// Modes are those asked for whatever the umask, because the caller runs this in `within`; without it the umask shows.
#[test]
pub fn modes_and_owner_are_exact_under_any_umask() {
    let tree = Tree::new();
    let source = tree.source();
    let all = move |prefix: &'static str| {
        let base = Base::open(&source, false).unwrap();
        let sticky = NewInode { mode: 0o1755, parent_mode: 0o1755, ..DIRECTORY };
        for (name, inode) in [("d/e/directory", DIRECTORY), ("f/g/file", FILE), ("h/sticky", sticky)] {
            assert_eq!(create(&base, &format!("{prefix}/{name}"), inode), Ok(true));
        }
    };
    std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
        umask(Mode::from_bits_truncate(0o077));
        let work = all.clone();
        within(Duration::from_secs(10), move || work("exact")).unwrap();
        all("masked");
    })
    .join()
    .unwrap();
    let mode = |below: &str| made(&tree.path(below));
    for directory in ["exact", "exact/d", "exact/d/e", "exact/d/e/directory", "exact/f/g"] {
        assert_eq!(mode(directory), (0o40_755, 0, 0), "{directory}");
    }
    for sticky in ["exact/h", "exact/h/sticky"] {
        assert_eq!(mode(sticky), (0o41_755, 0, 0), "{sticky}");
    }
    assert_eq!(mode("exact/f/g/file"), (0o100_644, 0, 0));
    assert_eq!((mode("masked").0, mode("masked/f/g/file").0), (0o40_700, 0o100_600), "the umask is not 0 by itself");
}

#[test]
pub fn what_exists_is_left_alone() {
    let tree = Tree::new();
    tree.make_dirs("a/directory/full");
    fs::write(tree.path("a/file"), "content").unwrap();
    mkfifo(&tree.path("a/fifo"), Mode::from_bits_truncate(0o600)).unwrap();
    let paths = ["a", "a/directory", "a/file", "a/fifo"].map(|path| tree.path(path));
    let before = paths.each_ref().map(|path| identity(path));
    let base = tree.base();
    let nobodys = |kind| NewInode { kind, mode: 0o777, parent_mode: 0o777, owner: crate::mountpoint::Owner { uid: 7, gid: 7 } };
    assert_eq!(create(&base, "a/directory", nobodys(Kind::Directory)), Ok(false));
    assert_eq!(create(&base, "a/file", nobodys(Kind::File)), Ok(false));
    assert_eq!(create(&base, "a/fifo", nobodys(Kind::File)), Ok(false), "anything but a directory holds a file's mount");
    assert_eq!(create(&base, "", nobodys(Kind::Directory)), Ok(false));
    assert_eq!(create(&base, "a/directory", FILE), Err("create file a/directory: EISDIR".to_owned()));
    assert_eq!(create(&base, "a/file", DIRECTORY), Err("create directory a/file: ENOTDIR".to_owned()));
    assert_eq!(create(&base, "a/file/x/y", DIRECTORY), Err("create directory a/file/x/y: ENOTDIR".to_owned()));
    assert_eq!(paths.each_ref().map(|path| identity(path)), before);
    assert_eq!(fs::read(tree.path("a/file")).unwrap(), b"content");
}

#[test]
pub fn a_fifo_in_the_way_or_at_the_end_is_not_waited_for() {
    let tree = Tree::new();
    mkfifo(&tree.path("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
    let start = Instant::now();
    let base = tree.base();
    assert_eq!(base.look(Path::new("fifo")), Found::Is(Kind::File));
    assert_eq!(base.look(Path::new("fifo/x")), Found::NotADirectory("fifo".into()));
    assert_eq!(create(&base, "fifo", DIRECTORY), Err("create directory fifo: ENOTDIR".to_owned()));
    assert_eq!(create(&base, "fifo/x", FILE), Err("create file fifo/x: ENOTDIR".to_owned()));
    assert_eq!(Base::open(&tree.path("fifo"), true).unwrap().look(Path::new("")), Found::Is(Kind::File));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
pub fn of_two_who_create_at_once_one_makes_it() {
    let tree = Tree::new();
    let mut collisions = 0;
    for round in 0..300 {
        let below = format!("shared/{round}/end");
        let results: Vec<_> = std::thread::scope(|scope| {
            let both: Vec<_> = (0..2).map(|_| scope.spawn(|| create(&tree.base(), &below, DIRECTORY))).collect();
            both.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| **result == Ok(true)).count(), 1, "{results:?}");
        assert_eq!(results.iter().filter(|result| **result == Ok(false)).count(), 1, "{results:?}");
        collisions += 1;
    }
    assert_eq!(collisions, 300);
}
