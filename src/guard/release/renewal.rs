//! The way to locked mounts: when what a mountpoint is, a directory or an empty file, is removed on the host, the kernel detaches what is mounted on
//! it in every mount namespace, locked or not (Linux 3.15). So another like it takes its name, in one step, and the old one is removed.

use super::plan::Copy;
use crate::in_namespace::{Sender, open_without_symlinks};
use crate::kernel::mount_groups::held;
use crate::mountinfo::Place;
use crate::mountinfo::line::{Line, Tree, lines};
use crate::namespaces::Found;
use crate::report::errno;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use xattr::FileExt;

/// How names begin under which a successor waits, or what it replaced: a killed run may leave one behind, empty.
const WAITING: &str = ".runc-guard-renewal-";

/// What is mounted on, on the host, and may be replaced.
#[derive(Debug)]
pub struct Mountpoint {
    pub path: PathBuf,
    /// The mount of the host through which it is seen.
    mount: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    Renewed,
    /// Nothing was changed: why.
    Failed(String),
}

/// The mountpoint of `copy` on the host, if nothing but the copies `released` would be lost with it. `released` has the namespace of each copy, and
/// its id.
///
/// # Errors
/// Why it must not be touched.
pub fn mountpoint(copy: &Copy, released: &[(u64, u32)], host: &Tree<'_, '_>, found: &Found) -> Result<Mountpoint, String> {
    let place = copy.mountpoint.as_ref().ok_or("its mountpoint is not known")?;
    let name = format!("{} of the file system {}:{}", place.path.display(), place.device.0, place.device.1);
    for namespace in &found.namespaces {
        let Ok(table) = namespace.table() else { continue };
        let lines = lines(&table);
        let tree = Tree::of(&lines);
        let who = if namespace.is_ours {
            "the host".to_owned()
        } else {
            namespace.pid.map_or("a namespace without a process".to_owned(), |pid| format!("pid {pid}"))
        };
        for line in &lines {
            let is_ours_to_take = !namespace.is_ours && released.contains(&(namespace.inode, line.id));
            if !is_ours_to_take && tree.place_of_mountpoint(line).as_ref() == Some(place) {
                return Err(format!("{name}, on which it is mounted, is a mountpoint of {who} too, at {}", line.path().display()));
            }
            if line.device == place.device && line.root() == place.path {
                return Err(format!("{name}, on which it is mounted, is mounted elsewhere: by {who} at {}", line.path().display()));
            }
        }
    }
    path_to(place, host).ok_or_else(|| format!("{name}, on which it is mounted, cannot be seen on the host"))
}

fn path_to(place: &Place, host: &Tree<'_, '_>) -> Option<Mountpoint> {
    host.lines.iter().filter(|line| line.device == place.device).find_map(|line| {
        let rest = place.path.strip_prefix(line.root()).ok().filter(|rest| !rest.as_os_str().is_empty())?;
        let path = line.path().join(rest);
        let is_seen = host.holder(&path).is_some_and(|holder: &Line<'_>| holder.id == line.id);
        is_seen.then_some(Mountpoint { path, mount: line.id })
    })
}

/// Replaces it by one with its mode, owner and extended attributes. In a child: its file server may be dead.
pub fn renew(mountpoint: &Mountpoint, sender: &mut Sender) {
    sender.send(&try_renew(mountpoint).map_or_else(Message::Failed, |()| Message::Renewed));
}

fn try_renew(mountpoint: &Mountpoint) -> Result<(), String> {
    let path = mountpoint.path.display();
    let told = |verb: &'static str| move |errno: Errno| format!("{verb} {}: {errno:?}", mountpoint.path.display());
    let (Some(above), Some(name)) = (mountpoint.path.parent(), mountpoint.path.file_name()) else { return Err(format!("{path} has no name")) };
    let above = open_without_symlinks(above).map_err(told("open the directory above"))?;
    let name = Path::new(name);
    let old = openat(&above, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()).map_err(told("open"))?;
    let stat = fstat(&old).map_err(told("look at"))?;
    let exchange = Exchange { above: &above, name, waiting: waiting_name(), is_directory: is_directory(mountpoint, &old, &stat)? };
    if name.as_os_str().as_encoded_bytes().starts_with(WAITING.as_bytes()) {
        return exchange.remove(name).map_err(told("remove what a killed run left behind at"));
    }
    exchange.make_successor(&old, &stat).map_err(told("make another in the place of"))?;
    exchange.swap_and_remove(&stat).map_err(|errno| match errno {
        Errno::ENOTEMPTY | Errno::EEXIST => not_empty(&mountpoint.path),
        Errno::EINVAL | Errno::EXDEV => format!("exchange {path} with another: {errno:?}; remove it by hand and make it again, which releases it"),
        errno => told("replace")(errno),
    })
}

/// A directory or an empty file, of which nothing is lost but itself.
fn is_directory(mountpoint: &Mountpoint, old: &OwnedFd, stat: &FileStat) -> Result<bool, String> {
    let path = mountpoint.path.display();
    let facts = held(old.as_fd()).map_err(|errno| format!("look at {path}: {errno:?}"))?;
    if facts.is_root || facts.mount != mountpoint.mount {
        return Err(format!("{path} is a mountpoint of the host meanwhile"));
    }
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Ok(true),
        SFlag::S_IFREG if stat.st_size == 0 => Ok(false),
        SFlag::S_IFREG => Err(not_empty(&mountpoint.path)),
        _ => Err(format!("{path} is neither a directory nor a file; remove it by hand, which releases what is mounted on it")),
    }
}

fn not_empty(path: &Path) -> String {
    format!("{} is not empty, so it cannot be replaced; stop the container", path.display())
}

fn waiting_name() -> PathBuf {
    PathBuf::from(format!("{WAITING}{}", std::process::id()))
}

/// Two names in one directory.
struct Exchange<'e> {
    above: &'e OwnedFd,
    name: &'e Path,
    waiting: PathBuf,
    is_directory: bool,
}

impl Exchange<'_> {
    /// Makes, under the waiting name, what is as `old` is.
    fn make_successor(&self, old: &OwnedFd, stat: &FileStat) -> Result<(), Errno> {
        // Not by name again, and O_PATH handles give no attributes.
        let old = File::open(format!("/proc/self/fd/{}", old.as_raw_fd())).map_err(|error| errno(&error))?;
        let attributes = attributes(&old)?;
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // Closed to others until it is as it must be.
        let new = if self.is_directory {
            mkdirat(self.above, &self.waiting, Mode::S_IRWXU)?;
            openat(self.above, &self.waiting, flags | OFlag::O_DIRECTORY, Mode::empty())
        } else {
            openat(self.above, &self.waiting, flags | OFlag::O_CREAT | OFlag::O_EXCL, Mode::S_IRUSR)
        };
        let restored = new.and_then(|new| restore(new, stat, &attributes));
        restored.inspect_err(|_| self.give_up())
    }

    /// The old one comes back to its name when it cannot be removed, or is not what was looked at.
    fn swap_and_remove(&self, stat: &FileStat) -> Result<(), Errno> {
        self.swap().inspect_err(|_| self.give_up())?;
        let is_old = |now: FileStat| (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino);
        let now = fstatat(self.above, &self.waiting, AtFlags::AT_SYMLINK_NOFOLLOW);
        let removed = if now.is_ok_and(is_old) { self.remove(&self.waiting) } else { Err(Errno::ESTALE) };
        removed.inspect_err(|_| {
            if self.swap().is_ok() {
                self.give_up();
            }
        })
    }

    fn swap(&self) -> Result<(), Errno> {
        renameat2(self.above, &self.waiting, self.above, self.name, RenameFlags::RENAME_EXCHANGE)
    }

    /// A directory only if it is empty.
    fn remove(&self, name: &Path) -> Result<(), Errno> {
        unlinkat(self.above, name, if self.is_directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir })
    }

    fn give_up(&self) {
        // What cannot be removed now is empty, and tells by its name what it is.
        let _ = self.remove(&self.waiting);
    }
}

type Attribute = (OsString, Vec<u8>);

fn attributes(inode: &File) -> Result<Vec<Attribute>, Errno> {
    let names = match inode.list_xattr() {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(errno(&error)),
    };
    let value = |name: OsString| Some(inode.get_xattr(&name).map_err(|error| errno(&error)).transpose()?.map(|value| (name, value)));
    names.filter_map(value).collect()
}

fn restore(new: OwnedFd, stat: &FileStat, wanted: &[Attribute]) -> Result<(), Errno> {
    fchown(&new, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    let file = File::from(new);
    // It may have inherited some of the directory above.
    let now = attributes(&file)?;
    for (name, _) in now.iter().filter(|(name, _)| wanted.iter().all(|(wanted, _)| wanted != name)) {
        file.remove_xattr(name).map_err(|error| errno(&error))?;
    }
    for attribute in wanted.iter().filter(|attribute| !now.contains(attribute)) {
        file.set_xattr(&attribute.0, &attribute.1).map_err(|error| errno(&error))?;
    }
    // Last: an access control list has changed it, and a new owner took the set-id bits away.
    fchmod(&file, Mode::from_bits_truncate(stat.st_mode & 0o7777))
}

#[cfg(test)]
mod tests;
