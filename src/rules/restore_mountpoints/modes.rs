//! The modes that each runtime's own create gives to mountpoints under the usual umask (measured: runc 1.1.15 and 1.3.6, crun 1.21 and 1.28).
//! A tree looks after a restore as it did on the host that was left; crun takes no notice of the umask, and neither do we.

use crate::host::restore::WantedMount;
use crate::invocation::Flavour;
use crate::mountpoint::Kind;
use crate::rules::Facts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modes {
    pub mountpoint: u32,
    /// Of directories above it that are missing, too.
    pub parents: u32,
}

/// As runc makes them, and crun what holds files.
pub(super) const DIRECTORY: u32 = 0o755;
pub(super) const FILE: u32 = 0o644;

/// crun's (`src/libcrun/linux.c`): a sticky bit for all that it makes for a directory's sake.
const STICKY: u32 = 0o1755;
const CRUN_FILE: u32 = 0o700;

pub(super) fn of(facts: &Facts<'_>, wanted: &WantedMount, kind: Kind) -> Modes {
    match (facts.flavour, kind) {
        (Flavour::Crun, Kind::Directory) if is_proc_or_sysfs(facts, wanted) => Modes { mountpoint: DIRECTORY, parents: DIRECTORY },
        (Flavour::Crun, Kind::Directory) => Modes { mountpoint: STICKY, parents: STICKY },
        (Flavour::Crun, Kind::File) => Modes { mountpoint: CRUN_FILE, parents: DIRECTORY },
        (_, kind) => Modes { mountpoint: without_runtime(kind), parents: DIRECTORY },
    }
}

/// Of what no runtime makes.
pub(super) fn without_runtime(kind: Kind) -> u32 {
    if kind == Kind::Directory { DIRECTORY } else { FILE }
}

/// crun makes the mountpoints of these two by another path of its code.
fn is_proc_or_sysfs(facts: &Facts<'_>, wanted: &WantedMount) -> bool {
    let mut mounts = facts.spec.mounts.iter().zip(&facts.host.spellings);
    mounts.any(|(mount, spelling)| spelling.mountpoint == wanted.mount.mountpoint && matches!(&*mount.kind(), "proc" | "sysfs"))
}
