//! Our own settings: TOML text to [`Config`]. Which files are read is `settings_files`' business.

mod registry;

pub use registry::{SETTINGS, Setting};

use crate::invocation::Flavour;
use crate::mountpoint::Owner;
use crate::rules;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What happens to a bind that would pin mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It is rewritten.
    Rewrite,
    /// The create fails and says what to write instead, as dockerd does for its own root.
    Reject,
    /// Nothing but a notice.
    Warn,
}

/// What happens when a rule cannot do what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The runtime runs with what is there, and a notice says so.
    Pass,
    /// The call fails.
    Fail,
}

/// Settings of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleConfig {
    pub enabled: bool,
    /// `None`: the general `on_error`.
    pub on_error: Option<OnError>,
}

impl RuleConfig {
    fn default_of(rule: &str) -> RuleConfig {
        let own = rules::OWN_ON_ERROR.iter().find(|(name, _)| *name == rule);
        RuleConfig { enabled: true, on_error: own.map(|(_, on_error)| *on_error) }
    }
}

/// What may be created at a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreConfig {
    /// Also mountpoints that only the checkpoint image asks for.
    pub create_from_image: bool,
    /// Below these, missing sources of binds.
    pub create_sources: Vec<PathBuf>,
    /// `None`: derived.
    pub create_sources_owner: Option<Owner>,
    /// `None`: derived.
    pub create_sources_mode: Option<u32>,
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub runtimes: Vec<String>,
    /// `None`: by the runtime's file name.
    pub flavour: Option<Flavour>,
    pub protected_roots: Vec<PathBuf>,
    /// Whether `protected_roots` was set: default roots that do not exist are no roots, an operator's are.
    pub default_roots: bool,
    pub extra_protected_roots: Vec<PathBuf>,
    pub policy: Policy,
    pub on_error: OnError,
    pub strict: bool,
    pub force_rro: bool,
    pub allow_opt_out: Vec<String>,
    pub log: PathBuf,
    pub restore: RestoreConfig,
    /// One entry for each rule, in the order of [`rules::NAMES`].
    pub rules: [RuleConfig; rules::NAMES.len()],
}

/// State and storage of the engines and of the kubelet: what must be able to unmount on the host.
const DEFAULT_ROOTS: [&str; 9] = [
    "/var/lib/containerd",
    "/run/containerd",
    "/var/lib/containers/storage",
    "/run/containers/storage",
    "/run/crio",
    "/var/lib/docker",
    "/run/docker",
    "/var/lib/kubelet",
    "/run/netns",
];

impl Default for Config {
    fn default() -> Self {
        Config {
            runtimes: vec!["runc".to_owned(), "crun".to_owned()],
            flavour: None,
            protected_roots: DEFAULT_ROOTS.map(PathBuf::from).to_vec(),
            default_roots: true,
            extra_protected_roots: Vec::new(),
            policy: Policy::Rewrite,
            on_error: OnError::Pass,
            strict: false,
            force_rro: false,
            allow_opt_out: Vec::new(),
            log: PathBuf::from("/var/log/runc-guard.log"),
            restore: RestoreConfig { create_from_image: true, create_sources: Vec::new(), create_sources_owner: None, create_sources_mode: None },
            rules: rules::NAMES.map(RuleConfig::default_of),
        }
    }
}

impl Config {
    /// The settings of the rule named `rule`; a name that is none counts as disabled.
    #[must_use]
    pub fn rule(&self, rule: &str) -> RuleConfig {
        let index = rules::NAMES.iter().position(|name| *name == rule);
        index.map_or(RuleConfig { enabled: false, on_error: None }, |index| self.rules[index])
    }

    #[must_use]
    pub fn on_error_of(&self, rule: &str) -> OnError {
        self.rule(rule).on_error.unwrap_or(self.on_error)
    }
}

/// Something wrong in a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// 1-based; `None` when it is about the whole file.
    pub line: Option<usize>,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read settings {}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Where a setting was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub key: &'static str,
    pub file: PathBuf,
    /// 1-based.
    pub line: usize,
}

/// The settings in force, where each was set, and what was wrong on the way. Problems never take away what could be read: `state` and
/// `delete` must find the runtime even through a damaged file.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub config: Config,
    /// Where each setting that was set was set; of several places the last one counts.
    pub origins: Vec<Origin>,
    pub problems: Vec<Problem>,
    /// Settings files that others than root and ourselves can write.
    pub writable_by_others: Vec<PathBuf>,
}

/// Enough to mend a file by; a file with more is no settings file.
const MOST_PROBLEMS: usize = 20;

/// How many lines of a damaged file may begin as a setting that is looked for there; each of them costs up to [`MOST_VALUE_LINES`] attempts.
const MOST_STARTS: usize = 16;

/// How many lines a value is looked for that stands in a damaged file.
const MOST_VALUE_LINES: usize = 64;

/// A settings file's text, or some lines of it.
#[derive(Clone, Copy)]
struct Part<'a> {
    file: &'a Path,
    text: &'a str,
    lines_before: usize,
}

impl Part<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        self.lines_before + before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

impl Settings {
    /// Takes over the settings of one file's text, over those of earlier files.
    pub fn absorb(&mut self, file: &Path, text: &str) {
        let whole = Part { file, text, lines_before: 0 };
        match DeTable::parse(text) {
            Ok(table) => self.absorb_table(whole, "", table.into_inner()),
            Err(error) => {
                let line = error.span().map(|span| whole.line(span.start));
                let what = format!("{}{}; correct the TOML there", key_on_line(text, line), error.message().lines().next().unwrap_or_default());
                self.tell(file, line, what);
                self.salvage(file, text);
            }
        }
    }

    /// Of a file that is no TOML as a whole: what says which runtime is meant, because `state`, `kill` and `delete` must still reach that one.
    fn salvage(&mut self, file: &Path, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        let starts = lines.iter().enumerate().filter(|(_, line)| line.starts_with("runtimes") || line.starts_with("flavour"));
        for (start, _) in starts.take(MOST_STARTS) {
            let ends = start + 1..=lines.len().min(start + MOST_VALUE_LINES);
            let whole = ends.map(|end| lines[start..end].join("\n")).find(|value| DeTable::parse(value).is_ok());
            let Some(text) = whole.as_deref() else { continue };
            if let Ok(table) = DeTable::parse(text) {
                self.absorb_table(Part { file, text, lines_before: start }, "", table.into_inner());
            }
        }
    }

    /// Notes something wrong in a settings file.
    pub fn tell(&mut self, file: &Path, line: Option<usize>, what: String) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem { file: file.to_owned(), line, what });
        }
    }

    fn absorb_table(&mut self, part: Part<'_>, prefix: &str, table: DeTable<'_>) {
        for (key, value) in table {
            let at = key.span().start;
            let key = format!("{prefix}{}", key.get_ref());
            // No more problems are told then, but what is sound still counts.
            if self.problems.len() >= MOST_PROBLEMS && !is_known(&key) {
                continue;
            }
            let line = part.line(at);
            if let Err(what) = self.absorb_value(part, line, &key, value) {
                self.tell(part.file, Some(line), what);
            }
        }
    }

    fn absorb_value(&mut self, part: Part<'_>, line: usize, key: &str, value: Spanned<DeValue<'_>>) -> Result<(), String> {
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
            (setting.set)(&mut self.config, value).map_err(|problem| format!("bad value of {key}: {problem}"))?;
            self.origins.push(Origin { key: setting.key, file: part.file.to_owned(), line });
            return Ok(());
        }
        let inner = format!("{key}.");
        match value.into_inner() {
            DeValue::Table(table) if SETTINGS.iter().any(|setting| setting.key.starts_with(&inner)) => {
                self.absorb_table(part, &inner, table);
                Ok(())
            }
            _ => Err(format!("unknown key {key}; `runc-guard guard config` lists the keys there are")),
        }
    }
}

/// Whether it is the key of a setting or of a table of them.
fn is_known(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// `KEY: ` of the line on which the parser stopped, as far as there is one.
fn key_on_line(text: &str, line: Option<usize>) -> String {
    let line = line.and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
    let key: String = line.split('=').next().unwrap_or_default().trim().chars().take(60).collect();
    if key.is_empty() { key } else { key + ": " }
}

#[cfg(test)]
mod tests;
