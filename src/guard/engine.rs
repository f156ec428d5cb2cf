//! The engines that can be told to use runc-guard, and what the world calls them.

use clap::ValueEnum;

/// An engine of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Containerd,
    Crio,
    Podman,
    Docker,
}

impl Engine {
    /// Its name as the command line has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Engine::Containerd => "containerd",
            Engine::Crio => "crio",
            Engine::Podman => "podman",
            Engine::Docker => "docker",
        }
    }

    /// What makes the engine read its settings again; podman reads them at every call.
    #[must_use]
    pub fn restart_command(self) -> Option<&'static str> {
        match self {
            Engine::Containerd => Some("systemctl restart containerd"),
            Engine::Crio => Some("systemctl restart crio"),
            Engine::Podman => None,
            Engine::Docker => Some("systemctl restart docker"),
        }
    }

    /// Whether Kubernetes reaches its runtimes, by the handler of a RuntimeClass.
    #[must_use]
    pub fn serves_kubernetes(self) -> bool {
        matches!(self, Engine::Containerd | Engine::Crio)
    }

    /// The runtimes of its own that it may take where its settings name no default.
    #[must_use]
    pub fn built_in_defaults(self) -> &'static [&'static str] {
        match self {
            Engine::Containerd | Engine::Docker => &["runc"],
            // crun since CRI-O 1.31, runc before; podman takes the first that is installed.
            Engine::Crio | Engine::Podman => &["crun", "runc"],
        }
    }
}

/// How an engine's settings name runc-guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Not at all.
    No,
    /// As one of its runtimes, which a container has to ask for.
    Named,
    /// As what every container gets that asks for nothing else.
    Default,
}
