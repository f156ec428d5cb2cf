//! Paths in a container, resolved as the kernel will see them once its mounts are there: symlinks of the root file system and of the bind
//! sources on the way, each read in the tree that the container finds at that place.

use crate::paths;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// As many as Linux follows (path_resolution(7)).
const MOST_SYMLINKS: u32 = 40;

/// Whose directory entries are seen at a place of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// The root file system as the engine prepared it.
    Rootfs,
    /// The source of the bind with this index in `mounts`.
    Source(usize),
    /// A file system that the runtime makes anew (tmpfs, proc …): nothing is known of it, and it is on no host path.
    Fresh,
}

/// The mounts that are already there when the next one is made.
#[derive(Clone, Debug, Default)]
pub struct Covers {
    /// The latest at each mountpoint, with its number in the order of mounting.
    latest: HashMap<PathBuf, (usize, Tree)>,
    made: usize,
}

impl Covers {
    /// Makes a mount.
    pub fn add(&mut self, mountpoint: PathBuf, tree: Tree) {
        self.made += 1;
        self.latest.insert(mountpoint, (self.made, tree));
    }

    /// The tree that is seen at `path` (resolved), and the place below its root. The latest mount above a path is the one that is seen: a
    /// mount made later on a parent hides what had been made below.
    #[must_use]
    pub fn seen_at<'p>(&self, path: &'p Path) -> (Tree, &'p Path) {
        let above = path.ancestors().filter_map(|ancestor| Some((self.latest.get(ancestor)?, ancestor)));
        let (tree, mountpoint) = above.max_by_key(|((number, _), _)| *number).map_or((Tree::Rootfs, Path::new("/")), |((_, tree), at)| (*tree, at));
        (tree, path.strip_prefix(mountpoint).unwrap_or(path))
    }
}

/// Where `path` leads in a container that has `covers`: absolute, without symlinks, `.` and `..`. Parts that do not exist stay as they are.
/// `read_link` gives the target of a symlink at a place below a tree's root, `None` for anything else. `None`: too many symlinks.
#[must_use]
pub fn resolve(path: &Path, covers: &Covers, mut read_link: impl FnMut(Tree, &Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let mut resolved = PathBuf::from("/");
    let mut pending = parts(&paths::lexical(Path::new("/"), path));
    let mut links = 0;
    while let Some(part) = pending.pop_front() {
        if part == ".." {
            resolved.pop();
            continue;
        }
        resolved.push(&part);
        // A mountpoint is a directory or a file, whatever the tree below has at that place.
        if covers.latest.contains_key(&resolved) {
            continue;
        }
        let (tree, below) = covers.seen_at(&resolved);
        let Some(target) = (if tree == Tree::Fresh { None } else { read_link(tree, below) }) else { continue };
        links += 1;
        if links > MOST_SYMLINKS {
            return None;
        }
        resolved.pop();
        if target.is_absolute() {
            resolved = PathBuf::from("/");
        }
        for part in parts(&target).into_iter().rev() {
            pending.push_front(part);
        }
    }
    Some(resolved)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: [(Tree, &str, &str); 6] = [
        (Tree::Rootfs, "var/run", "/run"),
        (Tree::Rootfs, "var/lock", "../run/lock"),
        (Tree::Rootfs, "loop", "loop"),
        (Tree::Rootfs, "out", "../../../etc"),
        (Tree::Rootfs, "data/link", "elsewhere"),
        (Tree::Source(0), "current", "releases/7"),
    ];

    fn covers_of(mounts: &[(&str, Tree)]) -> Covers {
        let mut covers = Covers::default();
        for (at, tree) in mounts {
            covers.add(PathBuf::from(at), *tree);
        }
        covers
    }

    fn resolved(path: &str, covers: &[(&str, Tree)]) -> Option<String> {
        let covers = covers_of(covers);
        let read_link = |tree: Tree, below: &Path| {
            assert_ne!(tree, Tree::Fresh, "nothing is read in a fresh file system");
            LINKS.iter().find(|(of, at, _)| *of == tree && Path::new(at) == below).map(|(_, _, target)| PathBuf::from(target))
        };
        resolve(Path::new(path), &covers, read_link).map(|path| path.display().to_string())
    }

    #[test]
    fn symlinks_of_the_root_file_system_are_followed_inside_it() {
        assert_eq!(resolved("/var/run/secrets/x", &[]).as_deref(), Some("/run/secrets/x"));
        assert_eq!(resolved("/var/lock/a", &[]).as_deref(), Some("/run/lock/a"));
        assert_eq!(resolved("/out/passwd", &[]).as_deref(), Some("/etc/passwd"), "`..` ends at the root");
        assert_eq!(resolved("/loop/a", &[]), None);
    }

    #[test]
    fn spellings_are_cleaned() {
        for spelling in ["/a/b/", "a/b", "/a//b", "/a/./b", "/a/c/../b", "/../a/b"] {
            assert_eq!(resolved(spelling, &[]).as_deref(), Some("/a/b"), "{spelling}");
        }
        assert_eq!(resolved("", &[]).as_deref(), Some("/"));
    }

    #[test]
    fn a_mount_hides_the_symlinks_below_it() {
        let fresh = [("/var", Tree::Fresh)];
        assert_eq!(resolved("/var/run/x", &fresh).as_deref(), Some("/var/run/x"));
        assert_eq!(resolved("/data/link/x", &[("/data", Tree::Source(0))]).as_deref(), Some("/data/link/x"));
        assert_eq!(resolved("/var/run/x", &[("/var/run", Tree::Fresh)]).as_deref(), Some("/var/run/x"), "a mountpoint is no symlink");
    }

    #[test]
    fn symlinks_inside_a_source_are_followed() {
        let source = [("/srv", Tree::Source(0))];
        assert_eq!(resolved("/srv/current/etc", &source).as_deref(), Some("/srv/releases/7/etc"));
    }

    #[test]
    fn the_latest_mount_above_a_place_is_seen() {
        let covers = covers_of(&[("/a/b", Tree::Source(0)), ("/a", Tree::Source(1))]);
        assert_eq!(covers.seen_at(Path::new("/a/b/c")), (Tree::Source(1), Path::new("b/c")), "the parent came later and hides the child");
        let covers = covers_of(&[("/a", Tree::Source(1)), ("/a/b", Tree::Source(0)), ("/a/b", Tree::Source(2))]);
        assert_eq!(covers.seen_at(Path::new("/a/b/c")), (Tree::Source(2), Path::new("c")), "of two at one place the later one");
        assert_eq!(covers.seen_at(Path::new("/x/y")), (Tree::Rootfs, Path::new("x/y")));
    }
}
