//! Looks at what a restore will need: the image, the sources of the binds, and each place where a mountpoint must be. Reads only.

mod masks;

pub use masks::LostMask;

use super::spelling::Spelling;
use crate::config::Config;
use crate::container_path::Tree;
use crate::image_files;
use crate::invocation::Flavour;
use crate::mountpoint::{Base, Found, Kind, Owner};
use crate::paths;
use crate::prepare::Call;
use crate::restored_mounts::{self, Content, Place, RestoredMount};
use crate::spec::{Mount, Spec};
use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a restore finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreView {
    /// Why the image was not read; then `mounts` are those of config.json.
    pub image_problem: Option<String>,
    /// The mounts that CRIU will restore.
    pub mounts: Vec<WantedMount>,
    /// One entry for each mount of config.json; `None` for what is no bind.
    pub sources: Vec<Option<BindSource>>,
    /// Resolved, where it exists.
    pub rootfs: PathBuf,
    pub rootfs_is_missing: bool,
    pub rootfs_is_read_only: bool,
    /// What is at /tmp of a root file system that the container sees read-only.
    pub tmp: Option<Found>,
    /// The empty directory that crun leaves behind when it is killed during a restore.
    pub stale_criu_root: Option<PathBuf>,
    /// Where missing sources may be created: the setting, resolved.
    pub create_sources: Vec<PathBuf>,
    /// The empty directories that crun will not find by the names that the image has for them.
    pub lost_masks: Vec<LostMask>,
    /// The work directory that crun will not find.
    pub missing_work_directory: Option<PathBuf>,
}

/// A mount that CRIU will restore, and its mountpoint on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedMount {
    pub mount: RestoredMount,
    /// Of the mountpoint; `None` when it cannot be known.
    pub kind: Option<Kind>,
    /// Where on the host the mountpoint must be, and what is there; `None` where CRIU restores it.
    pub site: Option<(PathBuf, Found)>,
}

/// The source of a bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindSource {
    /// Absolute; resolved, where it exists.
    pub path: PathBuf,
    pub state: SourceState,
    /// The container may not write there.
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    Is(Kind),
    /// `kind`: what it must have been, after its mountpoint in the root file system or what is mounted in it. `like`: owner and mode of that
    /// mountpoint, where it is of this kind.
    Missing {
        kind: Option<Kind>,
        like: Option<(Owner, u32)>,
    },
    DanglingSymlink,
    Unreadable(Errno),
}

/// Looks. `spellings` are those of the document's mounts. Cold, as all that only a restore does: its code stays out of the pages that each create
/// touches.
#[cold]
#[inline(never)]
#[must_use]
pub fn look(spec: &Spec<'_>, spellings: &[Spelling], call: &Call, config: &Config) -> RestoreView {
    let rootfs = absolute(&call.bundle.join(spec.root_path.as_deref().unwrap_or("rootfs")));
    let (restored, image_problem) = match image_files::read_mounts(&call.image) {
        Ok(records) => (restored_mounts::of_image(&records, spec, spellings), None),
        Err(why) => (restored_mounts::of_config(spec, spellings), Some(why)),
    };
    let source =
        |(index, spelling): (usize, &Spelling)| source(&spec.mounts[index], spelling, &rootfs, &call.bundle, || holds_mounts(&restored, index));
    let sources = spellings.iter().enumerate().map(source).collect::<Vec<_>>();
    let site = Sites { rootfs: &rootfs, sources: &sources };
    let is_crun = call.flavour == Flavour::Crun;
    RestoreView {
        mounts: site.look(&restored),
        tmp: spec.root_readonly.then(|| look_below(&rootfs, true, Path::new("tmp"))),
        rootfs_is_missing: !rootfs.is_dir(),
        rootfs_is_read_only: statvfs(&rootfs).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY)),
        stale_criu_root: Some(call.bundle.join("criu-root")).filter(|path| is_crun && is_empty_directory(path)),
        lost_masks: masks::lost(&restored, spec, call),
        missing_work_directory: missing_work_directory(call),
        create_sources: config.restore.create_sources.iter().filter_map(|path| super::resolve(path)).collect(),
        image_problem,
        sources,
        rootfs,
    }
}

/// crun 1.21 does not make it, crun of today not the directories above it.
#[must_use]
pub fn missing_work_directory(call: &Call) -> Option<PathBuf> {
    call.work.clone().filter(|path| call.flavour == Flavour::Crun && path.symlink_metadata().is_err())
}

fn absolute(path: &Path) -> PathBuf {
    super::resolve(path).or_else(|| std::path::absolute(path).ok()).unwrap_or_else(|| path.to_owned())
}

fn is_empty_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir()) && std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn kind_of(found: &Metadata) -> Kind {
    if found.is_dir() { Kind::Directory } else { Kind::File }
}

/// Whether something is mounted below the root of a source.
fn holds_mounts(restored: &[RestoredMount], index: usize) -> bool {
    let is_below = |place: &Place| place.tree == Tree::Source(index) && !place.below.as_os_str().is_empty();
    restored.iter().any(|mount| mount.place.as_ref().is_some_and(is_below))
}

fn source(mount: &Mount<'_>, spelling: &Spelling, rootfs: &Path, bundle: &Path, holds_mounts: impl Fn() -> bool) -> Option<BindSource> {
    if !mount.is_bind() {
        return None;
    }
    let written = Path::new(mount.source.as_deref().unwrap_or_default());
    let path = spelling.source.clone().unwrap_or_else(|| resolve_existing(&paths::lexical(&absolute(bundle), written)));
    let state = match path.symlink_metadata() {
        Ok(found) if found.is_symlink() => path.metadata().map_or(SourceState::DanglingSymlink, |found| SourceState::Is(kind_of(&found))),
        Ok(found) => SourceState::Is(kind_of(&found)),
        Err(error) => match error.raw_os_error().map_or(Errno::EIO, Errno::from_raw) {
            Errno::ENOENT => missing(rootfs, &spelling.mountpoint, holds_mounts()),
            errno => SourceState::Unreadable(errno),
        },
    };
    let read_only = mount.options.iter().any(|option| option.text == "ro" || option.text == "rro");
    Some(BindSource { path, state, read_only })
}

/// Kind, owner and mode are those of what the root file system has at the mountpoint: podman gives a new volume those of the directory that it
/// covers.
fn missing(rootfs: &Path, mountpoint: &Path, holds_mounts: bool) -> SourceState {
    let covered = mountpoint.strip_prefix("/").ok().and_then(|below| rootfs.join(below).symlink_metadata().ok());
    let Some(covered) = covered.filter(|found| !found.is_symlink()) else {
        return SourceState::Missing { kind: holds_mounts.then_some(Kind::Directory), like: None };
    };
    let like = Some((Owner { uid: covered.uid(), gid: covered.gid() }, covered.mode() & 0o1777));
    SourceState::Missing { kind: Some(kind_of(&covered)), like }
}

/// A path that does not exist, without symlinks in the part of it that does.
fn resolve_existing(path: &Path) -> PathBuf {
    let resolved = path.ancestors().find_map(|above| Some(super::resolve(above)?.join(path.strip_prefix(above).ok()?)));
    resolved.unwrap_or_else(|| path.to_owned())
}

/// The trees in which mountpoints lie.
struct Sites<'a> {
    rootfs: &'a Path,
    sources: &'a [Option<BindSource>],
}

impl Sites<'_> {
    /// One tree after the other, so that one handle is open at a time.
    fn look(&self, restored: &[RestoredMount]) -> Vec<WantedMount> {
        let mut order: Vec<usize> = (0..restored.len()).collect();
        order.sort_by_key(|index| restored[*index].place.as_ref().map(|place| (self.number(place.tree), place.inside_mounts)));
        let mut wanted: Vec<Option<WantedMount>> = vec![None; restored.len()];
        let mut open: Option<(Tree, bool, Result<Base, Errno>)> = None;
        for index in order {
            let mount = &restored[index];
            let site = mount.place.as_ref().and_then(|place| {
                let path = self.root(place.tree)?;
                if open.as_ref().is_none_or(|(tree, inside, _)| (*tree, *inside) != (place.tree, place.inside_mounts)) {
                    open = Some((place.tree, place.inside_mounts, Base::open(path, place.is_recursive())));
                }
                let (.., base) = open.as_ref()?;
                Some((join(path, &place.below), found(base, &place.below)))
            });
            wanted[index] = Some(WantedMount { kind: self.kind(mount), site, mount: mount.clone() });
        }
        wanted.into_iter().flatten().collect()
    }

    fn number(&self, tree: Tree) -> usize {
        if let Tree::Source(index) = tree { index } else { self.sources.len() }
    }

    fn root(&self, tree: Tree) -> Option<&Path> {
        match tree {
            Tree::Rootfs => Some(self.rootfs),
            Tree::Source(index) => self.sources.get(index)?.as_ref().map(|source| source.path.as_path()),
            Tree::Fresh => None,
        }
    }

    fn kind(&self, mount: &RestoredMount) -> Option<Kind> {
        match &mount.content {
            Content::Dumped | Content::MaskDirectory { .. } => Some(Kind::Directory),
            Content::MaskFile => Some(Kind::File),
            Content::External { mount: Some(index), .. } => match self.sources.get(*index)?.as_ref()?.state {
                SourceState::Is(kind) => Some(kind),
                SourceState::Missing { kind, .. } => kind,
                _ => None,
            },
            Content::BindOf(place) => {
                let path = self.root(place.tree)?;
                if let Found::Is(kind) = look_below(path, place.is_recursive(), &place.below) { Some(kind) } else { None }
            }
            Content::PartOfDumped | Content::External { mount: None, .. } => None,
        }
    }
}

fn join(path: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { path.to_owned() } else { path.join(below) }
}

fn found(base: &Result<Base, Errno>, below: &Path) -> Found {
    match base {
        Ok(base) => base.look(below),
        // The tree itself has to be made first.
        Err(Errno::ENOENT) => Found::Missing { components: below.components().count(), read_only: false },
        Err(errno) => Found::Unreadable(PathBuf::new(), *errno),
    }
}

fn look_below(path: &Path, recursive: bool, below: &Path) -> Found {
    found(&Base::open(path, recursive), below)
}
