//! `guard plan create`: the plan for a bundle, as text or JSON.

use super::{IDLE, Outcome, WOULD_CHANGE};
use crate::bundle::{Document, document_path};
use crate::invocation::{self, Flavour};
use crate::plan::{Action, Change, Plan, Step};
use crate::{prepare, runtime, settings_files};
use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Command {
    /// What create (and run) would do: each directory bind that overlaps a protected root, before and after, and what has no effect.
    Create(CreateArgs),
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// The bundle; by default the working directory.
    #[arg(long, short, default_value = ".")]
    bundle: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(Command::Create(args): &Command) -> Outcome {
    let settings = settings_files::read();
    if let Some(problem) = settings.problems.first() {
        bail!("{problem}");
    }
    // Without a runtime on this machine one can still see what would be done in front of runc.
    let flavour = runtime::find(&settings.config).map_or(settings.config.flavour.unwrap_or(Flavour::Runc), |runtime| runtime.flavour);
    if flavour == Flavour::Unknown {
        bail!("plan {}: the flavour of the runtime is not known, so its calls pass through; set flavour in the settings", args.bundle.display());
    }
    let path = document_path(&args.bundle, None);
    let document = Document::read(path.clone()).map_err(|why| anyhow!("read {}: {why}", path.display()))?;
    let plan = prepare::plan(invocation::Command::Create, flavour, &settings, &document, &args.bundle)
        .map_err(|why| anyhow!("understand {}: {why}; it would be left as it is", path.display()))?;
    let status = if plan.is_idle() { IDLE } else { WOULD_CHANGE };
    let bundle = args.bundle.display().to_string();
    Ok((if args.json { json(&plan, flavour, &bundle)? } else { text(&plan, flavour, &bundle).context("write the plan")? }, status))
}

#[derive(Serialize)]
struct Report<'a> {
    bundle: &'a str,
    flavour: Flavour,
    steps: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    rule: &'a str,
    /// `edit`, `sysctl`, `refuse`, `notice` or `keep`.
    action: &'static str,
    #[serde(flatten)]
    change: Option<&'a Change>,
    why: &'a str,
}

fn entry(step: &Step) -> Entry<'_> {
    let action = match step.action {
        Action::EditSpec { .. } => "edit",
        Action::EnableSysctl { .. } => "sysctl",
        Action::Refuse => "refuse",
        Action::Notice => "notice",
        Action::Keep => "keep",
    };
    Entry { rule: step.rule, action, change: step.change(), why: &step.why }
}

/// The plan as one line of JSON.
///
/// # Errors
/// None that a plan can cause.
pub fn json(plan: &Plan, flavour: Flavour, bundle: &str) -> serde_json::Result<String> {
    let report = Report { bundle, flavour, steps: plan.steps.iter().map(entry).collect() };
    Ok(serde_json::to_string(&report)? + "\n")
}

/// The plan for people: a line for each step, one more for what changes, and the verdict.
///
/// # Errors
/// None that a plan can cause.
pub fn text(plan: &Plan, flavour: Flavour, bundle: &str) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for entry in plan.steps.iter().map(entry) {
        writeln!(text, "{:<7} {}", entry.action, entry.why)?;
        match entry.change {
            Some(Change::Options { mount, before, after }) => writeln!(text, "        {mount}: {} -> {}", before.join(","), after.join(","))?,
            Some(Change::Key { key, before, after }) => writeln!(text, "        {key}: {} -> {after}", before.as_deref().unwrap_or("unset"))?,
            None => {}
        }
    }
    let verdict = if plan.refusal().is_some() {
        "the create would be refused"
    } else if plan.is_idle() {
        "nothing to do"
    } else {
        "something would be changed"
    };
    writeln!(text, "{verdict} in {bundle} ({})", flavour.name())?;
    Ok(text)
}
