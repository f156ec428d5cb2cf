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
