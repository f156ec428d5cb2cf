//! `guard configure ENGINE`.

use super::Outcome;
use super::engine::{Engine, Use};
use clap::Args;

#[derive(Args)]
pub struct Arguments {
    /// The engine whose settings change.
    engine: Engine,
}

pub fn run(arguments: &Arguments) -> Outcome {
    anyhow::bail!("configure {:?}: not built", arguments.engine)
}

/// How the engine's settings, at the places where it looks for them, name the runc-guard at `program`.
///
/// # Errors
/// A settings file of the engine cannot be read or understood.
pub fn used_by(_engine: Engine, _program: &std::path::Path) -> anyhow::Result<Use> {
    anyhow::bail!("not built")
}
