//! What a running container pins: its mount table compared with the host's, and with what its config.json meant.
//!
//! The kernel's rule behind it (mount_namespaces(7)): an unmount reaches the peers and slaves of the *parent* of the unmounted mount. So a copy goes
//! with the host's unmount if its parent, in the container, receives from the host.

use crate::mountinfo::Place;
use crate::mountinfo::line::{ByDevice, Line, Propagation, Tree};
use crate::paths::{self, lossy};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The host's side: its mounts, and the protected roots as the kernel spells them.
pub struct Host<'t, 'a> {
    tree: Tree<'t, 'a>,
    roots: &'t [PathBuf],
    /// Containers have many mounts, and each is looked for here.
    by_device: ByDevice<'t, 'a>,
}

/// What config.json says of one bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// As the kernel spells both.
    pub destination: PathBuf,
    pub source: PathBuf,
    pub propagation_words: Vec<String>,
}

/// What is known of a container beside its mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    pub binds: Vec<Intent>,
    /// `linux.rootfsPropagation`.
    pub rootfs_propagation: Option<String>,
    pub is_crun: bool,
    /// On the host.
    pub rootfs: Option<PathBuf>,
}

/// A bind of a running container that overlaps a protected root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(serialize_with = "lossy")]
    pub destination: PathBuf,
    #[serde(serialize_with = "lossy")]
    pub source: PathBuf,
    #[serde(serialize_with = "lossy")]
    pub root: PathBuf,
    pub propagation: Propagation,
    /// rslave was meant, and the bind is private: why.
    pub without_effect: Option<Trap>,
    pub pinned: Vec<Pin>,
}

/// A mount that the host's unmount does not reach in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// As the container sees it.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    pub device: String,
    /// The host has it no longer: it is pinned right now. Otherwise it will be, when the host unmounts it.
    pub gone: bool,
    pub why: Cause,
}

/// Why the host's unmount does not reach a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its parent in the container is private.
    Private,
    /// The source of the bind is itself the mountpoint: no propagation can help.
    SourceIsMountpoint,
    /// The container has mounted something inside it.
    MountedInside,
}

/// Why `rslave` came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trap {
    SeveralWords,
    RootfsPropagationPrivate,
    RootfsPropagationUnsetInCrun,
    HostMountPrivate,
    RootfsOnTheSameMount,
    Unknown,
}

impl Trap {
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Trap::SeveralWords => "the mount has several propagation words, and private wins",
            Trap::RootfsPropagationPrivate => "linux.rootfsPropagation is private, and a private mount cannot be made a slave",
            Trap::RootfsPropagationUnsetInCrun => "linux.rootfsPropagation is unset, which crun takes for rprivate",
            Trap::HostMountPrivate => "the host's mount is private, so it has no slaves; mount --make-rshared it",
            Trap::RootfsOnTheSameMount => "the root file system is a plain directory on the source's mount, which the runtime made private",
            Trap::Unknown => "the reason is not known",
        }
    }
}

impl<'t, 'a> Host<'t, 'a> {
    #[must_use]
    pub fn of(tree: Tree<'t, 'a>, roots: &'t [PathBuf]) -> Host<'t, 'a> {
        Host { by_device: ByDevice::of(tree.lines), tree, roots }
    }

    /// Every path of the host that leads to a place.
    fn paths_of(&self, place: &Place) -> Vec<PathBuf> {
        let path_of = |line: &Line<'_>| Some(line.path().join(place.path.strip_prefix(line.root()).ok()?));
        // `join` of an empty rest would end the path in a slash.
        self.by_device.on(place.device).filter_map(path_of).map(|path| path.components().collect()).collect()
    }

    /// Whether the host sees the mount's files somewhere.
    fn shows(&self, line: &Line<'_>) -> bool {
        self.by_device.showing(line).next().is_some()
    }

    /// Whether the host has the mount itself, or a peer of it.
    fn has(&self, line: &Line<'_>) -> bool {
        self.by_device.on(line.device).any(|host| host.fs_root == line.fs_root)
    }

    fn overlapped_root(&self, path: &Path) -> Option<&PathBuf> {
        self.roots.iter().find(|root| paths::overlap(path, root).is_some())
    }

    /// Whether a mount of a container gets what happens on the host: it is the slave or the peer of a group that the host knows.
    fn reaches(&self, line: &Line<'_>) -> bool {
        line.master.is_some() || line.shared.is_some_and(|group| self.tree.lines.iter().any(|host| host.shared == Some(group)))
    }
}

/// The binds of a container that overlap a protected root, in the order of its mount table.
#[must_use]
pub fn findings(host: &Host<'_, '_>, container: &Tree<'_, '_>, meaning: &Meaning) -> Vec<Finding> {
    container.lines.iter().filter_map(|line| finding(host, container, meaning, line)).collect()
}

fn finding(host: &Host<'_, '_>, container: &Tree<'_, '_>, meaning: &Meaning, top: &Line<'_>) -> Option<Finding> {
    if top.path() == Path::new("/") || is_from_host(host, container, container.parent(top)?) {
        return None;
    }
    let intent = meaning.binds.iter().rfind(|bind| bind.destination == top.path());
    let mut sources = host.paths_of(&Place { device: top.device, path: top.root().to_owned() });
    sources.extend(intent.map(|intent| intent.source.clone()));
    let (source, root) = sources.iter().find_map(|source| Some((source, host.overlapped_root(source)?)))?;
    let pinned = pins(host, container, top, intent.is_some());
    let means_slave = intent.is_some_and(|intent| intent.propagation_words.iter().any(|word| word == "rslave"));
    Some(Finding {
        destination: top.path().to_owned(),
        source: source.clone(),
        root: root.clone(),
        propagation: top.propagation(),
        // A slave whose master is gone is private: that is no trap.
        without_effect: intent.filter(|_| means_slave && !host.reaches(top) && host.shows(top)).map(|intent| trap(host, meaning, intent)),
        pinned,
    })
}

/// Whether a mount was copied from the host, or lies in one that was: everything below it then belongs to that bind.
fn is_from_host(host: &Host<'_, '_>, container: &Tree<'_, '_>, line: &Line<'_>) -> bool {
    let above = std::iter::successors(Some(line), |line| container.parent(line)).take(container.lines.len());
    above.take_while(|line| line.path() != Path::new("/")).any(|line| host.shows(line))
}

/// The mounts on `top` or below, inside protected roots, that the host's unmount does not reach.
fn pins(host: &Host<'_, '_>, container: &Tree<'_, '_>, top: &Line<'_>, is_bind: bool) -> Vec<Pin> {
    let Some(top) = container.lines.iter().find(|line| line.id == top.id) else { return Vec::new() };
    let below = container.on_or_below(top).filter(|line| line.id != top.id);
    let mut pins: Vec<Pin> = below.filter_map(|line| pin(host, container, line)).collect();
    // Not in the host's table at all, although the host was its source.
    if is_bind && host.by_device.on(top.device).next().is_none() {
        pins.insert(0, Pin::of(top, true, Cause::SourceIsMountpoint));
    }
    pins
}

fn pin(host: &Host<'_, '_>, container: &Tree<'_, '_>, line: &Line<'_>) -> Option<Pin> {
    let parent = container.parent(line)?;
    let place = container.place_of_mountpoint(line)?;
    let is_inside = |path: &PathBuf| host.roots.iter().any(|root| path.starts_with(root));
    if !host.paths_of(&place).iter().any(is_inside) {
        return None;
    }
    let gone = !host.has(line);
    if !host.reaches(parent) {
        return Some(Pin::of(line, gone, Cause::Private));
    }
    let has_children = container.lines.iter().any(|child| child.parent == line.id && child.id != line.id);
    (gone && has_children).then(|| Pin::of(line, gone, Cause::MountedInside))
}

impl Pin {
    fn of(line: &Line<'_>, gone: bool, why: Cause) -> Pin {
        Pin { path: line.path().to_owned(), device: format!("{}:{}", line.device.0, line.device.1), gone, why }
    }
}

fn trap(host: &Host<'_, '_>, meaning: &Meaning, intent: &Intent) -> Trap {
    let holder = host.tree.holder(&intent.source);
    let rootfs_holder = meaning.rootfs.as_ref().and_then(|rootfs| host.tree.holder(rootfs).filter(|line| line.path() != rootfs));
    if intent.propagation_words.len() > 1 {
        Trap::SeveralWords
    } else if holder.is_some_and(|line| line.shared.is_none()) {
        Trap::HostMountPrivate
    } else if meaning.rootfs_propagation.as_deref().is_some_and(|word| word.ends_with("private") || word.ends_with("unbindable")) {
        Trap::RootfsPropagationPrivate
    } else if meaning.is_crun && meaning.rootfs_propagation.as_deref().is_none_or(str::is_empty) {
        Trap::RootfsPropagationUnsetInCrun
    } else if rootfs_holder.is_some_and(|line| holder.is_some_and(|holder| holder.id == line.id)) {
        Trap::RootfsOnTheSameMount
    } else {
        Trap::Unknown
    }
}

#[cfg(test)]
mod tests;
