//! What becomes of one settings file. Pure: text in, a step out.
//!
//! Before a file of others is edited, its bytes are kept beside it, so that taking runc-guard out again can give exactly those back. That is done only
//! while the file still is what our edit makes of the copy; else somebody has edited it since, and only our entries are taken out.

use super::settings::{Entry, Settings};
use anyhow::Result;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// Write the file; keep what it was, if it was there without an entry of ours.
    Write {
        text: String,
        keep_copy: bool,
    },
    /// Write the file and remove the copy, which is of no more use.
    TakeOut {
        text: String,
    },
    /// Put the copy in the file's place.
    Restore {
        text: String,
    },
    Delete,
}

impl Step {
    /// What the file holds afterwards.
    pub fn text(&self) -> Option<&str> {
        match self {
            Step::Nothing | Step::Delete => None,
            Step::Write { text, .. } | Step::TakeOut { text } | Step::Restore { text } => Some(text),
        }
    }
}

/// Puts `wanted` into the file. A default that is ours stays ours.
pub fn configure(settings: &dyn Settings, current: Option<&str>, copy: Option<&str>, wanted: &Entry) -> Result<Step> {
    let entry = current.map(|text| settings.view(text)).transpose()?.and_then(|view| view.entry());
    let default = wanted.default || entry.as_ref().is_some_and(|entry| entry.default);
    let wanted = Entry { default, ..wanted.clone() };
    // From the beginning, where that is known: two runs then make the same bytes as one with both wishes.
    let base = if is_our_edit(settings, current, copy, entry.as_ref()) { copy } else { current };
    let text = settings.with(base, &wanted)?;
    if current == Some(&text) {
        return Ok(Step::Nothing);
    }
    Ok(Step::Write { text, keep_copy: current.is_some() && entry.is_none() })
}

/// Takes every entry of ours out of the file.
pub fn remove(settings: &dyn Settings, current: Option<&str>, copy: Option<&str>) -> Result<Step> {
    let Some(text) = current else { return Ok(Step::Nothing) };
    let Some(entry) = settings.view(text)?.entry() else { return Ok(Step::Nothing) };
    if is_our_edit(settings, current, copy, Some(&entry)) {
        return Ok(copy.map_or(Step::Delete, |copy| Step::Restore { text: copy.to_owned() }));
    }
    let text = settings.without(text, copy)?;
    let is_blank = matches!(text.trim(), "" | "{}");
    Ok(if copy.is_none() && is_blank { Step::Delete } else { Step::TakeOut { text } })
}

/// Whether `current` is, byte for byte, what the edit makes of `before` (a new file, where there is none).
fn is_our_edit(settings: &dyn Settings, current: Option<&str>, before: Option<&str>, entry: Option<&Entry>) -> bool {
    let (Some(current), Some(entry)) = (current, entry) else { return false };
    settings.with(before, entry).is_ok_and(|made| made == current)
}
