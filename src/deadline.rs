//! Work that may never end: a look into a mount whose server is dead (FUSE, hard NFS) waits for ever, and there is no system call to look with a
//! time limit.
//!
//! Before the runtime runs, such work has a process of its own: a file server that has taken a question and never answers it keeps the asker in a
//! wait that not even SIGKILL ends (fuse(4): `request_wait_answer`), and execve(2) waits for every other thread of the process. The process is one
//! that the runtime does not notice, and holds nothing that somebody could wait for. The operator's commands, which become nothing else, ask in a
//! thread ([`within`]), and end without it.

use crate::in_namespace::read_until;
use crate::kernel::process::fork_unseen;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{PipeWriter, Write};
use std::panic::PanicHookInfo;
use std::sync::mpsc::{self, SendError};
use std::thread;
use std::time::{Duration, Instant};

/// Why work in a process of its own has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It has not ended in time. It was killed, and has ended or is in a wait that nothing ends.
    Late,
    /// Somebody has ended it.
    Killed,
}

/// Runs `work` with umask 0 in a process of its own and waits for it, at most `limit`; of a bug in it `of_panic` tells. What it does
/// to its own attributes nobody sees.
///
/// Where a process cannot be had (limits, a seccomp filter), `work` runs here, without a limit, and the umask is put back; other attributes are then
/// for `work` to put back.
///
/// # Errors
/// There is no result.
pub fn in_process<T: Serialize + DeserializeOwned>(
    limit: Duration,
    work: impl FnOnce() -> T,
    of_panic: impl Fn(&PanicHookInfo<'_>) -> T + Send + Sync + 'static,
) -> Result<T, Unfinished> {
    let Ok((mut reader, writer)) = std::io::pipe() else { return Ok(here(work)) };
    let mut handed_over = Some((work, of_panic));
    let serve = || {
        if let Some((work, of_panic)) = handed_over.take() {
            answer(&writer, work, of_panic);
        }
    };
    let started = fork_unseen(&writer, serve);
    drop(writer);
    match (started, handed_over) {
        (Ok(process), _) => {
            let (bytes, in_time) = read_until(&mut reader, Instant::now() + limit);
            end(process);
            serde_json::from_slice(&bytes).map_err(|_| if in_time { Unfinished::Killed } else { Unfinished::Late })
        }
        (Err(_), Some((work, _))) => Ok(here(work)),
        (Err(_), None) => Err(Unfinished::Killed),
    }
}

fn answer<T: Serialize>(writer: &PipeWriter, work: impl FnOnce() -> T, of_panic: impl Fn(&PanicHookInfo<'_>) -> T + Send + Sync + 'static) {
    // It ends with its parent.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    umask(Mode::empty());
    let send = |mut writer: &PipeWriter, answer: &T| drop(serde_json::to_vec(answer).map(|bytes| writer.write_all(&bytes)));
    // No hook can be set while a panic is told, which is such work, too.
    if let (false, Ok(writer)) = (thread::panicking(), writer.try_clone()) {
        std::panic::set_hook(Box::new(move |panic| {
            send(&writer, &of_panic(panic));
            #[allow(clippy::disallowed_methods)] // after a panic nothing of the work is left to go on with
            std::process::exit(1);
        }));
    }
    send(writer, &work());
}

/// By force if need be. In a wait that nothing ends it is left alone.
fn end(process: Pid) {
    let _ = kill(process, Signal::SIGKILL);
    for _ in 0..1000 {
        match waitpid(process, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_micros(200)),
            Err(nix::errno::Errno::EINTR) => {}
            _ => return,
        }
    }
}

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
