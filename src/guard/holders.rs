//! `guard holders`.

use super::Outcome;
use clap::Args;

#[derive(Args)]
pub struct Arguments {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    anyhow::bail!("holders: not built {}", arguments.json)
}
