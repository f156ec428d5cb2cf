//! Edits of a document: spans of the original text and what replaces them.

use super::{Mount, Place, RootfsPropagation, Spec, span};
use crate::propagation::is_propagation_word;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;

/// Replace `span` of the original text by `text`. An empty span inserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub span: Range<usize>,
    pub text: String,
}

/// The document with all `edits` carried out, as pieces to be written one after the other; every byte outside their spans stays.
///
/// # Panics
/// Never on edits made from the same `text` for different members: their spans do not overlap.
#[must_use]
pub fn splice<'a>(text: &'a str, edits: &'a [Edit]) -> Vec<&'a str> {
    let mut in_order: Vec<&Edit> = edits.iter().collect();
    in_order.sort_by_key(|edit| edit.span.start);
    let mut pieces = Vec::with_capacity(2 * edits.len() + 1);
    let mut copied = 0;
    for edit in in_order {
        pieces.extend([&text[copied..edit.span.start], edit.text.as_str()]);
        copied = edit.span.end;
    }
    pieces.push(&text[copied..]);
    pieces
}

impl Mount<'_> {
    /// The options after [`Mount::set_propagation`].
    #[must_use]
    pub fn options_with(&self, word: &str) -> Vec<String> {
        let mut replaced = false;
        let mut after: Vec<String> = Vec::with_capacity(self.options.len() + 1);
        for option in &self.options {
            if !is_propagation_word(&option.text) {
                after.push(option.text.to_string());
            } else if !std::mem::replace(&mut replaced, true) {
                after.push(word.to_owned());
            }
        }
        if !replaced {
            after.push(word.to_owned());
        }
        after
    }

    /// The edits after which `word` is the only propagation word of this mount's options: the first one is replaced in place, further ones go
    /// with the comma before them, and where there is none the word is appended in the white space of its neighbours.
    #[must_use]
    pub fn set_propagation(&self, text: &str, word: &str) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (index, option) in self.options.iter().enumerate().filter(|(_, option)| is_propagation_word(&option.text)) {
            if edits.is_empty() {
                edits.push(Edit { span: option.span.clone(), text: format!("\"{word}\"") });
            } else {
                edits.push(Edit { span: self.options[index - 1].span.end..option.span.end, text: String::new() });
            }
        }
        if let (true, [.., last]) = (edits.is_empty(), self.options.as_slice()) {
            let separator = match self.options.as_slice() {
                [.., before, _] => &text[before.span.end..last.span.start],
                _ => ",",
            };
            edits.push(Edit { span: last.span.end..last.span.end, text: format!("{separator}\"{word}\"") });
        }
        edits
    }
}

impl Mount<'_> {
    /// The edit after which the mount's destination is `path`; `None` where it has none.
    #[must_use]
    pub fn set_destination(&self, text: &str, path: &str) -> Option<Edit> {
        replace(text, self.raw.destination, path)
    }

    /// The edit after which the mount's source is `path`; `None` where it has none.
    #[must_use]
    pub fn set_source(&self, text: &str, path: &str) -> Option<Edit> {
        replace(text, self.raw.source, path)
    }
}

fn replace(text: &str, value: Option<&RawValue>, by: &str) -> Option<Edit> {
    Some(Edit { span: span(text, value?.get()), text: literal(by) })
}

/// A JSON string.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Spec<'_> {
    /// The edit after which the document has, behind its other mounts, one tmpfs entry for each of `destinations`. `None` without mounts.
    #[must_use]
    pub fn append_tmpfs_mounts(&self, destinations: &[&str]) -> Option<Edit> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            mounts: Vec<&'a RawValue>,
        }
        let document: Document<'_> = serde_json::from_str(self.text).ok()?;
        let at = span(self.text, document.mounts.last()?.get()).end;
        let entry = |destination: &&str| format!(",{{\"destination\":{},\"type\":\"tmpfs\",\"source\":\"tmpfs\"}}", literal(destination));
        Some(Edit { span: at..at, text: destinations.iter().map(entry).collect() })
    }
}

impl Spec<'_> {
    /// The edit after which `paths` stand behind the others in `linux.maskedPaths`. `None` where that list is empty, missing, or no list of strings.
    #[must_use]
    pub fn append_masked_paths(&self, paths: &[&str]) -> Option<Edit> {
        if self.masked_paths().is_empty() {
            return None;
        }
        let masked: Vec<&RawValue> = serde_json::from_str(self.masked_paths?.get()).ok()?;
        let at = span(self.text, masked.last()?.get()).end;
        Some(Edit { span: at..at, text: format!(",{}", paths.iter().map(|path| literal(path)).collect::<Vec<_>>().join(",")) })
    }
}

impl RootfsPropagation<'_> {
    /// The edit after which `linux.rootfsPropagation` is `value`: its value replaced, or the member put before another one of the `linux`
    /// object, in that one's white space.
    #[must_use]
    pub fn set(&self, text: &str, value: &str) -> Edit {
        match &self.at {
            Place::Value(span) => Edit { span: span.clone(), text: format!("\"{value}\"") },
            Place::BeforeMember(start) => {
                let before = &text[..*start];
                let space = &before[before.trim_end().len()..];
                let colon = if space.is_empty() { ":" } else { ": " };
                Edit { span: *start..*start, text: format!("\"rootfsPropagation\"{colon}\"{value}\",{space}") }
            }
        }
    }
}
