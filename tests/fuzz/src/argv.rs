//! The command lines of runc, crun and youki once more, from their sources and from facts/engines.md, section 8: slow, and each in its own way.

pub mod crun;
pub mod runc;
pub mod youki;

use std::collections::BTreeMap;

/// What the runtime would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call<'a> {
    pub command: String,
    pub id: &'a [u8],
    pub state_root: Option<&'a [u8]>,
    pub bundle: Option<&'a [u8]>,
    pub config_file: Option<&'a [u8]>,
    pub image_path: Option<&'a [u8]>,
    pub work_path: Option<&'a [u8]>,
    pub foreign_words: Vec<usize>,
}

/// `name` a flag, `name=` takes a value, `name|n=` with a short form.
type Table = &'static str;
type Given<'a> = BTreeMap<&'static str, &'a [u8]>;

fn find(table: Table, name: &[u8]) -> Option<(&'static str, bool)> {
    table.split(' ').find_map(|entry| {
        let names = entry.strip_suffix('=').unwrap_or(entry);
        names.split('|').any(|known| known.as_bytes() == name).then(|| (names.split('|').next().unwrap_or_default(), entry.ends_with('=')))
    })
}
