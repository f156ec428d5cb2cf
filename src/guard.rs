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

use crate::invocation::LogTarget;
use crate::kernel::process;
use crate::report::{self, Failure};
use clap::{CommandFactory, Parser, Subcommand};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::{OsStr, c_int};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
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

/// Runs one command; `argv` is that of the whole program. In a child: a thread that waits for a dead file server keeps its process from ending, and
/// its outputs open. Nobody waits for such a child.
pub fn run(argv: &[&[u8]]) -> c_int {
    let Ok((mut reader, mut writer)) = std::io::pipe() else { return run_command(argv) };
    let child = process::fork(|| {
        let _ = prctl::set_pdeathsig(Signal::SIGKILL);
        let status = run_command(argv);
        let _ = std::io::stdout().flush();
        process::close_all_but(writer.as_raw_fd());
        let _ = writer.write_all(&status.to_ne_bytes());
        status
    });
    drop(writer);
    let mut status = [0; size_of::<c_int>()];
    match (child, reader.read_exact(&mut status)) {
        (Ok(_), Ok(())) => c_int::from_ne_bytes(status),
        (Ok(child), Err(_)) => how_it_ended(child),
        (Err(_), _) => run_command(argv),
    }
}

/// Of a child that has not told: as a shell would say it.
fn how_it_ended(child: Pid) -> c_int {
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, status)) => status,
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            let failure = Failure::new(format!("do the work: the process for it was ended by {signal}; run the command again"));
            report::tell(&failure, LogTarget::default());
            128 + signal as c_int
        }
        _ => FAILED,
    }
}

fn run_command(argv: &[&[u8]]) -> c_int {
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
            let _ = writeln!(std::io::stderr(), "runc-guard: {}", sentence(&error));
            FAILED
        }
    }
}

/// All that went wrong on the way, errnos by name.
fn sentence(error: &anyhow::Error) -> String {
    let words = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().map_or_else(|| cause.to_string(), report::errno_name);
    error.chain().map(words).collect::<Vec<_>>().join(": ")
}

/// What a command prints, and its exit status.
type Outcome = anyhow::Result<(String, c_int)>;
