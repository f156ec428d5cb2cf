//! The way to locked mounts: when the directory of a mountpoint is removed on the host, the kernel detaches what is mounted on it in every mount
//! namespace, locked or not (Linux 3.15). So the directory is removed and made again as it was.

use super::plan::Copy;
use crate::in_namespace::{Sender, open_without_symlinks};
use crate::kernel::mount_groups::held;
use crate::mountinfo::Place;
use crate::mountinfo::line::{Line, Tree, lines};
use crate::namespaces::Found;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use xattr::FileExt;

/// A directory that may be made again.
#[derive(Debug)]
pub struct Directory {
    pub path: PathBuf,
    /// The mount of the host through which it is seen.
    mount: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    Renewed,
    /// It was renewed, but something of it could not be restored.
    Changed(String),
    Failed(String),
}

/// The directory on the host on which `copy` is mounted, if nothing but the copies `released` would be lost with it. `released` has the namespace of
/// each copy, and its id.
///
/// # Errors
/// Why it must not be touched.
pub fn directory(copy: &Copy, released: &[(u64, u32)], host: &Tree<'_, '_>, found: &Found) -> Result<Directory, String> {
    let place = copy.mountpoint.as_ref().ok_or("its mountpoint is not known")?;
    let name = format!("the directory {} of the file system {}:{}", place.path.display(), place.device.0, place.device.1);
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

fn path_to(place: &Place, host: &Tree<'_, '_>) -> Option<Directory> {
    host.lines.iter().filter(|line| line.device == place.device).find_map(|line| {
        let rest = place.path.strip_prefix(line.root()).ok().filter(|rest| !rest.as_os_str().is_empty())?;
        let path = line.path().join(rest);
        let is_seen = host.holder(&path).is_some_and(|holder: &Line<'_>| holder.id == line.id);
        is_seen.then_some(Directory { path, mount: line.id })
    })
}

/// Removes the directory and makes it again with its mode, owner and extended attributes. In a child: its file server may be dead.
pub fn renew(directory: &Directory, sender: &mut Sender) {
    sender.send(&try_renew(directory).unwrap_or_else(Message::Failed));
}

fn try_renew(directory: &Directory) -> Result<Message, String> {
    let path = directory.path.display();
    let (Some(parent), Some(name)) = (directory.path.parent(), directory.path.file_name()) else { return Err(format!("{path} is no directory")) };
    let told = |verb: &str, errno: Errno| format!("{verb} {path}: {errno:?}");
    let name = Path::new(name);
    let parent = open_without_symlinks(parent).map_err(|errno| told("open the directory above", errno))?;
    let open = || openat(&parent, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
    let old = open().map_err(|errno| match errno {
        Errno::ENOTDIR | Errno::ELOOP => format!("{path} is no directory; remove it by hand, which releases what is mounted on it"),
        errno => told("open", errno),
    })?;
    let facts = held(old.as_fd()).map_err(|errno| told("look at", errno))?;
    if facts.is_root || facts.mount != directory.mount {
        return Err(format!("{path} is a mountpoint of the host meanwhile"));
    }
    let stat = fstat(&old).map_err(|errno| told("look at", errno))?;
    let attributes = attributes(&File::from(old)).map_err(|errno| told("read the attributes of", errno))?;
    unlinkat(&parent, name, UnlinkatFlags::RemoveDir).map_err(|errno| match errno {
        Errno::ENOTEMPTY | Errno::EEXIST => format!("{path} is not empty, so it cannot be made again; stop the container"),
        errno => told("remove", errno),
    })?;
    // Closed to others until it is as it was.
    mkdirat(&parent, name, Mode::S_IRWXU).map_err(|errno| told("make again, after it was removed,", errno))?;
    let new = open().map_err(|errno| told("open again", errno))?;
    Ok(match restore(new, &stat, &attributes) {
        Ok(()) => Message::Renewed,
        Err(errno) => Message::Changed(told("restore mode, owner and attributes of", errno)),
    })
}

type Attribute = (OsString, Vec<u8>);

fn attributes(directory: &File) -> Result<Vec<Attribute>, Errno> {
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let names = match directory.list_xattr() {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(errno(error)),
    };
    let value = |name: OsString| Some(directory.get_xattr(&name).map_err(errno).transpose()?.map(|value| (name, value)));
    names.filter_map(value).collect()
}

fn restore(new: OwnedFd, stat: &FileStat, wanted: &[Attribute]) -> Result<(), Errno> {
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    fchown(&new, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    let file = File::from(new);
    // It may have inherited some of the directory above.
    let now = attributes(&file)?;
    for (name, _) in now.iter().filter(|(name, _)| wanted.iter().all(|(wanted, _)| wanted != name)) {
        file.remove_xattr(name).map_err(errno)?;
    }
    for attribute in wanted.iter().filter(|attribute| !now.contains(attribute)) {
        file.set_xattr(&attribute.0, &attribute.1).map_err(errno)?;
    }
    // Last: an access control list has changed it, and a new owner took the set-id bits away.
    fchmod(&file, Mode::from_bits_truncate(stat.st_mode & 0o7777))
}
