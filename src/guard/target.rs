//! What `holders` and `release` are asked about: a path or a device, mounted or not, looked at without waiting for a dead file server.

use crate::copies::Target;
use crate::deadline;
use crate::mountinfo::line::Tree;
use crate::paths;
use anyhow::bail;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, major, minor, stat};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A name for what is looked for, and what is known of it.
#[derive(Debug)]
pub struct Wanted {
    pub path: PathBuf,
    pub target: Target,
    /// It is a block device.
    pub is_device: bool,
}

/// How long a path may take to be resolved.
const PATIENCE: Duration = Duration::from_secs(2);

/// The target that `path` names; `host` is our own mount table.
///
/// # Errors
/// The working directory is unknown, or the path is that of a character device or the like.
pub fn of_path(path: &Path, host: &Tree<'_, '_>) -> anyhow::Result<Wanted> {
    let absolute = if path.is_absolute() { path.to_owned() } else { std::env::current_dir()?.join(path) };
    let spelt = paths::lexical(Path::new("/"), &absolute);
    // A mountpoint is known by the table alone.
    if host.holder(&spelt).is_some_and(|line| line.path() == spelt) {
        return Ok(Wanted { target: Target::of_path(host, &spelt), path: spelt, is_device: false });
    }
    let resolved = deadline::within(PATIENCE, move || resolve(&absolute)).unwrap_or(Resolved::Path(spelt));
    match resolved {
        Resolved::Device(device, name) => Ok(Wanted { target: Target::of_device(device, name), path: path.to_owned(), is_device: true }),
        Resolved::Path(path) => Ok(Wanted { target: Target::of_path(host, &path), path, is_device: false }),
        Resolved::Other(path) => bail!("look at {}: ENOTBLK; name a directory, a file or a block device", path.display()),
        Resolved::Unknown(path, errno) => bail!("look at {}: {errno:?}; whether it is a device is not known", path.display()),
    }
}

enum Resolved {
    Device((u32, u32), PathBuf),
    Path(PathBuf),
    Other(PathBuf),
    Unknown(PathBuf, Errno),
}

/// As the kernel spells it; of a path that is gone, as much as is left.
fn resolve(path: &Path) -> Resolved {
    #[allow(clippy::disallowed_methods)] // compared with mount tables, never opened
    let canonical = |path: &Path| path.canonicalize();
    let spelt = match canonical(path) {
        Ok(path) => path,
        Err(_) => match (path.parent().map(canonical), path.file_name()) {
            (Some(Ok(parent)), Some(name)) => parent.join(name),
            _ => paths::lexical(Path::new("/"), path),
        },
    };
    let facts = match stat(&spelt) {
        Ok(facts) => facts,
        // Gone, or in what a dead server left: no device in any case.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENOTCONN | Errno::ESTALE | Errno::EHOSTDOWN) => return Resolved::Path(spelt),
        Err(errno) => return Resolved::Unknown(spelt, errno),
    };
    match SFlag::from_bits_truncate(facts.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFBLK => {
            let number = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
            Resolved::Device((number(major(facts.st_rdev)), number(minor(facts.st_rdev))), spelt)
        }
        SFlag::S_IFCHR => Resolved::Other(spelt),
        _ => Resolved::Path(spelt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::staging;

    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_a_path() {
        let answer = |errno: Option<Errno>| {
            let work = move || {
                if let Some(errno) = errno {
                    staging::refuse(&[libc::SYS_newfstatat, libc::SYS_fstat], errno);
                }
                resolve(Path::new("/dev/null"))
            };
            std::thread::spawn(work).join().unwrap()
        };
        assert!(matches!(answer(None), Resolved::Other(_)), "the control");
        assert!(matches!(answer(Some(Errno::EIO)), Resolved::Unknown(_, Errno::EIO)));
        assert!(matches!(answer(Some(Errno::ENOTCONN)), Resolved::Path(_)));
    }
}
