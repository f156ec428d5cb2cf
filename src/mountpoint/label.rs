//! The SELinux label of what is created: that of the directory it is created in.
//!
//! Without this, the policy's transition rule for *our* domain decides, and a container could be denied its own mountpoint.

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use xattr::FileExt;

/// Where a label is read and where it takes effect.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    /// The extended attribute of a directory.
    pub xattr: &'a str,
    /// The file of procfs that takes the label for what this thread creates from now on; see proc_pid_attr(5).
    pub fscreate: &'a Path,
}

impl Labels<'static> {
    pub fn selinux() -> Labels<'static> {
        Labels { xattr: "security.selinux", fscreate: Path::new("/proc/thread-self/attr/fscreate") }
    }
}

/// What this thread creates has a certain label as long as this value lives.
pub struct Inherited(File);

impl Inherited {
    /// The label of `directory`, which may be an `O_PATH` handle. `None`: it has none, or none can be set. Then the policy's default counts, as it
    /// does when the runtimes create a mountpoint. That is no reason to fail: a mountpoint's own label is covered by what is mounted there.
    pub fn from(directory: impl AsFd, labels: Labels) -> Option<Inherited> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // fgetxattr(2) refuses O_PATH.
        let directory = File::from(openat(directory, ".", flags, Mode::empty()).ok()?);
        let label = directory.get_xattr(labels.xattr).ok()??;
        let mut fscreate = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(labels.fscreate).ok()?;
        let is_procfs = fstatfs(&fscreate).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC);
        // The kernel takes a label in one piece.
        (is_procfs && fscreate.write(&label).is_ok()).then_some(Inherited(fscreate))
    }
}

impl Drop for Inherited {
    fn drop(&mut self) {
        // An empty write is what takes the label back. It can fail only where the same file has just taken one.
        let _ = self.0.write(b"");
    }
}
