//! Directory binds that overlap a protected root are `rslave` (or stay `rshared`), with exactly one propagation word, and
//! `linux.rootfsPropagation` lets it take effect.

use super::Facts;
use crate::config::{OnError, Policy};
use crate::host::{Root, Source, Unknown};
use crate::mountinfo::Place;
use crate::paths::{self, Relation};
use crate::plan::{Action, Change, Level, Step};
use crate::propagation::{self, Verdict};
use crate::spec::Mount;
use std::fmt;
use std::path::Path;

pub(super) const NAME: &str = "slave-protected-binds";

pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut slaves, mut kept_slaves) = (false, false);
    for (mount, source) in facts.spec.mounts.iter().zip(&facts.host.sources) {
        let Some(source) = source else { continue };
        let Some(overlap) = overlap(source, &facts.host.roots) else {
            steps.push(step(Action::Keep, format!("{}: its source {} overlaps no protected root", mount.destination, source.path.display())));
            continue;
        };
        let verdict = propagation::verdict(&mount.words(), facts.flavour, facts.config.force_rro);
        let found = mount_step(facts, mount, source, &overlap, verdict);
        let ends_as_slave = match (verdict, &found.action) {
            (Verdict::Replace { word, .. }, Action::EditSpec { .. }) => word == "rslave",
            (verdict, _) => verdict == Verdict::KeepSlave,
        };
        steps.push(found);
        if ends_as_slave {
            slaves = true;
            kept_slaves |= verdict == Verdict::KeepSlave;
            steps.extend(without_effect(facts, mount, source));
        }
    }
    if slaves {
        steps.extend(rootfs_propagation_step(facts, kept_slaves));
    }
    steps.extend(facts.host.unknown.iter().map(|unknown| unknown_step(facts, unknown)));
    steps
}

/// A bind that may pin, and nobody knows.
fn unknown_step(facts: &Facts<'_>, Unknown { mount, why }: &Unknown) -> Step {
    let action = if facts.config.on_error_of(NAME) == OnError::Fail { Action::Refuse } else { Action::Notice };
    let destination = facts.spec.mounts.get(*mount).map_or("", |mount| &*mount.destination);
    step(action, format!("mount {destination}: {why}; whether it pins mounts of the host is not known, and it is left as it is"))
}

/// A step of this rule; a notice is a warning.
fn step(action: Action, why: String) -> Step {
    let level = if action == Action::Notice { Level::Warning } else { Level::Info };
    Step { rule: NAME, level, why, action }
}

/// Why a source counts as overlapping.
struct Overlap<'a> {
    relation: Relation,
    root: &'a Path,
    /// The paths are apart; the source, or a mount below it, is another mount of the root's files.
    alias: bool,
}

impl fmt::Display for Overlap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.relation {
            Relation::Is => "is",
            Relation::Contains => "contains",
            Relation::Inside => "lies inside",
        };
        let alias = if self.alias { " by another mount" } else { "" };
        write!(f, "{verb} the protected root {}{alias}", self.root.display())
    }
}

/// How the source overlaps one of the roots: by path, or because it carries another mount of the root's files.
fn overlap<'a>(source: &Source, roots: &'a [Root]) -> Option<Overlap<'a>> {
    let by_path = |root: &'a Root| Some(Overlap { relation: paths::overlap(&source.path, &root.path)?, root: &root.path, alias: false });
    let by_identity = |root: &'a Root| {
        let of_root = root.place.as_ref()?;
        let same_files = |place: &Place| paths::overlap(&place.path, &of_root.path).filter(|_| place.device == of_root.device);
        source.places.iter().find_map(same_files).map(|relation| Overlap { relation, root: &root.path, alias: true })
    };
    // Of several roots the one that makes the strongest case: a source above a root is more than a mountpoint inside another.
    let only_inside = |overlap: &Overlap<'_>| overlap.relation == Relation::Inside;
    roots.iter().filter_map(by_path).min_by_key(only_inside).or_else(|| roots.iter().filter_map(by_identity).min_by_key(only_inside))
}

fn mount_step(facts: &Facts<'_>, mount: &Mount<'_>, source: &Source, overlap: &Overlap<'_>, verdict: Verdict) -> Step {
    let place = format!("{}: its source {} {overlap}", mount.destination, source.path.display());
    let policy = facts.config.policy;
    match verdict {
        Verdict::Keep | Verdict::KeepSlave => step(Action::Keep, format!("{place}; its propagation is right")),
        // Propagation comes from the mount above a mountpoint, and of that the container has no copy.
        Verdict::Replace { .. } if overlap.relation == Relation::Inside && !overlap.alias && source.is_bare_mountpoint => {
            step(Action::Keep, format!("{place} and is itself the mountpoint, with nothing mounted below it: rslave would not help"))
        }
        Verdict::Leave { refused: true, .. } | Verdict::Replace { refused: true, .. } if policy == Policy::Reject => {
            let word = if let Verdict::Replace { word, .. } = verdict { word } else { "rshared or rslave" };
            step(Action::Refuse, format!("mount {place} and has the propagation {}; write {word} instead", written_propagation(mount)))
        }
        Verdict::Leave { reason, .. } => step(Action::Notice, format!("{place}; left as it is because {reason}")),
        Verdict::Replace { word, reason, .. } if policy == Policy::Warn => {
            step(Action::Notice, format!("{place}; policy \"warn\" leaves it, {word} was needed because {reason}"))
        }
        Verdict::Replace { word, reason, odd, .. } => {
            let before = mount.options.iter().map(|option| option.text.to_string()).collect();
            let change = Change::Options { mount: mount.destination.to_string(), before, after: mount.options_with(word) };
            let edits = mount.set_propagation(facts.spec.text, word);
            let level = if odd { Level::Warning } else { Level::Info };
            Step { level, ..step(Action::EditSpec { change, edits }, format!("{place}; {reason}")) }
        }
    }
}

fn written_propagation(mount: &Mount<'_>) -> String {
    mount.words().into_iter().filter(|option| propagation::is_propagation_word(option)).collect::<Vec<_>>().join(",")
}

/// What no edit can mend: no runtime says so, the bind is then simply private.
fn without_effect(facts: &Facts<'_>, mount: &Mount<'_>, source: &Source) -> Option<Step> {
    if source.parent_shared == Some(false) {
        let path = source.path.display();
        let why = format!("the mount that holds {path} is not shared on the host, so no unmount is propagated; make it shared (mount --make-shared)");
        let action = if facts.config.policy == Policy::Reject { Action::Refuse } else { Action::Notice };
        return Some(step(action, format!("{}: rslave has no effect: {why}", mount.destination)));
    }
    let rootfs = facts.host.rootfs.filter(|rootfs| !rootfs.is_mountpoint)?;
    (source.mount_id.is_some() && rootfs.mount_id == source.mount_id).then(|| {
        let why = "the container's root is a plain directory on the same mount as the source, which the runtime makes private first; bind the root directory on itself before the create";
        step(Action::Notice, format!("{}: rslave has no effect: {why}", mount.destination))
    })
}

/// A warning when somebody wrote `rslave` and it would have done nothing.
fn rootfs_propagation_step(facts: &Facts<'_>, kept_slaves: bool) -> Option<Step> {
    let now = facts.spec.rootfs_propagation.as_ref()?;
    let is_shared = |mount: &Mount<'_>| mount.options.iter().any(|option| option.text == "rshared" || option.text == "shared");
    let sibling_is_shared = facts.spec.mounts.iter().any(is_shared);
    let value = propagation::rootfs_propagation(now.value.as_deref(), facts.flavour, sibling_is_shared)?;
    let why = "in a private root file system no rslave bind takes effect".to_owned();
    if facts.config.policy == Policy::Warn {
        return Some(step(Action::Notice, why));
    }
    let change = Change::Key { key: "linux.rootfsPropagation", before: now.value.as_deref().map(str::to_owned), after: value };
    let defeated = kept_slaves && propagation::defeats_slaves(now.value.as_deref(), facts.flavour);
    let level = if defeated { Level::Warning } else { Level::Info };
    Some(Step { level, ..step(Action::EditSpec { change, edits: vec![now.set(facts.spec.text, value)] }, why) })
}
