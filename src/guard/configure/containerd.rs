//! containerd's `config.toml`.
//!
//! Measured with `containerd config dump` 1.7.24 and 2.1.9, and read in the sources of 1.6 to 2.4:
//! * Version 3 (2.x): settings merge key by key, also over imported files, and the built-in runtime `runc` stays beside those that are named. So where
//!   the main file imports a directory, a drop-in there is safe, if it has the main file's version: of one of another version 2.1 loses the runtimes
//!   without a word. Version 4 (2.3) has the same tables; it is not measured.
//! * Version 2: an imported file takes the place of the whole table of the CRI plugin in 1.x, so that the main file itself is edited. 1.x drops its
//!   built-in `runc` as soon as the file names any runtime, and fails without it where it is the default: it is written out then.
//! * No version, or 1: 1.x reads `[plugins.cri]`, and passes over the long name of the plugin; 2.x passes over both.

use super::settings::{Entry, NAME, Settings, View, verified};
use super::toml_removal::{without, without_entry};
use super::toml_text::{Reader, absorb, editable, edited, ended, insert_table, plain_table, set, table_mut};
use anyhow::{Result, ensure};
use toml_edit::{Item, Table, TableLike, value};

/// containerd's shim for runc and whatever is called like it.
const SHIM: &str = "io.containerd.runc.v2";
const DEFAULT: &str = "default_runtime_name";
const NEWEST: i64 = 4;

pub struct Containerd {
    /// The version of a file that is not there yet; an error says why that cannot be known.
    pub new_version: Result<i64, String>,
    /// The major version of the installed containerd.
    pub installed: Option<u64>,
    /// What the engine reads beside this file, for the runtime that ours is made after.
    pub others: Vec<String>,
}

impl Settings for Containerd {
    fn view(&self, text: &str) -> Result<View> {
        let reader = Reader::parse(text)?;
        let program = |reader: &Reader<'_>, runtimes: &dyn TableLike, name: &str| {
            let runtime = runtimes.get(name).and_then(Item::as_table_like).ok_or_else(|| reader.not_a(runtimes, name, "table"))?;
            let Some(options) = runtime.get("options") else { return Ok(String::new()) };
            let options = options.as_table_like().ok_or_else(|| reader.not_a(runtime, "options", "table"))?;
            Ok(reader.string(options, "BinaryName")?.unwrap_or_default().to_owned())
        };
        reader.view(&table_path(self.version(&reader)?), DEFAULT, &program)
    }

    fn with(&self, text: Option<&str>, entry: &Entry) -> Result<String> {
        let new = match text {
            Some(_) => String::new(),
            None => format!("version = {}\n", self.new_version.clone().map_err(anyhow::Error::msg)?),
        };
        let text = &*ended(text.unwrap_or(&new));
        let reader = Reader::parse(text)?;
        let version = self.version(&reader)?;
        let path = table_path(version);
        ensure!(!entry.default || !has_nameless_default(&reader, &path)?, "{NAMELESS_DEFAULT}");
        let view = self.view(text)?;
        let model = self.model(text, &view);
        let mut document = editable(text)?;
        let containerd = table_mut(document.as_item_mut(), &path)?;
        if entry.default {
            set(containerd, DEFAULT, NAME);
        }
        let runtimes = table_mut(containerd, &["runtimes"])?;
        if version < 3 && view.runtimes.is_empty() {
            insert_table(runtimes, "runc", built_in_runc());
        }
        if view.runtimes.contains_key(NAME) {
            set(table_mut(runtimes, &[NAME, "options"])?, "BinaryName", &entry.program);
        } else {
            insert_table(runtimes, NAME, runtime(model, &entry.program));
        }
        verified(self, edited(document, text), Some(entry))
    }

    fn without(&self, text: &str, before: Option<&str>) -> Result<String> {
        let version = self.version(&Reader::parse(text)?)?;
        let path = table_path(version);
        let mut left = text.to_owned();
        let had_none = before.is_some_and(|before| self.view(before).is_ok_and(|view| view.runtimes.is_empty()));
        if version < 3 && had_none && is_built_in_runc(&left, &path)? {
            left = without(&left, &[&path, ["runtimes", "runc"].as_slice()].concat())?;
        }
        left = without_entry(&left, before, &path, DEFAULT)?;
        verified(self, left, None)
    }
}

const NAMELESS_DEFAULT: &str = "containerd takes the table default_runtime before any default_runtime_name; \
    move it to runtimes.default and write default_runtime_name = \"default\" first";

impl Containerd {
    fn version(&self, reader: &Reader<'_>) -> Result<i64> {
        let version = match reader.root().get("version") {
            None => 1,
            Some(item) => item.as_integer().ok_or_else(|| reader.not_a(reader.root(), "version", "number"))?,
        };
        ensure!((1..=NEWEST).contains(&version), "settings of version {version} are not known (known: 1 to {NEWEST}); edit it by hand");
        let is_outdated = version == 1 && self.installed.is_some_and(|major| major > 1);
        ensure!(
            !is_outdated,
            "it is of version 1 (it has no `version = 2`), of which containerd 2 reads no runtimes; run `containerd config migrate` first"
        );
        Ok(version)
    }

    /// The table of the runtime that the node uses now, for what of it must be the same for ours: SystemdCgroup above all.
    fn model(&self, text: &str, view: &View) -> Option<Table> {
        let mut merged = Table::new();
        for other in self.others.iter().map(String::as_str).chain([text]) {
            if let Ok(Some(table)) = self.containerd_table(other) {
                absorb(&mut merged, table);
            }
        }
        let default = view.default.as_deref().or(merged.get(DEFAULT).and_then(Item::as_str)).filter(|name| *name != NAME);
        let named = |name: &str| merged.get("runtimes")?.get(name)?.as_table().cloned();
        let is_runc = |table: &Table| table.get("runtime_type").and_then(Item::as_str).is_none_or(|kind| kind == SHIM);
        default.and_then(named).filter(is_runc).or_else(|| named("runc").filter(is_runc))
    }

    fn containerd_table(&self, text: &str) -> Result<Option<Table>> {
        let reader = Reader::parse(text)?;
        Ok(reader.table(&table_path(self.version(&reader)?))?.map(plain_table))
    }
}

/// Where the file of a version has its runtimes.
fn table_path(version: i64) -> [&'static str; 3] {
    let plugin = match version {
        1 => "cri",
        2 => "io.containerd.grpc.v1.cri",
        _ => "io.containerd.cri.v1.runtime",
    };
    ["plugins", plugin, "containerd"]
}

/// The table of 1.x that is a default runtime without a name.
fn has_nameless_default(reader: &Reader<'_>, path: &[&str]) -> Result<bool> {
    let table = reader.table(&[path, &["default_runtime"]].concat())?;
    Ok(table.and_then(|table| table.get("runtime_type")?.as_str()).is_some_and(|kind| !kind.is_empty()))
}

fn built_in_runc() -> Table {
    Table::from_iter([("runtime_type", value(SHIM))])
}

fn is_built_in_runc(text: &str, path: &[&str]) -> Result<bool> {
    let reader = Reader::parse(text)?;
    let runc = reader.table(&[path, &["runtimes", "runc"]].concat())?;
    Ok(runc.is_some_and(|runc| runc.len() == 1 && runc.get("runtime_type").and_then(Item::as_str) == Some(SHIM)))
}

/// Our runtime, made after `model`.
fn runtime(model: Option<Table>, program: &str) -> Table {
    let mut runtime = Table::new();
    let mut options = Table::new();
    runtime.insert("runtime_type", value(SHIM));
    for (key, item) in model.unwrap_or_default() {
        match item {
            Item::Table(table) if key == "options" => options = table,
            Item::Value(_) => drop(runtime.insert(&key, item)),
            _ => {}
        }
    }
    options.insert("BinaryName", value(program));
    runtime.insert("options", Item::Table(options));
    runtime
}
