//! What happens before the runtime runs: read the document, look at the host, plan, apply, tell.

use crate::apply;
use crate::bundle::{self, Document};
use crate::config::Settings;
use crate::host;
use crate::invocation::{Command, Flavour, Invocation};
use crate::notices::{self, NoticeRecord, Subject};
use crate::plan::Plan;
use crate::report::Failure;
use crate::rules::{self, Facts};
use crate::runtime::Runtime;
use crate::spec::{NotUnderstood, Spec};
use std::path::Path;

/// Prepares the bundle of a create, run or restore. `Ok`: the runtime may run.
///
/// # Errors
/// Broken settings, a refusal by policy, and, where the settings say so, anything that could not be done.
pub fn prepare(settings: &Settings, runtime: &Runtime, invocation: &Invocation<'_>) -> Result<(), Failure> {
    if let Some(problem) = settings.problems.first() {
        return Err(Failure::new(problem.to_string()));
    }
    let config = &settings.config;
    let mut notices = untrusted_files(settings, runtime);
    if let (true, Some(notice)) = (config.strict, notices.first()) {
        return Err(Failure::new(notice.message()));
    }
    let bundle = Path::new(invocation.bundle.unwrap_or(".".as_ref()));
    let path = bundle::document_path(bundle, invocation.config_file.map(Path::new));
    let mut done = Plan::default();
    match Document::read(path.clone()) {
        Ok(document) => match plan(invocation.command, runtime.flavour, settings, &document, bundle) {
            Ok(plan) => done = apply::apply(plan, &document, config, &mut notices)?,
            Err(why) => stand_aside(&path, &why.0, config.strict, &mut notices)?,
        },
        Err(why) => stand_aside(&path, &why, config.strict, &mut notices)?,
    }
    let id = invocation.id.to_string_lossy();
    let subject = Subject { command: invocation.command.name(), id: &id, bundle, runtime: &runtime.path };
    notices::write(&config.log, &subject, &done, notices);
    Ok(())
}

/// What every rule wants done for one document.
///
/// # Errors
/// The document cannot be read in one way only.
pub fn plan(command: Command, flavour: Flavour, settings: &Settings, document: &Document, bundle: &Path) -> Result<Plan, NotUnderstood> {
    let spec = Spec::parse(&document.bytes)?;
    let host = host::look(command, flavour, &settings.config, &spec, bundle);
    Ok(rules::plan(&Facts { command, flavour, config: &settings.config, spec: &spec, host: &host }))
}

/// Settings or a runtime that a stranger could have written.
fn untrusted_files(settings: &Settings, runtime: &Runtime) -> Vec<NoticeRecord> {
    let runtime = runtime.writable_by_others.then_some(&runtime.path);
    let notice = |path: &std::path::PathBuf| {
        NoticeRecord::new("trust", format!("trust {}: others than root can write it; take their write permission away", path.display()))
    };
    settings.writable_by_others.iter().chain(runtime).map(notice).collect()
}

/// Leaves a document alone that is missing, unreadable or ambiguous: the runtime gives its own answer.
fn stand_aside(path: &Path, why: &str, strict: bool, notices: &mut Vec<NoticeRecord>) -> Result<(), Failure> {
    let sentence = format!("understand {}: {why}; left as it is", path.display());
    if strict {
        return Err(Failure::new(sentence));
    }
    notices.push(NoticeRecord::new("config.json", sentence));
    Ok(())
}
