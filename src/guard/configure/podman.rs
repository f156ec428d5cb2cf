//! podman's `containers.conf` and its drop-ins.
//!
//! Measured with podman 5.4.2 and 5.8.6, by the options that it gave to runtimes of many names: the tables of runtimes merge, the lists of names do
//! not: one that is set takes the place of the default one, and runc and crun lose `--log-format=json`. With `{append=true}` as its last element it
//! is added to what is there. podman before 4.8 does not understand that element and refuses the file: the list is written out for it.

use super::settings::{Entry, NAME, Settings, View, verified};
use super::toml_removal::{without, without_entry};
use super::toml_text::{Reader, editable, edited, ended, set, table_mut};
use anyhow::Result;
use toml_edit::{Array, InlineTable, Item, TableLike, Value};

const PATH: [&str; 1] = ["engine"];
const DEFAULT: &str = "runtime";

/// The lists of runtime names that ours belongs to, with what podman has in them by default.
const JSON: (&str, &[&str]) = ("runtime_supports_json", &["crun", "runc", "kata", "runsc", "youki", "krun"]);
/// podman gives these the option `--cgroup-manager disabled`, which is crun's alone.
const NO_CGROUP: (&str, &[&str]) = ("runtime_supports_nocgroup", &["crun", "krun"]);

pub struct Podman {
    /// Whether this podman knows `{append=true}`.
    pub appends: bool,
    /// Whether the runtime behind the guard is crun.
    pub is_crun: bool,
    /// What podman reads before this file.
    pub earlier: Vec<String>,
}

impl Settings for Podman {
    fn view(&self, text: &str) -> Result<View> {
        let program = |reader: &Reader<'_>, runtimes: &dyn TableLike, name: &str| {
            let paths = runtimes.get(name).and_then(Item::as_array).ok_or_else(|| reader.not_a(runtimes, name, "list of paths"))?;
            Ok(paths.iter().find_map(Value::as_str).unwrap_or_default().to_owned())
        };
        let reader = Reader::parse(text)?;
        if let Some(engine) = reader.table(&PATH)? {
            for (key, _) in [JSON, NO_CGROUP] {
                anyhow::ensure!(engine.get(key).is_none_or(Item::is_array), reader.not_a(engine, key, "list of names"));
            }
        }
        reader.view(&PATH, DEFAULT, &program)
    }

    fn with(&self, text: Option<&str>, entry: &Entry) -> Result<String> {
        let text = ended(text.unwrap_or_default());
        // Where crun went away, our name must leave the list: podman would give another runtime an option that is crun's.
        let text = &*if self.is_crun { text } else { take_from_list(&text, None, NO_CGROUP)?.into() };
        let view = self.view(text)?;
        let mut document = editable(text)?;
        let engine = table_mut(document.as_item_mut(), &PATH)?;
        if entry.default {
            set(engine, DEFAULT, NAME);
        }
        self.add_to_list(engine, JSON)?;
        if self.is_crun {
            self.add_to_list(engine, NO_CGROUP)?;
        }
        if view.runtimes.get(NAME) != Some(&entry.program) {
            set(table_mut(engine, &["runtimes"])?, NAME, Array::from_iter([&entry.program]));
        }
        verified(self, edited(document, text), Some(entry))
    }

    fn without(&self, text: &str, before: Option<&str>) -> Result<String> {
        let mut left = text.to_owned();
        for list in [JSON, NO_CGROUP] {
            left = take_from_list(&left, before, list)?;
        }
        verified(self, without_entry(&left, before, &PATH, DEFAULT)?, None)
    }
}

impl Podman {
    fn add_to_list(&self, engine: &mut Item, (key, defaults): (&str, &[&str])) -> Result<()> {
        if let Some(list) = engine.get_mut(key).and_then(Item::as_array_mut) {
            if !names(list).any(|name| name == NAME) {
                list.insert(list.iter().take_while(|value| value.is_str()).count(), NAME);
            }
            return Ok(());
        }
        let mut list = Array::new();
        if self.appends {
            list.push(NAME);
            list.push(Value::InlineTable(InlineTable::from_iter([("append", true)])));
        } else {
            list.extend(self.earlier_list(key)?.unwrap_or_else(|| defaults.iter().map(|name| (*name).to_owned()).collect()));
            list.push(NAME);
        }
        set(engine, key, list);
        Ok(())
    }

    /// The names that the files before this one put into the list: the last of them counts.
    fn earlier_list(&self, key: &str) -> Result<Option<Vec<String>>> {
        let mut found = None;
        for text in &self.earlier {
            let reader = Reader::parse(text)?;
            if let Some(list) = reader.table(&PATH)?.and_then(|engine| engine.get(key)?.as_array()) {
                found = Some(names(list).filter(|name| *name != NAME).map(str::to_owned).collect());
            }
        }
        Ok(found)
    }
}

fn names(list: &Array) -> impl Iterator<Item = &str> {
    list.iter().filter_map(Value::as_str)
}

/// Our name out of a list; the whole list, if nothing is left of it but what we write with our name.
fn take_from_list(text: &str, before: Option<&str>, (key, defaults): (&str, &[&str])) -> Result<String> {
    let mut document = editable(text)?;
    let Some(list) = document.get_mut("engine").and_then(|engine| engine.get_mut(key)).and_then(Item::as_array_mut) else {
        return Ok(text.to_owned());
    };
    let Some(at) = list.iter().position(|value| value.as_str() == Some(NAME)) else { return Ok(text.to_owned()) };
    list.remove(at);
    if at == 0
        && let Some(first) = list.get_mut(0)
    {
        first.decor_mut().set_prefix("");
    }
    let is_ours = names(list).next().is_none() || names(list).eq(defaults.iter().copied());
    let was_there = before.map(|before| Reader::parse(before)?.table(&PATH).map(|engine| engine.is_some_and(|engine| engine.contains_key(key))));
    if is_ours && !was_there.transpose()?.unwrap_or(false) {
        return without(text, &[PATH[0], key]);
    }
    Ok(document.to_string())
}
