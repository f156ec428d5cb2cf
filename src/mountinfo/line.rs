//! Whole lines of a mount table, for the operator's commands: who is below whom, and which peers a mount has. The front-end itself needs less
//! ([`super::MountEntry`]) and reads less.

use super::{Device, Place, as_path, below, unescape};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// One mount of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub id: u32,
    pub parent: u32,
    pub device: Device,
    /// The directory of the file system that is mounted.
    pub fs_root: Cow<'a, [u8]>,
    pub mountpoint: Cow<'a, [u8]>,
    pub read_only: bool,
    /// Its peer group.
    pub shared: Option<u32>,
    /// The peer group whose mounts and unmounts reach it.
    pub master: Option<u32>,
    pub unbindable: bool,
    pub fs_type: Cow<'a, [u8]>,
    /// What was mounted, as the file system tells it: a device's path, or any word.
    pub source: Cow<'a, [u8]>,
}

/// What reaches a mount from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    Private,
    Slave,
    Shared,
    SharedSlave,
    Unbindable,
}

impl Line<'_> {
    #[must_use]
    pub fn propagation(&self) -> Propagation {
        match (self.shared, self.master) {
            (Some(_), Some(_)) => Propagation::SharedSlave,
            (Some(_), None) => Propagation::Shared,
            (None, Some(_)) => Propagation::Slave,
            (None, None) if self.unbindable => Propagation::Unbindable,
            (None, None) => Propagation::Private,
        }
    }

    /// The directory of the file system that is mounted.
    #[must_use]
    pub fn root(&self) -> &Path {
        as_path(&self.fs_root)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        as_path(&self.mountpoint)
    }
}

/// All mounts of a table in kernel order; lines that are no mountinfo are skipped.
#[must_use]
pub fn lines(table: &[u8]) -> Vec<Line<'_>> {
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(text: &[u8]) -> Option<Line<'_>> {
    let mut fields = text.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let device = std::str::from_utf8(fields.next()?).ok()?.split_once(':')?;
    let mut line = Line {
        id,
        parent,
        device: (device.0.parse().ok()?, device.1.parse().ok()?),
        fs_root: unescape(fields.next()?),
        mountpoint: unescape(fields.next()?),
        read_only: fields.next()?.split(|byte| *byte == b',').any(|word| word == b"ro"),
        shared: None,
        master: None,
        unbindable: false,
        fs_type: Cow::Borrowed(b""),
        source: Cow::Borrowed(b""),
    };
    let group = |tag: &[u8], name: &[u8]| std::str::from_utf8(tag.strip_prefix(name)?).ok()?.parse().ok();
    for tag in fields.by_ref().take_while(|field| *field != b"-") {
        line.shared = line.shared.or_else(|| group(tag, b"shared:"));
        line.master = line.master.or_else(|| group(tag, b"master:"));
        line.unbindable |= tag == b"unbindable";
    }
    line.fs_type = unescape(fields.next()?);
    line.source = unescape(fields.next().unwrap_or_default());
    Some(line)
}

/// The mounts of one namespace, with a way from a mount to its parent.
pub struct Tree<'t, 'a> {
    pub lines: &'t [Line<'a>],
    by_id: HashMap<u32, usize>,
}

impl<'t, 'a> Tree<'t, 'a> {
    #[must_use]
    pub fn of(lines: &'t [Line<'a>]) -> Tree<'t, 'a> {
        Tree { lines, by_id: lines.iter().enumerate().map(|(index, line)| (line.id, index)).collect() }
    }

    /// `None` for the root, whose parent is in no table.
    #[must_use]
    pub fn parent(&self, line: &Line<'_>) -> Option<&'t Line<'a>> {
        self.by_id.get(&line.parent).map(|index| &self.lines[*index]).filter(|parent| parent.id != line.id)
    }

    /// Where the mountpoint itself lies in the file system of the mount that holds it, whatever is mounted on it.
    #[must_use]
    pub fn place_of_mountpoint(&self, line: &Line<'_>) -> Option<Place> {
        let parent = self.parent(line)?;
        let rest = below(&line.mountpoint, &parent.mountpoint)?;
        Some(Place { device: parent.device, path: as_path(&parent.fs_root).join(as_path(rest)) })
    }

    /// The mounts on or below `top`, itself included.
    pub fn on_or_below(&self, top: &'t Line<'a>) -> impl Iterator<Item = &'t Line<'a>> {
        self.lines.iter().filter(move |line| self.ancestors(line).any(|ancestor| ancestor.id == top.id))
    }

    /// `line`, its parent, and so on; a table that was torn while it was read cannot make it endless.
    fn ancestors<'s>(&'s self, line: &'s Line<'a>) -> impl Iterator<Item = &'s Line<'a>> {
        std::iter::successors(Some(line), |line| self.parent(line)).take(self.lines.len())
    }

    /// The mount that is seen at `path`, or that holds it: the walk of a path ends on top of what is mounted there.
    #[must_use]
    pub fn holder(&self, path: &Path) -> Option<&'t Line<'a>> {
        let path = path.as_os_str().as_encoded_bytes();
        let holds = |line: &&Line<'_>| below(path, &line.mountpoint).is_some();
        // Of several on one mountpoint, the last covers the others.
        self.lines.iter().filter(holds).max_by_key(|line| line.mountpoint.len())
    }
}

/// The mounts of a namespace by their file systems, for looking up many.
pub struct ByDevice<'t, 'a>(HashMap<Device, Vec<&'t Line<'a>>>);

impl<'t, 'a> ByDevice<'t, 'a> {
    #[must_use]
    pub fn of(lines: &'t [Line<'a>]) -> ByDevice<'t, 'a> {
        let mut by_device: HashMap<Device, Vec<&'t Line<'a>>> = HashMap::new();
        for line in lines {
            by_device.entry(line.device).or_default().push(line);
        }
        ByDevice(by_device)
    }

    /// In the order of the table.
    pub fn on(&self, device: Device) -> impl Iterator<Item = &'t Line<'a>> {
        self.0.get(&device).into_iter().flatten().copied()
    }

    /// The mounts that show all that `line` shows.
    pub fn showing(&self, line: &Line<'_>) -> impl Iterator<Item = &'t Line<'a>> {
        self.on(line.device).filter(|other| line.root().starts_with(other.root()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 25 8:1 /var /mnt/alias ro master:3 - ext4 /dev/sda1 rw\n\
        31 30 0:40 / /mnt/alias/with\\040space rw shared:7 master:3 - tmpfs a\\040b rw\n\
        32 31 0:41 / /mnt/alias/with\\040space/deep rw unbindable - fuse.x\n\
        33 25 0:42 / /mnt rw\n";

    #[test]
    fn every_field_of_a_line() {
        let lines = lines(TABLE);
        assert_eq!(lines.len(), 4, "a line that ends before its file system type is none");
        let of = |index: usize| (lines[index].propagation(), lines[index].read_only, lines[index].path().display().to_string());
        assert_eq!(of(0), (Propagation::Shared, false, "/".to_owned()));
        assert_eq!(of(1), (Propagation::Slave, true, "/mnt/alias".to_owned()));
        assert_eq!(of(2), (Propagation::SharedSlave, false, "/mnt/alias/with space".to_owned()));
        assert_eq!(of(3), (Propagation::Unbindable, false, "/mnt/alias/with space/deep".to_owned()));
        assert_eq!((&*lines[2].source, &*lines[3].source), (&b"a b"[..], &b""[..]));
    }

    #[test]
    fn a_mountpoint_lies_in_its_parents_file_system() {
        let lines = lines(TABLE);
        let tree = Tree::of(&lines);
        assert_eq!(tree.place_of_mountpoint(&lines[0]), None);
        assert_eq!(tree.place_of_mountpoint(&lines[2]), Some(Place { device: (8, 1), path: "/var/with space".into() }));
        assert_eq!(tree.on_or_below(&lines[1]).map(|line| line.id).collect::<Vec<_>>(), [30, 31, 32]);
        assert_eq!(tree.holder(Path::new("/mnt/alias/x")).unwrap().id, 30);
    }

    #[test]
    fn a_torn_table_ends() {
        let text = b"5 6 8:1 / /a rw - ext4 x\n6 5 8:1 / /b rw - ext4 x\n7 7 8:1 / / rw - ext4 x\n";
        let lines = lines(text);
        let tree = Tree::of(&lines);
        assert_eq!(tree.on_or_below(&lines[2]).count(), 1);
        assert_eq!(tree.on_or_below(&lines[0]).count(), 2);
    }
}
