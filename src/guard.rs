//! The operator's commands, reached by the word `guard` in first place: no runtime has such a command. clap lives here and nowhere else.

mod audit;
mod child;
mod config;
mod configure;
mod doctor;
mod engine;
mod heal;
mod holders;
mod manual;
pub mod plan;
mod progress;
mod release;
mod restore_plan;
mod target;

use crate::report;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::{OsStr, c_int};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

/// Exit status: there is nothing to do.
const IDLE: c_int = 0;
const FAILED: c_int = 1;
/// Exit status: something would be changed or refused.
const WOULD_CHANGE: c_int = 2;

/// runc-guard's own commands. Every other call is the real runtime's.
#[derive(Parser)]
#[command(name = "runc-guard guard", version, bin_name = "runc-guard guard")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what would be done to a bundle, and why; change nothing.
    ///
    /// Exit status: 0 nothing to do, 2 something would be changed or refused, 1 error.
    Plan {
        #[command(subcommand)]
        command: plan::Command,
    },
    /// Print the settings in force and where each was set.
    ///
    /// Exit status: 0, or 1 when a settings file has an error.
    Config {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tell an engine to use runc-guard: add it to the engine's own settings, make it the default, or take it out again.
    ///
    /// Exit status: 0 done (or nothing to do), 2 with --dry-run: the file would change, 1 error.
    Configure(configure::Arguments),
    /// Is this node set up right? One line for each thing looked at: ok, warning or problem, and what to do.
    ///
    /// Exit status: 0 no problem (warnings are none), 2 problems found, 1 error.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show who holds a mount: every mount namespace with a copy of it, before or after the host unmounted it.
    ///
    /// Exit status: 0 nobody but the host, 2 somebody, 1 error.
    Holders(holders::Arguments),
    /// Compare all running containers with the protected roots: which binds pin mounts, and which rslave has no effect.
    ///
    /// Exit status: 0 clean, 2 pins found, 1 error.
    Audit {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make the private copies of host mounts in running containers slaves of the host's mounts, without a restart.
    ///
    /// Exit status: 0 done (or nothing to do), 2 with --dry-run: something would be done, 1 something could not be done.
    Heal(heal::Arguments),
    /// Detach the stale copies of a mount inside the namespaces that hold them; never on the host.
    ///
    /// Exit status: 0 released (or nobody held it), 2 with --dry-run: something would be done, 1 something could not be done.
    Release(release::Arguments),
    /// Print the man page, for runc-guard-guard(8).
    Man,
    /// Print completions for a shell.
    Completions {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
}

/// Runs one command; `argv` is that of the whole program.
pub fn run(argv: &[&[u8]]) -> c_int {
    let words = argv.iter().skip(1).map(|word| OsStr::from_bytes(word));
    let outcome = match Cli::try_parse_from(words) {
        Ok(Cli { command: Command::Plan { command } }) => plan::run(&command),
        Ok(Cli { command: Command::Config { json } }) => config::run(json),
        Ok(Cli { command: Command::Configure(arguments) }) => configure::run(&arguments),
        Ok(Cli { command: Command::Doctor { json } }) => doctor::run(json),
        Ok(Cli { command: Command::Holders(arguments) }) => holders::run(&arguments),
        Ok(Cli { command: Command::Audit { json } }) => audit::run(json),
        Ok(Cli { command: Command::Heal(arguments) }) => heal::run(&arguments),
        Ok(Cli { command: Command::Release(arguments) }) => release::run(&arguments),
        Ok(Cli { command: Command::Man }) => manual::man(&Cli::command()),
        Ok(Cli { command: Command::Completions { shell } }) => Ok(manual::completions(&Cli::command(), shell)),
        Err(help_or_usage) => {
            let _ = help_or_usage.print();
            return if help_or_usage.use_stderr() { FAILED } else { IDLE };
        }
    };
    match outcome {
        Ok((text, status)) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => status,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "runc-guard: write the report: {}", report::errno_name(&error));
                FAILED
            }
        },
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "runc-guard: {error:#}");
            FAILED
        }
    }
}

/// What a command prints, and its exit status.
type Outcome = anyhow::Result<(String, c_int)>;
