//! `guard audit`: what the running containers pin, measured in their mount tables.

use super::progress::Progress;
use super::{IDLE, Outcome, WOULD_CHANGE};
use crate::audit::{self, Cause, Finding, Host, Intent, Meaning, Pin};
use crate::bundle::Document;
use crate::deadline;
use crate::mountinfo::line::{Propagation, Tree, lines};
use crate::report::one_line;
use crate::spec::Spec;
use crate::workload::{self, Container, Workload};
use crate::{host, paths, propagation, settings_files};
use anyhow::{Context, bail};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Serialize)]
struct Report {
    roots: Vec<PathBuf>,
    containers: Vec<Audited>,
}

#[derive(Serialize)]
struct Audited {
    workload: Workload,
    pid: i32,
    runtime: String,
    /// Why its config.json was not read: then nothing is known of what was meant.
    document_problem: Option<String>,
    findings: Vec<Finding>,
}

/// How long looking at the protected roots may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn run(json: bool) -> Outcome {
    let settings = settings_files::read();
    if let Some(problem) = settings.problems.first() {
        bail!("{problem}");
    }
    let config = settings.config;
    let running = workload::containers();
    let mut progress = Progress::of("auditing", running.len());
    progress.step(0, "containers");
    let resolve = move || host::protected_roots(&config, Path::new("/")).into_iter().map(|root| root.path).collect::<Vec<_>>();
    let roots = deadline::within(PATIENCE, resolve).context("look at the protected roots: ETIMEDOUT; unmount what does not answer")?;
    let table = std::fs::read("/proc/thread-self/mountinfo").context("read /proc/thread-self/mountinfo")?;
    let table = lines(&table);
    let host = Host::of(Tree::of(&table), &roots);
    let audited = running.into_iter().enumerate().filter_map(|(index, container)| {
        progress.step(index, "containers");
        audited(&host, container)
    });
    let report = Report { containers: audited.collect(), roots: roots.clone() };
    let status = if report.pins().next().is_some() { WOULD_CHANGE } else { IDLE };
    let text = if json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { report.text() };
    Ok((text, status))
}

/// `None`: it has ended meanwhile.
fn audited(host: &Host<'_, '_>, container: Container) -> Option<Audited> {
    let table = workload::process::read(format!("/proc/{}/mountinfo", container.pid)).ok()?;
    let table = lines(&table);
    let (meaning, document_problem) = match meaning(&container) {
        Ok(meaning) => (meaning, None),
        Err(why) => (Meaning::default(), Some(why)),
    };
    let findings = audit::findings(host, &Tree::of(&table), &meaning);
    Some(Audited { workload: container.workload, pid: container.pid, runtime: container.runtime, document_problem, findings })
}

/// What config.json says, spelt by text alone: no source is looked at, since its server may be dead.
fn meaning(container: &Container) -> Result<Meaning, String> {
    let bundle = container.workload.bundle.as_deref().ok_or("where its bundle is is not known")?;
    let document = Document::read(bundle.join("config.json")).map_err(|why| format!("read {}: {why}", bundle.join("config.json").display()))?;
    let spec = Spec::parse(&document.bytes).map_err(|why| format!("understand {}: {}", document.path.display(), why.0))?;
    let words = |words: Vec<&str>| words.into_iter().filter(|word| propagation::is_propagation_word(word)).map(str::to_owned).collect();
    let binds = spec.mounts.iter().filter(|mount| mount.is_bind());
    Ok(Meaning {
        binds: binds
            .map(|mount| Intent {
                destination: paths::lexical(Path::new("/"), Path::new(&*mount.destination)),
                source: paths::lexical(bundle, Path::new(mount.source.as_deref().unwrap_or_default())),
                propagation_words: words(mount.words()),
            })
            .collect(),
        rootfs_propagation: spec.rootfs_propagation.as_ref().and_then(|found| Some(found.value.as_deref()?.to_owned())),
        is_crun: container.runtime == "crun",
        rootfs: spec.root_path.as_deref().map(|root| paths::lexical(bundle, Path::new(root))),
    })
}

impl Report {
    fn pins(&self) -> impl Iterator<Item = &Pin> {
        self.containers.iter().flat_map(|container| &container.findings).flat_map(|finding| &finding.pinned)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for container in &self.containers {
            container.write_text(&mut text);
        }
        let pinned_now = self.pins().filter(|pin| pin.gone).count();
        let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let containers = counted(self.containers.len(), "container");
        let _ = match self.pins().count() {
            0 => writeln!(text, "{containers}, no pins"),
            pins => writeln!(text, "{containers}, {} that the host's umount does not reach, {pinned_now} pinned right now", counted(pins, "mount")),
        };
        text
    }
}

impl Audited {
    /// Only what is worth telling: a bind that is as it should be has no line.
    fn write_text(&self, text: &mut String) {
        let told: Vec<&Finding> = self.findings.iter().filter(|finding| !finding.pinned.is_empty() || finding.without_effect.is_some()).collect();
        if told.is_empty() && self.document_problem.is_none() {
            return;
        }
        let name = self.workload.name.as_deref().or(self.workload.id.as_deref()).unwrap_or("?");
        let engine = self.workload.engine.as_deref().unwrap_or(&self.runtime);
        let _ = writeln!(text, "{}", one_line(&format!("container {name} ({engine}), pid {}", self.pid)));
        if let Some(why) = &self.document_problem {
            let _ = writeln!(text, "    what was meant is not known: {}", one_line(why));
        }
        for finding in told {
            let _ = writeln!(text, "    {}", one_line(&finding_line(finding)));
            for pin in &finding.pinned {
                let _ = writeln!(text, "        {}", one_line(&pin_line(pin)));
            }
        }
    }
}

fn finding_line(finding: &Finding) -> String {
    let Finding { destination, source, root, .. } = finding;
    let state = match (finding.without_effect, finding.propagation) {
        (Some(trap), _) => format!("rslave without effect: {}", trap.sentence()),
        (None, Propagation::Private | Propagation::Unbindable) => "private".to_owned(),
        (None, Propagation::Slave | Propagation::SharedSlave) => "slave".to_owned(),
        (None, Propagation::Shared) => "shared".to_owned(),
    };
    format!("{}: from {}, which overlaps {}: {state}", destination.display(), source.display(), root.display())
}

fn pin_line(pin: &Pin) -> String {
    let when = if pin.gone { "pinned: the host has it no longer" } else { "will be pinned when the host unmounts it" };
    let why = match pin.why {
        Cause::Private => "",
        Cause::SourceIsMountpoint => "; its source is itself the mountpoint, which no propagation helps",
        Cause::MountedInside => "; the container has mounted something inside it",
    };
    format!("{} ({}) {when}{why}", pin.path.display(), pin.device)
}
