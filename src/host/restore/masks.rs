//! crun masks a directory by an empty one in its state root and registers the mount under that one's path. Its `checkpoint` (1.24 to 1.29) looks for
//! it in the default state root, whatever `--root` says, its `restore` in the right one (`src/libcrun/criu.c`, `register_masked_paths_mounts`): so
//! CRIU finds `No mapping for N:(null) mountpoint`, for every engine that gives a `--root`.

use crate::invocation::Flavour;
use crate::prepare::Call;
use crate::restored_mounts::{Content, RestoredMount};
use crate::spec::Spec;
use std::path::{Path, PathBuf};

/// A name for the empty directory that crun's restore will not register by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostMask {
    pub key: PathBuf,
    /// The directories that are missing at that place, outermost first: crun registers what it finds.
    pub missing: Vec<PathBuf>,
}

pub(super) fn lost(restored: &[RestoredMount], spec: &Spec<'_>, call: &Call) -> Vec<LostMask> {
    let Some(root) = call.state_root.as_ref().filter(|_| call.flavour == Flavour::Crun) else { return Vec::new() };
    let masked = spec.masked_paths();
    let is_masked = |path: &Path| masked.iter().any(|masked| Path::new(masked) == path);
    let mut keys: Vec<&PathBuf> = Vec::new();
    for mount in restored.iter().filter(|mount| is_masked(&mount.mountpoint)) {
        if let Content::MaskDirectory { key } = &mount.content
            && key.parent() != Some(root)
            && !is_masked(key)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }
    let missing = |key: &Path| [key.parent(), Some(key)].into_iter().flatten().filter(|path| !path.is_dir()).map(Path::to_owned).collect();
    keys.into_iter().map(|key| LostMask { key: key.clone(), missing: missing(key) }).collect()
}
