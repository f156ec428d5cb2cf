//! Paths and symlinks that lead, or would lead, somewhere else.

use super::scratch::{DIRECTORY, FILE, Tree, create};
use crate::mountpoint::{Base, Found};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

#[test]
pub fn only_relative_paths_of_names_are_taken() {
    let tree = Tree::new();
    tree.make_dirs("a");
    let base = tree.base();
    let outside = tree.outside();
    let nul = Path::new(OsStr::from_bytes(b"a\0b"));
    for path in ["..", "a/../b", "../outside/x", "./a", "/", "/a", "a/.."].map(Path::new).into_iter().chain([nul, outside.as_path()]) {
        assert_eq!(base.look(path), Found::Unreadable(path.to_owned(), Errno::EINVAL), "{path:?}");
        for inode in [DIRECTORY, FILE] {
            let refused = base.create(path, &inode).unwrap_err();
            assert!(refused.ends_with(": EINVAL"), "{path:?}: {refused}");
        }
    }
    assert_eq!(fs::read_dir(tree.path("a")).unwrap().count() + tree.names_outside(), 0);
    assert_eq!(fs::read_dir(tree.source()).unwrap().count(), 1);
}

#[test]
pub fn the_base_is_reached_without_symlinks() {
    let tree = Tree::new();
    tree.make_dirs("a/b");
    symlink("a", tree.path("link")).unwrap();
    let open = |path: &Path, recursive| Base::open(path, recursive).err();
    for recursive in [false, true] {
        assert_eq!(open(&tree.path("a/b"), recursive), None);
        assert_eq!(open(Path::new("/"), recursive), None);
        assert_eq!(open(&tree.path("link"), recursive), Some(Errno::ELOOP));
        assert_eq!(open(&tree.path("link/b"), recursive), Some(Errno::ELOOP));
        assert_eq!(open(&tree.path("none"), recursive), Some(Errno::ENOENT));
        assert_eq!(open(&tree.path("a/../a"), recursive), Some(Errno::EINVAL));
        assert_eq!(open(Path::new("relative"), recursive), Some(Errno::EINVAL));
        assert_eq!(open(Path::new(""), recursive), Some(Errno::EINVAL));
        assert_eq!(open(Path::new(OsStr::from_bytes(b"/tmp\0/x")), recursive), Some(Errno::EINVAL));
    }
}

/// Where a symlink may lead. The first three reach the outside, the last reaches a directory of the source itself: none is followed.
fn targets(tree: &Tree) -> Vec<PathBuf> {
    vec![tree.outside(), "../../outside".into(), "../../outside/missing".into(), "../inside".into()]
}

#[test]
pub fn no_symlink_is_followed_wherever_it_stands() {
    for recursive in [false, true] {
        let tree = Tree::new();
        tree.make_dirs("inside");
        tree.make_dirs("way");
        let base = Base::open(&tree.source(), recursive).unwrap();
        for target in targets(&tree) {
            symlink(&target, tree.path("way/link")).unwrap();
            for below in ["way/link", "way/link/x", "way/link/x/y"] {
                assert_eq!(base.look(Path::new(below)), Found::Symlink("way/link".into()), "{below} by {target:?}");
                assert_eq!(create(&base, below, DIRECTORY), Err(format!("create directory {below}: ELOOP")));
                assert_eq!(create(&base, below, FILE), Err(format!("create file {below}: ELOOP")));
            }
            assert_eq!(fs::read_link(tree.path("way/link")).unwrap(), target, "the symlink itself stays");
            fs::remove_file(tree.path("way/link")).unwrap();
        }
        assert_eq!(tree.names_outside() + fs::read_dir(tree.path("inside")).unwrap().count(), 0);
    }
}

/// The control of the test above: done by path, the same calls do reach the outside.
#[test]
pub fn by_path_every_symlink_leads_out() {
    for target in 0..3 {
        let tree = Tree::new();
        tree.make_dirs("way");
        symlink(&targets(&tree)[target], tree.path("way/link")).unwrap();
        match target {
            // Where the link dangles, a file is what gets created through it.
            2 => drop(fs::File::create(tree.path("way/link")).unwrap()),
            _ => fs::create_dir_all(tree.path("way/link/x/y")).unwrap(),
        }
        assert_eq!(tree.names_outside(), 1);
    }
}

#[test]
pub fn a_magic_link_is_a_symlink() {
    let base = Base::open(Path::new("/proc"), true).unwrap();
    let of_this_process = format!("{}/cwd", std::process::id());
    assert_eq!(base.look(Path::new(&of_this_process)), Found::Symlink(of_this_process.clone().into()));
    let below = format!("{of_this_process}/runc-guard-test");
    assert_eq!(create(&base, &below, DIRECTORY), Err(format!("create directory {below}: ELOOP")));
    assert!(!Path::new("runc-guard-test").exists());
    assert_eq!(Base::open(&Path::new("/proc").join(of_this_process), true).err(), Some(Errno::ELOOP));
}
