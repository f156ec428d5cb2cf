//! Where a race takes place: a source, and beside it what of the host nothing may reach. Both in memory, so that what a disk does takes no turns.

use crate::kernel::staging;
use crate::mountpoint::tests::scratch::{Tree, tmpfs};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub struct Arena {
    tree: Tree,
    /// The target, open: magic links lead there.
    pub held: File,
    over: AtomicBool,
    flips: AtomicUsize,
}

/// Ends the race when it goes out of scope.
pub struct Ending<'a>(&'a Arena);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

impl Arena {
    pub fn new() -> Arena {
        let tree = Tree::new();
        tmpfs(&tree.source(), "");
        tmpfs(&tree.outside(), "");
        let target = tree.outside().join("target");
        fs::create_dir(&target).unwrap();
        std::env::set_current_dir(&target).unwrap();
        Arena { held: File::open(target).unwrap(), tree, over: AtomicBool::new(false), flips: AtomicUsize::new(0) }
    }

    pub fn source(&self) -> PathBuf {
        self.tree.source()
    }

    /// The directory of the host that symlinks and mounts lead to.
    pub fn target(&self) -> PathBuf {
        self.tree.outside().join("target")
    }

    /// Where a mount waits that is moved.
    pub fn parking(&self) -> PathBuf {
        self.tree.outside().join("parking")
    }

    pub fn lower(&self) -> PathBuf {
        self.tree.path("lower")
    }

    pub fn spare(&self) -> PathBuf {
        self.tree.path("spare")
    }

    pub fn ends_with_this(&self) -> Ending<'_> {
        Ending(self)
    }

    pub fn count_flip(&self) {
        self.flips.fetch_add(1, Ordering::Relaxed);
    }

    pub fn flips(&self) -> usize {
        self.flips.load(Ordering::Relaxed)
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Takes away what has come into being outside; how much that was.
    pub fn take_escaped(&self, target_is_inside: bool) -> usize {
        let in_target = empty(&self.held);
        let beside = fs::read_dir(self.tree.outside()).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name != "target" && name != "parking"
        });
        beside.count() + if target_is_inside { 0 } else { in_target }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = std::env::set_current_dir("/");
        for at in [self.tree.source(), self.tree.outside()] {
            let _ = staging::unmount(&at);
        }
    }
}

/// Takes away what is in a directory, by a handle on it, wherever it has been renamed to; how much that was.
pub fn empty(directory: &File) -> usize {
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let found: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    for entry in &found {
        let gone = if entry.symlink_metadata().is_ok_and(|found| found.is_dir()) { fs::remove_dir_all(entry) } else { fs::remove_file(entry) };
        gone.unwrap();
    }
    found.len()
}
