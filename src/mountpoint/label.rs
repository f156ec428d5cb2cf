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

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::mountpoint::tests::scratch::{DIRECTORY, Tree};
    use std::fs;
    use std::sync::mpsc;

    // A thread's name is a file of procfs that reads back what was written, and an empty write empties it: as fscreate does.
    const SEAM: &str = "/proc/thread-self/comm";

    fn labels(fscreate: &Path) -> Labels<'_> {
        Labels { xattr: "user.runc-guard.label", fscreate }
    }

    fn name_of_this_thread() -> String {
        fs::read_to_string(SEAM).unwrap().trim_end().to_owned()
    }

    fn handle(path: &Path) -> File {
        OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).unwrap()
    }

    #[test]
    pub fn the_label_of_a_directory_is_set_and_taken_back() {
        let tree = Tree::new();
        let directory = tree.make_dirs("labelled");
        xattr::set(&directory, "user.runc-guard.label", b"container_t:s0").unwrap();
        let seam = labels(Path::new(SEAM));
        let inherited = Inherited::from(handle(&directory), seam);
        assert_eq!((inherited.is_some(), name_of_this_thread().as_str()), (true, "container_t:s0"));
        drop(inherited);
        assert_eq!(name_of_this_thread(), "", "taken back");
    }

    /// Creates a long row of directories, and says whether, while some were made and others not, the thread that makes them had the label.
    fn is_labelled_while_creating(tree: &Tree, round: usize) -> bool {
        let below = format!("labelled/{round}{}", "/n".repeat(500));
        let (first, last) = (tree.path(&format!("labelled/{round}")), tree.path(&below));
        let (tell, told) = mpsc::channel();
        let mut seen = false;
        std::thread::scope(|scope| {
            let create = || {
                tell.send(nix::unistd::gettid()).unwrap();
                assert_eq!(tree.base().ensure(Path::new(&below), &DIRECTORY, labels(Path::new(SEAM))), Ok(true));
                assert_eq!(name_of_this_thread(), "", "taken back");
            };
            let creator = scope.spawn(create);
            let comm = format!("/proc/self/task/{}/comm", told.recv().unwrap());
            while !seen && !creator.is_finished() {
                let name = if first.exists() { fs::read_to_string(&comm).unwrap_or_default() } else { String::new() };
                seen = name == "container_t:s0\n" && !last.exists();
            }
        });
        seen
    }

    #[test]
    pub fn the_label_is_there_while_something_is_created() {
        let tree = Tree::new();
        xattr::set(tree.make_dirs("labelled"), "user.runc-guard.label", b"container_t:s0").unwrap();
        assert!((0..50).any(|round| is_labelled_while_creating(&tree, round)));
    }

    #[test]
    fn a_directory_without_a_label_changes_nothing() {
        let tree = Tree::new();
        let before = name_of_this_thread();
        assert_ne!(before, "");
        assert!(Inherited::from(handle(&tree.source()), labels(Path::new(SEAM))).is_none());
        assert_eq!(tree.base().ensure(Path::new("a"), &DIRECTORY, labels(Path::new(SEAM))), Ok(true));
        assert_eq!(name_of_this_thread(), before, "nothing written, nothing taken back");
    }

    #[test]
    fn only_procfs_takes_a_label_and_none_is_no_error() {
        let tree = Tree::new();
        xattr::set(tree.source(), "user.runc-guard.label", b"container_t:s0").unwrap();
        let plain = tree.outside().join("fscreate");
        fs::write(&plain, "untouched").unwrap();
        let link = tree.outside().join("link");
        std::os::unix::fs::symlink(SEAM, &link).unwrap();
        let before = name_of_this_thread();
        for (number, fscreate) in [plain.as_path(), &link, Path::new("/proc/thread-self/no-such-file")].into_iter().enumerate() {
            assert!(Inherited::from(handle(&tree.source()), labels(fscreate)).is_none());
            assert_eq!(tree.base().ensure(Path::new(&number.to_string()), &DIRECTORY, labels(fscreate)), Ok(true));
        }
        assert_eq!(fs::read(plain).unwrap(), b"untouched");
        assert_eq!(name_of_this_thread(), before);
    }
}
