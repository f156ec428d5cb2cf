//! The attacks: what a name on the way is swapped for, over and over, and what is created below it.

use super::arena::Arena;
use crate::kernel::staging;
use crate::mountpoint::NewInode;
use crate::mountpoint::tests::scratch::{DIRECTORY, FILE};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// What happens to the name `lower` of the source.
#[derive(Clone, Copy)]
pub enum Swap {
    /// A directory, and a symlink to this.
    DirectoryAndSymlink(fn(&Arena) -> PathBuf),
    /// Nothing or a new file, and a symlink to this, which is not there yet.
    NothingAndSymlink(fn(&Arena) -> PathBuf),
    /// A directory of the host is bound over it and taken away.
    Mounted,
    /// The same by moving one mount there and back.
    Moved,
    /// The name is missing. When it has been made, something is mounted on it; then both are taken away.
    MountedWhenMade,
}

#[derive(Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub swap: Swap,
    /// What is created, for each attempt.
    pub below: fn(&Arena, usize) -> PathBuf,
    pub inode: NewInode,
}

fn below_lower(_: &Arena, number: usize) -> PathBuf {
    format!("lower/{number}/deep").into()
}

/// Through a symlink to a root directory the rest of the path must lead to the target by itself.
fn target_below_lower(arena: &Arena, number: usize) -> PathBuf {
    Path::new("lower").join(arena.target().strip_prefix("/").unwrap()).join(number.to_string())
}

const fn of_directory(name: &'static str, swap: Swap) -> Shape {
    Shape { name, swap, below: below_lower, inode: DIRECTORY }
}

pub const SHAPES: [Shape; 9] = [
    of_directory("symlink, absolute", Swap::DirectoryAndSymlink(Arena::target)),
    of_directory("symlink, relative by ..", Swap::DirectoryAndSymlink(|_| "../outside/target".into())),
    // A file is what gets created on the host then.
    Shape {
        name: "symlink, dangling",
        swap: Swap::NothingAndSymlink(|arena| arena.target().join("made")),
        below: |_, _| "lower".into(),
        inode: FILE,
    },
    // thread-self: the mounts are this thread's own, those of the main thread lead elsewhere.
    Shape { below: target_below_lower, ..of_directory("magic link, root", Swap::DirectoryAndSymlink(|_| "/proc/thread-self/root".into())) },
    of_directory("magic link, cwd", Swap::DirectoryAndSymlink(|_| "/proc/thread-self/cwd".into())),
    of_directory("magic link, fd", Swap::DirectoryAndSymlink(|arena| format!("/proc/thread-self/fd/{}", arena.held.as_raw_fd()).into())),
    of_directory("submount, on and off", Swap::Mounted),
    of_directory("submount, moved over it", Swap::Moved),
    of_directory("submount, on what was just made", Swap::MountedWhenMade),
];

impl Swap {
    pub fn is_of_mounts(self) -> bool {
        matches!(self, Swap::Mounted | Swap::Moved | Swap::MountedWhenMade)
    }

    /// Sets the names up, in a source that is empty.
    pub fn stage(self, arena: &Arena) {
        if !matches!(self, Swap::NothingAndSymlink(_) | Swap::MountedWhenMade) {
            fs::create_dir(arena.lower()).unwrap();
        }
        match self {
            Swap::DirectoryAndSymlink(to) | Swap::NothingAndSymlink(to) => std::os::unix::fs::symlink(to(arena), arena.spare()).unwrap(),
            Swap::Moved => {
                fs::create_dir(arena.parking()).unwrap();
                bind(&arena.target(), &arena.parking()).unwrap();
            }
            Swap::Mounted | Swap::MountedWhenMade => {}
        }
    }

    /// There and back.
    pub fn flip(self, arena: &Arena) {
        let (lower, spare, parking) = (arena.lower(), arena.spare(), arena.parking());
        let rename = |from: &Path, to: &Path, flags| renameat2(AT_FDCWD, from, AT_FDCWD, to, flags).unwrap();
        match self {
            Swap::DirectoryAndSymlink(_) => (0..2).for_each(|_| rename(&lower, &spare, RenameFlags::RENAME_EXCHANGE)),
            Swap::NothingAndSymlink(_) => {
                // Each state lasts a moment, else it is hardly ever met. The first rename replaces what was created.
                for (from, to) in [(&spare, &lower), (&lower, &spare)] {
                    rename(from, to, RenameFlags::empty());
                    (0..300).for_each(|_| std::hint::spin_loop());
                }
            }
            Swap::Mounted => {
                bind(&arena.target(), &lower).unwrap();
                staging::unmount(&lower).unwrap();
            }
            Swap::Moved => {
                move_mount(&parking, &lower);
                move_mount(&lower, &parking);
            }
            Swap::MountedWhenMade => {
                while bind(&arena.target(), &lower).is_err() && !arena.is_over() {}
                let _ = staging::unmount(&lower);
                // Somebody may just be creating in it.
                let _ = fs::remove_dir_all(&lower);
            }
        }
    }
}

fn bind(source: &Path, at: &Path) -> Result<(), Errno> {
    staging::mount(source, at, "", libc::MS_BIND, "")
}

fn move_mount(from: &Path, to: &Path) {
    staging::mount(from, to, "", libc::MS_MOVE, "").unwrap();
}
