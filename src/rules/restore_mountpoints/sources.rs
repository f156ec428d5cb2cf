//! The sources of the binds: all that are missing are named at once, or created where the operator allows that.

use super::{NAME, created, modes, refuse};
use crate::host::restore::{BindSource, RestoreView, SourceState};
use crate::mountpoint::{Kind, Owner};
use crate::plan::{Action, Creation, Level, Step};
use crate::rules::Facts;
use std::path::{Path, PathBuf};

pub(super) fn steps(facts: &Facts<'_>, view: &RestoreView) -> Vec<Step> {
    (0..view.sources.len()).filter_map(|index| step(facts, view, index)).collect()
}

/// Whether a missing source is one that is created.
pub(super) fn is_created(facts: &Facts<'_>, view: &RestoreView, index: usize) -> bool {
    step(facts, view, index).is_some_and(|step| matches!(step.action, Action::Create { .. }))
}

fn step(facts: &Facts<'_>, view: &RestoreView, index: usize) -> Option<Step> {
    let source = view.sources.get(index)?.as_ref()?;
    let destination = &facts.spec.mounts.get(index)?.destination;
    let says = |what: &str, cure: &str| Some(refuse(facts, format!("{destination}: its bind source {} {what} ({cure})", source.path.display())));
    match &source.state {
        SourceState::Is(_) => None,
        SourceState::DanglingSymlink => says("is a symlink that leads nowhere", "create what it should lead to"),
        SourceState::Unreadable(errno) => says(&format!("cannot be looked at: {errno:?}"), "correct the path or its permissions"),
        SourceState::Missing { kind, like } => match (prefix(view, &source.path), kind) {
            (None, _) => says("is missing: ENOENT", "create it, or allow that by the setting create_sources"),
            (Some(_), None) => says("is missing: ENOENT, and nothing tells whether it was a directory or a file", "create it"),
            (Some(place), Some(kind)) => Some(create(facts, index, source, place, *kind, *like)),
        },
    }
}

/// The allowed directory above `path`, and the path below it.
fn prefix(view: &RestoreView, path: &Path) -> Option<(PathBuf, PathBuf)> {
    let below = |prefix: &PathBuf| Some((prefix.clone(), path.strip_prefix(prefix).ok()?.to_owned()));
    view.create_sources.iter().find_map(below).filter(|(_, below)| !below.as_os_str().is_empty())
}

/// Owner and mode: as set, or `like` what the container's image has there, as podman gives them to a new volume.
fn create(facts: &Facts<'_>, index: usize, source: &BindSource, place: (PathBuf, PathBuf), kind: Kind, like: Option<(Owner, u32)>) -> Step {
    let (base, below) = place;
    let mount = &facts.spec.mounts[index];
    let settings = &facts.config.restore;
    let owner = settings.create_sources_owner.or(like.map(|(owner, _)| owner)).unwrap_or_else(|| facts.spec.root_owner_in(mount));
    let mode = settings.create_sources_mode.or(like.map(|(_, mode)| mode)).unwrap_or(modes::without_runtime(kind));
    let parent_mode = modes::DIRECTORY;
    let inodes = below.components().count();
    let change = created(&source.path, kind, mode, Some(owner));
    let creation = Creation { base, recursive: true, below, kind, mode, parent_mode, owner, inodes, optional: false };
    let why = format!("{}: its bind source is missing, and create_sources allows to create it", mount.destination);
    Step { rule: NAME, level: Level::Info, why, action: Action::Create { creation, change } }
}
