//! What is to be done before the runtime runs, as data: it can be printed, compared and tested, and only `apply` carries it out.

use crate::mountpoint::{Kind, Owner};
use crate::spec::Edit;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// The steps of all rules, in the order of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
}

/// How much a step matters to who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Info,
    Warning,
}

/// One thing to do or to tell, the rule that wants it and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub rule: &'static str,
    pub level: Level,
    pub why: String,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Change `config.json`.
    EditSpec { change: Change, edits: Vec<Edit> },
    /// Write `1` into a sysctl file.
    EnableSysctl { path: PathBuf, change: Change },
    /// Create a directory or an empty file, and the directories above it.
    Create { creation: Creation, change: Change },
    /// Make a directory of the engine's or the runtime's own, with those above it.
    MakeDirectory { path: PathBuf, mode: u32, change: Change },
    /// Remove an empty directory of the runtime's own.
    RemoveDirectory { path: PathBuf, change: Change },
    /// Leave words of argv out.
    DropWords { change: Change },
    /// Fail the call, with `why`.
    Refuse,
    /// Nothing to do; `why` goes to our own log.
    Notice,
    /// Nothing to do and nothing worth a line in the log; `why` is shown by `guard plan`.
    Keep,
}

/// What is to be created, and in which tree: nothing outside of `base` is touched, whatever happens in it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    pub base: PathBuf,
    /// The tree is `base` with what is mounted below it.
    pub recursive: bool,
    /// Relative to `base`.
    pub below: PathBuf,
    pub kind: Kind,
    pub mode: u32,
    /// Of the directories above it that are missing, too.
    pub parent_mode: u32,
    pub owner: Owner,
    /// How many inodes that takes.
    pub inodes: usize,
    /// Failing is no failure of the call.
    pub optional: bool,
}

/// What is changed, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Change {
    Options { mount: String, before: Vec<String>, after: Vec<String> },
    Key { key: &'static str, before: Option<String>, after: &'static str },
    Path { mount: String, field: &'static str, before: String, after: String },
    Mounts { appended: Vec<String> },
    Created { created: String, kind: Kind, mode: String, owner: String },
    Removed { removed: String },
    Dropped { dropped: Vec<String> },
    Masked { masked: Vec<String> },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Options { mount, before, after } => write!(f, "{mount}: {} -> {}", before.join(","), after.join(",")),
            Change::Key { key, before, after } => write!(f, "{key}: {} -> {after}", before.as_deref().unwrap_or("unset")),
            Change::Path { mount, field, before, after } => write!(f, "{mount}: {field} {before} -> {after}"),
            Change::Mounts { appended } => write!(f, "mounts: appended {}", appended.join(", ")),
            Change::Created { created, kind, mode, owner } => write!(f, "{created}: {kind}, mode {mode}, owner {owner}"),
            Change::Removed { removed } => write!(f, "{removed}: removed"),
            Change::Masked { masked } => write!(f, "linux.maskedPaths: appended {}", masked.join(", ")),
            Change::Dropped { dropped } => write!(f, "argv: without {}", dropped.join(" ")),
        }
    }
}

impl Action {
    /// Failing is no failure of the call.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        matches!(self, Action::Create { creation, .. } if creation.optional)
    }
}

impl Step {
    /// What the step changes, if anything.
    #[must_use]
    pub fn change(&self) -> Option<&Change> {
        match &self.action {
            Action::EditSpec { change, .. }
            | Action::EnableSysctl { change, .. }
            | Action::Create { change, .. }
            | Action::MakeDirectory { change, .. }
            | Action::RemoveDirectory { change, .. }
            | Action::DropWords { change } => Some(change),
            Action::Refuse | Action::Notice | Action::Keep => None,
        }
    }
}

impl Plan {
    /// All edits of the document.
    #[must_use]
    pub fn edits(&self) -> Vec<Edit> {
        let of_step = |step: &Step| match &step.action {
            Action::EditSpec { edits, .. } => edits.clone(),
            _ => Vec::new(),
        };
        self.steps.iter().flat_map(of_step).collect()
    }

    /// The sentence with which the call fails, naming everything that is refused at once.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let refused: Vec<&str> = self.steps.iter().filter(|step| step.action == Action::Refuse).map(|step| step.why.as_str()).collect();
        (!refused.is_empty()).then(|| refused.join("; "))
    }

    /// Whether the plan would change anything or fail the call.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.action, Action::Notice | Action::Keep))
    }
}
