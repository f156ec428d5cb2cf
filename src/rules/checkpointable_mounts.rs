//! Destinations and sources of binds are spelt as the kernel will see them: CRIU finds a bind by the name under which the runtime registers it,
//! and only the kernel's own name is one that it knows (`mnt: … doesn't have a proper root mount`, at the checkpoint). crun and old runc register
//! what config.json says, and crun keeps its copy of the create; so the create is where this must be right.

use super::Facts;
use crate::host::spelling::Spelling;
use crate::invocation::Flavour;
use crate::plan::{Action, Change, Level, Step};
use crate::spec::{Edit, Mount};
use std::path::Path;

pub(super) const NAME: &str = "checkpointable-mounts";

/// Options of crun that make a symlink itself the source or the destination.
const SOURCE_ITSELF: [&str; 2] = ["src-nofollow", "copy-symlink"];
const DESTINATION_ITSELF: [&str; 2] = ["dest-nofollow", "copy-symlink"];

pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    // youki has no restore.
    if facts.flavour == Flavour::Youki {
        return Vec::new();
    }
    let binds = facts.spec.mounts.iter().zip(&facts.host.spellings).filter(|(mount, _)| mount.is_bind());
    binds.flat_map(|(mount, spelling)| respell(facts.spec.text, mount, spelling)).collect()
}

fn respell(text: &str, mount: &Mount<'_>, spelling: &Spelling) -> Vec<Step> {
    let words = mount.words();
    let takes = |named: [&str; 2]| named.iter().any(|word| words.contains(word));
    let mut steps = Vec::new();
    let is_written = !mount.destination.is_empty() && !takes(DESTINATION_ITSELF);
    let destination = spelling.mountpoint.to_str().filter(|path| is_written && *path != mount.destination);
    if let Some(path) = destination {
        let edit = mount.set_destination(text, path);
        steps.extend(edit.map(|edit| step(mount, "destination", &mount.destination, path, edit)));
    }
    let written = mount.source.as_deref().unwrap_or_default();
    let differs = |path: &&Path| *path != Path::new(written) && !takes(SOURCE_ITSELF);
    if let Some(path) = spelling.source.as_deref().filter(differs).and_then(Path::to_str) {
        let edit = mount.set_source(text, path);
        steps.extend(edit.map(|edit| step(mount, "source", written, path, edit)));
    }
    steps
}

fn step(mount: &Mount<'_>, field: &'static str, before: &str, after: &str, edit: Edit) -> Step {
    let why = format!("{}: spelt otherwise, a checkpoint or a restore would not find the mount", mount.destination);
    let change = Change::Path { mount: mount.destination.to_string(), field, before: before.to_owned(), after: after.to_owned() };
    Step { rule: NAME, level: Level::Info, why, action: Action::EditSpec { change, edits: vec![edit] } }
}
