//! Our own log: one JSON line for each container in which something was changed or is worth telling. Best effort; never the environment.

use crate::plan::{Action, Change, Level, Plan};
use crate::report;
use serde::Serialize;
use std::path::Path;

/// One line of the log.
#[derive(Serialize)]
pub struct Record<'a> {
    time: String,
    level: Level,
    command: &'static str,
    id: String,
    bundle: String,
    runtime: String,
    changes: Vec<ChangeRecord<'a>>,
    notices: Vec<NoticeRecord>,
}

#[derive(Serialize)]
struct ChangeRecord<'a> {
    rule: &'static str,
    #[serde(flatten)]
    change: &'a Change,
    why: &'a str,
}

/// Something worth telling, by a rule or about the call as a whole.
#[derive(Clone, Debug, Serialize)]
pub struct NoticeRecord {
    rule: &'static str,
    msg: String,
}

impl NoticeRecord {
    #[must_use]
    pub fn new(rule: &'static str, msg: impl Into<String>) -> NoticeRecord {
        NoticeRecord { rule, msg: msg.into() }
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.msg
    }
}

/// Of which container a line speaks.
pub struct Subject<'a> {
    pub command: &'static str,
    pub id: &'a str,
    pub bundle: &'a Path,
    pub runtime: &'a Path,
}

/// Writes the line for one container, if there is anything to tell.
pub fn write(log: &Path, subject: &Subject<'_>, done: &Plan, notices: Vec<NoticeRecord>) {
    write_line(log, &line(subject, done, notices));
}

/// Writes what [`line`] made.
pub fn write_line(log: &Path, line: &[u8]) {
    if !log.as_os_str().is_empty() && !line.is_empty() {
        report::append_line(log, line, 0o640);
    }
}

/// The line for one container: what was changed (`done`), and the notices. Empty, if there is nothing to tell.
#[must_use]
pub fn line(subject: &Subject<'_>, done: &Plan, mut notices: Vec<NoticeRecord>) -> Vec<u8> {
    let noticed = done.steps.iter().filter(|step| step.action == Action::Notice);
    notices.extend(noticed.map(|step| NoticeRecord::new(step.rule, step.why.clone())));
    let changes: Vec<ChangeRecord<'_>> =
        done.steps.iter().filter_map(|step| Some(ChangeRecord { rule: step.rule, change: step.change()?, why: &step.why })).collect();
    if changes.is_empty() && notices.is_empty() {
        return Vec::new();
    }
    let warns = !notices.is_empty() || done.steps.iter().any(|step| step.level == Level::Warning);
    let record = Record {
        time: report::now(),
        level: if warns { Level::Warning } else { Level::Info },
        command: subject.command,
        id: subject.id.to_owned(),
        bundle: subject.bundle.to_string_lossy().into_owned(),
        runtime: subject.runtime.to_string_lossy().into_owned(),
        changes,
        notices,
    };
    report::json_line(&record)
}
