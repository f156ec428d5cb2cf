//! dockerd's `daemon.json`. dockerd reads strict JSON: no comments, no trailing commas. A file that it could not read is none that we edit.

use super::settings::{Entry, NAME, Settings, View, verified};
use super::toml_text::place;
use anyhow::{Result, anyhow, bail, ensure};
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstRootNode};
use jsonc_parser::{ParseOptions, json};

const RUNTIMES: &str = "runtimes";
const DEFAULT: &str = "default-runtime";

pub struct Docker;

impl Settings for Docker {
    fn view(&self, text: &str) -> Result<View> {
        let mut view = View::default();
        if text.trim().is_empty() {
            return Ok(view); // dockerd takes it for `{}`
        }
        let root = parse(text)?;
        view.default = property(&root, DEFAULT)?.map(|value| string(&value, DEFAULT)).transpose()?;
        let Some(runtimes) = property(&root, RUNTIMES)? else { return Ok(view) };
        for runtime in object(&runtimes, RUNTIMES)?.properties() {
            let name = runtime.decoded_name().ok_or_else(|| anyhow!("{RUNTIMES} has a name that is no string"))?;
            let value = runtime.value().ok_or_else(|| anyhow!("{RUNTIMES}.{name} has no value"))?;
            // Runtimes of other kinds than ours have a runtimeType in its place.
            let program = property(&object(&value, &name)?, "path")?.map(|path| string(&path, "path")).transpose()?;
            view.runtimes.insert(name, program.unwrap_or_default());
        }
        Ok(view)
    }

    fn with(&self, text: Option<&str>, entry: &Entry) -> Result<String> {
        let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("{}\n");
        self.view(text)?;
        let root = tree(text)?;
        let top = root.object_value().ok_or_else(|| anyhow!("it is no JSON object"))?;
        let runtimes = top.object_value_or_create(RUNTIMES).ok_or_else(|| anyhow!("{RUNTIMES} is no object"))?;
        put(&object_of(&runtimes, NAME)?, "path", json!(entry.program.as_str()));
        if entry.default {
            put(&top, DEFAULT, json!(NAME));
        }
        verified(self, root.to_string(), Some(entry))
    }

    fn without(&self, text: &str, before: Option<&str>) -> Result<String> {
        let old = before.map(|before| self.view(before)).transpose()?;
        let had_runtimes = before.filter(|before| !before.trim().is_empty()).is_some_and(|before| before.contains(&format!("\"{RUNTIMES}\"")));
        let root = tree(text)?;
        let top = root.object_value().ok_or_else(|| anyhow!("it is no JSON object"))?;
        if let Some(runtimes) = top.object_value(RUNTIMES) {
            runtimes.get(NAME).into_iter().for_each(jsonc_parser::cst::CstObjectProp::remove);
            if runtimes.properties().is_empty() && !had_runtimes {
                top.get(RUNTIMES).into_iter().for_each(jsonc_parser::cst::CstObjectProp::remove);
            }
        }
        if property(&top, DEFAULT)?.is_some_and(|value| string(&value, DEFAULT).is_ok_and(|name| name == NAME)) {
            match old.and_then(|view| view.default) {
                Some(default) => put(&top, DEFAULT, json!(default.as_str())),
                None => top.get(DEFAULT).into_iter().for_each(jsonc_parser::cst::CstObjectProp::remove),
            }
        }
        verified(self, root.to_string(), None)
    }
}

fn tree(text: &str) -> Result<CstRootNode> {
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    CstRootNode::parse(text, &strict).map_err(|error| anyhow!("{}: {}", place(text, error.range().start), error.kind()))
}

fn parse(text: &str) -> Result<CstObject> {
    // A parser that is strict by nature has the first word.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        anyhow!("line {}, column {}: {what} (dockerd knows neither comments nor trailing commas)", error.line(), error.column())
    })?;
    tree(text)?.object_value().ok_or_else(|| anyhow!("it is no JSON object"))
}

/// The value of a property, which must be there no more than once: readers differ in which they take.
fn property(object: &CstObject, name: &str) -> Result<Option<CstNode>> {
    let mut found = object.properties().into_iter().filter(|property| property.decoded_name().as_deref() == Some(name));
    let first = found.next();
    ensure!(found.next().is_none(), "{name} is there twice");
    Ok(first.and_then(|property| property.value()))
}

fn object(value: &CstNode, name: &str) -> Result<CstObject> {
    value.as_object().ok_or_else(|| anyhow!("{name} is no object but {}", value.to_string().trim()))
}

fn string(value: &CstNode, name: &str) -> Result<String> {
    let Some(Ok(text)) = value.as_string_lit().map(|string| string.decoded_value()) else {
        bail!("{name} is no string but {}", value.to_string().trim())
    };
    Ok(text)
}

fn object_of(parent: &CstObject, name: &str) -> Result<CstObject> {
    if parent.get(name).is_none() {
        parent.append(name, CstInputValue::Object(Vec::new()));
    }
    parent.object_value(name).ok_or_else(|| anyhow!("{name} is no object"))
}

fn put(object: &CstObject, name: &str, value: CstInputValue) {
    match object.get(name) {
        Some(property) => property.set_value(value),
        None => drop(object.append(name, value)),
    }
}
