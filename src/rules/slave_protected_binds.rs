//! Directory binds that overlap a protected root are `rslave` (or stay `rshared`), with exactly one propagation word, and
//! `linux.rootfsPropagation` lets it take effect.

use super::Facts;
use crate::config::Policy;
use crate::host::{Root, Rootfs, Source};
use crate::mountinfo::Place;
use crate::paths::{self, Relation};
use crate::plan::{Action, Change, Step};
use crate::propagation::{self, Bind, Verdict};
use crate::spec::Mount;
use std::fmt;
use std::path::Path;

pub(super) const NAME: &str = "slave-protected-binds";

pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut slave_somewhere = false;
    for (mount, source) in facts.spec.mounts.iter().zip(&facts.host.sources) {
        let Some(source) = source else { continue };
        let Some(overlap) = overlap(source, &facts.host.roots) else {
            steps.push(apart(mount, source));
            continue;
        };
        let step = mount_step(facts, mount, source, &overlap);
        let is_slave = ends_as_slave(&step, mount);
        steps.push(step);
        if is_slave {
            slave_somewhere = true;
            steps.extend(without_effect(mount, source, facts.host.rootfs.as_ref()));
        }
    }
    if slave_somewhere {
        steps.extend(rootfs_propagation_step(facts));
    }
    steps
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

fn apart(mount: &Mount<'_>, source: &Source) -> Step {
    let why = format!("{}: its source {} overlaps no protected root", mount.destination, source.path.display());
    Step { rule: NAME, why, action: Action::Keep }
}

fn mount_step(facts: &Facts<'_>, mount: &Mount<'_>, source: &Source, overlap: &Overlap<'_>) -> Step {
    let options: Vec<&str> = mount.options.iter().map(|option| &*option.text).collect();
    let verdict = propagation::verdict(Bind::of(options.iter().copied()), &options, facts.flavour, facts.config.force_rro);
    let place = format!("{}: its source {} {overlap}", mount.destination, source.path.display());
    let step = |action, why| Step { rule: NAME, why, action };
    match verdict {
        Verdict::Replace { .. } if overlap.relation == Relation::Inside && !overlap.alias && source.is_mountpoint => {
            step(Action::Keep, format!("{place} and is itself the mountpoint: propagation comes from the mount above it, so rslave would not help"))
        }
        Verdict::Keep | Verdict::KeepSlave => step(Action::Keep, format!("{place}; its propagation is right")),
        Verdict::Leave(reason) => step(Action::Notice, format!("{place}; left as it is because {reason}")),
        verdict @ Verdict::Replace { word, .. } if propagation::refuses(facts.config.policy, verdict) => {
            step(Action::Refuse, format!("mount {place} and has the propagation {}; write {word} instead", written_propagation(&options)))
        }
        Verdict::Replace { word, reason, .. } if facts.config.policy == Policy::Warn => {
            step(Action::Notice, format!("{place}; policy \"warn\" leaves it, {word} was needed because {reason}"))
        }
        Verdict::Replace { word, reason, .. } => {
            let before = options.iter().map(|option| (*option).to_owned()).collect();
            let change = Change::Options { mount: mount.destination.to_string(), before, after: mount.options_with(word) };
            step(Action::EditSpec { change, edits: mount.set_propagation(facts.spec.text, word) }, format!("{place}; {reason}"))
        }
    }
}

/// Whether the mount is `rslave` once the step is done.
fn ends_as_slave(step: &Step, mount: &Mount<'_>) -> bool {
    match &step.action {
        Action::EditSpec { change: Change::Options { after, .. }, .. } => after.iter().any(|word| word == "rslave"),
        Action::Keep => mount.options.iter().any(|option| option.text == "rslave"),
        _ => false,
    }
}

fn written_propagation(options: &[&str]) -> String {
    options.iter().copied().filter(|option| propagation::is_propagation_word(option)).collect::<Vec<_>>().join(",")
}

/// What no edit can mend: no runtime says so, the bind is then simply private.
fn without_effect(mount: &Mount<'_>, source: &Source, rootfs: Option<&Rootfs>) -> Option<Step> {
    let why = if source.parent_shared == Some(false) {
        format!(
            "the mount that holds {} is not shared on the host, so no unmount is propagated; make it shared (mount --make-shared)",
            source.path.display()
        )
    } else if rootfs.is_some_and(|rootfs| !rootfs.is_mountpoint && source.mount_id.is_some() && rootfs.mount_id == source.mount_id) {
        "the container's root is a plain directory on the same mount as the source, which the runtime makes private first; bind the root directory on itself before the create".to_owned()
    } else {
        return None;
    };
    Some(Step { rule: NAME, why: format!("{}: rslave has no effect: {why}", mount.destination), action: Action::Notice })
}

fn rootfs_propagation_step(facts: &Facts<'_>) -> Option<Step> {
    let now = facts.spec.rootfs_propagation.as_ref()?;
    let is_shared = |mount: &Mount<'_>| mount.options.iter().any(|option| option.text == "rshared" || option.text == "shared");
    let sibling_is_shared = facts.spec.mounts.iter().any(is_shared);
    let value = propagation::rootfs_propagation(now.value.as_deref(), facts.flavour, sibling_is_shared)?;
    let why = "a private root file system takes the effect from every rslave bind".to_owned();
    let action = if facts.config.policy == Policy::Warn {
        Action::Notice
    } else {
        let change = Change::Key { key: "linux.rootfsPropagation", before: now.value.as_deref().map(str::to_owned), after: value };
        Action::EditSpec { change, edits: vec![now.set(facts.spec.text, value)] }
    };
    Some(Step { rule: NAME, why, action })
}
