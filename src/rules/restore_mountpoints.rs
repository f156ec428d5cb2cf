//! At `restore` every mountpoint that CRIU will look for exists, of the right kind and owner; what cannot be is said before CRIU starts, all of
//! it at once. Nothing that exists is touched.

use super::Facts;
use crate::config::OnError;
use crate::container_path::Tree;
use crate::host::restore::{BindSource, RestoreView, SourceState, WantedMount};
use crate::mountpoint::{Found, Kind, Owner};
use crate::plan::{Action, Change, Creation, Level, Step};
use crate::restored_mounts::{Content, Place};
use modes::Modes;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

mod modes;
mod preparations;
mod sources;

pub(super) const NAME: &str = "restore-mountpoints";

/// Of one restore: no container has a tenth of that, a forged image could.
const MOST_INODES: usize = 4096;

pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    facts.host.restore.as_ref().filter(|_| facts.is_restore()).map_or_else(Vec::new, |view| steps_of_restore(facts, view))
}

#[cold]
#[inline(never)]
fn steps_of_restore(facts: &Facts<'_>, view: &RestoreView) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(why) = &view.image_problem {
        let unseen = "only mountpoints that config.json lists are prepared, not those of mounts that the container's own processes made";
        steps.push(notice(format!("read the checkpoint image: {why}; {unseen}")));
    }
    steps.extend(sources::steps(facts, view));
    let mut inodes = 0;
    let mut planned: HashSet<PathBuf> = HashSet::new();
    for wanted in &view.mounts {
        let Some(found) = mountpoint_step(facts, view, wanted) else { continue };
        if let Action::Create { creation, .. } = &found.action {
            let place = creation.base.join(&creation.below);
            if !planned.insert(place) {
                continue;
            }
            inodes += creation.inodes;
        }
        if inodes > MOST_INODES {
            let mountpoint = wanted.mount.mountpoint.display();
            steps.push(notice(format!("create mountpoints: the restore needs more than {MOST_INODES}; {mountpoint} and all after it are left out")));
            break;
        }
        steps.push(found);
    }
    steps.extend(view.mounts.iter().filter(|wanted| wanted.mount.unmapped).map(unmapped));
    steps.extend(preparations::steps(facts, view));
    steps
}

fn notice(why: String) -> Step {
    Step { rule: NAME, level: Level::Warning, why, action: Action::Notice }
}

/// Fails the call, or is told when the settings leave the rest to CRIU.
fn refuse(facts: &Facts<'_>, why: String) -> Step {
    let action = if facts.config.on_error_of(NAME) == OnError::Fail { Action::Refuse } else { Action::Notice };
    Step { action, ..notice(why) }
}

fn unmapped(wanted: &WantedMount) -> Step {
    let mountpoint = wanted.mount.mountpoint.display();
    notice(format!("{mountpoint}: the image has it as an external mount, and config.json has no bind there: CRIU will find no mapping for it"))
}

/// What is to be done for one mount. `None`: nothing to do and nothing to say.
#[must_use]
pub fn mountpoint_step(facts: &Facts<'_>, view: &RestoreView, wanted: &WantedMount) -> Option<Step> {
    let place = wanted.mount.place.as_ref()?;
    let (path, found) = wanted.site.as_ref()?;
    let root = Root::of(facts, view, place.tree)?;
    let says = |there: String, cure: &str| {
        let (mountpoint, path) = (wanted.mount.mountpoint.display(), path.display());
        let needed = wanted.kind.map_or("a directory or a file".to_owned(), |kind| format!("a {kind}"));
        Some(refuse(facts, format!("{mountpoint}: {needed} is needed at {path}, {there} ({cure})")))
    };
    match (found, wanted.kind) {
        (Found::Is(_), None) => None,
        (Found::Is(is), Some(needs)) if *is == needs => None,
        (Found::Is(is), _) => says(format!("where a {is} is"), "move it away, or bind another source"),
        (Found::Symlink(at), _) => says(format!("and {} is a symlink", root.path.join(at).display()), "put the thing itself there"),
        (Found::NotADirectory(at), _) => says(format!("and {} is no directory", root.path.join(at).display()), "move it away"),
        (Found::OtherMount(at), _) => {
            says(format!("beneath what is mounted at {}", root.path.join(at).display()), "unmount that, or run with CAP_SYS_ADMIN")
        }
        (Found::Unreadable(at, errno), _) => {
            let at = if at.as_os_str().is_empty() { root.path.to_owned() } else { root.path.join(at) };
            Some(notice(format!("look at {}: {errno:?}; the mountpoint of {} is not prepared", at.display(), wanted.mount.mountpoint.display())))
        }
        (Found::Missing { .. }, _) if root.waits_for_its_source => None,
        // Its own source is missing, and that has been said; with the source one will know what is needed.
        (Found::Missing { .. }, None) if is_on_missing_source(view, wanted) => None,
        (Found::Missing { read_only: true, .. }, _) => {
            says("where nothing is and nothing can be made: EROFS".to_owned(), "create it there, or make that writable")
        }
        (Found::Missing { .. }, _) if in_kernel_tree(path) => says("where nothing is".to_owned(), "nothing is created in /proc, /sys and /dev"),
        (Found::Missing { .. }, _) if !wanted.mount.listed && !facts.config.restore.create_from_image => {
            says("where nothing is; only the image asks for it".to_owned(), "create it, or set create_from_image")
        }
        (Found::Missing { .. }, _) if !wanted.mount.listed && root.read_only => {
            says("where nothing is; only the image asks for it, and the bind is read-only".to_owned(), "create it")
        }
        (Found::Missing { .. }, None) => says("where nothing is, and the image does not tell which of the two".to_owned(), "create it"),
        (Found::Missing { components, .. }, Some(kind)) => Some(create(facts, &root, wanted, place, kind, *components)),
    }
}

fn is_on_missing_source(view: &RestoreView, wanted: &WantedMount) -> bool {
    let Content::External { mount: Some(index), .. } = wanted.mount.content else { return false };
    !matches!(view.sources.get(index), Some(Some(BindSource { state: SourceState::Is(_), .. })))
}

fn in_kernel_tree(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"].iter().any(|tree| path.starts_with(tree))
}

fn create(facts: &Facts<'_>, root: &Root<'_>, wanted: &WantedMount, place: &Place, kind: Kind, inodes: usize) -> Step {
    let Modes { mountpoint: mode, parents: parent_mode } = modes::of(facts, wanted, kind);
    let Root { path, owner, .. } = *root;
    let (below, recursive) = (place.below.clone(), place.is_recursive());
    let change = created(&path.join(&below), kind, mode, Some(owner));
    let creation = Creation { base: path.to_owned(), recursive, below, kind, mode, parent_mode, owner, inodes, optional: false };
    let why = format!("{}: CRIU will look for its mountpoint, which is missing", wanted.mount.mountpoint.display());
    Step { rule: NAME, level: Level::Info, why, action: Action::Create { creation, change } }
}

/// What is told of something created; without an owner it is the caller.
pub(super) fn created(path: &Path, kind: Kind, mode: u32, owner: Option<Owner>) -> Change {
    let owner = owner.map_or("caller".to_owned(), |owner| format!("{}:{}", owner.uid, owner.gid));
    Change::Created { created: path.to_string_lossy().into_owned(), kind, mode: format!("{mode:04o}"), owner }
}

/// The tree in which a mountpoint lies, on the host.
struct Root<'a> {
    path: &'a Path,
    read_only: bool,
    /// Whom the container sees as root there.
    owner: Owner,
    /// It is missing itself, and that has been said.
    waits_for_its_source: bool,
}

impl<'a> Root<'a> {
    fn of(facts: &Facts<'_>, view: &'a RestoreView, tree: Tree) -> Option<Root<'a>> {
        let owner = facts.spec.root_owner();
        match tree {
            Tree::Fresh => None,
            Tree::Rootfs if view.rootfs_is_missing => None,
            Tree::Rootfs => Some(Root { path: &view.rootfs, read_only: false, owner, waits_for_its_source: false }),
            Tree::Source(index) => {
                let BindSource { path, state, read_only } = view.sources.get(index)?.as_ref()?;
                let owner = facts.spec.root_owner_in(facts.spec.mounts.get(index)?);
                let is_missing = !matches!(state, SourceState::Is(_));
                let waits_for_its_source = is_missing && !sources::is_created(facts, view, index);
                Some(Root { path, read_only: *read_only, owner, waits_for_its_source })
            }
        }
    }
}

#[cfg(test)]
mod tests;
