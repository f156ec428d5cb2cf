//! Takes things out of a TOML text by whole lines, so that every comment around them stays, which toml_edit would remove with the item below it.

use super::settings::NAME;
use super::toml_text::{Reader, editable, edited, set, table_mut};
use anyhow::Result;
use std::ops::Range;
use toml_edit::{Item, Key, Table};

/// Takes the default and the runtime of ours out of the table at `path`, and the tables that are empty then and were not there `before`.
pub fn without_entry(text: &str, before: Option<&str>, path: &[&str], default_key: &str) -> Result<String> {
    let runtimes = [path, &["runtimes"]].concat();
    let mut text = without(text, &[&runtimes, [NAME].as_slice()].concat())?;
    let is_ours = Reader::parse(&text)?.table(path)?.and_then(|table| table.get(default_key)?.as_str()) == Some(NAME);
    if is_ours {
        let before = before.map(editable).transpose()?;
        let table = before.as_ref().and_then(|before| path.iter().try_fold(before.as_item(), |item, key| item.get(key)));
        let old = table.and_then(|table| table.get(default_key)?.as_value());
        text = match old {
            Some(old) => {
                let mut document = editable(&text)?;
                set(table_mut(document.as_item_mut(), path)?, default_key, old.clone());
                edited(document, &text)
            }
            None => without(&text, &[path, &[default_key]].concat())?,
        };
    }
    for depth in (1..=runtimes.len()).rev() {
        text = without_bare_table(text, before, &runtimes[..depth])?;
    }
    Ok(text)
}

/// Takes the header of the table at `path` out if it says nothing (any more) and did not stand there `before`.
fn without_bare_table(text: String, before: Option<&str>, path: &[&str]) -> Result<String> {
    let (own, above) = path.split_last().map_or(("", path), |(own, above)| (*own, above));
    let reader = Reader::parse(&text)?;
    let table = reader.table(above)?.and_then(|above| above.get(own));
    let was_there = before.map(|before| Ok::<_, anyhow::Error>(Reader::parse(before)?.table(above)?.is_some_and(|above| has_header(above.get(own)))));
    let is_bare = match (table, was_there.transpose()?) {
        (_, Some(true)) | (None, _) => false,
        (Some(Item::Table(table)), Some(false)) => table.iter().all(|(_, item)| matches!(item, Item::Table(table) if !table.is_dotted())),
        (Some(item), _) => item.as_table_like().is_some_and(toml_edit::TableLike::is_empty),
    };
    match table {
        Some(Item::Value(_)) if is_bare => without(&text, path),
        Some(item) if is_bare && has_header(table) => Ok(item.span().map_or_else(|| text.clone(), |header| without_lines(&text, &header, true))),
        _ => Ok(text),
    }
}

/// Whether the item stands in the text by itself: a table that is only part of others' names does not.
fn has_header(item: Option<&Item>) -> bool {
    item.is_some_and(|item| item.as_table().is_none_or(|table| !table.is_implicit() && !table.is_dotted()))
}

/// `text` without the value or table at `path`.
pub fn without(text: &str, path: &[&str]) -> Result<String> {
    let reader = Reader::parse(text)?;
    let Some((last, parents)) = path.split_last() else { return Ok(text.to_owned()) };
    if reader.table(parents)?.is_none_or(|table| !table.contains_key(last)) {
        return Ok(text.to_owned());
    }
    if is_in_inline_table(reader.root(), parents) {
        let mut document = editable(text)?;
        if let Some(table) = table_mut(document.as_item_mut(), parents)?.as_table_like_mut() {
            table.remove(last);
        }
        return Ok(document.to_string());
    }
    let mut lines = Vec::new();
    if let Some(table) = reader.table(parents)? {
        collect_lines(table.key(last), table.get(last), &mut lines);
    }
    // From the end, so that the places before stay right.
    lines.sort_by_key(|line| std::cmp::Reverse(line.0.start));
    Ok(lines.iter().fold(text.to_owned(), |text, (bytes, is_header)| without_lines(&text, bytes, *is_header)))
}

fn is_in_inline_table(root: &Table, path: &[&str]) -> bool {
    let mut table: Option<&Item> = root.get(path.first().copied().unwrap_or_default());
    for key in path.iter().skip(1) {
        if table.is_some_and(Item::is_inline_table) {
            return true;
        }
        table = table.and_then(|table| table.get(key));
    }
    table.is_some_and(Item::is_inline_table)
}

/// The bytes of a value with its key, or of a table's header and all it holds; whether it is a header.
fn collect_lines(key: Option<&Key>, item: Option<&Item>, lines: &mut Vec<(Range<usize>, bool)>) {
    match item {
        Some(Item::Value(value)) => {
            if let (Some(start), Some(end)) = (key.and_then(Key::span), value.span()) {
                lines.push((start.start..end.end, false));
            }
        }
        Some(Item::Table(table)) => {
            // The span of a table without a header of its own is that of its name in another's.
            if let Some(header) = table.span().filter(|_| !table.is_implicit() && !table.is_dotted()) {
                lines.push((header, true));
            }
            table.iter().for_each(|(name, item)| collect_lines(table.key(name), Some(item), lines));
        }
        _ => {}
    }
}

/// Whole lines out of a text, and the blank line above a header.
fn without_lines(text: &str, bytes: &Range<usize>, is_header: bool) -> String {
    let start = text[..bytes.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[bytes.end..].find('\n').map_or(text.len(), |at| bytes.end + at + 1);
    let head = &text[..start];
    let head = if is_header && (head.ends_with("\n\n") || head == "\n") { &head[..head.len() - 1] } else { head };
    format!("{head}{}", &text[end..])
}
