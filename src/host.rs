//! Looks at the host, reads only: what the rules must know beyond the two documents, as plain data.

pub mod restore;
pub mod spelling;

use crate::config::Config;
use crate::invocation::{Command, Flavour};
use crate::kernel::{self, FileFacts};
use crate::mountinfo::{self, Device, MountEntry, Place};
use crate::paths::{self, Relation};
use crate::prepare::Call;
use crate::propagation::{self, Bind, Verdict};
use crate::report::{errno, errno_name};
use crate::spec::{Mount, Spec};
use crate::sysctl;
use nix::errno::Errno;
use restore::RestoreView;
use spelling::Spelling;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// What was found on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    pub roots: Vec<Root>,
    /// One entry for each mount of the document; `None` where there is nothing to decide: no bind that could pin, no directory, no source.
    pub sources: Vec<Option<Source>>,
    /// Binds that could pin, whose source could not be looked at to the end.
    pub unknown: Vec<Unknown>,
    pub rootfs: Option<Rootfs>,
    /// The sysctl file that exists and reads 0.
    pub sysctl_to_enable: Option<PathBuf>,
    /// How the kernel will see each mount of the document; empty when no rule asks, and at create and run when all are spelt so.
    pub spellings: Vec<Spelling>,
    pub restore: Option<RestoreView>,
}

/// A protected root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Resolved; by text alone where it does not exist.
    pub path: PathBuf,
    /// Looked up only when a source needs to be compared by mount identity.
    pub place: Option<Place>,
}

/// The source of a directory bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Resolved.
    pub path: PathBuf,
    /// It is a mountpoint, and nothing is mounted below it. Looked up only for a source inside a protected root.
    pub is_bare_mountpoint: bool,
    /// The id of the mount that holds it.
    pub mount_id: Option<u64>,
    /// Whether the mount that holds it is shared: only then does an unmount below it reach the container. `None`: not known, or not needed.
    pub parent_shared: Option<bool>,
    /// Where in their file systems the directory and the mounts that a recursive bind carries along lie; only on devices of a protected root,
    /// and only when the paths alone did not decide.
    pub places: Vec<Place>,
}

/// A source of which it is not known whether it overlaps a protected root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Of its mount in the document.
    pub mount: usize,
    /// Why, as `verb object: ERRNO`.
    pub why: String,
}

/// The container's root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rootfs {
    pub is_mountpoint: bool,
    pub mount_id: Option<u64>,
}

/// Gathers what the rules need for one document, and nothing that none of them needs.
#[must_use]
pub fn look(call: &Call, config: &Config, spec: &Spec<'_>) -> HostView {
    let mut view = HostView { sources: vec![None; spec.mounts.len()], ..HostView::default() };
    let is_restore = call.command == Command::Restore;
    if config.rule("may-detach-mounts").enabled && !is_restore {
        view.sysctl_to_enable = sysctl::may_detach_mounts().and_then(sysctl::read_disabled);
    }
    if config.rule("slave-protected-binds").enabled {
        look_for_pins(&mut view, call, config, spec);
    }
    let prepares_restore = is_restore && (config.rule("restore-mountpoints").enabled || config.rule("restore-dialect").enabled);
    let respells = config.rule("checkpointable-mounts").enabled && call.flavour != Flavour::Youki;
    if prepares_restore || respells {
        let known: Vec<Option<&Path>> = view.sources.iter().map(|source| Some(source.as_ref()?.path.as_path())).collect();
        if is_restore || !spelling::is_plain(spec, &call.bundle, &known) {
            view.spellings = spelling::look(spec, &call.bundle, &known);
        }
    }
    if prepares_restore {
        view.restore = Some(restore::look(spec, &view.spellings, call, config));
    }
    view
}

/// The mount table is read at most once, and only for a directory bind whose path alone does not decide (or on kernels before 6.8).
fn look_for_pins(view: &mut HostView, call: &Call, config: &Config, spec: &Spec<'_>) {
    let bundle = &call.bundle;
    let (text, table) = (OnceCell::new(), OnceCell::new());
    let read = || text.get_or_init(|| std::fs::read("/proc/self/mountinfo"));
    // Empty when it cannot be read: then only paths decide.
    let table = || table.get_or_init(|| mountinfo::parse(read().as_deref().unwrap_or_default())).as_slice();
    let mut undecided = Vec::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let found = directory_source(mount, call.flavour, config, bundle);
        let Some(Directory { path, facts }) = noted(found, index, &mut view.unknown) else { continue };
        if view.roots.is_empty() {
            view.roots = protected_roots(config, &path);
            if view.roots.is_empty() {
                return;
            }
        }
        let overlaps: Vec<Relation> = view.roots.iter().filter_map(|root| paths::overlap(&path, &root.path)).collect();
        if overlaps.is_empty() {
            undecided.push(index);
        }
        let only_inside = !overlaps.is_empty() && overlaps.iter().all(|relation| *relation == Relation::Inside);
        view.sources[index] = Some(Source {
            is_bare_mountpoint: only_inside && facts.is_mountpoint == Some(true) && !has_mounts_below(&facts, &path, &table),
            mount_id: facts.mount.map(|mount| mount.id),
            parent_shared: is_on_shared_mount(&facts, &path, &table),
            places: Vec::new(),
            path,
        });
    }
    if !undecided.is_empty() {
        look_for_aliases(view, &undecided, spec, table());
        if let Err(error) = read() {
            let why = format!("read /proc/self/mountinfo: {}", errno_name(error));
            view.unknown.extend(undecided.iter().map(|index| Unknown { mount: *index, why: why.clone() }));
        }
    }
    view.rootfs = rootfs(spec, bundle);
}

struct Directory {
    /// Resolved.
    path: PathBuf,
    facts: FileFacts,
}

fn noted<T>(found: Result<Option<T>, String>, mount: usize, unknown: &mut Vec<Unknown>) -> Option<T> {
    found.unwrap_or_else(|why| {
        unknown.push(Unknown { mount, why });
        None
    })
}

/// The source of a mount that the rule could have something to say about, if it is a directory.
fn directory_source(mount: &Mount<'_>, flavour: Flavour, config: &Config, bundle: &Path) -> Result<Option<Directory>, String> {
    if propagation::verdict(&mount.words(), flavour, config.force_rro) == Verdict::Keep {
        return Ok(None);
    }
    let Some(source) = mount.source.as_deref().filter(|source| !source.is_empty()) else { return Ok(None) };
    let path = bundle.join(source);
    let told = |verb: &str, errno: Errno| format!("{verb} {}: {errno:?}", path.display());
    let found = stat(&path).map_err(|errno| told("look at", errno))?;
    let Some(facts) = found.filter(|facts| facts.is_dir) else { return Ok(None) };
    match try_resolve(&path) {
        Ok(path) => Ok(Some(Directory { path, facts })),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(told("resolve", errno)),
    }
}

/// Asks the kernel about the one mount where it can answer that, since 6.8, and otherwise the mount table.
fn is_on_shared_mount<'t>(facts: &FileFacts, path: &Path, table: &impl Fn() -> &'t [MountEntry<'t>]) -> Option<bool> {
    let answer = facts.mount.filter(|mount| mount.unique).and_then(|mount| kernel::is_shared_mount(mount.id).ok());
    answer.or_else(|| Some(mountinfo::holder(table(), path)?.shared))
}

fn has_mounts_below<'t>(facts: &FileFacts, path: &Path, table: &impl Fn() -> &'t [MountEntry<'t>]) -> bool {
    let answer = facts.mount.filter(|mount| mount.unique).and_then(|mount| kernel::has_mounts_below(mount.id).ok());
    answer.unwrap_or_else(|| mountinfo::is_mounted_below(table(), path))
}

/// Default roots count when they exist; roots that an operator named also when they do not, by their text. `resolved` is any resolved path: a
/// root that is above it by text, or is it, needs no look-up, because no part of a resolved path is a symlink.
pub fn protected_roots(config: &Config, resolved: &Path) -> Vec<Root> {
    let by_text = |path: &Path| paths::lexical(Path::new("/"), path);
    let existing = |path: &Path| {
        if resolved.starts_with(path) {
            return Some(path.components().collect());
        }
        // Most of the default roots are missing on any one node: one call each, instead of a walk.
        if kernel::stat(path) == Err(Errno::ENOENT) {
            return None;
        }
        match try_resolve(path) {
            // What is there and cannot be resolved now is protected all the same.
            Err(errno) if errno != Errno::ENOENT => Some(by_text(path)),
            resolved => resolved.ok(),
        }
    };
    let root = |path: &PathBuf, keep_missing: bool| {
        let path = existing(path).or_else(|| keep_missing.then(|| by_text(path)))?;
        Some(Root { path, place: None })
    };
    let listed = config.protected_roots.iter().filter_map(|path| root(path, !config.default_roots));
    listed.chain(config.extra_protected_roots.iter().filter_map(|path| root(path, true))).collect()
}

/// Fills in where the roots and the undecided sources lie in their file systems.
fn look_for_aliases(view: &mut HostView, undecided: &[usize], spec: &Spec<'_>, table: &[MountEntry<'_>]) {
    for root in &mut view.roots {
        root.place = mountinfo::place(table, &root.path);
    }
    let devices: Vec<Device> = view.roots.iter().filter_map(|root| Some(root.place.as_ref()?.device)).collect();
    for index in undecided {
        let Some(source) = &mut view.sources[*index] else { continue };
        source.places.extend(mountinfo::place(table, &source.path).filter(|place| devices.contains(&place.device)));
        if Bind::of(&spec.mounts[*index].words()) == Bind::Recursive {
            source.places.extend(mountinfo::places_below(table, &source.path, &devices));
        }
    }
}

fn rootfs(spec: &Spec<'_>, bundle: &Path) -> Option<Rootfs> {
    let path = spec.root_path.as_deref()?;
    let facts = stat(&bundle.join(path)).ok()??;
    Some(Rootfs { is_mountpoint: facts.is_mountpoint?, mount_id: facts.mount.map(|mount| mount.id) })
}

/// `None`: nothing is there that the runtime could bind. A seccomp filter may deny statx(2), with an errno of its own or glibc's, while it allows the
/// older call, which knows nothing of mounts.
fn stat(path: &Path) -> Result<Option<FileFacts>, Errno> {
    match kernel::stat(path) {
        Ok(facts) => Ok(Some(facts)),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => Ok(None),
        Err(errno) => match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(FileFacts { is_dir: metadata.is_dir(), is_mountpoint: None, mount: None })),
            Err(_) => Err(errno),
        },
    }
}

fn resolve(path: &Path) -> Option<PathBuf> {
    try_resolve(path).ok()
}

/// The one place where a path is resolved by name: sources and roots are compared, never opened for writing, so a race changes a verdict at most.
#[allow(clippy::disallowed_methods)]
fn try_resolve(path: &Path) -> Result<PathBuf, Errno> {
    std::fs::canonicalize(path).map_err(|error| errno(&error))
}

#[cfg(test)]
mod tests;
