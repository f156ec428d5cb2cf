//! At `restore` the engine's spelling is one the runtime accepts: containerd and dockerd write runc's `-no-subreaper`, which crun refuses although
//! its restore has nothing to do with it, and a work path whose parents crun does not make.

use super::Facts;
use crate::plan::{Action, Change, Level, Step};

pub const NAME: &str = "restore-dialect";

pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    if !facts.is_restore() {
        return Vec::new();
    }
    let step = |why: &str, action| Step { rule: NAME, level: Level::Info, why: why.to_owned(), action };
    let words = (!facts.foreign_words.is_empty()).then(|| {
        let change = Change::Dropped { dropped: facts.foreign_words.to_vec() };
        step("the runtime has no such option and needs none", Action::DropWords { change })
    });
    let missing = facts.host.restore.as_ref().and_then(|restore| restore.missing_work_directory.clone());
    let directory = missing.map(|path| {
        let change = super::restore_mountpoints::created(&path, crate::mountpoint::Kind::Directory, WORK_DIRECTORY_MODE, None);
        step("CRIU writes its log there, and crun does not make it", Action::MakeDirectory { path, change })
    });
    words.into_iter().chain(directory).collect()
}

/// As runc makes it.
pub const WORK_DIRECTORY_MODE: u32 = 0o700;
