//! `guard plan create` and `guard plan restore`: the plan for a bundle, as text or JSON.

use super::{IDLE, Outcome, WOULD_CHANGE, restore_plan};
use crate::bundle::Document;
use crate::config::Settings;
use crate::invocation::{self, Flavour, Invocation};
use crate::plan::{Action, Change, Plan, Step};
use crate::prepare::{self, Call};
use crate::report::one_line;
use crate::{runtime, settings_files};
use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(super) enum Command {
    /// What create (and run) would do: each directory bind that overlaps a protected root, before and after, and what has no effect.
    Create(CreateArgs),
    /// What restore would do: each mount that CRIU will restore, where its mountpoint must be on the host, whether it is there, and what is impossible.
    Restore(RestoreArgs),
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

#[derive(Args)]
pub(super) struct RestoreArgs {
    /// The bundle; by default the working directory. It need not be complete.
    #[arg(long, short, default_value = ".")]
    bundle: PathBuf,
    /// The directory of the checkpoint image; by default `checkpoint` in the working directory (runc) or in the bundle (crun).
    #[arg(long)]
    image_path: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command) -> Outcome {
    let settings = settings_files::read();
    if let Some(problem) = settings.problems.first() {
        bail!("{problem}");
    }
    match command {
        Command::Create(args) => create(args, &settings),
        Command::Restore(args) => {
            let flavour = flavour(&settings, &args.bundle)?;
            restore_plan::run(&call(invocation::Command::Restore, flavour, &args.bundle, args.image_path.as_deref()), &settings, args.json)
        }
    }
}

fn create(args: &CreateArgs, settings: &Settings) -> Outcome {
    let flavour = flavour(settings, &args.bundle)?;
    let call = call(invocation::Command::Create, flavour, &args.bundle, None);
    let document = Document::read(call.document.clone()).map_err(|why| anyhow!("read {}: {why}", call.document.display()))?;
    let left = |why| anyhow!("understand {}: {why}; it would be left as it is", call.document.display());
    let plan = prepare::plan(&call, settings, &document).map_err(left)?;
    let bundle = args.bundle.display().to_string();
    let printed = if args.json { json(&plan, flavour, &bundle)? } else { text(&plan, flavour, &bundle).context("write the plan")? };
    Ok((printed, status(&plan)))
}

pub(super) fn status(plan: &Plan) -> std::ffi::c_int {
    if plan.is_idle() { IDLE } else { WOULD_CHANGE }
}

/// Without a runtime on this machine one can still see what would be done in front of runc.
fn flavour(settings: &Settings, bundle: &Path) -> anyhow::Result<Flavour> {
    let flavour = runtime::find(&settings.config).map_or(settings.config.flavour.unwrap_or(Flavour::Runc), |runtime| runtime.flavour);
    if flavour == Flavour::Unknown {
        bail!("plan {}: the flavour of the runtime is not known, so its calls pass through; set flavour in the settings", bundle.display());
    }
    Ok(flavour)
}

/// The call that the runtime would get. `image` is as it is spelt here, not as crun would take it, who enters the bundle first.
fn call(command: invocation::Command, flavour: Flavour, bundle: &Path, image: Option<&Path>) -> Call {
    let (id, bundle) = ("".as_ref(), Some(bundle.as_os_str()));
    let invocation =
        Invocation { command, state_root: None, id, bundle, config_file: None, image_path: None, work_path: None, foreign_words: Vec::new() };
    let call = Call::of(&invocation, flavour, &[]);
    Call { image: image.map_or(call.image, Path::to_owned), ..call }
}

#[derive(Serialize)]
struct Report<'a> {
    bundle: &'a str,
    flavour: Flavour,
    steps: Vec<Entry<'a>>,
}

#[derive(Serialize)]
pub(super) struct Entry<'a> {
    rule: &'a str,
    /// `edit`, `sysctl`, `create`, `remove`, `argv`, `refuse`, `notice` or `keep`.
    action: &'static str,
    #[serde(flatten)]
    change: Option<&'a Change>,
    why: &'a str,
}

pub(super) fn entry(step: &Step) -> Entry<'_> {
    let action = match step.action {
        Action::EditSpec { .. } => "edit",
        Action::EnableSysctl { .. } => "sysctl",
        Action::Create { .. } | Action::MakeDirectory { .. } => "create",
        Action::RemoveDirectory { .. } => "remove",
        Action::DropWords { .. } => "argv",
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
    write_steps(&mut text, plan)?;
    writeln!(text, "{} in {bundle} ({})", verdict(plan, "create"), flavour.name())?;
    Ok(text)
}

/// What would become of the call.
pub(super) fn verdict(plan: &Plan, command: &str) -> String {
    if plan.refusal().is_some() {
        format!("the {command} would be refused")
    } else if plan.is_idle() {
        "nothing to do".to_owned()
    } else {
        "something would be changed".to_owned()
    }
}

/// A line for each step, and one more for what changes.
pub(super) fn write_steps(text: &mut String, plan: &Plan) -> std::fmt::Result {
    for entry in plan.steps.iter().map(entry) {
        writeln!(text, "{:<7} {}", entry.action, one_line(entry.why))?;
        if let Some(change) = entry.change {
            writeln!(text, "        {}", one_line(&change.to_string()))?;
        }
    }
    Ok(())
}
