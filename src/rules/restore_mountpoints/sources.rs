//! The sources of the binds: all that are missing are named at once, or created where the operator allows that.

use super::{DIRECTORY_MODE, FILE_MODE, NAME, created, refuse};
use crate::container_path::Tree;
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
        SourceState::Missing { .. } => match (prefix(facts, &source.path), kind(view, source, index)) {
            (None, _) => says("is missing: ENOENT", "create it, or allow that by the setting create_sources"),
            (Some(_), None) => says("is missing: ENOENT, and nothing tells whether it was a directory or a file", "create it"),
            (Some((base, below)), Some(kind)) => Some(create(facts, index, source, base, below, kind)),
        },
    }
}

/// The allowed directory above `path`, and the path below it.
fn prefix(facts: &Facts<'_>, path: &Path) -> Option<(PathBuf, PathBuf)> {
    let below = |prefix: &PathBuf| Some((prefix.clone(), path.strip_prefix(prefix).ok()?.to_owned()));
    facts.config.restore.create_sources.iter().find_map(below).filter(|(_, below)| !below.as_os_str().is_empty())
}

/// What the root file system has at the mountpoint tells, and so does a mount below it.
fn kind(view: &RestoreView, source: &BindSource, index: usize) -> Option<Kind> {
    if let SourceState::Missing { like: Some((kind, ..)) } = source.state {
        return Some(kind);
    }
    let is_below = |place: &crate::restored_mounts::Place| place.tree == Tree::Source(index) && !place.below.as_os_str().is_empty();
    view.mounts.iter().any(|wanted| wanted.mount.place.as_ref().is_some_and(is_below)).then_some(Kind::Directory)
}

/// Owner and mode: as set, or those of what the container's image has there, as podman gives them to a new volume.
fn create(facts: &Facts<'_>, index: usize, source: &BindSource, base: PathBuf, below: PathBuf, kind: Kind) -> Step {
    let like = if let SourceState::Missing { like: Some((like_kind, owner, mode)) } = &source.state {
        Some((*owner, *mode)).filter(|_| *like_kind == kind)
    } else {
        None
    };
    let default_mode = if kind == Kind::Directory { DIRECTORY_MODE } else { FILE_MODE };
    let inside = facts.spec.mounts.get(index).map_or_else(|| facts.spec.root_owner(), |mount| facts.spec.root_owner_in(mount));
    let owner: Owner = facts.config.restore.create_sources_owner.or(like.map(|(owner, _)| owner)).unwrap_or(inside);
    let mode = facts.config.restore.create_sources_mode.or(like.map(|(_, mode)| mode)).unwrap_or(default_mode);
    let inodes = below.components().count();
    let change = created(&source.path, kind, mode, Some(owner));
    let creation = Creation { base, recursive: true, below, kind, mode, owner, inodes, optional: false };
    let why = format!("{}: its bind source is missing, and create_sources allows to create it", facts.spec.mounts[index].destination);
    Step { rule: NAME, level: Level::Info, why, action: Action::Create { creation, change } }
}
