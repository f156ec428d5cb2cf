//! Detaches mounts in one namespace, in a child.

use super::plan::{Copy, Doomed};
use crate::in_namespace::{Journey, Sender};
use crate::mountinfo::line::{Line, lines};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};

/// What became of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    Released,
    /// The kernel does not allow it here, or it cannot be reached by a path: why.
    Stuck(String),
}

/// What the child tells of the copy with this id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub copy: u32,
    pub fate: Fate,
}

pub fn release(namespace: BorrowedFd, copies: &[Copy], sender: &mut Sender) {
    let journey = Journey::begin().and_then(|journey| journey.enter(namespace).map(|()| journey));
    for copy in copies {
        let fate = match &journey {
            Ok(journey) => release_one(journey, copy),
            Err(errno) => Fate::Stuck(format!("enter its mount namespace: {errno:?}")),
        };
        sender.send(&Message { copy: copy.id, fate });
    }
}

fn release_one(journey: &Journey, copy: &Copy) -> Fate {
    let mut stuck = HashMap::new();
    for doomed in &copy.doomed {
        // Not fatal by itself: when what it is mounted on goes, it goes too.
        if let Err(why) = detach(journey, doomed) {
            stuck.insert(doomed.id, why);
        }
    }
    match is_mounted(journey, copy) {
        Ok(false) => Fate::Released,
        Ok(true) => Fate::Stuck(stuck.remove(&copy.id).unwrap_or_else(|| "it was mounted again meanwhile".to_owned())),
        Err(errno) => Fate::Stuck(format!("read its mount table: {errno:?}")),
    }
}

fn is_mounted(journey: &Journey, copy: &Copy) -> Result<bool, Errno> {
    let table = journey.table()?;
    Ok(copy.doomed.last().is_some_and(|doomed| lines(&table).iter().any(|line| is_same(line, doomed))))
}

/// The same mount, not one that got its id.
fn is_same(line: &Line<'_>, doomed: &Doomed) -> bool {
    line.id == doomed.id && line.device == doomed.device && *line.fs_root == *doomed.fs_root
}

fn detach(journey: &Journey, doomed: &Doomed) -> Result<(), String> {
    let find = || journey.table().map_err(|errno| format!("read its mount table: {errno:?}"));
    let table = find()?;
    let Some(path) = lines(&table).iter().find(|line| is_same(line, doomed)).map(|line| line.path().to_owned()) else { return Ok(()) };
    let (mount, _) = journey.hold(&path, doomed.id).map_err(|errno| match errno {
        Errno::ESTALE | Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => "it cannot be reached by its path: something covers it".to_owned(),
        errno => format!("open it: {errno:?}"),
    })?;
    // While it is held no other mount can have its id: so this is what was meant, if the table still says so.
    if !lines(&find()?).iter().any(|line| is_same(line, doomed)) {
        return Ok(());
    }
    journey.detach(mount.as_fd()).map_err(|errno| match errno {
        Errno::EINVAL => "it is locked, because it came into the container's user namespace from the host".to_owned(),
        errno => format!("detach {}: {errno:?}", path.display()),
    })
}
