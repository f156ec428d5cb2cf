//! CRI-O's `crio.conf` and its drop-ins. From the sources of 1.24 to 1.37 (it is not packaged here):
//! * Files merge key by key, in the order of their names; every file in `crio.conf.d` is read, whatever its name ends in.
//! * A runtime without `monitor_path` has its conmon looked for in PATH, where packages of CRI-O do not put it: it is taken over from the runtime that is
//!   the default now, and with it what that one is allowed.
//! * Containers of the default remember no runtime's name, so that after a change of the default CRI-O looks for those that run below the new one's
//!   `runtime_root`. It therefore is that of the old one (and absent where that one's is).

use super::settings::{Entry, NAME, Settings, View, verified};
use super::toml_removal::without_entry;
use super::toml_text::{Reader, absorb, editable, edited, ended, insert_table, plain_table, set, table_mut};
use crate::guard::engine::Engine;
use anyhow::Result;
use toml_edit::{Item, Table, TableLike, value};

const PATH: [&str; 2] = ["crio", "runtime"];
const DEFAULT: &str = "default_runtime";
/// What of another runtime would turn ours into that one.
const NOT_TAKEN_OVER: [&str; 5] = ["runtime_path", "runtime_type", "runtime_config_path", "inherit_default_runtime", "platform_runtime_paths"];

pub struct Crio {
    /// What CRI-O reads beside this file, for the runtime that ours is made after.
    pub others: Vec<String>,
}

impl Settings for Crio {
    fn view(&self, text: &str) -> Result<View> {
        let program = |reader: &Reader<'_>, runtimes: &dyn TableLike, name: &str| {
            let runtime = runtimes.get(name).and_then(Item::as_table_like).ok_or_else(|| reader.not_a(runtimes, name, "table"))?;
            Ok(reader.string(runtime, "runtime_path")?.unwrap_or_default().to_owned())
        };
        Reader::parse(text)?.view(&PATH, DEFAULT, &program)
    }

    fn with(&self, text: Option<&str>, entry: &Entry) -> Result<String> {
        let text = &*ended(text.unwrap_or_default());
        let view = self.view(text)?;
        let mut document = editable(text)?;
        let crio = table_mut(document.as_item_mut(), &PATH)?;
        if entry.default {
            set(crio, DEFAULT, NAME);
        }
        let runtimes = table_mut(crio, &["runtimes"])?;
        if view.runtimes.contains_key(NAME) {
            set(table_mut(runtimes, &[NAME])?, "runtime_path", &entry.program);
        } else {
            insert_table(runtimes, NAME, self.runtime(text, &view, &entry.program));
        }
        verified(self, edited(document, text), Some(entry))
    }

    fn without(&self, text: &str, before: Option<&str>) -> Result<String> {
        verified(self, without_entry(text, before, &PATH, DEFAULT)?, None)
    }
}

impl Crio {
    fn runtime(&self, text: &str, view: &View, program: &str) -> Table {
        let mut runtime = Table::from_iter([("runtime_path", value(program)), ("runtime_type", value("oci"))]);
        let model = self.model(text, view).unwrap_or_default();
        for (key, item) in model.into_iter().filter(|(key, item)| item.is_value() && !NOT_TAKEN_OVER.contains(&key.as_str())) {
            runtime.insert(&key, item);
        }
        runtime
    }

    /// The runtime that is the default now, if it is called as ours will be.
    fn model(&self, text: &str, view: &View) -> Option<Table> {
        let mut merged = Table::new();
        for other in self.others.iter().map(String::as_str).chain([text]) {
            let reader = Reader::parse(other).ok()?;
            if let Ok(Some(table)) = reader.table(&PATH) {
                absorb(&mut merged, plain_table(table));
            }
        }
        let default = view.default.as_deref().or(merged.get(DEFAULT).and_then(Item::as_str)).filter(|name| *name != NAME);
        let named = |name: &str| merged.get("runtimes")?.get(name)?.as_table().cloned();
        let is_oci = |table: &Table| table.get("runtime_type").and_then(Item::as_str).is_none_or(|kind| matches!(kind, "" | "oci"));
        let built_in = || Engine::Crio.built_in_defaults().iter().find_map(|name| named(name));
        default.map_or_else(built_in, named).filter(is_oci)
    }
}
