//! `guard plan restore`: what CRIU will look for, mount by mount, and what stands in its way.

use super::Outcome;
use super::plan::{Entry, entry, status, verdict, write_steps};
use crate::bundle::Document;
use crate::config::Settings;
use crate::host;
use crate::host::restore::{BindSource, RestoreView, SourceState, WantedMount};
use crate::invocation::Flavour;
use crate::mountpoint::{Found, Kind};
use crate::plan::{Action, Plan};
use crate::prepare::Call;
use crate::report::one_line;
use crate::restored_mounts::Content;
use crate::rules::{self, Facts};
use crate::spec::Spec;
use anyhow::anyhow;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

#[derive(Serialize)]
struct Report<'a> {
    bundle: &'a Path,
    image: &'a Path,
    /// Why config.json was not read: then nothing is known of sources and external mounts.
    document_problem: Option<&'a str>,
    /// Why the image was not read: then the mounts are those of config.json alone.
    image_problem: Option<&'a str>,
    flavour: Flavour,
    mounts: Vec<MountLine<'a>>,
    sources: Vec<SourceLine<'a>>,
    steps: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct MountLine<'a> {
    mountpoint: &'a Path,
    /// Of the mountpoint; `null`: not known.
    kind: Option<Kind>,
    /// Where it must be; `null` where CRIU restores it.
    host_path: Option<&'a Path>,
    /// `restored` (by CRIU), `exists`, `create` or `impossible`.
    state: &'static str,
    why: Option<String>,
    /// Under which key the runtime registered the mount with CRIU.
    external_key: Option<&'a Path>,
    /// CRIU will find no mapping for that key.
    unmapped: bool,
}

#[derive(Serialize)]
struct SourceLine<'a> {
    destination: &'a str,
    source: &'a Path,
    /// `directory`, `file`, `missing`, `dangling symlink`, or the errno of looking at it.
    is: String,
}

pub(super) fn run(call: &Call, settings: &Settings, json: bool) -> Outcome {
    let document = Document::read(call.document.clone());
    // The engine may not have written it yet: the image alone says much already.
    let (bytes, unread) = match &document {
        Ok(document) => (document.bytes.as_slice(), None),
        Err(why) => (b"{}".as_slice(), Some(format!("read {}: {why}; only the image is shown", call.document.display()))),
    };
    let spec = Spec::parse(bytes).map_err(|why| anyhow!("understand {}: {why}; it would be left as it is", call.document.display()))?;
    let host = host::look(call, &settings.config, &spec);
    let facts = Facts::of(call, &settings.config, &spec, &host);
    // Without the document a restore is left to the runtime.
    let plan = if unread.is_some() { Plan::default() } else { rules::plan(&facts) };
    let view =
        host.restore.as_ref().ok_or_else(|| anyhow!("plan {}: the rules for restore are switched off in the settings", call.bundle.display()))?;
    let report = Report {
        bundle: &call.bundle,
        image: &call.image,
        document_problem: unread.as_deref(),
        image_problem: view.image_problem.as_deref(),
        flavour: call.flavour,
        mounts: view.mounts.iter().map(|wanted| mount_line(&facts, view, wanted)).collect(),
        sources: source_lines(&spec, view),
        steps: plan.steps.iter().map(entry).collect(),
    };
    let text = if json { serde_json::to_string(&report)? + "\n" } else { text(&report, &plan)? };
    Ok((text, status(&plan)))
}

fn mount_line<'a>(facts: &Facts<'_>, view: &RestoreView, wanted: &'a WantedMount) -> MountLine<'a> {
    let (state, why) = match (&wanted.site, rules::mountpoint_step(facts, view, wanted)) {
        (None, _) if wanted.mount.on_unmapped => ("impossible", Some("it lies in an external mount that has no source".to_owned())),
        (None, _) => ("restored", None),
        (Some((_, Found::Missing { .. } | Found::Unreadable(..))), None) => ("impossible", Some("what it would lie in is missing".to_owned())),
        (Some(_), None) => ("exists", None),
        (Some(_), Some(step)) if matches!(step.action, Action::Create { .. }) => ("create", None),
        (Some(_), Some(step)) => ("impossible", Some(step.why)),
    };
    let external_key = if let Content::External { key, .. } = &wanted.mount.content { Some(key.as_path()) } else { None };
    let host_path = wanted.site.as_ref().map(|(path, _)| path.as_path());
    MountLine { mountpoint: &wanted.mount.mountpoint, kind: wanted.kind, host_path, state, why, external_key, unmapped: wanted.mount.unmapped }
}

fn source_lines<'a>(spec: &'a Spec<'_>, view: &'a RestoreView) -> Vec<SourceLine<'a>> {
    let line = |(mount, source): (&'a crate::spec::Mount<'_>, &'a Option<BindSource>)| {
        let source = source.as_ref()?;
        let is = match &source.state {
            SourceState::Is(kind) => kind.to_string(),
            SourceState::Missing { .. } => "missing".to_owned(),
            SourceState::DanglingSymlink => "dangling symlink".to_owned(),
            SourceState::Unreadable(errno) => format!("{errno:?}"),
        };
        Some(SourceLine { destination: &mount.destination, source: &source.path, is })
    };
    spec.mounts.iter().zip(&view.sources).filter_map(line).collect()
}

fn text(report: &Report<'_>, plan: &Plan) -> Result<String, std::fmt::Error> {
    let mut text = report.document_problem.map_or(String::new(), |why| one_line(why) + "\n");
    for MountLine { mountpoint, kind, host_path, state, why, external_key, .. } in &report.mounts {
        let what = match host_path {
            None if *state == "restored" => "restored by CRIU".to_owned(),
            None => why.clone().unwrap_or_default(),
            Some(path) => {
                let kind = kind.map_or("directory or file".to_owned(), |kind| kind.to_string());
                let state = if *state == "create" { "will be created" } else { state };
                format!("{kind} {}: {state}", path.display())
            }
        };
        let external = external_key.map_or(String::new(), |key| format!(", external as {}", key.display()));
        writeln!(text, "mount   {}", one_line(&format!("{}: {what}{external}", mountpoint.display())))?;
    }
    for SourceLine { destination, source, is } in &report.sources {
        writeln!(text, "source  {}", one_line(&format!("{destination}: {}: {is}", source.display())))?;
    }
    write_steps(&mut text, plan)?;
    writeln!(text, "{} for {} ({})", verdict(plan, "restore"), report.bundle.display(), report.flavour.name())?;
    Ok(text)
}
