//! What is to be detached in one namespace, and what must not be: pure, from the two mount tables.

use crate::copies::Target;
use crate::guard::heal::Host;
use crate::mountinfo::line::{Line, Tree};
use crate::mountinfo::{Device, Place};
use std::path::{Path, PathBuf};

/// A mount that is to go, as the kernel knows it; its path is looked up again when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    pub id: u32,
    pub device: Device,
    pub fs_root: Vec<u8>,
}

/// One copy with all that is mounted in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub id: u32,
    /// As its namespace sees it.
    pub path: PathBuf,
    pub device: Device,
    pub fs_type: String,
    pub source: String,
    /// Where its mountpoint lies, whatever is mounted there.
    pub mountpoint: Option<Place>,
    /// What was mounted last comes first; the copy itself is the last.
    pub doomed: Vec<Doomed>,
    /// Why it must stay.
    pub refusal: Option<String>,
}

/// The copies of `target` in one namespace. One that lies in another goes with it.
pub fn copies(host: &Host<'_, '_>, tree: &Tree<'_, '_>, target: &Target, force: bool) -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    for (line, _) in target.copies(tree) {
        let goes_along = copies.iter().any(|copy| copy.refusal.is_none() && copy.doomed.iter().any(|doomed| doomed.id == line.id));
        if !goes_along {
            let copy = copy(host, tree, line, force);
            if copy.refusal.is_none() {
                copies.retain(|other| copy.doomed.iter().all(|doomed| doomed.id != other.id) || other.refusal.is_some());
            }
            copies.push(copy);
        }
    }
    copies
}

fn copy<'t, 'a>(host: &Host<'_, '_>, tree: &Tree<'t, 'a>, line: &'t Line<'a>, force: bool) -> Copy {
    let depth = |below: &'t Line<'a>| std::iter::successors(Some(below), |at| tree.parent(at)).take_while(|at| at.id != line.id).count();
    let mut within: Vec<&'t Line<'a>> = tree.on_or_below(line).collect();
    within.sort_by_cached_key(|below| std::cmp::Reverse(depth(below)));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Copy {
        id: line.id,
        path: line.path().to_owned(),
        device: line.device,
        fs_type: text(&line.fs_type),
        source: text(&line.source),
        mountpoint: tree.place_of_mountpoint(line),
        refusal: refusal(host, tree, &within, force),
        doomed: within.iter().map(|line| Doomed { id: line.id, device: line.device, fs_root: line.fs_root.to_vec() }).collect(),
    }
}

fn refusal(host: &Host<'_, '_>, tree: &Tree<'_, '_>, within: &[&Line<'_>], force: bool) -> Option<String> {
    if within.iter().any(|line| line.path() == Path::new("/") || tree.parent(line).is_none()) {
        return Some("it holds the container's root file system; stop the container".to_owned());
    }
    // An unmount reaches the peers and slaves of the parent: it must not reach the host.
    for line in within {
        let group = tree.parent(line).and_then(|parent| parent.shared);
        let reached = host.tree.lines.iter().find(|host| group.is_some() && (host.shared == group || host.master == group));
        if let Some(reached) = reached {
            return Some(format!("unmounting it would reach the host's mount {} too; unmount it there", reached.path().display()));
        }
    }
    if force {
        return None;
    }
    let still_there = |line: &Line<'_>| host.showing(line).find(|host| host.fs_root == line.fs_root);
    within.iter().find_map(|line| {
        let at = still_there(line)?;
        Some(format!("the host still has it mounted at {}; unmount it there first, or use --force", at.path().display()))
    })
}

#[cfg(test)]
mod tests;
