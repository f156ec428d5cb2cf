//! Who a process is to an operator: a container of some engine, a service, or just a process.
//!
//! A process' cgroup names its container, the state folders of runc and crun confirm it, and the files of its engine know its name. All of it was
//! written by others: what is absent, broken or too large means "unknown", and hostile text stays data until somebody prints it
//! ([`crate::report::one_line`]).

pub mod cgroup;
mod folders;
mod naming;
pub(crate) mod process;
mod state;

use crate::paths::lossy;
use folders::{Root, StateFolder};
use serde::{Serialize, Serializer};
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// What runs in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Workload {
    pub kind: Kind,
    /// The container's id as its engine knows it, or the unit of a service.
    pub id: Option<String>,
    /// As an operator knows it: docker's and podman's name, `namespace/pod/container` of Kubernetes (`namespace/pod` is the pod's sandbox).
    pub name: Option<String>,
    /// `containerd`, `cri-o`, `podman`, `docker`, `buildah`, `buildkit`, `lxc`, or the runtime of a container that no engine made.
    pub engine: Option<String>,
    /// Where its config.json is, if that is known.
    #[serde(serialize_with = "lossy_option")]
    pub bundle: Option<PathBuf>,
    /// The program's name (`comm`).
    pub command: String,
}

/// As [`lossy`], where there may be none.
#[allow(clippy::ref_option)] // serde hands the field over
fn lossy_option<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(serializer)
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Container,
    /// A unit of systemd with mounts of its own (`PrivateMounts`, `ProtectSystem` …).
    Service,
    #[default]
    Process,
}

/// A container whose first process is there: running, paused, or created and not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    pub workload: Workload,
    /// Its first process.
    pub pid: i32,
    /// `runc` or `crun`: whose state it is, whatever program wrote it.
    pub runtime: String,
    /// The runtime's folder of it: the root (`--root`) and the id.
    #[serde(serialize_with = "lossy")]
    pub state: PathBuf,
}

/// Who `pid` is, by its cgroup and the state folders of runtimes and engines. May read the states of all containers: for more than one process ask
/// one [`Node`], which does that once.
#[must_use]
pub fn of_process(pid: i32) -> Workload {
    Node::new().of_process(pid)
}

/// All containers that a runtime keeps a state of, in the order of their first processes.
#[must_use]
pub fn containers() -> Vec<Container> {
    Node::new().containers()
}

/// The runtimes and engines of this node. What has been read stays as it was then.
pub struct Node {
    roots: Vec<Root>,
    /// Containers that we ourselves are in: from here they are the host, and not what an operator looks for.
    around_us: HashSet<String>,
    running: OnceCell<Running>,
    /// The names in a storage of podman or CRI-O, by id: one file for all containers.
    storages: RefCell<HashMap<PathBuf, HashMap<String, String>>>,
}

/// A running container, and by what its other processes are known.
struct Known {
    container: Container,
    cgroups: Vec<String>,
    namespace: Option<u64>,
}

/// All running containers.
struct Running {
    known: Vec<Known>,
    /// Their places in `known` by their cgroups: every holder is looked for here.
    by_cgroup: HashMap<String, usize>,
}

impl Running {
    fn of(known: Vec<Known>) -> Running {
        let own = |(index, known): (usize, &Known)| known.cgroups.iter().filter_map(move |own| Some((cgroup::lineage(own).next()?, index))).collect();
        let by_cgroup = known.iter().enumerate().flat_map::<Vec<_>, _>(own).collect();
        Running { known, by_cgroup }
    }
}

impl Default for Node {
    fn default() -> Node {
        Node::new()
    }
}

impl Node {
    #[must_use]
    pub fn new() -> Node {
        Node::with(folders::roots())
    }

    fn with(roots: Vec<Root>) -> Node {
        let ours = process::cgroup("self");
        let around_us = cgroup::containers(&cgroup::paths(&ours)).iter().map(|named| named.id.to_owned()).collect();
        Node { roots, around_us, running: OnceCell::new(), storages: RefCell::default() }
    }

    /// Who `pid` is.
    #[must_use]
    pub fn of_process(&self, pid: i32) -> Workload {
        Workload { command: process::command(pid), ..self.of_cgroup(&process::cgroup(pid), pid) }
    }

    fn of_cgroup(&self, text: &str, pid: i32) -> Workload {
        let paths = cgroup::paths(text);
        let named = cgroup::containers(&paths);
        // A container in a container is to this node the outer one, which alone has its state here.
        let confirmed = named.iter().find_map(|named| self.by_id(named));
        let found = confirmed.or_else(|| self.by_cgroup(&paths)).or_else(|| self.by_namespace(pid));
        let unconfirmed = || named.iter().find(|named| !self.around_us.contains(named.id)).map(|named| self.by_name_alone(named));
        found.or_else(unconfirmed).unwrap_or_else(|| no_container(&paths))
    }

    /// All containers that a runtime keeps a state of, in the order of their first processes.
    #[must_use]
    pub fn containers(&self) -> Vec<Container> {
        self.running().known.iter().map(|known| known.container.clone()).collect()
    }

    fn running(&self) -> &Running {
        self.running.get_or_init(|| {
            let mut found: Vec<Known> = self.roots.iter().flat_map(StateFolder::all_in).filter_map(|folder| self.known(&folder)).collect();
            // A stable sort: of two states of one process the first root's stays, which is the more trusted one.
            found.sort_by_key(|known| known.container.pid);
            found.dedup_by_key(|known| known.container.pid);
            Running::of(found)
        })
    }

    fn known(&self, folder: &StateFolder<'_>) -> Option<Known> {
        let state = folder.read()?;
        if !process::is_alive(state.pid, state.started) || !folder.root.is_believed(state.pid) {
            return None;
        }
        let workload = Workload { command: process::command(state.pid), ..self.describe(folder, &state) };
        let namespace = process::mount_namespace(state.pid).filter(|inode| Some(*inode) != process::mount_namespace("thread-self"));
        let container = Container { workload, pid: state.pid, runtime: state.runtime.to_owned(), state: folder.path() };
        Some(Known { container, cgroups: state.cgroups, namespace })
    }

    /// By the id that the cgroup names. Its first process may have ended before the others.
    fn by_id(&self, named: &cgroup::Named<'_>) -> Option<Workload> {
        let of_root = |root: &Root| {
            let folder = StateFolder { root, id: named.id.to_owned() };
            let state = folder.read().filter(|state| root.is_believed(state.pid))?;
            Some(self.describe(&folder, &state))
        };
        self.roots.iter().find_map(of_root)
    }

    /// A runtime may be told any cgroup; the deepest one wins.
    fn by_cgroup(&self, paths: &[&str]) -> Option<Workload> {
        let running = self.running();
        let own = |path: &&str| cgroup::lineage(path).find_map(|path| Some((path.len(), *running.by_cgroup.get(&path)?)));
        let (_, index) = paths.iter().filter_map(own).max()?;
        Some(running.known[index].container.workload.clone())
    }

    /// A container may have no cgroup of its own (podman's `--cgroups=disabled`).
    fn by_namespace(&self, pid: i32) -> Option<Workload> {
        let namespace = process::mount_namespace(pid);
        self.running()
            .known
            .iter()
            .find(|known| known.namespace.is_some() && known.namespace == namespace)
            .map(|known| known.container.workload.clone())
    }

    /// The runtime keeps its state where nobody looks (`--root`).
    fn by_name_alone(&self, named: &cgroup::Named<'_>) -> Workload {
        let name = match named.engine {
            Some("docker") => folders::docker_name(named.id, None),
            Some("podman" | "cri-o") => self.name_in_storage(Path::new(folders::STORAGE), named.id),
            _ => None,
        };
        Workload { kind: Kind::Container, id: Some(named.id.to_owned()), name, engine: named.engine.map(str::to_owned), ..Workload::default() }
    }

    fn describe(&self, folder: &StateFolder<'_>, state: &state::State) -> Workload {
        let told = &state.annotations;
        let paths: Vec<&str> = state.cgroups.iter().map(String::as_str).collect();
        let by_cgroup = cgroup::containers(&paths).iter().find(|named| named.id == folder.id).and_then(|named| named.engine);
        let by_bundle = || naming::engine_of(&folder.id, state.bundle.as_deref());
        let engine = told.engine.or(folder.root.engine).or(by_cgroup).or_else(by_bundle).unwrap_or(state.runtime);
        let in_storage = || self.name_in_storage(folders::storage_of(state.bundle.as_deref()?)?, &folder.id);
        let name = match engine {
            // In a user's folders nothing is looked up: they may be on any file system, on a dead one too.
            _ if told.name.is_some() || folder.root.owner.is_some() => told.name.clone(),
            "docker" => folders::docker_name(&folder.id, state.rootfs.as_deref()),
            "podman" | "cri-o" => in_storage(),
            _ => None,
        };
        let (id, engine) = (Some(folder.id.clone()), Some(engine.to_owned()));
        Workload { kind: Kind::Container, id, name, engine, bundle: state.bundle.clone(), command: String::new() }
    }

    fn name_in_storage(&self, storage: &Path, id: &str) -> Option<String> {
        let mut storages = self.storages.borrow_mut();
        storages.entry(storage.to_owned()).or_insert_with(|| folders::names_in_storage(storage)).get(id).cloned()
    }
}

fn no_container(paths: &[&str]) -> Workload {
    match cgroup::service(paths) {
        Some(unit) => Workload { kind: Kind::Service, id: Some(unit.to_owned()), ..Workload::default() },
        None => Workload::default(),
    }
}

#[cfg(test)]
mod tests;
