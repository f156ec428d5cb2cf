//! What happens before the runtime runs: read the document, look at the host, plan, apply, tell.

use crate::apply;
use crate::bundle::{self, Document};
use crate::config::{OnError, Settings};
use crate::deadline::{self, Unfinished};
use crate::host;
use crate::invocation::{Command, Flavour, Invocation};
use crate::notices::{self, NoticeRecord, Subject};
use crate::plan::Plan;
use crate::report::{self, Failure};
use crate::rules::{self, Facts};
use crate::runtime::Runtime;
use crate::settings_files;
use crate::spec::{NotUnderstood, Spec};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a restore may be prepared: a source on a dead network or FUSE file system answers no question, ever.
const LONGEST: Duration = Duration::from_secs(10);

/// A call to be prepared; paths are relative to the working directory.
#[derive(Clone, Debug)]
pub struct Call {
    pub command: Command,
    pub flavour: Flavour,
    /// Where the runtime was told to keep the state of its containers.
    pub state_root: Option<PathBuf>,
    pub bundle: PathBuf,
    pub document: PathBuf,
    /// Of a restore: where the checkpoint image is.
    pub image: PathBuf,
    /// Of a restore and a checkpoint: where CRIU writes its log, if that was said.
    pub work: Option<PathBuf>,
    /// Words of argv that the runtime would refuse without need.
    pub foreign_words: Vec<String>,
}

impl Call {
    /// What `invocation` asks of a runtime of this flavour.
    #[must_use]
    pub fn of(invocation: &Invocation<'_>, flavour: Flavour, argv: &[&[u8]]) -> Call {
        let bundle = PathBuf::from(invocation.bundle.unwrap_or(".".as_ref()));
        let word = |index: &usize| String::from_utf8_lossy(argv[*index]).into_owned();
        Call {
            command: invocation.command,
            flavour,
            state_root: invocation.state_root.map(PathBuf::from),
            document: bundle::document_path(&bundle, invocation.config_file.map(Path::new)),
            bundle,
            image: invocation.image_directory(flavour),
            work: invocation.work_directory(flavour),
            foreign_words: invocation.foreign_words.iter().map(word).collect(),
        }
    }
}

/// Prepares the bundle of a create, run or restore, and the work path of a checkpoint. `Ok`: the runtime may run.
///
/// # Errors
/// Broken settings, a refusal by policy, a restore that cannot succeed, and, where the settings say so, anything that could not be done.
pub fn prepare(settings: &Settings, runtime: &Runtime, call: &Call, id: &str) -> Result<(), Failure> {
    if call.command == Command::Checkpoint {
        prepare_checkpoint(settings, runtime, call, id);
        return Ok(());
    }
    if let Some(problem) = settings.problems.first() {
        return Err(Failure::new(problem.to_string()));
    }
    let (config, command) = (&settings.config, call.command);
    let subject = Subject { command: command.name(), id, bundle: &call.bundle, runtime: &runtime.path };
    let mut notices = untrusted_files(settings, runtime);
    if let (true, Some(notice)) = (config.strict, notices.first()) {
        return Err(Failure::new(notice.message()));
    }
    let promised = config.rule("restore-mountpoints").enabled && config.on_error_of("restore-mountpoints") == OnError::Fail;
    if command == Command::Restore && call.flavour == Flavour::Youki && promised {
        return Err(Failure::new("restore the container: the real runtime, youki, has no restore; name runc or crun in the setting runtimes"));
    }
    if command == Command::Restore {
        let line = carry_out_in_time(&subject, &notices, || carry_out(settings, call))?;
        notices::write_line(&config.log, line.as_bytes());
        return Ok(());
    }
    let (done, told) = carry_out(settings, call)?;
    notices.extend(told);
    notices::write(&config.log, &subject, &done, notices);
    Ok(())
}

/// A checkpoint is as a state or a kill: nothing of ours can make it fail.
#[cold]
#[inline(never)]
fn prepare_checkpoint(settings: &Settings, runtime: &Runtime, call: &Call, id: &str) {
    if !settings.problems.is_empty() || !settings.config.rule("restore-dialect").enabled {
        return;
    }
    // As crun does since 1.22, and no further: a path of which more is missing is wrong.
    let missing = host::restore::missing_work_directory(call).filter(|path| path.parent().is_some_and(Path::is_dir));
    let Some(step) = missing.map(rules::work_directory_step) else { return };
    let mut notices = Vec::new();
    let done = apply::without_document(step, &mut notices);
    let subject = Subject { command: call.command.name(), id, bundle: &call.bundle, runtime: &runtime.path };
    notices::write(&settings.config.log, &subject, &done, notices);
}

/// What is to be written to our own log.
#[cold]
#[inline(never)]
fn carry_out_in_time(
    subject: &Subject<'_>,
    notices: &[NoticeRecord],
    carry_out: impl FnOnce() -> Result<Outcome, Failure>,
) -> Result<String, Failure> {
    let line = |done: &Plan, told: Vec<NoticeRecord>| {
        let line = notices::line(subject, done, notices.iter().cloned().chain(told).collect());
        String::from_utf8_lossy(&line).into_owned()
    };
    let work = || carry_out().map(|(done, told)| line(&done, told));
    match deadline::in_process(LONGEST, work, |panic| Err(report::bug(panic))) {
        Ok(outcome) => outcome,
        Err(unfinished) => Ok(line(&Plan::default(), vec![gave_up(unfinished)])),
    }
}

/// What was done, and what is to be told besides.
type Outcome = (Plan, Vec<NoticeRecord>);

#[inline(never)]
fn carry_out(settings: &Settings, call: &Call) -> Result<Outcome, Failure> {
    let mut notices = Vec::new();
    let done = match Document::read(call.document.clone()) {
        Ok(document) => match plan(call, settings, &document) {
            Ok(plan) => apply::apply(plan, &document, &settings.config, &mut notices)?,
            Err(why) => stand_aside(&call.document, &why.0, settings.config.strict, &mut notices)?,
        },
        Err(why) => stand_aside(&call.document, &why, settings.config.strict, &mut notices)?,
    };
    Ok((done, notices))
}

fn gave_up(unfinished: Unfinished) -> NoticeRecord {
    let why = match unfinished {
        Unfinished::Late => format!("no end after {} s, a file system does not answer", LONGEST.as_secs()),
        Unfinished::Killed => "the process for it was killed".to_owned(),
    };
    NoticeRecord::new("restore-mountpoints", format!("prepare the restore: {why}; left to the runtime"))
}

/// What every rule wants done for one document.
///
/// # Errors
/// The document cannot be read in one way only.
pub fn plan(call: &Call, settings: &Settings, document: &Document) -> Result<Plan, NotUnderstood> {
    let spec = Spec::parse(&document.bytes)?;
    let host = host::look(call, &settings.config, &spec);
    Ok(rules::plan(&Facts::of(call, &settings.config, &spec, &host)))
}

/// Settings or a runtime that a stranger could have written, or, where it counts, put there.
fn untrusted_files(settings: &Settings, runtime: &Runtime) -> Vec<NoticeRecord> {
    let mut paths = settings.writable_by_others.clone();
    paths.extend(runtime.writable_by_others.then(|| runtime.path.clone()));
    // Two dozen more system calls for each container: for those who want it to be strict. `guard doctor` tells the others.
    if settings.config.strict {
        paths.extend(settings_files::replaceable_settings());
        paths.extend(settings_files::replaceable_by(&runtime.path));
    }
    paths.dedup();
    let notice = |path: &PathBuf| {
        NoticeRecord::new("trust", format!("trust {}: others than root can write it; take their write permission away", path.display()))
    };
    paths.iter().map(notice).collect()
}

/// Leaves a document alone that is missing, unreadable or ambiguous: the runtime gives its own answer.
fn stand_aside(path: &Path, why: &str, strict: bool, notices: &mut Vec<NoticeRecord>) -> Result<Plan, Failure> {
    let sentence = format!("understand {}: {why}; left as it is", path.display());
    if strict {
        return Err(Failure::new(sentence));
    }
    notices.push(NoticeRecord::new("config.json", sentence));
    Ok(Plan::default())
}
