//! A mount table of CRIU decoded by hand: protobuf's wire format, and what the program promises of a table that it takes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use runc_guard::criu_image::MountRecord;

/// The last value of each field of a message. `None`: no message.
pub type Message<'a> = HashMap<u64, Field<'a>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The records of a file, decoded; `None`: it is none of today's format, or does not end with a record.
#[must_use]
pub fn messages(file: &[u8], magic: u32) -> Option<Vec<Message<'_>>> {
    let word = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?));
    let mut rest = match word(file)? {
        0x5456_4319 | 0x5510_5940 if word(&file[4..])? == magic => &file[8..],
        found if found == magic => &file[4..],
        _ => return None,
    };
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let size = usize::try_from(word(rest)?).ok()?;
        let record = rest.get(4..4_usize.checked_add(size)?)?;
        messages.push(message(record)?);
        rest = &rest[4 + size..];
    }
    Some(messages)
}

fn message(mut rest: &[u8]) -> Option<Message<'_>> {
    let mut fields = HashMap::new();
    while !rest.is_empty() {
        let key = varint(&mut rest).filter(|key| (8..1 << 32).contains(key))?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut rest)?),
            1 => Field::Bytes(take(&mut rest, 8)?),
            2 => {
                let size = usize::try_from(varint(&mut rest)?).ok()?;
                Field::Bytes(take(&mut rest, size)?)
            }
            5 => Field::Bytes(take(&mut rest, 4)?),
            // Groups, which CRIU does not write.
            _ => return None,
        };
        fields.insert(key >> 3, field);
    }
    Some(fields)
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(size)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if shift == 63 && byte > 1 {
            return None;
        }
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// # Panics
/// The table is not what its file says, or not fit to be walked.
pub fn check(records: &[MountRecord], file: &[u8]) {
    assert!(records.len() <= 16_384);
    // A group inside a message is skipped by one decoder and not known to the other.
    if let Some(messages) = messages(file, 0x5556_3928) {
        assert_eq!(records.len(), messages.len());
        records.iter().zip(&messages).for_each(|(record, message)| check_record(record, message));
    }
    let by_id: HashMap<u32, &MountRecord> = records.iter().map(|record| (record.id, record)).collect();
    assert_eq!(by_id.len(), records.len(), "ids are unique");
    let roots: Vec<&MountRecord> = records.iter().filter(|record| !by_id.contains_key(&record.parent)).collect();
    assert_eq!(roots.iter().map(|root| root.mountpoint.as_path()).collect::<Vec<_>>(), [Path::new("/")]);
    for record in records {
        assert!(is_clean(&record.mountpoint), "{record:?}");
        assert!(is_clean(&record.root) || record.root == Path::new(&format!("root-of-mount-{}", record.id)), "{record:?}");
        for path in [Some(&record.root), Some(&record.mountpoint), record.external_key.as_ref()].into_iter().flatten() {
            assert!(path.as_os_str().len() < 4096 && !path.as_os_str().as_bytes().contains(&0));
        }
        let (mut at, mut steps) = (record, 0);
        while let Some(parent) = by_id.get(&at.parent) {
            assert!(at.mountpoint.starts_with(&parent.mountpoint));
            steps += 1;
            assert!(steps < records.len(), "a cycle");
            at = parent;
        }
    }
}

fn check_record(record: &MountRecord, message: &Message<'_>) {
    let number = |field| match message.get(&field) {
        Some(Field::Number(number)) => Some(u32::try_from(number & 0xffff_ffff).expect("32 bits")),
        _ => None,
    };
    let bytes = |field| match message.get(&field) {
        Some(Field::Bytes(bytes)) => Some(*bytes),
        _ => None,
    };
    let numbers = [Some(record.id), Some(record.parent), Some(record.file_system), Some(record.device)];
    assert_eq!(numbers, [number(2), number(4), number(1), number(3)]);
    assert_eq!(Some(record.mountpoint.as_os_str().as_bytes()), bytes(7));
    let key_is_root = bytes(18).is_none() && message.get(&13).is_some_and(|old| matches!(old, Field::Number(1..)));
    let key = if key_is_root { bytes(6) } else { bytes(18) };
    assert_eq!(record.external_key.as_deref().map(|key| key.as_os_str().as_bytes()), key);
    let root = bytes(6).map(|root| Path::new(OsStr::from_bytes(root)));
    if let Some(root) = root.filter(|root| !key_is_root && is_clean(root)) {
        assert_eq!(record.root, root);
    }
}

/// Absolute, each component a name, not too many of them.
#[must_use]
pub fn is_clean(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    let Some(below) = path.strip_prefix(b"/") else { return false };
    let names: Vec<&[u8]> = below.split(|byte| *byte == b'/').collect();
    below.is_empty() || (names.len() <= 128 && names.iter().all(|name| ![&b""[..], b".", b".."].contains(name)))
}
