//! What a runtime takes from a document: the members that matter, chosen as Go chooses them (any case, the last one, objects merged) or as crun
//! does (exact, the first one, another type is no member).

use crate::json::{Reader, Value};

/// What a member should be.
enum Shape {
    Text,
    Texts,
    Any,
    Struct(&'static [(&'static str, Shape)]),
    Structs(&'static [(&'static str, Shape)]),
}

const MOUNT: &[(&str, Shape)] = &[
    ("destination", Shape::Text),
    ("source", Shape::Text),
    ("type", Shape::Text),
    ("options", Shape::Texts),
    ("uidMappings", Shape::Any),
    ("gidMappings", Shape::Any),
];
const ROOT: &[(&str, Shape)] = &[("path", Shape::Text), ("readonly", Shape::Any)];
const LINUX: &[(&str, Shape)] =
    &[("rootfsPropagation", Shape::Text), ("maskedPaths", Shape::Any), ("uidMappings", Shape::Any), ("gidMappings", Shape::Any)];
const DOCUMENT: &[(&str, Shape)] =
    &[("mounts", Shape::Structs(MOUNT)), ("root", Shape::Struct(ROOT)), ("linux", Shape::Struct(LINUX)), ("annotations", Shape::Any)];

/// The members that matter, absent ones as their zero. `None`: the runtime refuses the document.
#[must_use]
pub fn of(document: &Value, reader: Reader) -> Option<Value> {
    shaped(&Shape::Struct(DOCUMENT), &[document], reader)
}

/// `values`: what stands there, in order.
fn shaped(shape: &Shape, values: &[&Value], reader: Reader) -> Option<Value> {
    let chosen = if reader == Reader::Go { values.last() } else { values.first() };
    let value = chosen.map_or(&Value::Null, |value| *value);
    match (shape, value) {
        (Shape::Any, value) => Some(cut(value)),
        (Shape::Text, Value::Text(text)) => Some(Value::Text(text.clone())),
        (Shape::Texts, Value::Array(items)) => {
            items.iter().map(|item| shaped(&Shape::Text, &[item], reader)).collect::<Option<_>>().map(Value::Array)
        }
        (Shape::Structs(members), Value::Array(items)) => {
            items.iter().map(|item| members_of(members, &[item], reader)).collect::<Option<_>>().map(Value::Array)
        }
        (Shape::Struct(members), Value::Object(_)) => members_of(members, if reader == Reader::Go { values } else { &values[..1] }, reader),
        (shape, Value::Null) => Some(zero(shape)),
        (shape, _) => (reader == Reader::Yajl).then(|| zero(shape)),
    }
}

/// Data that nobody decides by: as the weaker reader sees it.
fn cut(value: &Value) -> Value {
    let until_nul = |text: &[u8]| text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    match value {
        Value::Text(text) => Value::Text(until_nul(text)),
        Value::Array(items) => Value::Array(items.iter().map(cut).collect()),
        Value::Object(members) => Value::Object(members.iter().map(|(name, value)| (until_nul(name), cut(value))).collect()),
        value => value.clone(),
    }
}

fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::Any => Value::Null,
        Shape::Text => Value::Text(Vec::new()),
        Shape::Texts | Shape::Structs(_) => Value::Array(Vec::new()),
        Shape::Struct(members) => Value::Object(members.iter().map(|(name, shape)| (name.as_bytes().to_vec(), zero(shape))).collect()),
    }
}

fn members_of(members: &'static [(&'static str, Shape)], objects: &[&Value], reader: Reader) -> Option<Value> {
    let mut all = Vec::new();
    for object in objects {
        match object {
            Value::Object(found) => all.extend(found),
            Value::Null => all.clear(),
            _ if reader == Reader::Go => return None,
            _ => {}
        }
    }
    let mut meant = Vec::new();
    for (name, shape) in members {
        let values: Vec<&Value> = all.iter().filter(|(key, _)| is_named(key, name, reader)).map(|(_, value)| value).collect();
        meant.push((name.as_bytes().to_vec(), shaped(shape, &values, reader)?));
    }
    Some(Value::Object(meant))
}

fn is_named(key: &[u8], name: &str, reader: Reader) -> bool {
    if reader == Reader::Yajl { key == name.as_bytes() } else { folded(key) == folded(name.as_bytes()) }
}

/// Simple case folding as far as it leads to ASCII: long s and the Kelvin sign do.
fn folded(name: &[u8]) -> Vec<char> {
    String::from_utf8_lossy(name).replace('\u{17f}', "s").replace('\u{212a}', "k").chars().map(|c| c.to_ascii_uppercase()).collect()
}

/// Whether nobody could read the document in two ways, so that it must not be turned away: each member that matters once, spelt exactly, of its type.
#[must_use]
pub fn is_plain(document: &Value) -> bool {
    has_plain_members(document, DOCUMENT)
}

fn has_plain_members(value: &Value, members: &'static [(&'static str, Shape)]) -> bool {
    let Value::Object(found) = value else { return false };
    let mut seen: Vec<&[u8]> = Vec::new();
    found.iter().all(|(key, value)| {
        let Some((name, shape)) = members.iter().find(|(name, _)| folded(key) == folded(name.as_bytes())) else { return true };
        let first = key == name.as_bytes() && !seen.contains(&name.as_bytes());
        seen.push(name.as_bytes());
        first && is_of(shape, value)
    })
}

fn is_of(shape: &Shape, value: &Value) -> bool {
    let is_text = |item: &Value| matches!(item, Value::Text(_));
    match (shape, value) {
        (Shape::Any, _) | (_, Value::Null) => true,
        (Shape::Text, item) => is_text(item),
        (Shape::Texts, Value::Array(items)) => items.iter().all(is_text),
        (Shape::Struct(members), item) => has_plain_members(item, members),
        (Shape::Structs(members), Value::Array(items)) => items.iter().all(|item| has_plain_members(item, members)),
        _ => false,
    }
}

/// Ways through a tree of unambiguous names.
pub trait Members {
    fn member(&self, name: &str) -> Option<&Value>;
    fn member_mut(&mut self, name: &str) -> Option<&mut Value>;
    fn items(&self) -> &[Value];
    /// Empty for what is no text.
    fn text(&self) -> String;
    fn texts(&self) -> Vec<String> {
        self.items().iter().map(Members::text).collect()
    }
}

impl Members for Value {
    fn member(&self, name: &str) -> Option<&Value> {
        let Value::Object(members) = self else { return None };
        members.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value)
    }

    fn member_mut(&mut self, name: &str) -> Option<&mut Value> {
        let Value::Object(members) = self else { return None };
        members.iter_mut().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value)
    }

    fn items(&self) -> &[Value] {
        if let Value::Array(items) = self { items } else { &[] }
    }

    fn text(&self) -> String {
        if let Value::Text(text) = self { String::from_utf8_lossy(text).into_owned() } else { String::new() }
    }
}
