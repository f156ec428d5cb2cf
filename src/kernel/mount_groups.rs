//! Peer groups of mounts: `move_mount(MOVE_MOUNT_SET_GROUP)` (Linux 5.15), `mount_setattr(2)` (5.12) and the id of the mount that a handle holds.

use nix::errno::Errno;
use std::ffi::{c_int, c_uint};
use std::os::fd::{AsRawFd, BorrowedFd};

const MOVE_MOUNT_F_EMPTY_PATH: c_uint = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: c_uint = 0x40;
const MOVE_MOUNT_SET_GROUP: c_uint = 0x100;

/// `to`, a private mount of the caller's namespace, gets the peers and the masters of `from`: of a slave it becomes a fellow slave.
///
/// # Errors
/// `EINVAL`: another file system, a directory that `from` does not show, a mount that is not private, a handle that is not a mount's root, or a
/// kernel before 5.15. `EPERM` without `CAP_SYS_ADMIN`.
pub fn set_group(from: BorrowedFd, to: BorrowedFd) -> Result<(), Errno> {
    move_mount(from.as_raw_fd(), to.as_raw_fd()).map(drop)
}

/// Whether this kernel knows [`set_group`].
#[must_use]
pub fn can_set_group() -> bool {
    // An unknown flag is refused before a bad descriptor is.
    move_mount(-1, -1) == Err(Errno::EBADF)
}

fn move_mount(from: c_int, to: c_int) -> Result<libc::c_long, Errno> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_SET_GROUP;
    // SAFETY: both paths are NUL-terminated; a bad descriptor is an error.
    Errno::result(unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, c"".as_ptr(), flags) })
}

/// What a mount may become by [`set_propagation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPropagation {
    Private,
    Slave,
}

/// The one mount that `mount` is the root of; of a mount of the caller's namespace, or of one that is attached nowhere.
///
/// # Errors
/// `EINVAL`: no mount's root, or of another namespace. `ENOSYS` before 5.12.
pub fn set_propagation(mount: BorrowedFd, propagation: NewPropagation) -> Result<(), Errno> {
    let propagation = if propagation == NewPropagation::Private { libc::MS_PRIVATE } else { libc::MS_SLAVE };
    let attributes = libc::mount_attr { attr_set: 0, attr_clr: 0, propagation, userns_fd: 0 };
    let size = size_of_val(&attributes);
    // SAFETY: `attributes` has the size that is told, and the path is NUL-terminated.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, &raw const attributes, size) };
    Errno::result(result).map(drop)
}

/// What a handle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The mount, by its id in mountinfo. As long as the handle is open, no other mount gets this id.
    pub mount: u32,
    /// It is the root of that mount, and not just a file in it.
    pub is_root: bool,
    pub is_dir: bool,
}

/// Asks about an open file, which may be an `O_PATH` handle; waits for no file server.
///
/// # Errors
/// The errno of statx(2); `ENOSYS` before 5.8.
pub fn held(file: BorrowedFd) -> Result<Held, Errno> {
    let (flags, mask) = (libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC, libc::STATX_TYPE | libc::STATX_MNT_ID);
    // SAFETY: all-zero is a valid `statx`; the kernel writes at most one of it, and the path is NUL-terminated.
    let (result, stat) = unsafe {
        let mut stat: libc::statx = std::mem::zeroed();
        (libc::statx(file.as_raw_fd(), c"".as_ptr(), flags, mask, &raw mut stat), stat)
    };
    Errno::result(result)?;
    if stat.stx_mask & libc::STATX_MNT_ID == 0 {
        return Err(Errno::ENOSYS);
    }
    let mount = u32::try_from(stat.stx_mnt_id).map_err(|_| Errno::EOVERFLOW)?;
    let is_root = stat.stx_attributes & u64::from(libc::STATX_ATTR_MOUNT_ROOT.unsigned_abs()) != 0;
    Ok(Held { mount, is_root, is_dir: u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFDIR })
}
