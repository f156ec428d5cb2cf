//! Which mount of the host a container's mount is a copy of. Several may show the same files; unmounts reach a copy only from the peer group that
//! it belongs to, so it must be the one below which the host mounts and unmounts what the container has copies of.

use crate::mountinfo::line::{ByDevice, Line, Tree};
use crate::mountinfo::{Device, Place};
use crate::paths;
use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// The host's mounts, ready to be compared with a container's.
pub struct Host<'t, 'a> {
    pub tree: Tree<'t, 'a>,
    by_device: ByDevice<'t, 'a>,
    /// The protected roots.
    roots: Vec<PathBuf>,
}

/// The host mount that a container's mount is a copy of.
pub struct Counterpart<'t, 'a> {
    pub line: &'t Line<'a>,
    /// Where the host sees what the container's mount shows.
    pub path: PathBuf,
}

impl<'t, 'a> Host<'t, 'a> {
    pub fn of(lines: &'t [Line<'a>], roots: Vec<PathBuf>) -> Host<'t, 'a> {
        Host { tree: Tree::of(lines), by_device: ByDevice::of(lines), roots }
    }

    /// The mounts that show all that `line` shows.
    pub fn showing(&self, line: &Line<'_>) -> impl Iterator<Item = &'t Line<'a>> {
        self.by_device.showing(line)
    }

    /// The mounts from which `line` can get its master: those of one peer group that show what it shows.
    pub fn peers(&self, group: u32, line: &Line<'_>) -> impl Iterator<Item = &'t Line<'a>> {
        self.showing(line).filter(move |host| host.shared == Some(group))
    }

    /// What is mounted on a mount of the host, for the choice between two.
    fn has_child(&self, host: &Line<'_>, child: &Child) -> bool {
        let is_there = |line: &Line<'_>| line.parent == host.id && self.tree.place_of_mountpoint(line).as_ref() == Some(&child.place);
        self.by_device.on(child.device).any(is_there)
    }

    /// The choice, from the strongest reason to the weakest: it is mounted in the same place; the same things are mounted on it; one can see
    /// there what `line` shows; it is shared; it leads to a protected root; it shows the least beyond.
    pub fn counterpart(&self, tree: &Tree<'_, '_>, line: &Line<'_>) -> Option<Counterpart<'t, 'a>> {
        let (place, children) = (tree.place_of_mountpoint(line), children(tree, line));
        let strong = |host: &'t Line<'a>| {
            let same_place = place.is_some() && self.tree.place_of_mountpoint(host) == place;
            (same_place, children.iter().filter(|child| self.has_child(host, child)).count())
        };
        let weak = |host: &'t Line<'a>| {
            let path = path_through(host, line);
            let is_seen = self.tree.holder(&path).is_some_and(|holder| holder.id == host.id);
            let is_protected = self.roots.iter().any(|root| paths::overlap(&path, root).is_some());
            (is_seen, host.shared.is_some(), is_protected, host.fs_root.len(), Reverse(host.mountpoint.len()))
        };
        let candidates: Vec<_> = self.showing(line).map(|host| (strong(host), host)).collect();
        let strongest = candidates.iter().map(|(reasons, _)| *reasons).max()?;
        let mut equals = candidates.into_iter().filter(|(reasons, _)| *reasons == strongest).map(|(_, host)| host).peekable();
        let first = equals.next()?;
        // The way to each is looked up in the whole table: only where there is a choice.
        let host = if equals.peek().is_none() { first } else { std::iter::once(first).chain(equals).max_by_key(|host| weak(host))? };
        Some(Counterpart { line: host, path: path_through(host, line) })
    }
}

/// Where one sees through `host`, which shows it all, what `line` shows.
pub fn path_through(host: &Line<'_>, line: &Line<'_>) -> PathBuf {
    let below = line.root().strip_prefix(host.root()).unwrap_or(Path::new(""));
    if below.as_os_str().is_empty() { host.path().to_owned() } else { host.path().join(below) }
}

struct Child {
    device: Device,
    place: Place,
}

fn children(tree: &Tree<'_, '_>, line: &Line<'_>) -> Vec<Child> {
    let of_line = tree.lines.iter().filter(|child| child.parent == line.id && child.id != line.id);
    of_line.filter_map(|child| Some(Child { device: child.device, place: tree.place_of_mountpoint(child)? })).collect()
}
