//! TOML that is read with places and edited in place: what the edit does not touch keeps its bytes.

use super::settings::View;
use anyhow::{Result, anyhow, bail, ensure};
use std::borrow::Cow;
use toml_edit::{Document, DocumentMut, Item, Table, TableLike, Value};

/// A TOML text whose parts know where they stand.
pub struct Reader<'a> {
    text: &'a str,
    document: Document<&'a str>,
}

impl<'a> Reader<'a> {
    pub fn parse(text: &'a str) -> Result<Reader<'a>> {
        let document = Document::parse(text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| place(text, span.start) + ": ");
            anyhow!("{place}{}", error.message().replace('\n', ", "))
        })?;
        Ok(Reader { text, document })
    }

    pub fn root(&self) -> &Table {
        self.document.as_table()
    }

    /// The table at `path`, if there is one.
    pub fn table(&self, path: &[&str]) -> Result<Option<&dyn TableLike>> {
        let mut table: &dyn TableLike = self.root();
        for key in path {
            let Some(item) = table.get(key) else { return Ok(None) };
            table = item.as_table_like().ok_or_else(|| self.not_a(table, key, "table"))?;
        }
        Ok(Some(table))
    }

    pub fn string<'t>(&self, table: &'t dyn TableLike, key: &str) -> Result<Option<&'t str>> {
        table.get(key).map(|item| item.as_str().ok_or_else(|| self.not_a(table, key, "string"))).transpose()
    }

    /// The default and the runtimes of the table at `path`; `program` finds what is executed for a runtime.
    pub fn view(&self, path: &[&str], default_key: &str, program: &Program<'_>) -> Result<View> {
        let mut view = View::default();
        let Some(table) = self.table(path)? else { return Ok(view) };
        view.default = self.string(table, default_key)?.map(str::to_owned);
        let Some(runtimes) = table.get("runtimes") else { return Ok(view) };
        let runtimes = runtimes.as_table_like().ok_or_else(|| self.not_a(table, "runtimes", "table"))?;
        for (name, _) in runtimes.iter() {
            view.runtimes.insert(name.to_owned(), program(self, runtimes, name)?);
        }
        Ok(view)
    }

    /// The error that says where `key` is something else than it has to be.
    pub fn not_a(&self, table: &dyn TableLike, key: &str, kind: &str) -> anyhow::Error {
        let start = table.key(key).and_then(toml_edit::Key::span).map_or(0, |span| span.start);
        let is = table.get(key).map_or("none", Item::type_name);
        anyhow!("{}: {key} is no {kind} (it is of type {is})", place(self.text, start))
    }
}

/// Finds what is executed for the runtime of that name in a table of runtimes.
pub type Program<'f> = dyn Fn(&Reader<'_>, &dyn TableLike, &str) -> Result<String> + 'f;

/// Line and column of a byte, counted from 1.
pub fn place(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit_once('\n').map_or(before, |(_, line)| line);
    format!("line {}, column {}", before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// A text for editing. What toml_edit would write in its own way is found before anything is changed.
pub fn editable(text: &str) -> Result<DocumentMut> {
    let text = ended(text);
    let document = Reader::parse(&text)?.document.into_mut();
    ensure!(
        document.to_string() == text,
        "an edit would change more of it than it should, because of CR LF line ends, a byte order mark or a name that is quoted in two ways; unify that first"
    );
    Ok(document)
}

/// The text with an end of its last line, without which nothing can be put behind it.
pub fn ended(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) }
}

/// The text of an edited document. What was added at its end goes behind the comments that stood there.
pub fn edited(mut document: DocumentMut, base: &str) -> String {
    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let whole = document.to_string();
    document.set_trailing("");
    let text = document.to_string();
    match base.strip_suffix(&trailing).and_then(|head| text.strip_prefix(head)) {
        Some(added) if !added.is_empty() => {
            let added = if base.is_empty() { added.trim_start_matches('\n') } else { added };
            format!("{base}{added}")
        }
        _ => whole,
    }
}

/// The table at `path`, made where it is missing, in the form that its surroundings have.
pub fn table_mut<'a>(parent: &'a mut Item, path: &[&str]) -> Result<&'a mut Item> {
    let Some((key, rest)) = path.split_first() else { return Ok(parent) };
    if parent.get(key).is_none() {
        let mut table = Table::new();
        table.set_implicit(true);
        insert_table(parent, key, table);
    }
    let Some(child) = parent.get_mut(key).filter(|item| item.is_table_like()) else { bail!("{key} is no table") };
    table_mut(child, rest)
}

/// Adds a table, with a blank line before it and as far in as its neighbours; into an inline table goes an inline one.
pub fn insert_table(parent: &mut Item, key: &str, mut table: Table) {
    if let Some(inline) = parent.as_inline_table_mut() {
        inline.insert(key, Value::InlineTable(table.into_inline_table()));
        return;
    }
    let Some(parent) = parent.as_table_mut() else { return };
    let neighbour = parent.iter().filter_map(|(_, item)| item.as_table()).filter(|table| !table.is_implicit() && !table.is_dotted()).last();
    let header = neighbour.map_or("", |table| indent(table.decor())).to_owned();
    let first_key = neighbour.and_then(|table| table.iter().find(|(_, item)| item.is_value()).and_then(|(key, _)| table.key(key)));
    let keys = first_key.map_or(header.as_str(), |key| indent(key.leaf_decor()));
    indent_table(&mut table, &header, keys.strip_prefix(header.as_str()).unwrap_or_default());
    parent.insert(key, Item::Table(table));
}

fn indent_table(table: &mut Table, header: &str, step: &str) {
    let keys = format!("{header}{step}");
    table.decor_mut().set_prefix(format!("\n{header}"));
    for (mut key, item) in table.iter_mut() {
        match item {
            Item::Table(nested) => indent_table(nested, &keys, step),
            _ => key.leaf_decor_mut().set_prefix(&keys),
        }
    }
}

/// Sets a value: one that is there keeps its surroundings, a new one stands as far in as its neighbours.
pub fn set(table: &mut Item, key: &str, value: impl Into<Value>) {
    let mut value = value.into();
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
        return;
    }
    if let Some(inline) = table.as_inline_table_mut() {
        inline.insert(key, value);
        return;
    }
    let Some(table) = table.as_table_mut() else { return };
    let last = table.iter().filter(|(_, item)| item.is_value()).last().map(|(key, _)| key.to_owned());
    let indent = last.and_then(|last| Some(indent(table.key(&last)?.leaf_decor()).to_owned())).unwrap_or_default();
    table.insert(key, Item::Value(value));
    if let Some(mut key) = table.key_mut(key) {
        key.leaf_decor_mut().set_prefix(indent);
    }
}

/// The blanks before a key or header, after the comments above it.
fn indent(decor: &toml_edit::Decor) -> &str {
    let prefix = decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    prefix.rsplit_once('\n').map_or(prefix, |(_, indent)| indent)
}

/// A copy in plain tables, without the comments and blanks of the original.
pub fn plain_table(original: &dyn TableLike) -> Table {
    let plain = |item: &Item| match item.as_table_like() {
        Some(table) => Item::Table(plain_table(table)),
        None => item.as_value().map_or(Item::None, |value| Item::Value(value.clone().decorated(" ", ""))),
    };
    original.iter().map(|(key, item)| (key.to_owned(), plain(item))).filter(|(_, item)| !item.is_none()).collect()
}

/// Takes in, key by key, what an engine reads later.
pub fn absorb(into: &mut Table, later: Table) {
    for (key, item) in later {
        match (into.get_mut(&key), item) {
            (Some(Item::Table(into)), Item::Table(later)) => absorb(into, later),
            (_, item) => drop(into.insert(&key, item)),
        }
    }
}
