//! Whether the kernel knows calls that repair mounts later. Each is made so that it fails before it does anything.

use nix::errno::Errno;
use std::ffi::c_int;

/// `MOVE_MOUNT_SET_GROUP` of move_mount(2), Linux 5.15: flags are looked at before the paths, and an empty path is `ENOENT`.
///
/// # Errors
/// `ENOSYS` before 5.2, `EPERM` without `CAP_SYS_ADMIN` or under a seccomp filter: then it is not to be told.
pub fn knows_set_group() -> Result<bool, Errno> {
    const SET_GROUP: u32 = 0x100;
    let nowhere: c_int = -1;
    // SAFETY: the paths are NUL-terminated, and nothing is moved from or to an empty path.
    let result = unsafe { libc::syscall(libc::SYS_move_mount, nowhere, c"".as_ptr(), nowhere, c"".as_ptr(), SET_GROUP) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ENOENT | Errno::EBADF) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// mount_setattr(2), Linux 5.12: its argument is refused for a size of 0.
///
/// # Errors
/// `ENOSYS` before 5.12, `EPERM` under a seccomp filter.
pub fn knows_mount_setattr() -> Result<bool, Errno> {
    let nowhere: c_int = -1;
    // SAFETY: the path is NUL-terminated, and of an argument of 0 bytes nothing is read.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, nowhere, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0_usize) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::EINVAL) => Ok(true),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_filter_refuses_is_not_told() {
        // In a thread of its own, because a filter is for ever. This machine's kernel may be any, so the control is the filter's own answer.
        let refused = std::thread::spawn(|| {
            crate::kernel::staging::refuse(&[libc::SYS_move_mount, libc::SYS_mount_setattr], Errno::ENOSYS);
            (knows_set_group(), knows_mount_setattr())
        });
        assert_eq!(refused.join().unwrap(), (Err(Errno::ENOSYS), Err(Errno::ENOSYS)));
        assert!(!matches!(knows_set_group(), Err(errno) if errno != Errno::EPERM && errno != Errno::ENOSYS), "{:?}", knows_set_group());
    }
}
