//! One sysctl: read whether it is off, switch it on. Only a regular file of procfs, reached without a final symlink, is ever written
//! (CVE-2019-16884 and its kin redirect writes meant for /proc).

use nix::errno::Errno;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `fs.may_detach_mounts`, when the running kernel can have it: a patch of RHEL and CentOS 7 to Linux 3.10. Newer kernels are told apart by their
/// release, which costs a tenth of a failing look-up in procfs.
#[must_use]
pub fn may_detach_mounts() -> Option<&'static Path> {
    let kernel = nix::sys::utsname::uname().ok()?;
    kernel.release().as_bytes().starts_with(b"3.").then_some(Path::new("/proc/sys/fs/may_detach_mounts"))
}

/// `path`, if the file is there and reads 0.
#[must_use]
pub fn read_disabled(path: &Path) -> Option<PathBuf> {
    let mut file = open(OpenOptions::new().read(true), path).ok()?;
    let mut value = [0_u8; 16];
    let length = file.read(&mut value).ok()?;
    (value[..length].trim_ascii() == b"0").then(|| path.to_owned())
}

/// Writes 1.
///
/// # Errors
/// The errno of open(2) or write(2); `EXDEV` when the file is not on procfs.
pub fn enable(path: &Path) -> Result<(), Errno> {
    open(OpenOptions::new().write(true), path)?.write_all(b"1").map_err(|error| errno(&error))
}

fn open(options: &mut OpenOptions, path: &Path) -> Result<File, Errno> {
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(|error| errno(&error))?;
    if fstatfs(&file)?.filesystem_type() == PROC_SUPER_MAGIC { Ok(file) } else { Err(Errno::EXDEV) }
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    // /proc/thread-self/comm is a procfs file that reads back what was written, and harms nobody.
    const SEAM: &str = "/proc/thread-self/comm";

    #[test]
    fn what_reads_zero_is_enabled_once() {
        let seam = Path::new(SEAM);
        assert_eq!(read_disabled(seam), None, "a thread's name is not 0");
        OpenOptions::new().write(true).open(seam).unwrap().write_all(b"0").unwrap();
        assert_eq!(read_disabled(seam), Some(seam.to_owned()));
        enable(seam).unwrap();
        assert_eq!(std::fs::read_to_string(seam).unwrap(), "1\n");
        assert_eq!(read_disabled(seam), None);
    }

    #[test]
    fn only_procfs_is_written_and_no_symlink_followed() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        std::fs::copy("/proc/self/coredump_filter", &plain).unwrap();
        OpenOptions::new().write(true).truncate(true).open(&plain).unwrap().write_all(b"0").unwrap();
        assert_eq!(read_disabled(&plain), None);
        assert_eq!(enable(&plain), Err(Errno::EXDEV));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(SEAM, &link).unwrap();
        assert_eq!(enable(&link), Err(Errno::ELOOP));
        assert_eq!(read_disabled(Path::new("/proc/sys/fs/no_such_sysctl")), None);
    }
}
