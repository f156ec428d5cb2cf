//! Mounts of the host in and on the way: what a bind carries, what is read-only, what is full; and kernels that allow less.

use super::scratch::{DIRECTORY, FILE, Tree, create, identity, in_own_mounts, mount, read_only, tmpfs};
use crate::kernel::staging;
use crate::mountpoint::{Base, Found, Kind};
use caps::{CapSet, Capability};
use nix::errno::Errno;
use std::fs;
use std::path::Path;

const NOT_CARRIED: &str = "create directory sub/a/b: EXDEV";

/// What the test's own mount namespace shows below `sub`, and what is beneath the mount there, seen through a bind without submounts.
fn in_and_beneath(tree: &Tree, below: &str) -> (bool, bool) {
    let view = tree.outside();
    mount(tree.source().to_str().unwrap(), &view, "", libc::MS_BIND, "");
    let found = (tree.path(below).exists(), view.join(below).exists());
    staging::unmount(&view).unwrap();
    found
}

#[test]
pub fn a_plain_bind_is_walked_beneath_the_hosts_submounts() {
    let tree = Tree::new();
    let sub = tree.make_dirs("sub");
    in_own_mounts(|| {
        tmpfs(&sub, "");
        fs::create_dir(sub.join("only-in-the-mount")).unwrap();
        let plain = Base::open(&tree.source(), false).unwrap();
        assert_eq!(plain.look(Path::new("sub/only-in-the-mount")), Found::Missing { components: 1, read_only: false });
        assert_eq!(create(&plain, "sub/a/b", DIRECTORY), Ok(true));
        assert_eq!(in_and_beneath(&tree, "sub/a/b"), (false, true));
        let recursive = Base::open(&tree.source(), true).unwrap();
        assert_eq!(recursive.look(Path::new("sub/only-in-the-mount")), Found::Is(Kind::Directory));
        assert_eq!(create(&recursive, "sub/c/file", FILE), Ok(true));
        assert_eq!(in_and_beneath(&tree, "sub/c/file"), (true, false));
    });
    assert!(tree.path("sub/a/b").is_dir(), "made in the file system itself, not in a copy");
}

/// Where the base is itself the root of a mount, that mount is the one that is bound.
#[test]
pub fn a_base_that_is_a_mountpoint_is_the_mount_on_it() {
    let tree = Tree::new();
    in_own_mounts(|| {
        tmpfs(&tree.source(), "");
        assert_eq!(create(&tree.base(), "a/b", DIRECTORY), Ok(true));
        assert!(tree.path("a/b").is_dir());
    });
    assert!(!tree.path("a").exists());
}

/// An overlay's files have another device than its directories.
#[test]
pub fn a_file_of_an_overlay_is_in_the_same_mount() {
    let tree = Tree::new();
    in_own_mounts(|| {
        tmpfs(&tree.outside(), "");
        let layer = |name: &str| tree.outside().join(name);
        ["lower", "upper", "work"].map(layer).iter().for_each(|directory| fs::create_dir(directory).unwrap());
        fs::write(layer("lower/file"), "").unwrap();
        let layers = format!("lowerdir={},upperdir={},workdir={}", layer("lower").display(), layer("upper").display(), layer("work").display());
        mount("overlay", &tree.source(), "overlay", 0, &layers);
        for recursive in [false, true] {
            let base = Base::open(&tree.source(), recursive).unwrap();
            assert_eq!(base.look(Path::new("file/below")), Found::NotADirectory("file".into()));
            assert_eq!(base.look(Path::new("file")), Found::Is(Kind::File));
        }
    });
}

/// What a plain bind gets where no private copy of the mount can be had.
fn stays_in_its_mount(tree: &Tree) {
    let base = Base::open(&tree.source(), false).unwrap();
    assert_eq!(base.look(Path::new("sub/a/b")), Found::OtherMount("sub".into()));
    assert_eq!(create(&base, "sub/a/b", DIRECTORY), Err(NOT_CARRIED.to_owned()));
    assert_eq!(base.look(Path::new("sub")), Found::Is(Kind::Directory), "what is mounted on is there, and of the same kind");
    assert_eq!(base.look(Path::new("file")), Found::Is(Kind::File));
    assert_eq!(create(&base, "sub", DIRECTORY), Ok(false));
    assert_eq!(create(&base, "beside/it", DIRECTORY).map(drop), Ok(()));
    assert_eq!(create(&Base::open(&tree.source(), true).unwrap(), "sub/a", DIRECTORY).map(drop), Ok(()), "not asked of a recursive bind");
}

/// A bind of another directory of the same file system: the device number does not tell it, the mount's id does.
fn with_a_submount_of_the_same_file_system(test: impl FnOnce(&Tree) + Send) {
    let tree = Tree::new();
    let (sub, elsewhere) = (tree.make_dirs("sub"), tree.outside());
    fs::write(tree.path("file"), "").unwrap();
    in_own_mounts(|| {
        mount(elsewhere.to_str().unwrap(), &sub, "", libc::MS_BIND, "");
        mount(elsewhere.to_str().unwrap(), &elsewhere, "", libc::MS_BIND, "");
        mount("/dev/null", &tree.path("file"), "", libc::MS_BIND, "");
        test(&tree);
        assert!(!sub.join("a/b").exists());
    });
    assert_eq!(fs::read_dir(sub).unwrap().count(), 0);
}

#[test]
pub fn without_the_right_to_copy_a_mount_a_plain_bind_stays_in_it() {
    with_a_submount_of_the_same_file_system(|tree| {
        caps::drop(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap();
        stays_in_its_mount(tree);
    });
}

#[test]
pub fn without_open_tree_a_plain_bind_stays_in_its_mount() {
    for errno in [Errno::ENOSYS, Errno::EPERM] {
        with_a_submount_of_the_same_file_system(|tree| {
            staging::refuse(&[libc::SYS_open_tree], errno);
            stays_in_its_mount(tree);
        });
    }
}

#[test]
pub fn before_mount_ids_the_file_system_tells_a_submount() {
    let tree = Tree::new();
    let sub = tree.make_dirs("sub");
    fs::write(tree.path("file"), "").unwrap();
    in_own_mounts(|| {
        tmpfs(&sub, "");
        staging::refuse(&[libc::SYS_open_tree, libc::SYS_statx], Errno::ENOSYS);
        stays_in_its_mount(&tree);
    });
}

#[test]
pub fn an_unbindable_source_has_no_copy() {
    with_a_submount_of_the_same_file_system(|tree| {
        let source = tree.source();
        mount(source.to_str().unwrap(), &source, "", libc::MS_BIND | libc::MS_REC, "");
        mount("none", &source, "", libc::MS_UNBINDABLE, "");
        stays_in_its_mount(tree);
    });
}

#[test]
pub fn a_read_only_mount_is_told_and_what_exists_on_it_will_do() {
    let tree = Tree::new();
    tree.make_dirs("there/deep");
    fs::write(tree.path("file"), "content").unwrap();
    let before = identity(&tree.path("there/deep"));
    in_own_mounts(|| {
        read_only(&tree.source());
        for recursive in [false, true] {
            let base = Base::open(&tree.source(), recursive).unwrap();
            assert_eq!(base.look(Path::new("there/deep")), Found::Is(Kind::Directory));
            assert_eq!(base.look(Path::new("there/no/no")), Found::Missing { components: 2, read_only: true });
            assert_eq!(create(&base, "there/deep", DIRECTORY), Ok(false));
            assert_eq!(create(&base, "file", FILE), Ok(false));
            assert_eq!(create(&base, "there/no/no", DIRECTORY), Err("create directory there/no/no: EROFS".to_owned()));
            assert_eq!(create(&base, "no", FILE), Err("create file no: EROFS".to_owned()));
        }
    });
    assert_eq!(identity(&tree.path("there/deep")), before);
}

#[test]
pub fn a_full_file_system_is_told() {
    let tree = Tree::new();
    in_own_mounts(|| {
        // The root and two more.
        tmpfs(&tree.source(), "nr_inodes=3");
        assert_eq!(create(&tree.base(), "lower/directory", DIRECTORY), Ok(true));
        assert_eq!(create(&tree.base(), "lower/next", DIRECTORY), Err("create directory lower/next: ENOSPC".to_owned()));
        assert_eq!(create(&tree.base(), "lower/file", FILE), Err("create file lower/file: ENOSPC".to_owned()));
        assert_eq!(create(&tree.base(), "lower/directory", DIRECTORY), Ok(false));
    });
}
