//! What a settings file says about runtimes, and how it is changed: the one interface that every engine's format has.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;

/// The name under which engines know runc-guard.
pub const NAME: &str = "runc-guard";

/// An engine's settings as text. Nothing here reads or writes a file.
pub trait Settings {
    /// What `text` says about runtimes.
    ///
    /// # Errors
    /// It cannot be understood; the error names line and column.
    fn view(&self, text: &str) -> Result<View>;

    /// `text`, or a new file's, with `entry` in it and everything else as it was.
    ///
    /// # Errors
    /// It cannot be understood, or `entry` would have no effect in it.
    fn with(&self, text: Option<&str>, entry: &Entry) -> Result<String>;

    /// `text` without any entry of ours; what the entries took the place of is as in `before`.
    ///
    /// # Errors
    /// It cannot be understood.
    fn without(&self, text: &str, before: Option<&str>) -> Result<String>;
}

/// How settings name runc-guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is executed; empty where only the default bears our name.
    pub program: String,
    pub default: bool,
}

/// The runtimes that settings name, with what is executed for each, and the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub default: Option<String>,
    pub runtimes: BTreeMap<String, String>,
}

impl View {
    /// Takes in what is read after this one; `replaces`: anything in it takes the place of all there is.
    pub fn absorb(&mut self, later: View, replaces: bool) {
        if replaces && later != View::default() {
            *self = View::default();
        }
        self.default = later.default.or(self.default.take());
        self.runtimes.extend(later.runtimes);
    }

    /// The entry of ours, if there is one.
    pub fn entry(&self) -> Option<Entry> {
        let default = self.default.as_deref() == Some(NAME);
        let program = self.runtimes.get(NAME).cloned();
        (default || program.is_some()).then(|| Entry { program: program.unwrap_or_default(), default })
    }
}

/// `text` after an edit, read once more: a form of writing that the edit did not master is found here and not by the engine.
pub fn verified(settings: &dyn Settings, text: String, entry: Option<&Entry>) -> Result<String> {
    let read = settings.view(&text).ok().map(|view| view.entry());
    ensure!(read == Some(entry.cloned()), "it is written in a form that cannot be edited safely; edit it by hand");
    Ok(text)
}
