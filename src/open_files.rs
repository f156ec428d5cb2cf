//! Which processes have files open in a mount, by the mount's id and never by looking at the mount.

use serde::Serialize;
use std::path::PathBuf;

/// One use of a mount by a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenFile {
    pub pid: i32,
    pub command: String,
    /// `fd 7`, `cwd`, `root`, `mapped`.
    pub how: String,
    /// As the process sees it.
    pub path: PathBuf,
    /// The mount, by its id in mountinfo.
    pub mount_id: u32,
}

/// The uses of the mounts `mount_ids` by all processes whose mount namespace has the inode `namespace`.
#[must_use]
pub fn of_mounts(_namespace: u64, _mount_ids: &[u32]) -> Vec<OpenFile> {
    Vec::new()
}
