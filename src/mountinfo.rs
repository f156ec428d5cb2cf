//! The text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)) as entries, and what one can learn from it about a path.

pub mod line;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `major:minor` of a mounted file system.
pub type Device = (u32, u32);

/// One mount; borrows from the table's text where nothing is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry<'a> {
    pub device: Device,
    /// The directory of the file system that is mounted.
    fs_root: Cow<'a, [u8]>,
    mountpoint: Cow<'a, [u8]>,
    /// It is a member of a peer group.
    pub shared: bool,
}

/// All entries in kernel order. Lines that are no mountinfo are skipped: a table of another kernel must not stop a container.
#[must_use]
pub fn parse(table: &[u8]) -> Vec<MountEntry<'_>> {
    table.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MountEntry<'_>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = std::str::from_utf8(fields.nth(2)?).ok().and_then(|device| device.split_once(':'))?;
    let device = (device.0.parse().ok()?, device.1.parse().ok()?);
    let fs_root = unescape(fields.next()?);
    let mountpoint = unescape(fields.next()?);
    let shared = fields.skip(1).take_while(|field| *field != b"-").any(|tag| tag.starts_with(b"shared:"));
    Some(MountEntry { device, fs_root, mountpoint, shared })
}

/// Undoes the kernel's octal escapes of space, tab, newline and backslash (`\040` …).
fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|digits| *byte == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        if let Some(digits) = octal {
            bytes.push(digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')));
            rest = &tail[3..];
        } else {
            bytes.push(*byte);
            rest = tail;
        }
    }
    Cow::Owned(bytes)
}

/// What is left of `path` below `directory`, by component; both as the kernel spells them: absolute and clean. On bytes, because a table of
/// ten thousand mounts is compared with every undecided source.
fn below<'p>(path: &'p [u8], directory: &[u8]) -> Option<&'p [u8]> {
    if directory == b"/" {
        return path.strip_prefix(b"/");
    }
    match path.strip_prefix(directory)? {
        [] => Some(&[]),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// The place of a file inside its file system, whatever path leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub device: Device,
    pub path: PathBuf,
}

/// The mount that holds `path` (resolved, absolute): the deepest mountpoint above it, and of several on one mountpoint the last, which covers
/// the others.
#[must_use]
pub fn holder<'t, 'a>(table: &'t [MountEntry<'a>], path: &Path) -> Option<&'t MountEntry<'a>> {
    let path = path.as_os_str().as_bytes();
    table.iter().filter(|entry| below(path, &entry.mountpoint).is_some()).max_by_key(|entry| entry.mountpoint.len())
}

/// Where `path` lies in the file system of the mount that holds it.
#[must_use]
pub fn place(table: &[MountEntry<'_>], path: &Path) -> Option<Place> {
    let entry = holder(table, path)?;
    let below = below(path.as_os_str().as_bytes(), &entry.mountpoint)?;
    Some(Place { device: entry.device, path: as_path(&entry.fs_root).join(as_path(below)) })
}

/// The places of all mounts strictly below `path` on one of `devices`: what a recursive bind of `path` carries along.
pub fn places_below(table: &[MountEntry<'_>], path: &Path, devices: &[Device]) -> Vec<Place> {
    let path = path.as_os_str().as_bytes();
    let carried = |entry: &&MountEntry<'_>| devices.contains(&entry.device) && below(&entry.mountpoint, path).is_some_and(|rest| !rest.is_empty());
    table.iter().filter(carried).map(|entry| Place { device: entry.device, path: as_path(&entry.fs_root).to_owned() }).collect()
}

/// Whether anything is mounted strictly below `path`.
pub fn is_mounted_below(table: &[MountEntry<'_>], path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    table.iter().any(|entry| below(&entry.mountpoint, path).is_some_and(|rest| !rest.is_empty()))
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 25 8:1 /var/lib/containerd /mnt/alias rw - ext4 /dev/sda1 rw\n\
        31 25 0:40 / /mnt/with\\040space rw,nosuid master:3 propagate_from:1 - tmpfs tmpfs rw\n\
        32 25 0:41 / /mnt/alias rw shared:9 - tmpfs over rw\n\
        this is no mount\n\
        33\n";

    #[test]
    fn reads_tags_and_escapes_and_skips_what_is_no_mount() {
        let table = parse(TABLE);
        assert_eq!(table.len(), 4);
        assert!(table[0].shared);
        assert!(!table[1].shared);
        assert_eq!(*table[2].mountpoint, *b"/mnt/with space");
        assert!(!table[2].shared, "master: alone is not shared");
    }

    #[test]
    fn the_last_mount_on_a_mountpoint_covers_the_others() {
        let table = parse(TABLE);
        assert_eq!(holder(&table, Path::new("/mnt/alias/x")).unwrap().device, (0, 41));
        let covered = parse(&TABLE[..=TABLE.iter().position(|b| *b == b'\n').unwrap()]);
        assert_eq!(place(&covered, Path::new("/mnt/alias")).unwrap(), Place { device: (8, 1), path: "/mnt/alias".into() });
    }

    #[test]
    fn a_bind_alias_has_the_place_of_its_origin() {
        let table: Vec<MountEntry<'_>> = parse(TABLE).into_iter().take(2).collect();
        assert_eq!(place(&table, Path::new("/mnt/alias")), place(&table, Path::new("/var/lib/containerd")));
        let carried = |path: &str, device| places_below(&table, Path::new(path), &[device]);
        assert_eq!(carried("/mnt", (8, 1)), [Place { device: (8, 1), path: "/var/lib/containerd".into() }]);
        assert_eq!(carried("/", (8, 1)).len(), 1, "the root mount itself is not below /");
        assert_eq!(carried("/mnt", (8, 2)), []);
        assert_eq!(carried("/mn", (8, 1)), []);
        assert_eq!(carried("/mnt/alias", (8, 1)), []);
        assert!(is_mounted_below(&table, Path::new("/mnt")) && !is_mounted_below(&table, Path::new("/mnt/alias")));
    }

    #[test]
    fn any_bytes_are_survived() {
        for bytes in [&b""[..], b"\\", b"1 2 3:4 \\9 \\ x", b"1 2 3:4 /\\377 /\\1 rw - x", &[0xff; 64]] {
            let _ = parse(bytes);
        }
        assert_eq!(*unescape(b"/\\400"), *b"/\0");
    }
}
