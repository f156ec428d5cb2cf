//! Owners by file system ids: what is made belongs to them, and this thread is as it was.

use super::scratch::{DIRECTORY, FILE, ROOT, Tree, create, made};
use crate::mountpoint::{NewInode, Owner};
use caps::{CapSet, Capability};
use nix::unistd::{Gid, Uid, chown, setfsgid, setfsuid};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const MAPPED: Owner = Owner { uid: 100_000, gid: 100_001 };

/// Ids and capabilities of this thread, as the kernel tells them.
fn credentials() -> Vec<String> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let wanted = ["Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
    let lines: Vec<String> = status.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect();
    assert_eq!(lines.len(), wanted.len());
    lines
}

fn for_mapped(inode: NewInode) -> NewInode {
    NewInode { owner: MAPPED, ..inode }
}

#[test]
pub fn the_owner_gets_what_is_made_in_a_directory_of_root() {
    let tree = Tree::new();
    let before = credentials();
    assert_eq!(create(&tree.base(), "a/b/directory", for_mapped(DIRECTORY)), Ok(true));
    assert_eq!(create(&tree.base(), "a/file", for_mapped(FILE)), Ok(true));
    assert_eq!(credentials(), before);
    for (path, mode) in [("a", 0o40_755), ("a/b", 0o40_755), ("a/b/directory", 0o40_755), ("a/file", 0o100_644)] {
        assert_eq!(made(&tree.path(path)), (mode, MAPPED.uid, MAPPED.gid), "{path}");
    }
    assert_eq!(made(&tree.source()), (0o40_755, 0, 0), "what was there stays root's");
}

/// The control: with the ids alone, without the capability that is raised again, the directory of root is closed.
#[test]
pub fn the_ids_alone_would_not_be_let_in() {
    let tree = Tree::new();
    std::thread::scope(|scope| {
        let try_plainly = || {
            setfsgid(Gid::from_raw(MAPPED.gid));
            setfsuid(Uid::from_raw(MAPPED.uid));
            fs::create_dir(tree.path("plain"))
        };
        let refused = scope.spawn(try_plainly).join().unwrap().unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    });
}

#[test]
pub fn the_thread_is_itself_again_after_an_error() {
    let tree = Tree::new();
    tree.make_dirs("a");
    let before = credentials();
    let long = "n".repeat(256);
    assert_eq!(create(&tree.base(), &format!("a/b/{long}"), for_mapped(DIRECTORY)), Err(format!("create directory a/b/{long}: ENAMETOOLONG")));
    assert_eq!(made(&tree.path("a/b")), (0o40_755, MAPPED.uid, MAPPED.gid), "it failed while it acted for the owner");
    assert_eq!(credentials(), before);
}

/// Returning to fsuid 0 raises every capability that has to do with files: those that were not in effect must not be afterwards.
#[test]
pub fn capabilities_that_were_lowered_stay_lowered() {
    let tree = Tree::new();
    std::thread::scope(|scope| {
        let lowered = || {
            caps::drop(None, CapSet::Effective, Capability::CAP_FOWNER).unwrap();
            caps::drop(None, CapSet::Effective, Capability::CAP_MKNOD).unwrap();
            let before = credentials();
            assert_eq!(create(&tree.base(), "a", for_mapped(DIRECTORY)), Ok(true));
            assert_eq!(credentials(), before);
            // The control: the same by hand.
            setfsuid(Uid::from_raw(MAPPED.uid));
            setfsuid(Uid::from_raw(0));
            assert_ne!(credentials(), before);
        };
        scope.spawn(lowered).join().unwrap();
    });
}

#[test]
pub fn ids_that_cannot_be_taken_on_create_nothing() {
    let tree = Tree::new();
    let no_such_id = NewInode { owner: Owner { uid: u32::MAX, gid: 0 }, ..DIRECTORY };
    assert_eq!(create(&tree.base(), "a/b", no_such_id), Err("create directory a/b: EPERM".to_owned()));
    for capability in [Capability::CAP_SETUID, Capability::CAP_SETGID] {
        std::thread::scope(|scope| {
            let without = || {
                caps::drop(None, CapSet::Effective, capability).unwrap();
                let before = credentials();
                assert_eq!(create(&tree.base(), "a/b", for_mapped(DIRECTORY)), Err("create directory a/b: EPERM".to_owned()));
                assert_eq!(credentials(), before);
                assert_eq!(create(&tree.base(), "own", NewInode { owner: ROOT, ..DIRECTORY }).map(drop), Ok(()), "its own ids need no right");
            };
            scope.spawn(without).join().unwrap();
        });
    }
    assert!(!tree.path("a").exists());
}

#[test]
pub fn a_directory_with_the_setgid_bit_gives_its_group() {
    let tree = Tree::new();
    let parent = tree.make_dirs("parent");
    chown(&parent, None, Some(Gid::from_raw(50))).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o2755)).unwrap();
    assert_eq!(create(&tree.base(), "parent/a/file", for_mapped(FILE)), Ok(true));
    assert_eq!(made(&tree.path("parent/a")), (0o42_755, MAPPED.uid, 50));
    assert_eq!(made(&tree.path("parent/a/file")), (0o100_644, MAPPED.uid, 50));
}
