//! Which mounts CRIU will restore, and where on the host each of their mountpoints lies.
//!
//! CRIU restores the content of the file systems that it dumped, mountpoints included. What lies in the root file system or in an external
//! mount (a bind that the runtime registered) is the host's: there each mountpoint must exist, as a directory or as a file, before CRIU looks
//! (`criu/mount-v2.c`, `detect_is_dir`; <https://github.com/opencontainers/runc/issues/2748>).

use crate::container_path::{Covers, Tree};
use crate::criu_image::MountRecord;
use crate::host::spelling::Spelling;
use crate::paths;
use crate::spec::Spec;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A place on the host: below the root of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub tree: Tree,
    pub below: PathBuf,
    /// As the host sees it, inside what is mounted there. Otherwise beneath: CRIU takes a source without the mounts below it, however the bind was
    /// made (open_tree(2) without `AT_RECURSIVE`, `criu/mount-v2.c`).
    pub inside_mounts: bool,
}

impl Place {
    /// Whether the tree is looked at with the mounts below it. A root file system is: the runtimes bind it for CRIU recursively.
    #[must_use]
    pub fn is_recursive(&self) -> bool {
        self.inside_mounts || self.tree == Tree::Rootfs
    }

    fn beneath(tree: Tree, below: &Path) -> Place {
        Place { tree, below: below.to_owned(), inside_mounts: false }
    }
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file system that CRIU dumped, whole.
    Dumped,
    /// A part of one, which may be a directory or a file.
    PartOfDumped,
    /// A bind of something in the root file system or in a source, made by the container itself.
    BindOf(Place),
    /// A bind that the runtime registered with CRIU under this key; `mount` is its index in `mounts` of config.json.
    External { key: PathBuf, mount: Option<usize> },
    /// A path that the runtime masked by a file.
    MaskFile,
    /// A path that the runtime masked by an empty directory, and registered under that one's path.
    MaskDirectory { key: PathBuf },
}

impl Content {
    /// A mount of the host's below a source, which CRIU found itself and will look for again at the same place (its option `external mnt[]:ms`).
    fn is_host_mount(&self) -> bool {
        matches!(self, Content::External { key, mount: None } if is_criu_key(key))
    }
}

fn is_criu_key(key: &Path) -> bool {
    key.as_os_str().as_encoded_bytes().starts_with(b"CRIU:")
}

/// A mount that CRIU will restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredMount {
    /// In the container.
    pub mountpoint: PathBuf,
    /// `None`: its mountpoint is part of what CRIU restores.
    pub place: Option<Place>,
    pub content: Content,
    /// config.json has a mount at this mountpoint, in the same tree.
    pub listed: bool,
    /// CRIU will want a source for the key, and the runtime will name none: `No mapping for … mountpoint`.
    pub unmapped: bool,
    /// It lies in such a mount, so nobody knows where its mountpoint would have to be.
    pub on_unmapped: bool,
}

/// By config.json alone, in its order: all that is known without an image. Mounts that the container's own processes made are not among them.
#[must_use]
pub fn of_config(spec: &Spec<'_>, spellings: &[Spelling]) -> Vec<RestoredMount> {
    let restored = |(index, place): (usize, Place)| {
        let mountpoint = spellings[index].mountpoint.clone();
        let is_bind = spec.mounts[index].is_bind();
        let content = if is_bind { Content::External { key: mountpoint.clone(), mount: Some(index) } } else { Content::Dumped };
        let place = Some(place).filter(|place| on_host(place, true));
        RestoredMount { mountpoint, place, content, listed: true, unmapped: false, on_unmapped: false }
    };
    laid_out(spec, spellings, 0..spellings.len()).into_iter().map(restored).collect()
}

/// Where each mount of config.json comes to lie when they are made in `order`.
fn laid_out(spec: &Spec<'_>, spellings: &[Spelling], order: impl IntoIterator<Item = usize>) -> Vec<(usize, Place)> {
    let mut covers = Covers::default();
    let mut places = Vec::with_capacity(spellings.len());
    for index in order {
        let mountpoint = &spellings[index].mountpoint;
        let (tree, below) = covers.seen_at(mountpoint);
        places.push((index, Place::beneath(tree, below)));
        covers.add(mountpoint.clone(), if spec.mounts[index].is_bind() { Tree::Source(index) } else { Tree::Fresh });
    }
    places
}

/// By CRIU's own records, parents first. The records are a tree (`criu_image` has checked that).
#[must_use]
pub fn of_image(records: &[MountRecord], spec: &Spec<'_>, spellings: &[Spelling]) -> Vec<RestoredMount> {
    let keys = Keys::of(spec, spellings);
    let by_id: HashMap<u32, &MountRecord> = records.iter().map(|record| (record.id, record)).collect();
    let layout = Layout::of(spec, spellings);
    let roots = host_roots(records, &by_id, &keys);
    let mut sourceless: HashSet<u32> = HashSet::new();
    let mut places: HashMap<u32, Place> = HashMap::new();
    let mut mounts = Vec::new();
    for record in parents_first(records, &by_id) {
        let content = content(record, &keys, &roots);
        let own_place = match &content {
            Content::External { mount: Some(index), .. } => Some(Place::beneath(Tree::Source(*index), Path::new(""))),
            Content::BindOf(place) => Some(place.clone()),
            _ => None,
        };
        places.extend(own_place.map(|place| (record.id, place)));
        let Some(parent) = by_id.get(&record.parent) else { continue };
        let wanted = places.get(&parent.id).and_then(|above| {
            let below = record.mountpoint.strip_prefix(&parent.mountpoint).ok()?;
            Some(Place { below: above.below.join(below), ..above.clone() })
        });
        let listed = wanted.as_ref().is_some_and(|place| layout.lists(&record.mountpoint, place));
        if content.is_host_mount() {
            places.extend(wanted.clone().map(|place| (record.id, Place { inside_mounts: true, ..place })));
        }
        let place = wanted.filter(|place| on_host(place, listed));
        let unmapped = matches!(&content, Content::External { key, mount: None } if !keys.registers(key));
        if unmapped {
            sourceless.insert(record.id);
        }
        let on_unmapped = sourceless.contains(&parent.id);
        mounts.push(RestoredMount { mountpoint: record.mountpoint.clone(), place, content, listed, unmapped, on_unmapped });
    }
    mounts
}

/// Where config.json's own mounts put each of its mountpoints: in the order of its list, and by nesting, because podman writes another order for a
/// restore than for the create. An image that names the place for another mountpoint has not been asked by config.json.
struct Layout(HashMap<PathBuf, Vec<Place>>);

impl Layout {
    fn of(spec: &Spec<'_>, spellings: &[Spelling]) -> Layout {
        let mut by_nesting: Vec<usize> = (0..spellings.len()).collect();
        by_nesting.sort_by_key(|index| spellings[*index].mountpoint.components().count());
        let mut places: HashMap<PathBuf, Vec<Place>> = HashMap::new();
        for (index, place) in laid_out(spec, spellings, 0..spellings.len()).into_iter().chain(laid_out(spec, spellings, by_nesting)) {
            places.entry(spellings[index].mountpoint.clone()).or_default().push(place);
        }
        Layout(places)
    }

    fn lists(&self, mountpoint: &Path, place: &Place) -> bool {
        self.0.get(mountpoint).is_some_and(|places| places.contains(place))
    }
}

/// A mount whose root is a place on the host.
struct HostRoot<'a> {
    record: &'a MountRecord,
    tree: Tree,
}

/// The root file system and the external mounts, one for each source.
fn host_roots<'a>(records: &'a [MountRecord], by_id: &HashMap<u32, &MountRecord>, keys: &Keys<'_>) -> Vec<HostRoot<'a>> {
    let mut sources = HashSet::new();
    let mut tree = |record: &MountRecord| {
        if !by_id.contains_key(&record.parent) {
            return Some(Tree::Rootfs);
        }
        let source = keys.find(record.external_key.as_ref()?)?;
        sources.insert(source).then_some(Tree::Source(source))
    };
    records.iter().filter_map(|record| Some(HostRoot { record, tree: tree(record)? })).collect()
}

/// CRIU restores what is below its own file systems. In /proc, /sys and /dev of the bare root file system nothing is made for an image's word
/// alone: there would be file systems above them that the image does not show.
fn on_host(Place { tree, below, .. }: &Place, listed: bool) -> bool {
    let in_kernel_tree = ["proc", "sys", "dev"].iter().any(|name| below.starts_with(name) && below != Path::new(name));
    *tree != Tree::Fresh && !(*tree == Tree::Rootfs && in_kernel_tree && !listed)
}

/// CRIU's number of tmpfs, under which it also has the device files of a /dev that is devtmpfs.
const TMPFS: u32 = 5;
const DEVTMPFS: u32 = 3;

fn content(record: &MountRecord, keys: &Keys<'_>, roots: &[HostRoot<'_>]) -> Content {
    let is_null_device = matches!(record.file_system, TMPFS | DEVTMPFS) && record.root == Path::new("/null");
    match &record.external_key {
        // runc registers masked files under the device's own path, crun under theirs.
        Some(key) if key == Path::new("/dev/null") || (is_null_device && keys.find(key).is_none()) => Content::MaskFile,
        // crun since 1.22 masks every directory by this one, below its state folder.
        Some(key) if key.ends_with(".empty-directory") => Content::MaskDirectory { key: key.clone() },
        Some(key) => Content::External { key: key.clone(), mount: keys.find(key) },
        None => bind_of(record, roots).map_or_else(|| dumped(record), Content::BindOf),
    }
}

fn dumped(record: &MountRecord) -> Content {
    if record.root == Path::new("/") { Content::Dumped } else { Content::PartOfDumped }
}

/// The nearest host root on the same device that holds the mount's root.
fn bind_of(record: &MountRecord, roots: &[HostRoot<'_>]) -> Option<Place> {
    let holds = |root: &&HostRoot<'_>| root.record.device == record.device && record.root.starts_with(&root.record.root);
    let root = roots.iter().filter(holds).max_by_key(|root| root.record.root.as_os_str().len())?;
    let below = record.root.strip_prefix(&root.record.root).ok()?;
    Some(Place::beneath(root.tree, below))
}

fn parents_first<'a>(records: &'a [MountRecord], by_id: &HashMap<u32, &'a MountRecord>) -> Vec<&'a MountRecord> {
    let mut depths: HashMap<u32, usize> = HashMap::new();
    for record in records {
        let mut chain = vec![record.id];
        let mut above = record;
        while let (None, Some(parent)) = (depths.get(&above.id), by_id.get(&above.parent)) {
            above = parent;
            chain.push(above.id);
        }
        let mut depth = depths.get(&above.id).copied().unwrap_or(0);
        for id in chain.into_iter().rev() {
            depth = *depths.entry(id).or_insert(depth) + 1;
        }
    }
    // CRIU writes the newest first.
    let mut sorted: Vec<&MountRecord> = records.iter().rev().collect();
    sorted.sort_by_key(|record| depths.get(&record.id).copied());
    sorted
}

/// Under which keys the runtime will name a source to CRIU.
struct Keys<'a> {
    /// Each bind's destination as it is written, cleaned and resolved: runtimes and versions register different ones of these.
    mounts: HashMap<PathBuf, usize>,
    masked: Vec<String>,
    /// On cgroup v1 runc binds each hierarchy below this mount and registers it.
    cgroups: Vec<&'a Path>,
}

impl<'a> Keys<'a> {
    fn of(spec: &Spec<'_>, spellings: &'a [Spelling]) -> Keys<'a> {
        let mut mounts = HashMap::new();
        let mut cgroups = Vec::new();
        for (index, (mount, Spelling { mountpoint, .. })) in spec.mounts.iter().zip(spellings).enumerate() {
            let written = PathBuf::from(&*mount.destination);
            if mount.is_bind() {
                mounts.insert(paths::lexical(Path::new("/"), &written), index);
                mounts.insert(written, index);
                mounts.insert(mountpoint.clone(), index);
            } else if mount.kind().starts_with("cgroup") {
                cgroups.push(mountpoint.as_path());
            }
        }
        Keys { mounts, masked: spec.masked_paths(), cgroups }
    }

    fn find(&self, key: &Path) -> Option<usize> {
        self.mounts.get(key).copied()
    }

    /// Whether somebody names a source for a key that is no bind of config.json: the runtime, or CRIU itself (`CRIU:AUTOGENERATED`).
    fn registers(&self, key: &Path) -> bool {
        is_criu_key(key) || self.masked.iter().any(|masked| Path::new(masked) == key) || self.cgroups.iter().any(|cgroup| key.starts_with(cgroup))
    }
}

#[cfg(test)]
mod tests;
