//! At `restore` the engine's spelling is one the runtime accepts: containerd and dockerd write runc's `-no-subreaper`, which crun refuses although
//! its restore has nothing to do with it, and a work path whose parents crun does not make, at `checkpoint` neither. And crun's own two spellings of
//! the directory by which it masks others are made to agree.

use super::Facts;
use super::restore_mountpoints::created;
use crate::host::restore::LostMask;
use crate::mountpoint::Kind;
use crate::plan::{Action, Change, Level, Step};
use std::path::{Path, PathBuf};

pub const NAME: &str = "restore-dialect";

/// As runc makes it.
const WORK_DIRECTORY_MODE: u32 = 0o700;

/// crun's state root and empty directory where nothing else is said, with the modes that crun gives them. Nothing is made for an image's word alone.
const CRUNS_OWN: [(&str, u32); 2] = [("/run/crun", 0o700), ("/run/crun/.empty-directory", 0o555)];

pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    if !facts.is_restore() {
        return Vec::new();
    }
    let words = (!facts.foreign_words.is_empty()).then(|| {
        let change = Change::Dropped { dropped: facts.foreign_words.to_vec() };
        step("the runtime has no such option and needs none", Action::DropWords { change })
    });
    let restore = facts.host.restore.as_ref();
    let directory = restore.and_then(|restore| restore.missing_work_directory.clone()).map(work_directory_step);
    let masks = restore.map_or_else(Vec::new, |restore| mask_steps(facts, &restore.lost_masks));
    words.into_iter().chain(directory).chain(masks).collect()
}

fn step(why: &str, action: Action) -> Step {
    Step { rule: NAME, level: Level::Info, why: why.to_owned(), action }
}

/// Makes the work path of a restore or a checkpoint.
#[must_use]
pub fn work_directory_step(path: PathBuf) -> Step {
    step("CRIU writes its log there, and crun does not make it", make(path, WORK_DIRECTORY_MODE))
}

fn make(path: PathBuf, mode: u32) -> Action {
    let change = created(&path, Kind::Directory, mode, None);
    Action::MakeDirectory { path, mode, change }
}

/// At a restore crun reads `maskedPaths` for one thing only: it registers each of them with CRIU, the directories with its own empty directory as
/// their source. That is the mapping that is missing.
fn mask_steps(facts: &Facts<'_>, lost: &[LostMask]) -> Vec<Step> {
    let own_mode = |path: &PathBuf| CRUNS_OWN.iter().find(|(own, _)| path == Path::new(own)).map(|(_, mode)| *mode);
    let (found, unknown): (Vec<&LostMask>, Vec<&LostMask>) = lost.iter().partition(|mask| mask.missing.iter().all(|path| own_mode(path).is_some()));
    let mut steps: Vec<Step> = unknown.into_iter().map(unknown_mask).collect();
    let keys: Vec<&str> = found.iter().filter_map(|mask| mask.key.to_str()).collect();
    let Some(edit) = facts.spec.append_masked_paths(&keys).filter(|_| !keys.is_empty()) else { return steps };
    let directories = found.iter().flat_map(|mask| &mask.missing).filter_map(|path| Some((path.clone(), own_mode(path)?)));
    steps.extend(directories.map(|(path, mode)| step("crun registers masked directories that it finds", make(path, mode))));
    let change = Change::Masked { masked: keys.into_iter().map(str::to_owned).collect() };
    let why = "crun's checkpoint named the directory that masks others after its default state root, and its restore would register another";
    steps.push(step(why, Action::EditSpec { change, edits: vec![edit] }));
    steps
}

fn unknown_mask(mask: &LostMask) -> Step {
    let key = mask.key.display();
    let why = format!("{key}: the image has it as an external mount, and it is not there: CRIU will find no mapping for it; make that directory");
    Step { level: Level::Warning, ..step(&why, Action::Notice) }
}
