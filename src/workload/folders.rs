//! Where runtimes and engines keep what they know. Nothing is read that could wait or do something when it is opened, and in the folders of an
//! unprivileged user no symlink and no mount is followed.

use super::naming;
use super::process;
use super::state::{self, State};
use crate::bundle::read_whole;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where podman and CRI-O, as root, keep their containers by default.
pub const STORAGE: &str = "/var/lib/containers/storage/overlay-containers";
const DOCKER: &str = "/var/lib/docker";

/// Larger files are nobody's state.
const MOST_BYTES: u64 = 16 << 20;
/// More entries are no folder of a runtime.
const MOST_ENTRIES: usize = 20_000;

/// A folder with one folder for each container of a runtime: its `--root`.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    /// What always uses this one.
    pub engine: Option<&'static str>,
    /// An unprivileged user who can write here.
    pub owner: Option<u32>,
    /// That user's folder, and the way from there: nothing else is followed.
    beneath: Option<(OwnedFd, PathBuf)>,
}

/// The roots of all runtimes and engines, those that only root can write to first.
#[must_use]
pub fn roots() -> Vec<Root> {
    roots_below(Path::new("/run"))
}

fn roots_below(run: &Path) -> Vec<Root> {
    let of_root = |path: PathBuf, engine| Root { path, engine, owner: None, beneath: None };
    let mut roots = vec![of_root(run.join("runc"), None), of_root(run.join("crun"), None)];
    let namespaces = run.join("containerd/runc");
    for namespace in names_in(&namespaces) {
        roots.push(of_root(namespaces.join(&namespace), Some(if namespace == "moby" { "docker" } else { "containerd" })));
    }
    for runtime in names_in(&run.join("docker")).into_iter().filter(|name| name.starts_with("runtime-")) {
        let folder = run.join("docker").join(runtime);
        roots.extend(names_in(&folder).iter().map(|namespace| of_root(folder.join(namespace), Some("docker"))));
    }
    roots.extend(names_in(&run.join("user")).iter().flat_map(|user| roots_of_user(&run.join("user").join(user), user)));
    roots
}

/// podman's and docker's without root. The folder `/run/user/UID` itself is systemd's work.
fn roots_of_user(folder: &Path, uid: &str) -> Vec<Root> {
    let root = |(name, engine): (&str, Option<&'static str>)| {
        let owner = uid.parse().ok()?;
        let home = open_path(folder, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW)?;
        Some(Root { path: folder.join(name), engine, owner: Some(owner), beneath: Some((home.into(), name.into())) })
    };
    [("runc", None), ("crun", None), ("docker/runtime-runc/moby", Some("docker"))].into_iter().filter_map(root).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().take(MOST_ENTRIES).flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// One container's folder.
pub struct StateFolder<'r> {
    pub root: &'r Root,
    pub id: String,
}

impl StateFolder<'_> {
    pub fn all_in(root: &Root) -> Vec<StateFolder<'_>> {
        let ids = root.open("", OFlag::O_DIRECTORY).map(|folder| names_in(&path_of(&folder)));
        ids.unwrap_or_default().into_iter().map(|id| StateFolder { root, id }).collect()
    }

    pub fn path(&self) -> PathBuf {
        self.root.path.join(&self.id)
    }

    /// What the runtime wrote.
    pub fn read(&self) -> Option<State> {
        let file = |name: &str| self.root.open(&format!("{}/{name}", self.id), OFlag::empty()).and_then(|file| contents(&file));
        if let Some(text) = file("state.json") {
            return state::of_runc(&text);
        }
        let mut state = state::of_crun(&file("status")?)?;
        // crun keeps a copy. The bundle may be anywhere; an engine's is here, too.
        let of_engine = || state.bundle.as_ref().filter(|bundle| self.root.owner.is_none() && bundle.starts_with("/run"));
        let config = file("config.json").or_else(|| read_file(&of_engine()?.join("config.json")));
        state.annotations = config.map(|config| state::annotations(&config)).unwrap_or_default();
        Some(state)
    }
}

impl Root {
    /// Whether a state here may say that `pid` is its container.
    pub fn is_believed(&self, pid: i32) -> bool {
        self.owner.is_none_or(|owner| process::is_of_user(pid, owner))
    }

    fn open(&self, name: &str, flags: OFlag) -> Option<File> {
        let flags = flags | OFlag::O_PATH | OFlag::O_CLOEXEC;
        match &self.beneath {
            None => open_path(&self.path.join(name), flags),
            Some((home, way)) => {
                // A user can put a symlink here, and mount a FUSE file system whose server never answers.
                let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
                openat2(home, &way.join(name), OpenHow::new().flags(flags).resolve(resolve)).ok().map(File::from)
            }
        }
    }
}

/// A handle by which nothing can be read yet.
fn open_path(path: &Path, flags: OFlag) -> Option<File> {
    OpenOptions::new().read(true).custom_flags((flags | OFlag::O_PATH).bits()).open(path).ok()
}

/// A path to what is open, whatever has taken its name meanwhile.
fn path_of(file: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(file.as_raw_fd().to_string())
}

/// The content of a regular file of a sane size. It is known to be one before it is opened for reading: opening a FIFO or a device does something.
fn contents(handle: &File) -> Option<Vec<u8>> {
    let metadata = handle.metadata().ok().filter(|metadata| metadata.is_file() && metadata.len() <= MOST_BYTES)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path_of(handle)).ok()?;
    read_whole(&file, &metadata).ok()
}

fn read_file(path: &Path) -> Option<Vec<u8>> {
    contents(&open_path(path, OFlag::empty())?)
}

/// docker's name for a container: docker's data are above the root file system that it mounts, or where they are by default.
#[must_use]
pub fn docker_name(id: &str, rootfs: Option<&Path>) -> Option<String> {
    let above = rootfs.into_iter().flat_map(Path::ancestors).skip(1).filter(|path| path.parent().is_some());
    let mut files = std::iter::once(Path::new(DOCKER)).chain(above).map(|data| data.join("containers").join(id).join("config.v2.json"));
    files.find_map(|file| naming::of_docker(&read_file(&file)?))
}

/// The storage of podman and CRI-O whose container has this bundle: `STORAGE/ID/userdata`.
#[must_use]
pub fn storage_of(bundle: &Path) -> Option<&Path> {
    let storage = bundle.parent()?.parent()?;
    (bundle.ends_with("userdata") && storage.file_name()?.to_str()?.ends_with("-containers")).then_some(storage)
}

/// Names by id. Those of containers that are removed when they end (`--rm`) are in the second file.
#[must_use]
pub fn names_in_storage(storage: &Path) -> HashMap<String, String> {
    let files = ["containers.json", "volatile-containers.json"].into_iter().filter_map(|name| read_file(&storage.join(name)));
    files.flat_map(|text| naming::of_storage(&text)).collect()
}

#[cfg(test)]
pub(super) mod tests;
