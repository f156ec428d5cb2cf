//! Whose the created inodes are: decided before they are made, by the file system ids of this thread. A chown(2) afterwards could be turned on a
//! foreign inode by whoever owns the tree.

use super::Owner;
use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

/// This thread creates inodes for another owner as long as this value lives.
///
/// Supplementary groups need no care: they never give an inode its group, and what they allow or deny `CAP_DAC_OVERRIDE` overrules.
pub struct ActingFor {
    uid: Uid,
    gid: Gid,
    effective: CapsHashSet,
}

impl ActingFor {
    /// `None`: this thread's ids are the owner's already.
    ///
    /// # Errors
    /// `EPERM` when the ids cannot be taken on (no `CAP_SETUID`, an id without mapping in this user namespace). Nothing has changed then.
    pub fn owner(owner: Owner) -> Result<Option<ActingFor>, Errno> {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        if (current_uid(), current_gid()) == (uid, gid) {
            return Ok(None);
        }
        let effective = caps::read(None, CapSet::Effective).map_err(|_| Errno::EPERM)?;
        let before = ActingFor { uid: current_uid(), gid: current_gid(), effective };
        setfsgid(gid);
        setfsuid(uid);
        // Neither call says whether it had an effect.
        if (current_uid(), current_gid()) != (uid, gid) {
            return Err(Errno::EPERM);
        }
        // Leaving fsuid 0 takes it away (capabilities(7)); the directory belongs to somebody else, as it does when the runtime creates.
        if before.effective.contains(&Capability::CAP_DAC_OVERRIDE) {
            caps::raise(None, CapSet::Effective, Capability::CAP_DAC_OVERRIDE).map_err(|_| Errno::EPERM)?;
        }
        Ok(Some(before))
    }
}

impl Drop for ActingFor {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
        // After setfsuid, which raises all of the permitted capabilities that have to do with files. What was in effect is permitted, so this cannot
        // be refused.
        let _ = caps::set(None, CapSet::Effective, &self.effective);
    }
}

/// An id that no user has is refused, and the answer is the present one: setfsuid(2).
fn current_uid() -> Uid {
    setfsuid(Uid::from_raw(u32::MAX))
}

fn current_gid() -> Gid {
    setfsgid(Gid::from_raw(u32::MAX))
}
