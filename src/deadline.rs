//! Work that may never end: a look into a mount whose server is dead (FUSE, hard NFS) waits for ever, and there is no system call to look with a
//! time limit.
//!
//! A thread and not a child process: the pid is what the engine waits for, a child would be a process more for it to see, and umask, working
//! directory and file system ids are attributes of a thread on Linux. A thread that waits for a dead server is ended by execve(2): such a wait is
//! killable (FUSE; NFS since Linux 2.6.25). Only a thread in a wait that no signal ends (a failing disk) would hold execve up, too.

use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use std::sync::mpsc::{self, SendError};
use std::thread;
use std::time::Duration;

/// As Rust's own default. Said here, because otherwise the variable `RUST_MIN_STACK` of the caller's environment decides.
const STACK_BYTES: usize = 2 << 20;

/// Runs `work` with umask 0 and waits for it, at most `limit`. `None`: it has not finished. It then goes on in the background until this process
/// calls execve(2) or exits, so it must own what it works on, and nothing may build upon what it leaves behind.
///
/// `work` has a thread of its own, whose umask and working directory are its own too: unshare(2), `CLONE_FS`, which needs no right. So nothing of
/// the calling thread changes, whatever `work` does to its umask, working directory, file system ids or capabilities. Where a thread cannot be had
/// (limits, a seccomp filter), `work` runs here, without a limit, and the umask is put back; other attributes are then for `work` to put back.
///
/// `T` should be plain data: what is left to close in it is closed by the caller, without a limit.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    // Without a buffer: the work is handed over when the thread is ready to take it, or comes back.
    let (hand_over, take) = mpsc::sync_channel(0);
    let (finish, finished) = mpsc::channel();
    let serve = move || {
        unshare(CloneFlags::CLONE_FS).ok()?;
        let work: Box<dyn FnOnce() -> T + Send> = take.recv().ok()?;
        umask(Mode::empty());
        finish.send(work()).ok()
    };
    // A thread that did not start has dropped `take`, as one that could not be set apart has.
    drop(thread::Builder::new().stack_size(STACK_BYTES).spawn(serve));
    match hand_over.send(Box::new(work)) {
        Ok(()) => finished.recv_timeout(limit).ok(),
        Err(SendError(work)) => Some(here(work)),
    }
}

fn here<T>(work: impl FnOnce() -> T) -> T {
    struct Umask(Mode);
    impl Drop for Umask {
        fn drop(&mut self) {
            umask(self.0);
        }
    }
    let _before = Umask(umask(Mode::empty()));
    work()
}

#[cfg(test)]
mod tests;
