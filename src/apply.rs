//! Carries a plan out. What a step could not do is a failure or a notice, as the rule's `on_error` says.

use crate::bundle::Document;
use crate::config::{Config, OnError};
use crate::mountpoint::{Base, NewInode};
use crate::notices::NoticeRecord;
use crate::plan::{Action, Creation, Plan, Step};
use crate::report::{Failure, errno_name};
use crate::spec::splice;
use crate::sysctl;
use nix::errno::Errno;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Does what `plan` says and gives back the plan of what was done. What is to be told besides goes to `notices`.
///
/// # Errors
/// The plan refuses the call, or rules whose `on_error` is `fail` could not do their work: all that failed, at once.
pub fn apply(plan: Plan, document: &Document, config: &Config, notices: &mut Vec<NoticeRecord>) -> Result<Plan, Failure> {
    if let Some(refusal) = plan.refusal() {
        return Err(Failure::new(refusal));
    }
    let edits_failed = replace_document(&plan, document).err();
    let (mut done, mut failures) = (Plan::default(), Vec::new());
    let mut edits_told = false;
    for step in plan.steps {
        let outcome = match (&step.action, &edits_failed) {
            (Action::EditSpec { .. }, Some(why)) if !std::mem::replace(&mut edits_told, true) => Outcome::Failed(why.clone()),
            (Action::EditSpec { .. }, Some(_)) => Outcome::Without,
            (action, _) => carry_out(action),
        };
        match outcome {
            Outcome::Done => done.steps.push(step),
            Outcome::Without => {}
            Outcome::Failed(why) if config.on_error_of(step.rule) == OnError::Fail && !step.action.is_optional() => failures.push(why),
            Outcome::Failed(why) => notices.push(NoticeRecord::new(step.rule, why)),
        }
    }
    if failures.is_empty() { Ok(done) } else { Err(Failure::new(failures.join("; "))) }
}

/// Does one step that has nothing to do with a document. What it could not do goes to `notices`.
pub fn without_document(step: Step, notices: &mut Vec<NoticeRecord>) -> Plan {
    match carry_out(&step.action) {
        Outcome::Done => return Plan { steps: vec![step] },
        Outcome::Without => {}
        Outcome::Failed(why) => notices.push(NoticeRecord::new(step.rule, why)),
    }
    Plan::default()
}

enum Outcome {
    Done,
    /// Not done, and nothing worth telling.
    Without,
    Failed(String),
}

fn carry_out(action: &Action) -> Outcome {
    match action {
        Action::EnableSysctl { path, .. } => enable_sysctl(path),
        Action::Create { creation, .. } => create(creation),
        Action::MakeDirectory { path, mode, .. } => made(make_directory(path, *mode), "make directory", path, "make it by hand"),
        // Empty and no mount, or else the kernel leaves it.
        #[allow(clippy::disallowed_methods)]
        Action::RemoveDirectory { path, .. } => {
            made(std::fs::remove_dir(path), "remove directory", path, "unmount what is mounted there, and remove it")
        }
        _ => Outcome::Done,
    }
}

#[cold]
#[inline(never)]
fn create(creation: &Creation) -> Outcome {
    let Creation { base, recursive, below, kind, mode, parent_mode, owner, .. } = creation;
    let inode = NewInode { kind: *kind, mode: *mode, parent_mode: *parent_mode, owner: *owner };
    let created = Base::open(base, *recursive).map_err(|errno| format!("open it: {errno:?}")).and_then(|base| base.create(below, &inode));
    match created {
        Ok(true) => Outcome::Done,
        Ok(false) => Outcome::Without,
        Err(why) => Outcome::Failed(format!("prepare {}: {why}; create {} by hand", base.display(), base.join(below).display())),
    }
}

fn made(outcome: io::Result<()>, verb: &str, path: &Path, cure: &str) -> Outcome {
    outcome.map_or_else(|error| Outcome::Failed(format!("{verb} {}: {}; {cure}", path.display(), errno_name(&error))), |()| Outcome::Done)
}

/// For a path of the engine's or the runtime's own, in no tree of a workload's.
#[cold]
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// All edits of all rules in one replacement.
fn replace_document(plan: &Plan, document: &Document) -> Result<(), String> {
    let edits = plan.edits();
    if edits.is_empty() {
        return Ok(());
    }
    let text = std::str::from_utf8(&document.bytes).unwrap_or_default();
    let pieces: Vec<&[u8]> = splice(text, &edits).into_iter().map(str::as_bytes).collect();
    let failed = |why| format!("replace {}: {why}; make the bundle writable", document.path.display());
    document.replace(&pieces).map_err(failed)
}

fn enable_sysctl(path: &Path) -> Outcome {
    match sysctl::enable(path) {
        Ok(()) => Outcome::Done,
        // Expected in a user namespace, and in a container with a read-only /proc/sys.
        Err(Errno::EPERM | Errno::EACCES | Errno::EROFS) => Outcome::Without,
        Err(errno) => Outcome::Failed(format!("write {}: {errno:?}; set it to 1 by sysctl", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Change, Level};
    use std::path::PathBuf;

    fn sysctl_step(path: &str) -> Plan {
        let change = Change::Key { key: "fs.may_detach_mounts", before: Some("0".to_owned()), after: "1" };
        let action = Action::EnableSysctl { path: PathBuf::from(path), change };
        Plan { steps: vec![Step { rule: "may-detach-mounts", level: Level::Info, why: String::new(), action }] }
    }

    fn outcome(path: &str, on_error: OnError) -> (Result<usize, Failure>, usize) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let document = Document::read(file.path().to_owned()).unwrap();
        let mut notices = Vec::new();
        let done = apply(sysctl_step(path), &document, &Config { on_error, ..Config::default() }, &mut notices);
        (done.map(|plan| plan.steps.len()), notices.len())
    }

    #[test]
    fn a_sysctl_that_is_written_is_done() {
        assert_eq!(outcome("/proc/thread-self/comm", OnError::Fail), (Ok(1), 0));
    }

    #[test]
    fn a_sysctl_that_may_not_be_written_is_passed_over_quietly() {
        // Readable by all and writable by nobody, root included.
        assert_eq!(outcome("/proc/sys/kernel/ngroups_max", OnError::Fail), (Ok(0), 0));
    }

    #[test]
    fn a_sysctl_that_fails_otherwise_is_told_or_fails_the_call() {
        assert_eq!(outcome("/etc/hostname", OnError::Pass), (Ok(0), 1));
        assert!(outcome("/etc/hostname", OnError::Fail).0.is_err());
    }
}
