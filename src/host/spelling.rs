//! How the kernel will see the mounts of a document: their destinations in the container, and the sources of its binds.

use super::resolve;
use crate::container_path::{self, Covers, Tree};
use crate::paths;
use crate::spec::{Mount, Spec};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat2, readlinkat};
use nix::sys::stat::Mode;
use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A mount as the kernel will see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// In the container: absolute, without symlinks.
    pub mountpoint: PathBuf,
    /// Of a bind whose source exists: the source on the host, absolute, without symlinks.
    pub source: Option<PathBuf>,
}

/// One entry for each mount of the document. `known_sources` are sources that have been resolved already.
#[cold]
#[inline(never)]
#[must_use]
pub fn look(spec: &Spec<'_>, bundle: &Path, known_sources: &[Option<&Path>]) -> Vec<Spelling> {
    let mut trees = Trees::of(spec, bundle);
    let mut covers = Covers::default();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let is_bind = mount.is_bind();
        let mountpoint = trees.resolve(Path::new(&*mount.destination), &covers);
        let known = known_sources.get(index).copied().flatten();
        let source = if is_bind { real_source(mount, bundle, known) } else { None };
        covers.add(mountpoint.clone(), if is_bind { Tree::Source(index) } else { Tree::Fresh });
        trees.spellings.push(Spelling { mountpoint, source });
    }
    trees.spellings
}

/// Whether every bind is spelt already as the kernel will see it, as nearly all are; asked in a few system calls, because every container start
/// does. `false` may also mean that this was not to be found out so fast.
#[must_use]
pub fn is_plain(spec: &Spec<'_>, bundle: &Path, known_sources: &[Option<&Path>]) -> bool {
    let mut rootfs: Option<Option<OwnedFd>> = None;
    let mut binds: BTreeSet<&str> = BTreeSet::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        if !mount.is_bind() {
            continue;
        }
        let destination = &*mount.destination;
        let known = known_sources.get(index).copied().flatten();
        // Below another bind, the symlinks of its source count.
        if !is_clean(destination) || !is_plain_source(mount, known) || parents(destination).any(|parent| binds.contains(parent)) {
            return false;
        }
        // Of the root file system alone: a fresh mount on the way can only hide symlinks.
        let rootfs = rootfs.get_or_insert_with(|| spec.root_path.as_deref().and_then(|path| open_tree(&bundle.join(path))));
        if rootfs.as_ref().is_some_and(|rootfs| has_symlinks(rootfs.as_fd(), Path::new(&destination[1..]))) {
            return false;
        }
        binds.insert(destination);
    }
    true
}

/// The directories above a clean path, the nearest first, without the root.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').rev().map(|(end, _)| &path[..end]).filter(|parent| !parent.is_empty())
}

fn is_clean(path: &str) -> bool {
    path.len() > 1 && path.starts_with('/') && path[1..].split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn is_plain_source(mount: &Mount<'_>, known: Option<&Path>) -> bool {
    let source = mount.source.as_deref().unwrap_or_default();
    let is_known = known.is_some_and(|known| known.as_os_str() == source);
    is_known || source.starts_with("/proc/") || (source.starts_with('/') && !has_symlinks(AT_FDCWD, Path::new(source)))
}

/// The trees in which symlinks can lie. Their entries are read relative to a handle and never opened; a race can only spoil a spelling.
struct Trees {
    rootfs: Option<OwnedFd>,
    /// Opened only when something is mounted below them.
    sources: HashMap<usize, Option<OwnedFd>>,
    spellings: Vec<Spelling>,
}

impl Trees {
    fn of(spec: &Spec<'_>, bundle: &Path) -> Trees {
        let rootfs = spec.root_path.as_deref().and_then(|path| open_tree(&bundle.join(path)));
        Trees { rootfs, sources: HashMap::new(), spellings: Vec::with_capacity(spec.mounts.len()) }
    }

    /// Most paths hold no symlink, which the kernel says in one call.
    fn resolve(&mut self, destination: &Path, covers: &Covers) -> PathBuf {
        let clean = paths::lexical(Path::new("/"), destination);
        let (tree, below) = covers.seen_at(&clean);
        if self.handle(tree).is_none_or(|tree| !has_symlinks(tree.as_fd(), below)) {
            return clean;
        }
        let read_link = |tree, below: &Path| readlinkat(self.handle(tree)?, below).ok().map(PathBuf::from);
        container_path::resolve(&clean, covers, read_link).unwrap_or(clean)
    }

    fn handle(&mut self, tree: Tree) -> Option<&OwnedFd> {
        match tree {
            Tree::Fresh => None,
            Tree::Rootfs => self.rootfs.as_ref(),
            Tree::Source(index) => {
                let path = self.spellings.get(index)?.source.as_deref();
                self.sources.entry(index).or_insert_with(|| path.and_then(open_tree)).as_ref()
            }
        }
    }
}

fn open_tree(path: &Path) -> Option<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// Whether a symlink lies on the part of `path` that exists. Where openat2(2) is not to be had (Linux < 5.6, seccomp), one may.
fn has_symlinks(directory: BorrowedFd<'_>, path: &Path) -> bool {
    if path.as_os_str().is_empty() {
        return false;
    }
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    matches!(openat2(directory, path, how), Err(Errno::ELOOP | Errno::ENOSYS | Errno::EPERM))
}

/// The source of a bind without symlinks, if it exists and can be named so. A path through /proc means something else to each process, and its
/// magic links lead into other mount namespaces.
fn real_source(mount: &Mount<'_>, bundle: &Path, known: Option<&Path>) -> Option<PathBuf> {
    let source = Path::new(mount.source.as_deref().filter(|source| !source.is_empty())?);
    if source.starts_with("/proc") {
        return None;
    }
    if let Some(known) = known {
        return Some(known.to_owned()).filter(|known| !known.starts_with("/proc"));
    }
    let path = bundle.join(source);
    if source.is_absolute() && !has_symlinks(AT_FDCWD, source) {
        return Some(paths::lexical(Path::new("/"), source)).filter(|clean| source == clean || same_file(source, clean));
    }
    resolve(&path).filter(|real| !real.starts_with("/proc") && same_file(&path, real))
}

fn same_file(path: &Path, other: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    identity(path).is_some_and(|found| identity(other) == Some(found))
}

#[cfg(test)]
mod tests;
