//! What CRIU or the runtime stumbles over besides missing mountpoints.

use super::{NAME, created, notice};
use crate::host::restore::RestoreView;
use crate::mountpoint::{Found, Kind};
use crate::plan::{Action, Change, Creation, Level, Step};
use crate::rules::Facts;
use std::path::{Path, PathBuf};

/// Of /tmp: the sticky bit, for everybody.
const TMP_MODE: u32 = 0o1777;

pub(super) fn steps(facts: &Facts<'_>, view: &RestoreView) -> Vec<Step> {
    if view.rootfs_is_missing {
        let why = format!("look at the root file system {}: ENOENT; no mountpoint in it is prepared", view.rootfs.display());
        return vec![notice(why)];
    }
    [tmp(facts, view), shadow_markers(facts, view), stale_criu_root(view)].into_iter().flatten().collect()
}

fn step(why: &str, action: Action) -> Step {
    Step { rule: NAME, level: Level::Info, why: why.to_owned(), action }
}

/// CRIU keeps a directory in /tmp of the new root while it pivots, and cannot make one in a read-only root (`criu/mount.c`, `cr_pivot_root`).
fn tmp(facts: &Facts<'_>, view: &RestoreView) -> Option<Step> {
    let below = PathBuf::from("tmp");
    match view.tmp.as_ref()? {
        Found::Missing { read_only: false, .. } => {
            let owner = facts.spec.root_owner();
            let change = created(&view.rootfs.join(&below), Kind::Directory, TMP_MODE, Some(owner));
            let base = view.rootfs.clone();
            let (kind, mode, parent_mode) = (Kind::Directory, TMP_MODE, TMP_MODE);
            let creation = Creation { base, recursive: true, below, kind, mode, parent_mode, owner, inodes: 1, optional: true };
            Some(step("CRIU needs a /tmp in a read-only root", Action::Create { creation, change }))
        }
        Found::Missing { .. } => {
            Some(notice("create /tmp of the root file system: EROFS; CRIU needs it there and will fail if it cannot make one".to_owned()))
        }
        _ => None,
    }
}

/// crun and old runc make the mountpoints of nested binds in the bare root file system, too, where nobody needs them and where a read-only one
/// makes them fail. They leave out what lies below a tmpfs of config.json, and read such entries for nothing else at a restore.
fn shadow_markers(facts: &Facts<'_>, view: &RestoreView) -> Option<Step> {
    if !view.rootfs_is_read_only {
        return None;
    }
    let mounts = || facts.spec.mounts.iter().zip(&facts.host.spellings);
    let holds_another = |at: &Path| mounts().any(|(_, other)| other.mountpoint != at && other.mountpoint.starts_with(at));
    let is_marked = |at: &Path| mounts().any(|(mount, other)| mount.kind() == "tmpfs" && other.mountpoint == at);
    let binds = mounts().filter(|(mount, _)| mount.is_bind()).map(|(_, spelling)| spelling.mountpoint.as_path());
    let markers: Vec<&str> = binds.filter(|at| holds_another(at) && !is_marked(at)).filter_map(Path::to_str).collect();
    let edit = facts.spec.append_tmpfs_mounts(&markers).filter(|_| !markers.is_empty())?;
    let change = Change::Mounts { appended: markers.iter().map(|at| format!("tmpfs at {at}")).collect() };
    let why = "the root file system is read-only, and the runtime would make nested mountpoints in it that nobody needs";
    Some(step(why, Action::EditSpec { change, edits: vec![edit] }))
}

/// crun makes BUNDLE/criu-root for a restore and refuses when it is there already.
fn stale_criu_root(view: &RestoreView) -> Option<Step> {
    let path = view.stale_criu_root.clone()?;
    let change = Change::Removed { removed: path.to_string_lossy().into_owned() };
    Some(step("a restore that was killed left it behind, and crun would refuse it", Action::RemoveDirectory { path, change }))
}
