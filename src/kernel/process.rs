//! Children, because a mount namespace is entered by one alone, and because no wait for a dead file server may hold up its parent; their descriptors,
//! and the signals of writing.

use nix::dir::{Dir, Entry};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, Pid};
use std::ffi::{c_int, c_uint};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// Does `work` in a child, which then ends with the status that `work` returns, without the parent's clean-ups. Returns in the parent only.
///
/// # Errors
/// The errno of fork(2).
pub fn fork(work: impl FnOnce() -> c_int) -> Result<Pid, Errno> {
    wait_for_threads();
    // SAFETY: another thread, if there still is one, waits in the kernel for a dead file server and holds no lock; those of the allocator the C
    // library frees in the child.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
            // SAFETY: ends the process at once; nothing of the parent's is flushed twice.
            unsafe { libc::_exit(status) }
        }
    }
}

/// As [`fork`], of a child that the program which this process becomes will not notice: its end sends no signal, and only a wait(2) that asks for
/// such children (`__WALL`) sees it. Nobody who waits for the end of a pipe, a socket or a terminal waits for it: `instead` takes their place.
///
/// # Errors
/// The errno of clone(2).
pub fn fork_unseen(instead: impl AsFd, work: impl FnOnce()) -> Result<Pid, Errno> {
    wait_for_threads();
    // SAFETY: without flags clone(2) is fork(2) without a signal at the end; this is the only thread (see [`fork`]), so no lock is held in the child.
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) })?;
    if pid == 0 {
        replace_what_ends(instead.as_fd().as_raw_fd());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
        // SAFETY: as in [`fork`].
        unsafe { libc::_exit(c_int::from(panicked)) }
    }
    Ok(Pid::from_raw(c_int::try_from(pid).map_err(|_| Errno::EOVERFLOW)?))
}

/// Files and directories stay: a path may lead through their descriptors.
fn replace_what_ends(instead: c_int) {
    const MOST: c_int = 4096;
    // Not the standard library's, which panics when a directory cannot be closed.
    let listed = Dir::open("/proc/self/fd", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let number = |entry: Entry| entry.file_name().to_str().ok()?.parse().ok();
    // Without /proc: those of an engine all the same.
    let open: Vec<c_int> = listed.map_or_else(|_| (0..MOST).collect(), |listed| listed.into_iter().flatten().filter_map(number).collect());
    for fd in open.into_iter().filter(|fd| *fd != instead) {
        // SAFETY: all-zero is a valid `stat`, which the kernel fills; whoever owned the descriptor never runs again in this process.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            let is_open = libc::fstat(fd, &raw mut stat) == 0;
            if is_open && (matches!(stat.st_mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFSOCK) || libc::isatty(fd) == 1) {
                libc::dup2(instead, fd);
            }
        }
    }
}

/// Closes every descriptor of this process but one.
pub fn close_all_but(kept: c_int) {
    // Where close_range(2) is not known (Linux 5.9), those of an engine all the same.
    const MOST: c_int = 4096;
    let kept = kept.unsigned_abs();
    for (first, last) in [(0, kept.wrapping_sub(1)), (kept + 1, c_uint::MAX)].into_iter().filter(|(first, last)| first <= last) {
        // SAFETY: whoever owned the descriptors never runs again in this process.
        unsafe {
            if libc::syscall(libc::SYS_close_range, first, last, 0) == -1 {
                for fd in first..=last.min(MOST.unsigned_abs()) {
                    libc::close(fd.cast_signed());
                }
            }
        }
    }
}

/// Gives the standard descriptors up, for a child that writes to none of them.
pub fn release_stdio() {
    // SAFETY: plain calls; nothing in this program owns a standard descriptor.
    (0..=2).for_each(|fd| drop(unsafe { OwnedFd::from_raw_fd(fd) }));
    super::hold_closed_stdio();
}

/// Threads that looked at something with a time limit have ended, or are about to.
fn wait_for_threads() {
    // A directory of procfs has two links and one more for each directory in it.
    let is_alone = || std::fs::symlink_metadata("/proc/self/task").map_or(true, |found| found.nlink() < 4);
    for _ in 0..100 {
        if is_alone() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Does `work`, in which a write beyond a limit (`RLIMIT_FSIZE`) or into a pipe that nobody reads is an error, and not the end of the process. The
/// signals are blocked and not ignored: what the runtime inherits stays as it was.
pub fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: all-zero is a valid set; the kernel reads and writes sets of our own, and this thread gets its mask back.
    unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        let (mut before, mut pending) = (signals, signals);
        libc::sigpending(&raw mut pending);
        // One that waited already is the caller's.
        for signal in [libc::SIGXFSZ, libc::SIGPIPE].into_iter().filter(|signal| libc::sigismember(&raw const pending, *signal) == 0) {
            libc::sigaddset(&raw mut signals, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, &raw mut before);
        let done = work();
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        while libc::sigtimedwait(&raw const signals, std::ptr::null_mut(), &raw const at_once) > 0 {}
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        done
    }
}
