//! JSON objects of which a few members matter: each of those at most once, and no other spelling of it in sight.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// The members of one kind of object that matter.
pub(super) trait Fields<'de>: Default {
    /// Their exact names, at most 32.
    const NAMES: &'static [&'static str];

    /// Reads the value of the member `NAMES[index]`.
    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error>;

    /// Sees the name of each member, known or not, unless it is written with escapes.
    fn see(&mut self, _name: &'de str) {}
}

/// An object read by [`Fields`]; fails on a duplicate or a case variant of a member that matters.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Fields<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Fields<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut fields = T::default();
        let mut seen = 0_u32;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            if let Cow::Borrowed(name) = name {
                fields.see(name);
            }
            let Some(index) = T::NAMES.iter().position(|known| *known == name) else {
                if let Some(known) = T::NAMES.iter().find(|known| go_reads_as(&name, known) || crun_reads_as(&name, known)) {
                    return Err(A::Error::custom(format_args!("the key {name:?}, which only one of runc and crun takes for {known:?}")));
                }
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << index) != 0 {
                return Err(A::Error::custom(format_args!("the key {name:?} twice, of which runtimes take different ones")));
            }
            seen |= 1 << index;
            fields.read(index, &mut map)?;
        }
        Ok(fields)
    }
}

/// A member's name, borrowed where it holds no escape.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor).map(Name)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Go's encoding/json matches names by simple case folding, in which U+017F folds to `s` and U+212A to `k` besides the ASCII letters.
fn go_reads_as(name: &str, known: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(known.chars().map(fold))
}

/// crun's names are C strings: they end at the first NUL (seen with 1.21 and 1.28).
fn crun_reads_as(name: &str, known: &str) -> bool {
    name.split_once('\0').is_some_and(|(name, _)| name == known)
}

/// All members of an object whose names are data, such as annotations.
pub(super) struct Members<'de>(pub(super) Vec<(Cow<'de, str>, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            members.push((name, value));
        }
        Ok(members)
    }
}
