//! `guard heal`: the private copies of host mounts in running containers become slaves of the host's mounts. What rule `slave-protected-binds`
//! would have written before the start, as far as it can be had afterwards.

mod act;
mod counterpart;
mod plan;
pub(super) mod selection;

use super::progress::Progress;
use super::{FAILED, IDLE, Outcome, WOULD_CHANGE};
use crate::kernel::mount_groups::can_set_group;
use crate::report::{json_line, one_line};
use crate::{deadline, host, in_namespace, namespaces, settings_files};
use act::{Action, Message, MountReport};
use anyhow::{Context, bail};
use clap::Args;
use plan::Wish;
use selection::Container;
use serde::Serialize;
use std::ffi::c_int;
use std::fmt::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

pub(super) use counterpart::Host;

/// For one container. A copy of a mount whose file server is dead must not hold up the others.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// For the look at the protected roots.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args)]
#[allow(clippy::struct_excessive_bools)] // switches of a command line
pub struct Arguments {
    /// Containers, by id, the beginning of an id, name, or pid.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All running containers.
    #[arg(long)]
    all: bool,
    /// Also binds that overlap no protected root.
    #[arg(long)]
    all_binds: bool,
    /// Show what would be done; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What was done to a container.
#[derive(Default, Serialize)]
struct Report {
    id: Option<String>,
    name: Option<String>,
    pid: i32,
    #[serde(skip)]
    label: String,
    /// It ended before or while it was healed.
    ended: bool,
    mounts: Vec<MountReport>,
    /// What somebody else changed in it at the same time.
    meanwhile: Vec<String>,
    errors: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let settings = settings_files::read();
    if let Some(problem) = settings.problems.first() {
        bail!("{problem}");
    }
    selection::ensure_able("heal")?;
    if !can_set_group() {
        bail!("heal: this kernel cannot make a mount a slave afterwards, which takes Linux 5.15; start the containers again with rslave");
    }
    let found = namespaces::find().context("read /proc")?;
    let containers = if arguments.all { selection::all(&found) } else { selection::chosen(&found, &arguments.ids)? };
    let (config, force_rro) = (settings.config.clone(), settings.config.force_rro);
    let roots = deadline::within(PATIENCE, move || host::protected_roots(&config, Path::new("/")))
        .context("look at the protected roots: ETIMEDOUT; unmount what does not answer")?;
    let wish = Wish { roots, all_binds: arguments.all_binds, force_rro };
    let mut progress = Progress::of("healing", containers.len());
    let each = containers.iter().enumerate().map(|(index, container)| {
        progress.step(index, "containers");
        heal(container, &wish, arguments.dry_run)
    });
    let reports: Vec<Report> = each.collect();
    drop(progress);
    // Of one that was named it is known which it is.
    let unreadable = if arguments.all { found.unreadable } else { 0 };
    let status = status(&reports, unreadable);
    if arguments.json {
        return Ok((String::from_utf8_lossy(&json_line(&Containers { containers: reports, unreadable })).into_owned(), status));
    }
    Ok((text(&reports, unreadable).context("write the report")?, status))
}

#[derive(Serialize)]
struct Containers {
    containers: Vec<Report>,
    /// Processes whose namespaces must not be looked at; there may be containers among them.
    unreadable: usize,
}

fn heal(container: &Container, wish: &Wish, dry_run: bool) -> Report {
    let (id, name) = (container.workload.id.clone(), container.workload.name.clone());
    let mut report = Report { id, name, pid: container.pid, label: container.label(), ..Report::default() };
    let namespace = match container.open() {
        Ok(Some(namespace)) => namespace,
        Ok(None) => {
            report.ended = true;
            return report;
        }
        Err(errno) => {
            report.errors.push(format!("open its mount namespace: {errno:?}"));
            return report;
        }
    };
    match in_namespace::in_child(LIMIT, |sender| act::heal(namespace.as_fd(), wish, dry_run, sender)) {
        Ok(answer) => {
            report.errors.extend(answer.broken.map(|why| format!("the work in its namespace was given up: {why}")));
            for message in answer.messages {
                match message {
                    Message::Mount(mount) => report.mounts.push(mount),
                    Message::Meanwhile(what) => report.meanwhile.push(what),
                    Message::Failed(why) => report.errors.push(why),
                }
            }
        }
        Err(errno) => report.errors.push(format!("start a child for its namespace: {errno:?}")),
    }
    // Our handle kept its mounts until now, so all that was said is true; but nobody sees them any more.
    report.ended = matches!(container.open(), Ok(None));
    report
}

/// A container that has ended pins nothing: whatever went wrong in it, nothing is left to be done.
fn status(reports: &[Report], unreadable: usize) -> c_int {
    let has = |report: &Report, action| report.mounts.iter().any(|mount| mount.action == action);
    let mut running = reports.iter().filter(|report| !report.ended);
    if unreadable > 0 || running.clone().any(|report| !report.errors.is_empty() || has(report, Action::Impossible)) {
        FAILED
    } else if running.any(|report| has(report, Action::WouldHeal)) {
        WOULD_CHANGE
    } else {
        IDLE
    }
}

fn text(reports: &[Report], unreadable: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for report in reports {
        // What is right is counted only: a node's containers have thousands of such mounts.
        for mount in report.mounts.iter().filter(|mount| mount.action != Action::Already) {
            write_mount(&mut text, mount)?;
        }
        for line in &report.meanwhile {
            writeln!(text, "meanwhile   {}", one_line(line))?;
        }
        for line in &report.errors {
            writeln!(text, "error       {}", one_line(line))?;
        }
        writeln!(text, "{}: {}", one_line(&report.label), verdict(report))?;
    }
    if reports.is_empty() {
        writeln!(text, "no running container was found")?;
    }
    if unreadable > 0 {
        writeln!(text, "not looked at: the namespaces of {unreadable} processes (EACCES)")?;
    }
    Ok(text)
}

fn write_mount(text: &mut String, mount: &MountReport) -> std::fmt::Result {
    let action = match mount.action {
        Action::Healed => "healed",
        Action::WouldHeal => "would heal",
        Action::Already => "already",
        Action::Keep => "keep",
        Action::Impossible => "impossible",
    };
    write!(text, "{action:<11} {}", one_line(&mount.path))?;
    if let Some(source) = &mount.source {
        write!(text, "  (host {})", one_line(source))?;
    }
    match &mount.why {
        Some(why) => writeln!(text, ": {}", one_line(why)),
        None => writeln!(text),
    }
}

fn verdict(report: &Report) -> String {
    let count = |action| report.mounts.iter().filter(|mount| mount.action == action).count();
    let mut parts = Vec::new();
    for (action, words) in [
        (Action::Healed, "now slaves of the host"),
        (Action::WouldHeal, "would become slaves of the host"),
        (Action::Already, "slaves or shared already"),
        (Action::Keep, "left as they are"),
        (Action::Impossible, "could not be healed"),
    ] {
        parts.extend(Some(count(action)).filter(|count| *count > 0).map(|count| format!("{count} {words}")));
    }
    if report.ended {
        parts.push("it has ended meanwhile".to_owned());
    }
    if parts.is_empty() {
        parts.push(if report.errors.is_empty() { "no mount to heal" } else { "not healed" }.to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_must_not_be_looked_at_are_told_and_are_a_failure() {
        assert_eq!(text(&[], 3).unwrap(), "no running container was found\nnot looked at: the namespaces of 3 processes (EACCES)\n");
        assert_eq!(status(&[], 3), FAILED);
        assert_eq!(text(&[], 0).unwrap(), "no running container was found\n");
        assert_eq!(status(&[], 0), IDLE);
    }
}
