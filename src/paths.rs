//! Lexical path algebra: by component, never by byte prefix. Nothing here looks at a file system.

use std::path::{Component, Path, PathBuf};

/// How a bind's source lies to a protected root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// The source is the root.
    Is,
    /// The source contains the root (`/` contains everything).
    Contains,
    /// The source lies inside the root.
    Inside,
}

/// How `source` overlaps `root`; both must be absolute and free of `.`, `..` and symlinks. `None`: they are apart.
#[must_use]
pub fn overlap(source: &Path, root: &Path) -> Option<Relation> {
    if source == root {
        Some(Relation::Is)
    } else if root.starts_with(source) {
        Some(Relation::Contains)
    } else if source.starts_with(root) {
        Some(Relation::Inside)
    } else {
        None
    }
}

/// `path` as seen from `base`, with `.`, `..` and repeated slashes taken out by text alone. For paths that do not exist; an existing path is
/// resolved by the kernel instead, because `..` after a symlink means something else.
#[must_use]
pub fn lexical(base: &Path, path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in base.join(path).components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// For `serialize_with`. A path is any bytes, JSON is not: a path that others made must not make a whole report unwritable.
///
/// # Errors
/// Those of the serializer.
pub fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(source: &str, root: &str) -> Option<Relation> {
        overlap(Path::new(source), Path::new(root))
    }

    #[test]
    fn overlaps_by_component_in_both_directions() {
        assert_eq!(relation("/var/lib/docker", "/var/lib/docker"), Some(Relation::Is));
        assert_eq!(relation("/var", "/var/lib/docker"), Some(Relation::Contains));
        assert_eq!(relation("/", "/var/lib/docker"), Some(Relation::Contains));
        assert_eq!(relation("/var/lib/docker/volumes/a", "/var/lib/docker"), Some(Relation::Inside));
        assert_eq!(relation("/var/lib/docker", "/"), Some(Relation::Inside));
    }

    #[test]
    fn a_shared_byte_prefix_is_no_overlap() {
        assert_eq!(relation("/var/lib/docker2", "/var/lib/docker"), None);
        assert_eq!(relation("/va", "/var/lib/docker"), None);
        assert_eq!(relation("/var/lib/docke", "/var/lib/docker"), None);
    }

    #[test]
    fn lexical_takes_out_dots_and_slashes() {
        let clean = |base: &str, path: &str| lexical(Path::new(base), Path::new(path)).display().to_string();
        assert_eq!(clean("/b", "x/../y//z/."), "/b/y/z");
        assert_eq!(clean("/b", "/../../etc/"), "/etc");
        assert_eq!(clean("/b", ""), "/b");
    }
}
