//! The engines of this node: which are here, whether each is told to use runc-guard, and whether its daemon knows that by now.

mod daemons;

use super::Finding;
use crate::deadline;
use crate::guard::configure;
use crate::guard::engine::{Engine, Use};
use crate::runtime;
use clap::ValueEnum;
use daemons::Daemon;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub struct Facts {
    engines: Vec<EngineFacts>,
    /// Programs in PATH that are called as a runtime and are runc-guard.
    stand_ins: Vec<PathBuf>,
}

struct EngineFacts {
    engine: Engine,
    program: Option<PathBuf>,
    /// Settings of its own that are there.
    settings: Vec<PathBuf>,
    /// When the last of them was changed.
    changed: Option<SystemTime>,
    /// What its settings say of us, or why they cannot be understood.
    used: Result<Use, String>,
    daemons: Vec<Daemon>,
}

const LIMIT: Duration = Duration::from_secs(10);

/// Beside PATH: distributions, and what Kubernetes installers use.
const USUAL_DIRECTORIES: [&str; 5] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/opt/containerd/bin"];

/// The program, and where its own settings are: files, and directories of files.
struct Place {
    program: &'static str,
    is_daemon: bool,
    files: &'static [&'static str],
    directories: &'static [&'static str],
}

fn place(engine: Engine) -> Place {
    match engine {
        Engine::Containerd => Place {
            program: "containerd",
            is_daemon: true,
            files: &["/etc/containerd/config.toml"],
            directories: &["/etc/containerd/conf.d", "/etc/containerd/config.d"],
        },
        Engine::Crio => Place { program: "crio", is_daemon: true, files: &["/etc/crio/crio.conf"], directories: &["/etc/crio/crio.conf.d"] },
        Engine::Podman => Place {
            program: "podman",
            is_daemon: false,
            files: &["/etc/containers/containers.conf"],
            directories: &["/etc/containers/containers.conf.d"],
        },
        Engine::Docker => Place { program: "dockerd", is_daemon: true, files: &["/etc/docker/daemon.json"], directories: &[] },
    }
}

pub fn look(ourselves: Option<&Path>, stand_ins: &[PathBuf]) -> Facts {
    let running = daemons::look();
    let engines = Engine::value_variants().iter().map(|engine| look_at(*engine, ourselves, &running)).collect();
    Facts { engines, stand_ins: stand_ins.to_vec() }
}

fn look_at(engine: Engine, ourselves: Option<&Path>, running: &[Daemon]) -> EngineFacts {
    let Place { program, is_daemon, files, directories } = place(engine);
    let usual = || USUAL_DIRECTORIES.iter().map(|directory| Path::new(directory).join(program)).find(|path| path.is_file());
    let below = |directory: &&str| std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let files = files.iter().map(PathBuf::from).chain(directories.iter().flat_map(below));
    let present = |path: PathBuf| std::fs::metadata(&path).ok().filter(Metadata::is_file).map(|metadata| (path, metadata.modified().ok()));
    let (settings, changed): (Vec<_>, Vec<_>) = files.filter_map(present).unzip();
    EngineFacts {
        engine,
        program: runtime::candidates(program).next().or_else(usual),
        settings,
        changed: changed.into_iter().flatten().max(),
        used: used(engine, ourselves, configure::used_by),
        daemons: running.iter().filter(|daemon| is_daemon && daemon.name == program).cloned().collect(),
    }
}

/// Settings may lie on a dead mount, and a program that is asked for its version may hang.
fn used(engine: Engine, ourselves: Option<&Path>, ask: fn(Engine, &Path) -> anyhow::Result<Use>) -> Result<Use, String> {
    let program = ourselves.ok_or("the path of runc-guard is not known")?.to_owned();
    let answer = deadline::within(LIMIT, move || ask(engine, &program).map_err(|error| format!("{error:#}")));
    answer.unwrap_or_else(|| Err(format!("no answer in {} s", LIMIT.as_secs())))
}

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let is_here = |engine: &&EngineFacts| {
        // podman's files come with other tools, too.
        engine.program.is_some() || !engine.daemons.is_empty() || (engine.engine != Engine::Podman && !engine.settings.is_empty())
    };
    let here: Vec<&EngineFacts> = facts.engines.iter().filter(is_here).collect();
    if here.is_empty() {
        return vec![Finding::warning("engines", "none found: no containerd, crio, podman or dockerd in PATH and the usual directories")];
    }
    here.into_iter().flat_map(|engine| of_engine(engine, &facts.stand_ins)).collect()
}

fn of_engine(facts: &EngineFacts, stand_ins: &[PathBuf]) -> Vec<Finding> {
    let mut findings = vec![of_use(facts, stand_ins)];
    let subject = format!("engine {}", facts.engine.name());
    let is_told = matches!(facts.used, Ok(Use::Named | Use::Default));
    for daemon in &facts.daemons {
        // mtimes and start times are whole seconds here.
        let is_older = facts.changed.is_some_and(|changed| daemon.started.is_some_and(|started| started + Duration::from_secs(1) < changed));
        if is_older && is_told {
            let text = format!("its settings were changed after it started (process {})", daemon.pid);
            findings.push(Finding::warning(&subject, text).advise("restart it, unless it was told to reload them"));
        }
        if daemon.has_other_mounts == Some(true) {
            let text = format!("process {} has mounts of its own: what is said here about roots is not what it sees", daemon.pid);
            findings.push(Finding::warning(&subject, text).advise("see that they are slaves or peers of the host's"));
        }
    }
    findings
}

fn of_use(facts: &EngineFacts, stand_ins: &[PathBuf]) -> Finding {
    let engine = facts.engine.name();
    let subject = format!("engine {engine}");
    let program = facts.program.as_ref().map_or("its program was not found".to_owned(), |path| path.display().to_string());
    let configure = format!("`runc-guard guard configure {engine} --set-default`");
    match &facts.used {
        Ok(Use::Default) => Finding::ok(subject, format!("{program}: every container gets runc-guard")),
        Ok(Use::Named) => {
            let ask = if facts.engine.serves_kubernetes() { "by its RuntimeClass" } else { "by `--runtime`" };
            let text = format!("{program}: only containers that ask for it, {ask}, get runc-guard");
            Finding::ok(subject, text).advise(format!("for all of them run {configure}"))
        }
        Ok(Use::No) if stand_ins.is_empty() => {
            Finding::warning(subject, format!("{program}: not told to use runc-guard")).advise(format!("run {configure}"))
        }
        Ok(Use::No) => {
            let names: Vec<String> = stand_ins.iter().map(|path| path.display().to_string()).collect();
            let text = format!("{program}: not told to use runc-guard; gets it only if it takes its runtime from PATH ({})", names.join(", "));
            Finding::warning(subject, text).advise(format!("to be sure run {configure}"))
        }
        Err(why) => Finding::warning(subject, format!("{program}: whether it uses runc-guard is not to be told: {why}")),
    }
}

#[cfg(test)]
mod tests;
