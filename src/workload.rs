//! Who a process is to an operator: a container of some engine, a service, or just a process.

use serde::Serialize;

/// What runs in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Workload {
    pub kind: Kind,
    /// The container's id as its engine knows it, or the unit of a service.
    pub id: Option<String>,
    /// As an operator knows it: docker's and podman's name, `namespace/pod/container` of Kubernetes.
    pub name: Option<String>,
    /// `containerd`, `cri-o`, `podman`, `docker`, or the runtime of a container that no engine made.
    pub engine: Option<String>,
    /// Where its config.json is, if that is known.
    pub bundle: Option<std::path::PathBuf>,
    /// The program's name (`comm`).
    pub command: String,
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

/// Who `pid` is, by its cgroup and the state folders of runtimes and engines.
#[must_use]
pub fn of_process(_pid: i32) -> Workload {
    Workload::default()
}

/// A running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub workload: Workload,
    /// Its first process.
    pub pid: i32,
    /// `runc` or `crun`.
    pub runtime: String,
    /// The runtime's file that describes it.
    pub state: std::path::PathBuf,
}

/// All running containers that a runtime's state folder knows.
#[must_use]
pub fn containers() -> Vec<Container> {
    Vec::new()
}
