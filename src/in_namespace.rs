//! One piece of work in a child process that may enter other mount namespaces: setns(2) wants a process with a working directory and a root of its
//! own, and a mount whose file server is dead may hold it up for ever, which must not hold up its parent.
//!
//! The child looks at foreign trees by open handles only, and never through a symlink: the workload owns them.

use crate::kernel::mount_groups::{self, Held};
use crate::kernel::process;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::mount::{MntFlags, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, fchdir};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// What came back of a child.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// In the order in which the child sent them; also what it sent before it was ended.
    pub messages: Vec<T>,
    /// Why it did not come to its end: one sentence.
    pub broken: Option<String>,
}

/// The way from the child to its parent.
pub struct Sender(PipeWriter);

impl Sender {
    /// Tells the parent at once: what has been done must be known even if the rest never ends.
    pub fn send(&mut self, message: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_vec(message) {
            line.push(b'\n');
            // Without a parent nobody is left to tell.
            let _ = self.0.write_all(&line);
        }
    }
}

/// Does `work` in a child, for `limit` at most; then it is killed.
///
/// # Errors
/// There is no child: the errno of pipe(2) or fork(2).
pub fn in_child<T: DeserializeOwned>(limit: Duration, work: impl FnOnce(&mut Sender)) -> Result<Answer<T>, Errno> {
    let (reader, writer) = std::io::pipe().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    let mut pipe = Some((reader, Sender(writer)));
    let child = process::fork(|| {
        let Some((reader, mut sender)) = pipe.take() else { return 1 };
        drop(reader);
        // Who reads the output of the command must not wait for a child that nothing ends.
        process::release_stdio();
        // Nobody may look into it from the inside of a container that sees the host's processes, and it ends with its parent.
        let _ = prctl::set_dumpable(false).and_then(|()| prctl::set_pdeathsig(Signal::SIGKILL));
        work(&mut sender);
        0
    })?;
    let Some((mut reader, sender)) = pipe.take() else { return Err(Errno::EBADF) };
    drop(sender);
    let end = Instant::now() + limit;
    let bytes = read_until(&mut reader, end);
    let broken = reap(child, bytes.1, end, limit);
    // A line that was torn off is no message.
    let messages = bytes.0.split_inclusive(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Ok(Answer { messages, broken })
}

/// What the child sent, and whether it closed its end in time.
pub(crate) fn read_until(reader: &mut PipeReader, end: Instant) -> (Vec<u8>, bool) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(_) if left.is_zero() => return (bytes, false),
            Ok(0) => {}
            Ok(_) => match reader.read(&mut buffer) {
                Ok(0) => return (bytes, true),
                Ok(count) => bytes.extend(&buffer[..count]),
                Err(_) => return (bytes, false),
            },
            // A signal, or no memory just now.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Waits for the child, by force if need be, but not for ever: a wait that even SIGKILL does not end is left to init.
fn reap(child: Pid, closed: bool, end: Instant, limit: Duration) -> Option<String> {
    let late = || format!("it did not end within {limit:?}, as with a file server that is dead; it was killed");
    let mut killed = false;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, 0)) if !killed => return None,
            Ok(WaitStatus::Exited(_, status)) if !killed => return Some(format!("it ended with status {status}")),
            Ok(WaitStatus::Signaled(_, signal, _)) if !killed => return Some(format!("it was ended by {signal}")),
            Ok(WaitStatus::StillAlive) if Instant::now() < end || (killed && Instant::now() < end + Duration::from_secs(1)) => {
                if !closed && !killed {
                    killed = kill(child, Signal::SIGKILL).is_ok();
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            Ok(WaitStatus::StillAlive) if !killed => killed = kill(child, Signal::SIGKILL).is_ok(),
            Err(Errno::EINTR) => {}
            _ => return Some(late()),
        }
    }
}

/// What a child takes along when it leaves its own namespace.
pub struct Journey {
    host: OwnedFd,
    proc: OwnedFd,
}

impl Journey {
    /// # Errors
    /// /proc is not there.
    pub fn begin() -> Result<Journey, Errno> {
        let host = open("/proc/self/ns/mnt", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        let proc = open("/proc", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Journey { host, proc })
    }

    /// Enters a mount namespace, at its real root, whatever its processes have made theirs.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN` and `CAP_SYS_CHROOT`.
    pub fn enter(&self, namespace: BorrowedFd) -> Result<(), Errno> {
        setns(namespace, CloneFlags::CLONE_NEWNS)
    }

    /// # Errors
    /// As [`Journey::enter`].
    pub fn return_home(&self) -> Result<(), Errno> {
        self.enter(self.host.as_fd())
    }

    /// The mount table of the namespace where we are.
    ///
    /// # Errors
    /// It could not be read.
    pub fn table(&self) -> Result<Vec<u8>, Errno> {
        let mut table = Vec::new();
        // The host's /proc: that of the container does not know us, and is the container's.
        let file = openat(&self.proc, "self/mountinfo", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        File::from(file).read_to_end(&mut table).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
        Ok(table)
    }

    /// A handle of the mount with the id `mount`, which was seen at `path`. A path may mean something else by now: then there is no handle.
    ///
    /// # Errors
    /// `ESTALE`: something else is seen there. `ELOOP`: there is a symlink on the way. Else the errno of openat2(2).
    pub fn hold(&self, path: &Path, mount: u32) -> Result<(OwnedFd, Held), Errno> {
        let handle = open_without_symlinks(path)?;
        let held = mount_groups::held(handle.as_fd())?;
        if held.mount == mount && held.is_root { Ok((handle, held)) } else { Err(Errno::ESTALE) }
    }

    /// Detaches the mount that `handle` is the root of, in the namespace where we are. What somebody mounts on it in the last moment goes first.
    ///
    /// # Errors
    /// `EINVAL`: the mount is locked, as it came from a namespace with more rights, or is not of this namespace.
    pub fn detach(&self, handle: BorrowedFd) -> Result<(), Errno> {
        fchdir(&self.proc)?;
        // There is no umountat(2), and `.` would do for directories only.
        umount2(format!("self/fd/{}", handle.as_raw_fd()).as_str(), MntFlags::MNT_DETACH)
    }
}

/// An `O_PATH` handle of an absolute path: it wakes no FIFO, no device, no automount.
///
/// # Errors
/// `ELOOP` when there is a symlink on the way, else the errno of openat2(2).
pub fn open_without_symlinks(path: &Path) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    openat2(AT_FDCWD, path, OpenHow::new().flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).resolve(resolve))
}

#[cfg(test)]
mod tests;
