//! Which mounts of a namespace are copies of a mount, by superblock and place and never by the text of a path: the paths in a container are its own.

use crate::mountinfo::line::{Line, Tree};
use crate::mountinfo::{Device, Place};
use std::path::{Path, PathBuf};

/// What somebody wants to get rid of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// File systems, or parts of them, that are mounted, or were.
    pub parts: Vec<Place>,
    /// A block device, as it was named: a file system of several devices (btrfs) has a number of its own and is known by this alone.
    pub device_paths: Vec<PathBuf>,
    /// The directory or file that is or was the mountpoint, whatever has been mounted on it.
    pub mountpoint: Option<Place>,
}

/// Why a mount is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is the same file system, at the same directory or below.
    SameFileSystem,
    /// It is mounted where the wanted mount is or was.
    SameMountpoint,
}

impl Target {
    /// The whole file system with this number.
    #[must_use]
    pub fn of_device(device: Device, path: PathBuf) -> Target {
        Target { parts: vec![Place { device, path: "/".into() }], device_paths: vec![path], mountpoint: None }
    }

    /// The mount that is seen at `path`, or what is left of it: `path` must be as the kernel spells it.
    #[must_use]
    pub fn of_path(host: &Tree<'_, '_>, path: &Path) -> Target {
        let Some(holder) = host.holder(path) else { return Target::default() };
        if holder.path() == path {
            let part = Place { device: holder.device, path: holder.root().to_owned() };
            let bottom = std::iter::successors(Some(holder), |line| host.parent(line).filter(|parent| parent.path() == path)).last();
            return Target { parts: vec![part], device_paths: Vec::new(), mountpoint: bottom.and_then(|line| host.place_of_mountpoint(line)) };
        }
        let rest = path.strip_prefix(holder.path()).unwrap_or(Path::new(""));
        let place = Place { device: holder.device, path: holder.root().join(rest) };
        Target { parts: Vec::new(), device_paths: Vec::new(), mountpoint: Some(place) }
    }

    #[must_use]
    pub fn reason(&self, tree: &Tree<'_, '_>, line: &Line<'_>) -> Option<Reason> {
        let is_part = |part: &Place| part.device == line.device && line.root().starts_with(&part.path);
        let is_source = |path: &PathBuf| path.as_os_str().as_encoded_bytes() == &*line.source;
        if self.parts.iter().any(is_part) || self.device_paths.iter().any(is_source) {
            return Some(Reason::SameFileSystem);
        }
        let at = self.mountpoint.as_ref()?;
        // Cheap first: the place is computed only for mounts whose last component fits.
        let name_fits =
            at.path.file_name().is_none_or(|name| line.mountpoint.ends_with(name.as_encoded_bytes()) || line.path().file_name().is_none());
        (name_fits && tree.place_of_mountpoint(line).as_ref() == Some(at)).then_some(Reason::SameMountpoint)
    }

    /// The mounts of a namespace that are copies, in the order in which they were mounted.
    pub fn copies<'t, 'a>(&self, tree: &Tree<'t, 'a>) -> Vec<(&'t Line<'a>, Reason)> {
        tree.lines.iter().filter_map(|line| Some((line, self.reason(tree, line)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo::line::lines;

    const HOST: &[u8] = b"20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
        21 20 7:0 / /vol/a rw shared:2 - ext4 /dev/loop0 rw\n\
        22 20 7:0 /sub /vol/sub rw shared:3 - ext4 /dev/loop0 rw\n\
        23 20 0:50 / /vol/btr rw shared:4 - btrfs /dev/sdb rw\n\
        24 20 0:4 net:[4026532177] /run/netns/n1 rw shared:5 - nsfs nsfs rw\n";
    /// A container with the host's root at /host; volume b was mounted when it started and is no longer.
    const CONTAINER: &[u8] = b"90 80 0:60 / / rw - overlay overlay rw\n\
        91 90 8:1 / /host rw - ext4 /dev/sda1 rw\n\
        92 91 7:0 / /host/vol/a rw - ext4 /dev/loop0 rw\n\
        93 91 7:0 /sub /host/vol/sub rw - ext4 /dev/loop0 rw\n\
        94 91 0:50 / /host/vol/btr rw - btrfs /dev/sdb rw\n\
        95 91 7:9 / /host/vol/b rw - ext4 /dev/loop9 rw\n\
        96 91 0:4 net:[4026532177] /host/run/netns/n1 rw - nsfs nsfs rw\n\
        97 91 0:4 net:[4026532999] /host/run/netns/gone rw - nsfs nsfs rw\n\
        98 95 0:70 / /host/vol/b/inner rw - tmpfs tmpfs rw\n";

    fn found(target: &Target) -> Vec<(String, Reason)> {
        let lines = lines(CONTAINER);
        target.copies(&Tree::of(&lines)).into_iter().map(|(line, reason)| (line.path().display().to_string(), reason)).collect()
    }

    fn of_path(path: &str) -> Vec<(String, Reason)> {
        let lines = lines(HOST);
        found(&Target::of_path(&Tree::of(&lines), Path::new(path)))
    }

    fn same(paths: &[&str], reason: Reason) -> Vec<(String, Reason)> {
        paths.iter().map(|path| ((*path).to_owned(), reason)).collect()
    }

    #[test]
    fn a_mounted_path_is_found_by_its_superblock_and_root() {
        assert_eq!(of_path("/vol/a"), same(&["/host/vol/a", "/host/vol/sub"], Reason::SameFileSystem));
        assert_eq!(of_path("/vol/sub"), same(&["/host/vol/sub"], Reason::SameFileSystem), "the part above it is no copy of it");
        assert_eq!(of_path("/run/netns/n1"), same(&["/host/run/netns/n1"], Reason::SameFileSystem));
    }

    #[test]
    fn an_unmounted_path_is_found_by_the_place_where_it_was() {
        assert_eq!(of_path("/vol/b"), same(&["/host/vol/b"], Reason::SameMountpoint));
        assert_eq!(of_path("/run/netns/gone"), same(&["/host/run/netns/gone"], Reason::SameMountpoint));
        assert_eq!(of_path("/vol/c"), []);
        assert_eq!(of_path("/vol"), [], "what is below is no copy");
    }

    #[test]
    fn a_device_is_found_by_number_and_by_name() {
        let of = |device, path: &str| found(&Target::of_device(device, path.into()));
        assert_eq!(of((7, 9), "/dev/loop9"), same(&["/host/vol/b"], Reason::SameFileSystem));
        assert_eq!(of((8, 16), "/dev/sdb"), same(&["/host/vol/btr"], Reason::SameFileSystem), "btrfs has a number of its own");
        assert_eq!(of((8, 32), "/dev/sdc"), []);
    }

    #[test]
    fn a_new_mount_at_the_place_does_not_hide_an_older_copy() {
        let text = [HOST, b"25 20 7:8 / /vol/b rw shared:6 - ext4 /dev/loop8 rw\n"].concat();
        let lines = lines(&text);
        let target = Target::of_path(&Tree::of(&lines), Path::new("/vol/b"));
        assert_eq!(found(&target), same(&["/host/vol/b"], Reason::SameMountpoint));
    }
}
