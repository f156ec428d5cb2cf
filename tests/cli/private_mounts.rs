//! Mounts of one test's own: this thread, and what it starts, get a mount namespace that ends with them.

use crate::node::Node;
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

/// The mounts made here, taken away when dropped: with one test thread, the next test runs in the same namespace.
pub struct PrivateMounts(Vec<PathBuf>);

impl PrivateMounts {
    pub fn new() -> PrivateMounts {
        // SAFETY: for this thread only.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0, "unshare, as root: {}", io::Error::last_os_error());
        let mounts = PrivateMounts(Vec::new());
        mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "");
        mounts
    }

    /// As on a real node: what holds the protected root is shared, and the container's root is a mount. Only so a slave has its effect.
    pub fn as_on_a_real(node: &Node) -> PrivateMounts {
        let mut mounts = PrivateMounts::new();
        mounts.shared(node.path("."));
        mounts.bind(node.path("bundle/rootfs"));
        mounts
    }

    pub fn tmpfs(&mut self, at: impl AsRef<Path>, options: &str) {
        mount("tmpfs", at.as_ref(), "tmpfs", 0, options);
        self.0.push(at.as_ref().to_owned());
    }

    /// Makes a directory a mount of itself.
    pub fn bind(&mut self, at: impl AsRef<Path>) {
        mount(at.as_ref().to_str().unwrap(), at.as_ref(), "", libc::MS_BIND, "");
        self.0.push(at.as_ref().to_owned());
    }

    /// Shows `source` at `at`.
    pub fn bind_to(&mut self, source: impl AsRef<Path>, at: impl AsRef<Path>) {
        mount(source.as_ref().to_str().unwrap(), at.as_ref(), "", libc::MS_BIND, "");
        self.0.push(at.as_ref().to_owned());
    }

    pub fn read_only(&mut self, at: impl AsRef<Path>) {
        self.bind(&at);
        mount("none", at.as_ref(), "", libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY, "");
    }

    pub fn shared(&mut self, at: impl AsRef<Path>) {
        self.bind(&at);
        mount("none", at.as_ref(), "", libc::MS_SHARED, "");
    }
}

impl Drop for PrivateMounts {
    fn drop(&mut self) {
        for at in self.0.iter().rev() {
            let path = CString::new(at.as_os_str().as_encoded_bytes()).unwrap();
            // SAFETY: a NUL-terminated path.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
    }
}

fn mount(source: &str, at: &Path, kind: &str, flags: libc::c_ulong, options: &str) {
    let text = |text: &str| CString::new(text).unwrap();
    let (source, path, kind, data) = (text(source), text(at.to_str().unwrap()), text(kind), text(options));
    // SAFETY: NUL-terminated strings.
    let result = unsafe { libc::mount(source.as_ptr(), path.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    assert_eq!(result, 0, "mount {}: {}", at.display(), io::Error::last_os_error());
}
