//! What the tests of this module stand on: trees and mounts of one test's own, and short words for what is looked at.

use crate::kernel::staging;
use crate::mountpoint::{Base, Kind, NewInode, Owner};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub const ROOT: Owner = Owner { uid: 0, gid: 0 };
pub const DIRECTORY: NewInode = NewInode { kind: Kind::Directory, mode: 0o755, parent_mode: 0o755, owner: ROOT };
pub const FILE: NewInode = NewInode { kind: Kind::File, mode: 0o644, parent_mode: 0o755, owner: ROOT };

/// A source of a mount, and a directory of the host beside it that nothing may reach.
pub struct Tree {
    whole: TempDir,
}

impl Tree {
    pub fn new() -> Tree {
        let tree = Tree { whole: tempfile::tempdir().unwrap() };
        fs::create_dir(tree.source()).unwrap();
        fs::create_dir(tree.outside()).unwrap();
        tree
    }

    pub fn source(&self) -> PathBuf {
        // Where /tmp is a symlink.
        self.whole.path().canonicalize().unwrap().join("source")
    }

    pub fn outside(&self) -> PathBuf {
        self.source().with_file_name("outside")
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.source().join(below)
    }

    pub fn make_dirs(&self, below: &str) -> PathBuf {
        fs::create_dir_all(self.path(below)).unwrap();
        self.path(below)
    }

    pub fn base(&self) -> Base {
        Base::open(&self.source(), false).unwrap()
    }

    pub fn names_outside(&self) -> usize {
        fs::read_dir(self.outside()).unwrap().count()
    }
}

pub fn create(base: &Base, below: &str, inode: NewInode) -> Result<bool, String> {
    base.create(Path::new(below), &inode)
}

/// All that must stay as it was when something existed before.
pub fn identity(path: &Path) -> [i128; 8] {
    let found = fs::symlink_metadata(path).unwrap();
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let modified = nanoseconds(found.mtime(), found.mtime_nsec());
    let changed = nanoseconds(found.ctime(), found.ctime_nsec());
    let (device, inode, size) = (found.dev().into(), found.ino().into(), found.size().into());
    [device, inode, size, found.mode().into(), found.uid().into(), found.gid().into(), modified, changed]
}

/// Type and permission bits, owner, group.
pub fn made(path: &Path) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.mode(), found.uid(), found.gid())
}

/// Runs `test` in a thread with a mount namespace of its own, which ends with it: what is mounted there nobody else sees, and nothing is left.
pub fn in_own_mounts(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let run = || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "");
            test();
        };
        scope.spawn(run).join().unwrap();
    });
}

pub fn mount(source: &str, at: &Path, kind: &str, flags: libc::c_ulong, options: &str) {
    staging::mount(Path::new(source), at, kind, flags, options).unwrap();
}

pub fn tmpfs(at: &Path, options: &str) {
    mount("tmpfs", at, "tmpfs", 0, options);
}

/// Makes a directory a read-only mount of itself.
pub fn read_only(at: &Path) {
    mount(at.to_str().unwrap(), at, "", libc::MS_BIND, "");
    mount("none", at, "", libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY, "");
}

const ALONE: &str = "RUNC_GUARD_TEST_ALONE";

/// Runs `test` in a process of its own: the test `name` again, as this same program. For what a process cannot take back, such as pathrs noticing
/// that there is no openat2.
pub fn in_own_process(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some_and(|alone| alone == name) {
        return test();
    }
    let run = Command::new(std::env::current_exe().unwrap()).args([name, "--exact", "--nocapture"]).env(ALONE, name).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("1 passed"), "{name}: {said}");
}
