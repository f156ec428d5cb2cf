//! The bundle's `config.json` as a document: its bytes, a typed view of the few members the rules look at, and the byte spans to edit them.
//!
//! The document is never serialised back: edits are spliced into the original bytes, so that unknown fields, order, number spelling and white
//! space stay. runc (Go: case-insensitive, last duplicate wins) and crun (exact, and first or last by version) read an ambiguous document in
//! different ways, so a member that matters must occur once and spelt exactly, or the document is [`NotUnderstood`] and nobody touches it.

mod edit;
mod id_mapping;
mod object;

pub use edit::{Edit, splice};

use object::{Fields, Object};
use serde::de::MapAccess;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Why a document is left alone. The text ends a sentence: "config.json is not understood: …".
#[derive(Debug, PartialEq, Eq)]
pub struct NotUnderstood(pub String);

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<serde_json::Error> for NotUnderstood {
    fn from(error: serde_json::Error) -> Self {
        NotUnderstood(error.to_string())
    }
}

/// A `config.json` that can be read in one way only.
#[derive(Debug)]
pub struct Spec<'a> {
    pub text: &'a str,
    pub mounts: Vec<Mount<'a>>,
    /// `root.path`, relative to the bundle when not absolute.
    pub root_path: Option<Cow<'a, str>>,
    pub root_readonly: bool,
    /// `None` without a `linux` object that has members: then there is no mount namespace either, and nothing whose propagation could be set.
    pub rootfs_propagation: Option<RootfsPropagation<'a>>,
    annotations: Option<&'a RawValue>,
    masked_paths: Option<&'a RawValue>,
    /// Of the container's user namespace.
    ids: RawMappings<'a>,
}

/// One entry of `mounts`.
#[derive(Debug)]
pub struct Mount<'a> {
    pub destination: Cow<'a, str>,
    pub source: Option<Cow<'a, str>>,
    pub options: Vec<OptionWord<'a>>,
    raw: MountFields<'a>,
}

/// One string of a mount's `options` and where its literal stands, quotes included.
#[derive(Debug)]
pub struct OptionWord<'a> {
    pub text: Cow<'a, str>,
    pub span: Range<usize>,
}

impl Mount<'_> {
    /// The words of its options.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        self.options.iter().map(|option| &*option.text).collect()
    }

    /// Whether it is a bind: every runtime goes by these words, and `type` decides nothing ([`crate::propagation::Bind`] tells the two apart).
    #[must_use]
    pub fn is_bind(&self) -> bool {
        self.options.iter().any(|option| option.text == "rbind" || option.text == "bind")
    }

    /// Its `type`; empty when it has none.
    #[must_use]
    pub fn kind(&self) -> Cow<'_, str> {
        string(self.raw.kind).ok().flatten().unwrap_or_default()
    }
}

/// `linux.rootfsPropagation` as it stands, and how to set it.
#[derive(Debug, PartialEq, Eq)]
pub struct RootfsPropagation<'a> {
    pub value: Option<Cow<'a, str>>,
    at: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The span of the value, `null` included.
    Value(Range<usize>),
    /// Absent: where the name of another member of the `linux` object begins.
    BeforeMember(usize),
}

impl<'a> Spec<'a> {
    /// Reads a whole document. Unknown members are skipped unseen and without recursion, however deep.
    ///
    /// # Errors
    /// Invalid UTF-8 or JSON, trailing text, a member that matters twice, in another case or of another type.
    pub fn parse(bytes: &'a [u8]) -> Result<Spec<'a>, NotUnderstood> {
        let text = std::str::from_utf8(bytes).map_err(|error| NotUnderstood(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
        let Object(document) = serde_json::from_str::<Object<Document>>(text)?;
        let mounts = document.mounts.unwrap_or_default().into_iter().map(|Object(fields)| fields.read(text));
        let linux = document.linux.map(|Object(linux)| linux).unwrap_or_default();
        let (masked_paths, ids) = (linux.masked_paths, linux.ids);
        let rootfs_propagation = linux.rootfs_propagation(text)?;
        Ok(Spec {
            text,
            mounts: mounts.collect::<Result<_, _>>()?,
            root_readonly: document.root.as_ref().is_some_and(|Object(root)| root.readonly.is_some_and(|value| value.get() == "true")),
            root_path: document.root.map_or(Ok(None), |Object(root)| string(root.path))?,
            rootfs_propagation,
            annotations: document.annotations,
            masked_paths,
            ids,
        })
    }

    /// `linux.maskedPaths`.
    #[must_use]
    pub fn masked_paths(&self) -> Vec<String> {
        self.masked_paths.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// The value of one annotation; `None` also when it is no string or occurs twice: who opts out must do so clearly.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<Cow<'a, str>> {
        let annotations: Vec<(Cow<'a, str>, &'a RawValue)> = serde_json::from_str::<object::Members>(self.annotations?.get()).ok()?.0;
        let mut values = annotations.into_iter().filter(|(name, _)| name == key);
        let (only, more) = (values.next()?.1, values.next());
        string(Some(only)).ok().flatten().filter(|_| more.is_none())
    }
}

/// Raw members of the whole document that matter.
#[derive(Default)]
struct Document<'a> {
    mounts: Option<Vec<Object<MountFields<'a>>>>,
    root: Option<Object<Root<'a>>>,
    linux: Option<Object<Linux<'a>>>,
    annotations: Option<&'a RawValue>,
}

impl<'a> Fields<'a> for Document<'a> {
    const NAMES: &'static [&'static str] = &["mounts", "root", "linux", "annotations"];

    fn read<A: MapAccess<'a>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
        match index {
            0 => self.mounts = map.next_value()?,
            1 => self.root = map.next_value()?,
            2 => self.linux = map.next_value()?,
            _ => self.annotations = map.next_value()?,
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct MountFields<'a> {
    destination: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    options: Option<Vec<&'a RawValue>>,
    kind: Option<&'a RawValue>,
    ids: RawMappings<'a>,
}

/// `uidMappings` and `gidMappings`, read only when somebody asks whose root is whose.
#[derive(Clone, Copy, Debug, Default)]
struct RawMappings<'a> {
    uids: Option<&'a RawValue>,
    gids: Option<&'a RawValue>,
}

impl<'a> Fields<'a> for MountFields<'a> {
    const NAMES: &'static [&'static str] = &["destination", "source", "options", "type", "uidMappings", "gidMappings"];

    fn read<A: MapAccess<'a>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
        match index {
            0 => self.destination = map.next_value()?,
            1 => self.source = map.next_value()?,
            2 => self.options = map.next_value()?,
            3 => self.kind = Some(map.next_value()?),
            4 => self.ids.uids = Some(map.next_value()?),
            _ => self.ids.gids = Some(map.next_value()?),
        }
        Ok(())
    }
}

impl<'a> MountFields<'a> {
    fn read(mut self, text: &'a str) -> Result<Mount<'a>, NotUnderstood> {
        let options = self.options.take().unwrap_or_default().into_iter().map(|raw| match string(Some(raw))? {
            Some(word) => Ok(OptionWord { text: word, span: span(text, raw.get()) }),
            None => Err(NotUnderstood("a mount option is null".to_owned())),
        });
        string(self.kind)?;
        Ok(Mount {
            destination: string(self.destination)?.unwrap_or_default(),
            source: string(self.source)?,
            options: options.collect::<Result<_, _>>()?,
            raw: self,
        })
    }
}

#[derive(Default)]
struct Root<'a> {
    path: Option<&'a RawValue>,
    readonly: Option<&'a RawValue>,
}

impl<'a> Fields<'a> for Root<'a> {
    const NAMES: &'static [&'static str] = &["path", "readonly"];

    fn read<A: MapAccess<'a>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
        match index {
            0 => self.path = Some(map.next_value()?),
            _ => self.readonly = Some(map.next_value()?),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Linux<'a> {
    rootfs_propagation: Option<&'a RawValue>,
    masked_paths: Option<&'a RawValue>,
    ids: RawMappings<'a>,
    /// Any member's name, as it stands in the text.
    member: Option<&'a str>,
}

impl<'a> Fields<'a> for Linux<'a> {
    const NAMES: &'static [&'static str] = &["rootfsPropagation", "maskedPaths", "uidMappings", "gidMappings"];

    fn read<A: MapAccess<'a>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
        match index {
            0 => self.rootfs_propagation = Some(map.next_value()?),
            1 => self.masked_paths = Some(map.next_value()?),
            2 => self.ids.uids = Some(map.next_value()?),
            _ => self.ids.gids = Some(map.next_value()?),
        }
        Ok(())
    }

    fn see(&mut self, name: &'a str) {
        self.member.get_or_insert(name);
    }
}

impl<'a> Linux<'a> {
    fn rootfs_propagation(self, text: &'a str) -> Result<Option<RootfsPropagation<'a>>, NotUnderstood> {
        let at = match (self.rootfs_propagation, self.member) {
            (Some(value), _) => Place::Value(span(text, value.get())),
            (None, Some(member)) => Place::BeforeMember(span(text, member).start - 1),
            (None, None) => return Ok(None),
        };
        Ok(Some(RootfsPropagation { value: string(self.rootfs_propagation)?, at }))
    }
}

/// A string value decoded; `None` when absent or null. Borrowed unless it holds an escape. One with a NUL ends there for crun.
fn string(raw: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, NotUnderstood> {
    let Some(literal) = raw.map(RawValue::get).filter(|literal| *literal != "null") else { return Ok(None) };
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(plain) if !plain.contains('\\') => Ok(Some(Cow::Borrowed(plain))),
        Some(_) => match serde_json::from_str::<String>(literal)? {
            text if text.contains('\0') => Err(NotUnderstood(format!("a string with a NUL, {literal}, which crun ends there and runc does not"))),
            text => Ok(Some(Cow::Owned(text))),
        },
        None => Err(NotUnderstood(format!("a string was expected, not {}", literal.chars().take(40).collect::<String>()))),
    }
}

/// Where a part stands in the text it was borrowed from.
fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

#[cfg(test)]
mod tests;
