//! Mountpoints in trees that a workload may own and change meanwhile: look whether they are there, create what is missing.
//!
//! Every step starts from an open handle and takes one name, never a symlink (openat2(2) by pathrs; without it one `O_NOFOLLOW` open for each name),
//! so what is created lies in a directory that was reached below the base, whatever is renamed meanwhile (CVE-2024-45310 and its kin). Nothing is
//! opened but by `O_PATH` or as a directory: a FIFO or a terminal is not woken. Nothing that exists is truncated, replaced, removed or given another
//! mode or owner.
//!
//! `openat2` answers `EAGAIN` only at `..` (Linux, `handle_dots`), which no path here holds: there is nothing to try again.

use crate::kernel::{self, MountId};
use label::{Inherited, Labels};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::sys::statvfs::{FsFlags, fstatvfs};
use ownership::ActingFor;
use pathrs::error::{Error, ErrorKind};
use pathrs::flags::ResolverFlags;
use pathrs::{InodeType, Root};
use serde::Serialize;
use std::ffi::OsStr;
use std::fmt;
use std::fs::Permissions;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

mod label;
mod ownership;

/// What a mountpoint must be: a mount hides a directory by a directory, and anything else by anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Directory,
    /// Anything that is no directory.
    File,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Kind::Directory { "directory" } else { "file" })
    }
}

/// Who owns what is created, as ids of this user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// What is at a place below a base. Paths are relative to the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Is(Kind),
    /// How many names at the end of the path are not there, and whether they cannot be made because the mount or the file system is read-only.
    Missing {
        components: usize,
        read_only: bool,
    },
    /// The first symlink on the way, or at the end of it.
    Symlink(PathBuf),
    /// Something on the way that is no directory.
    NotADirectory(PathBuf),
    /// A mount on the way that a plain bind does not carry, and what is beneath it cannot be seen: the kernel or the caller's rights do not allow a
    /// private copy of the mount.
    OtherMount(PathBuf),
    /// Why a place on the way could not be looked at.
    Unreadable(PathBuf, Errno),
}

/// What is to be created at the end of a path.
#[derive(Clone, Copy, Debug)]
pub struct NewInode {
    pub kind: Kind,
    /// The permission bits. As they are here, when the thread's umask is 0: [`crate::deadline::within`].
    pub mode: u32,
    /// Of missing directories above it.
    pub parent_mode: u32,
    /// A directory with the set-group-ID bit gives its own group instead, and a new directory the bit too, as when the runtime creates: inode(7).
    pub owner: Owner,
}

/// The root of a mount's source, held open.
pub struct Base {
    root: Root,
    /// Of a plain bind: the mount that the walk must not leave. Kernels until about 6.3 propagate mounts even into a private copy (ee2e3f50629f).
    confined_to: Option<Mount>,
}

/// By its id, or, before Linux 5.8, by the device of its file system, which may have other mounts, and is another for an overlay's files.
#[derive(PartialEq)]
enum Mount {
    Id(MountId),
    Device(libc::dev_t),
}

impl Base {
    /// Opens the root of a mount's source. `recursive`: as the container will see it, with the mounts below it (`rbind`, the rootfs); else, for a
    /// plain `bind`, without them: the runtimes create beneath a submount then. That view is a private copy of the one mount by open_tree(2)
    /// (Linux 5.2, `CAP_SYS_ADMIN`); where it is refused, a submount on the way is [`Found::OtherMount`]. `path` is absolute, its symlinks resolved.
    ///
    /// # Errors
    /// `ELOOP` when there is a symlink at the end of `path` or on the way, `EINVAL` when it is relative or has `..` or a NUL byte, `EOPNOTSUPP`
    /// when there is no /proc, else the errno of openat2(2).
    pub fn open(path: &Path, recursive: bool) -> Result<Base, Errno> {
        // Without it pathrs 0.2.6 panics on the first error, for whose message it looks there. No runtime works without it either.
        if !has_procfs() {
            return Err(Errno::EOPNOTSUPP);
        }
        let below_root = path.strip_prefix("/").map_err(|_| Errno::EINVAL)?;
        let mut root = without_symlinks(Root::open("/").map_err(|error| errno(&error))?);
        let names = names(below_root)?;
        if !names.is_empty() {
            root = enter(&root, &path_of(&names))?;
        }
        if recursive {
            return Ok(Base { root, confined_to: None });
        }
        if let Ok(copy) = kernel::clone_mount(root.as_fd()) {
            root = without_symlinks(Root::from_fd(copy));
        }
        Ok(Base { confined_to: Some(mount_of(&root)?), root })
    }

    /// What is at `below`, a relative path of names only; the empty one is the base itself. Writes nothing.
    pub fn look(&self, below: &Path) -> Found {
        let names = match names(below) {
            Ok(names) => names,
            Err(errno) => return Found::Unreadable(below.to_owned(), errno),
        };
        // The frequent answer in one system call; how far a path leads is found out only when it does not lead to its end.
        if !names.is_empty()
            && let Ok(there) = enter(&self.root, below)
            && self.has_left(&there) == Ok(false)
            && let Ok(kind) = kind_of(&there)
        {
            return Found::Is(kind);
        }
        match self.walk(&names) {
            Err(found) => found,
            Ok(Reached { kind, count, .. }) if count == names.len() => Found::Is(kind),
            Ok(Reached { inode, count, .. }) => match fstatvfs(&inode) {
                Ok(mount) => Found::Missing { components: names.len() - count, read_only: mount.flags().contains(FsFlags::ST_RDONLY) },
                Err(errno) => Found::Unreadable(path_of(&names[..count]), errno),
            },
        }
    }

    /// Creates `below` with all missing parents, for `inode.owner`. `Ok(false)`: it was there already, of the right kind, and is untouched.
    /// What is created has the SELinux label of the directory it is created in. Nothing is taken back on an error: parents that were made stay.
    ///
    /// # Errors
    /// `create directory PATH: ERRNO`, where the errno is that of mkdirat(2) or mknodat(2), or: `ELOOP` a symlink on the way or at the end,
    /// `ENOTDIR` and `EISDIR` something of the other kind, `EXDEV` a submount as in [`Found::OtherMount`], `EPERM` the owner's ids cannot be taken
    /// on, `EINVAL` `below` is not a relative path of names only.
    pub fn create(&self, below: &Path, inode: &NewInode) -> Result<bool, String> {
        self.ensure(below, inode, Labels::selinux()).map_err(|errno| format!("create {} {}: {errno:?}", inode.kind, below.display()))
    }

    fn ensure(&self, below: &Path, inode: &NewInode, labels: Labels) -> Result<bool, Errno> {
        let names = names(below)?;
        match self.walk(&names) {
            Ok(Reached { inode: directory, count, .. }) if count < names.len() => match self.make(directory, &names[count..], inode, labels) {
                // Somebody was faster: what it is decides.
                Err(Errno::EEXIST) => expect(inode.kind, &self.look(below)),
                made => made.map(|()| true),
            },
            Ok(Reached { kind, .. }) => expect(inode.kind, &Found::Is(kind)),
            Err(found) => expect(inode.kind, &found),
        }
    }

    /// As far down the names as they are there, one by one, or what stands in the way.
    fn walk(&self, names: &[&OsStr]) -> Result<Reached, Found> {
        let unreadable = |count: usize| move |errno| Found::Unreadable(path_of(&names[..count]), errno);
        let mut inode = self.root.try_clone().map_err(|error| unreadable(0)(errno(&error)))?;
        let mut kind = kind_of(&inode).map_err(unreadable(0))?;
        for (count, name) in names.iter().enumerate() {
            if kind == Kind::File {
                return Err(Found::NotADirectory(path_of(&names[..count])));
            }
            inode = match enter(&inode, Path::new(name)) {
                Ok(inode) => inode,
                Err(Errno::ENOENT) => return Ok(Reached { inode, kind, count }),
                Err(Errno::ELOOP) => return Err(Found::Symlink(path_of(&names[..=count]))),
                Err(errno) => return Err(unreadable(count + 1)(errno)),
            };
            kind = kind_of(&inode).map_err(unreadable(count + 1))?;
            // At the end of the way a mount does not matter: what it is mounted on is there, and is of the same kind.
            if count + 1 < names.len() && kind == Kind::Directory && self.has_left(&inode).map_err(unreadable(count + 1))? {
                return Err(Found::OtherMount(path_of(&names[..=count])));
            }
        }
        Ok(Reached { inode, kind, count: names.len() })
    }

    /// Makes every name in the one before it, the last as `inode` says.
    fn make(&self, mut directory: Root, names: &[&OsStr], inode: &NewInode, labels: Labels) -> Result<(), Errno> {
        let Some((last, parents)) = names.split_last() else { return Ok(()) };
        // In this order, so that the label is set and taken back with this thread's own ids.
        let _label = Inherited::from(&directory, labels);
        let _owner = ActingFor::owner(inode.owner)?;
        for parent in parents {
            match create(&directory, parent, Kind::Directory, inode.parent_mode) {
                Ok(()) | Err(Errno::EEXIST) => directory = enter(&directory, Path::new(parent))?,
                Err(errno) => return Err(errno),
            }
            // Somebody has mounted something there meanwhile.
            if self.has_left(&directory)? {
                return Err(Errno::EXDEV);
            }
        }
        create(&directory, last, inode.kind, inode.mode)
    }

    fn has_left(&self, inode: &Root) -> Result<bool, Errno> {
        let Some(mount) = &self.confined_to else { return Ok(false) };
        Ok(mount_of(inode)? != *mount)
    }
}

/// Where a walk ended, and how many names led there.
struct Reached {
    inode: Root,
    kind: Kind,
    count: usize,
}

/// One inode. Not `Root::mkdir_all` for a row of directories: it opens the first for reading, through /proc, and gives all the same mode.
fn create(directory: &Root, name: &OsStr, kind: Kind, mode: u32) -> Result<(), Errno> {
    let mode = Permissions::from_mode(mode & 0o7777);
    let inode = match kind {
        Kind::Directory => InodeType::Directory(mode),
        Kind::File => InodeType::File(mode),
    };
    directory.create(name, &inode).map_err(|error| errno(&error))
}

/// Whether `found` will do where nothing is created: `Ok(false)`, as [`Base::create`] says it.
fn expect(kind: Kind, found: &Found) -> Result<bool, Errno> {
    match found {
        Found::Is(found) if *found == kind => Ok(false),
        Found::Is(Kind::Directory) => Err(Errno::EISDIR),
        Found::Is(Kind::File) | Found::NotADirectory(_) => Err(Errno::ENOTDIR),
        // It was there a moment ago.
        Found::Missing { .. } => Err(Errno::EEXIST),
        Found::Symlink(_) => Err(Errno::ELOOP),
        Found::OtherMount(_) => Err(Errno::EXDEV),
        Found::Unreadable(_, errno) => Err(*errno),
    }
}

/// The names of a relative path that has nothing else. A NUL byte would end the path for the kernel.
fn names(path: &Path) -> Result<Vec<&OsStr>, Errno> {
    let name = |component| match component {
        Component::Normal(name) if !name.as_encoded_bytes().contains(&0) => Ok(name),
        _ => Err(Errno::EINVAL),
    };
    path.components().map(name).collect()
}

fn has_procfs() -> bool {
    // The entry, not what it leads to: another PID namespace's /proc does not know this process.
    std::fs::symlink_metadata("/proc/self").is_ok()
}

fn path_of(names: &[&OsStr]) -> PathBuf {
    names.iter().collect()
}

fn without_symlinks(root: Root) -> Root {
    root.with_resolver_flags(ResolverFlags::NO_SYMLINKS)
}

fn enter(directory: &Root, path: &Path) -> Result<Root, Errno> {
    directory.resolve(path).map(|inode| without_symlinks(Root::from_fd(inode))).map_err(|error| errno(&error))
}

fn kind_of(inode: &Root) -> Result<Kind, Errno> {
    Ok(if fstat(inode)?.st_mode & libc::S_IFMT == libc::S_IFDIR { Kind::Directory } else { Kind::File })
}

fn mount_of(inode: &Root) -> Result<Mount, Errno> {
    kernel::mount_of(inode.as_fd()).map_or_else(|| Ok(Mount::Device(fstat(inode)?.st_dev)), |id| Ok(Mount::Id(id)))
}

fn errno(error: &Error) -> Errno {
    match error.kind() {
        ErrorKind::OsError(Some(errno)) => Errno::from_raw(errno),
        ErrorKind::SafetyViolation => Errno::EXDEV,
        ErrorKind::InvalidArgument => Errno::EINVAL,
        ErrorKind::NotSupported | ErrorKind::NotImplemented => Errno::ENOSYS,
        _ => Errno::EIO,
    }
}

#[cfg(test)]
pub(crate) mod tests;
