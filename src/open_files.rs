//! Which processes have files open in a mount, by the mount's id and never by looking at the mount.
//!
//! Descriptors by the id that `/proc/P/fdinfo/N` tells. Working directory, root and mapped files by a handle on the link in /proc (`O_PATH`), whose
//! own fdinfo tells the id: no path is walked and no file is looked at, so a FUSE server is never asked. NFS may ask its server even so (whether
//! a directory that was removed is still there), and a process' list of mapped files can wait for the process; so a look has a time limit, and a
//! process for which it ends is told with the word [`NO_ANSWER`].
//!
//! Not seen: descriptors, working directory and root of a thread that has its own (`unshare(CLONE_FILES)`; /proc/P shows the first thread's),
//! sockets bound to a path, swap files, and images behind loop devices. A mapped file of an overlay may be listed with the device of the layer
//! below it (older kernels), so where an overlay is among the wanted mounts each mapped file is asked for its mount.

mod process;

use crate::deadline;
use crate::paths::lossy;
use crate::workload::process as workload_process;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `how` of a process that could not be looked at in time. It may have anything open.
pub const NO_ANSWER: &str = "no answer";

/// For all processes together, and then, if that was not enough, for each.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(200));

/// One use of a mount by a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenFile {
    pub pid: i32,
    pub command: String,
    /// `fd 7`, `cwd`, `root`, `mapped`, or [`NO_ANSWER`].
    pub how: String,
    /// As the process sees it.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// The mount, by its id in mountinfo.
    pub mount_id: u32,
}

/// The uses of the mounts `mount_ids` by all processes whose mount namespace has the inode `namespace`.
#[must_use]
pub fn of_mounts(namespace: u64, mount_ids: &[u32]) -> Vec<OpenFile> {
    of_namespaces(&BTreeMap::from([(namespace, mount_ids.to_vec())]))
}

/// The same for several namespaces in one pass over the processes; a mount's id is the same number nowhere else.
#[must_use]
pub fn of_namespaces(mount_ids: &BTreeMap<u64, Vec<u32>>) -> Vec<OpenFile> {
    let mut members: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
    for pid in workload_process::all() {
        if let Some(namespace) = workload_process::mount_namespace(pid).filter(|inode| mount_ids.contains_key(inode)) {
            members.entry(namespace).or_default().push(pid);
        }
    }
    let groups = members.into_iter().map(|(namespace, pids)| (pids, mount_ids[&namespace].clone())).collect();
    looked_at(groups, process::uses)
}

/// The uses of the mounts by processes in other namespaces than `namespaces`: descriptors that were handed over, or kept by one that has left.
#[must_use]
pub fn from_elsewhere(namespaces: &[u64], mount_ids: &[u32]) -> Vec<OpenFile> {
    let is_elsewhere = |pid: &i32| workload_process::mount_namespace(pid).is_some_and(|inode| !namespaces.contains(&inode));
    let pids = workload_process::all().into_iter().filter(is_elsewhere).collect();
    looked_at(vec![(pids, mount_ids.to_vec())], process::uses_by_handle)
}

/// Processes, and the mounts that matter to them.
type Group = (Vec<i32>, Vec<u32>);
type Look = fn(&[i32], &[u32]) -> Vec<OpenFile>;

fn looked_at(groups: Vec<Group>, look: Look) -> Vec<OpenFile> {
    looked_at_within(PATIENCE, groups, look)
}

fn looked_at_within(patience: (Duration, Duration), groups: Vec<Group>, look: Look) -> Vec<OpenFile> {
    let groups = Arc::new(groups);
    let all = Arc::clone(&groups);
    let together = move || all.iter().flat_map(|(pids, ids)| look(pids, ids)).collect();
    if let Some(found) = deadline::within(patience.0, together) {
        return found;
    }
    let each = groups.iter().flat_map(|(pids, ids)| pids.iter().map(move |pid| (*pid, ids.clone())));
    each.flat_map(|(pid, ids)| {
        let first = ids.first().copied().unwrap_or_default();
        deadline::within(patience.1, move || look(&[pid], &ids)).unwrap_or_else(|| vec![without_answer(pid, first)])
    })
    .collect()
}

fn without_answer(pid: i32, mount_id: u32) -> OpenFile {
    OpenFile { pid, command: workload_process::command(pid), how: NO_ANSWER.to_owned(), path: PathBuf::new(), mount_id }
}

#[cfg(test)]
mod tests;
