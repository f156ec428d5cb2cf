//! Heals one container, in a child: every step is all or nothing in the kernel, so nothing has to be taken back.
//!
//! A mount gets its master in one call: the other mount is a slave of the host's already, a copy made for this and attached nowhere. To join the
//! host's peers first and to be made a slave then would be two, and what the workload mounted between them would reach the host.

use super::counterpart::Host;
use super::plan::{Comparison, Entry, Verdict, Wish};
use crate::in_namespace::{Journey, Sender};
use crate::kernel::clone_mount;
use crate::kernel::mount_groups::{NewPropagation, set_group, set_propagation};
use crate::mountinfo::line::{Line, Propagation, lines};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What became of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Healed,
    WouldHeal,
    /// It is a slave, or shared with the host.
    Already,
    Keep,
    Impossible,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountReport {
    /// As the container sees it.
    pub path: String,
    /// The same place on the host.
    pub source: Option<String>,
    pub action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What the child tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    Mount(MountReport),
    /// Something else changed at the same time.
    Meanwhile(String),
    Failed(String),
}

pub fn heal(container: BorrowedFd, wish: &Wish, dry_run: bool, sender: &mut Sender) {
    if let Err(why) = try_heal(container, wish, dry_run, sender) {
        sender.send(&Message::Failed(why));
    }
}

fn try_heal(container: BorrowedFd, wish: &Wish, dry_run: bool, sender: &mut Sender) -> Result<(), String> {
    let journey = Journey::begin().map_err(|errno| format!("open /proc: {errno:?}"))?;
    let host_table = journey.table().map_err(|errno| format!("read the host's mount table: {errno:?}"))?;
    journey.enter(container).map_err(|errno| format!("enter its mount namespace: {errno:?}"))?;
    let read = || journey.table().map_err(|errno| format!("read its mount table: {errno:?}"));
    let before = read()?;
    let (host_lines, before) = (lines(&host_table), lines(&before));
    let host = Host::of(&host_lines, wish.roots.iter().map(|root| root.path.clone()).collect());
    let healer = Healer { journey: &journey, container, host: &host, dry_run };
    let mut healed = HashMap::new();
    for entry in Comparison::new(&host, &before, wish).entries() {
        let report = healer.step(&entry);
        if let (Action::Healed, Verdict::Heal { group }) = (report.action, &entry.verdict) {
            healed.insert(entry.line.id, *group);
        }
        sender.send(&Message::Mount(report));
    }
    let after = read()?;
    for message in differences(&before, &lines(&after), &healed) {
        sender.send(&message);
    }
    Ok(())
}

struct Healer<'h> {
    journey: &'h Journey,
    container: BorrowedFd<'h>,
    host: &'h Host<'h, 'h>,
    dry_run: bool,
}

impl Healer<'_> {
    fn step(&self, entry: &Entry<'_, '_>) -> MountReport {
        let (action, why) = match &entry.verdict {
            Verdict::Right(why) => (Action::Already, Some((*why).to_owned())),
            Verdict::Keep(why) => (Action::Keep, Some((*why).to_owned())),
            Verdict::Impossible(why) => (Action::Impossible, Some(why.clone())),
            Verdict::Heal { group } => match self.make_slave(entry.line, *group) {
                Ok(done) => done,
                Err(why) => (Action::Impossible, Some(why)),
            },
        };
        let source = entry.source.as_ref().map(|path| path.display().to_string());
        MountReport { path: entry.line.path().display().to_string(), source, action, why }
    }

    fn make_slave(&self, line: &Line<'_>, group: u32) -> Result<(Action, Option<String>), String> {
        let (mount, held) = self.journey.hold(line.path(), line.id).map_err(|errno| not_held(errno).to_owned())?;
        if !held.is_dir {
            return Ok((Action::Keep, Some("it is a file: nothing can be mounted below it".to_owned())));
        }
        if self.dry_run {
            return Ok((Action::WouldHeal, None));
        }
        let from = self.fellow_slave(line, group)?;
        if line.propagation() == Propagation::Unbindable {
            set_propagation(mount.as_fd(), NewPropagation::Private).map_err(|errno| format!("make it private: {errno:?}"))?;
        }
        match set_group(from.as_fd(), mount.as_fd()) {
            Ok(()) => Ok((Action::Healed, None)),
            Err(Errno::EINVAL) => Err("make it a slave of the host's mount: EINVAL; it was changed meanwhile, heal again".to_owned()),
            Err(errno) => Err(format!("make it a slave of the host's mount: {errno:?}")),
        }
    }

    /// A slave of the host's mounts `group` that is attached nowhere. We stand in the container before and after.
    fn fellow_slave(&self, line: &Line<'_>, group: u32) -> Result<OwnedFd, String> {
        self.journey.return_home().map_err(|errno| format!("return to the host's mount namespace: {errno:?}"))?;
        let mut outcome = Err("the host's mount is gone meanwhile; detach it with runc-guard guard release".to_owned());
        for host in self.host.peers(group, line) {
            outcome = self.slave_of(host).map_err(|errno| match errno {
                Errno::ESTALE | Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => {
                    format!("the host's mount {} is gone meanwhile or covered by another; heal again", host.path().display())
                }
                errno => format!("copy the host's mount {}: {errno:?}", host.path().display()),
            });
            if outcome.is_ok() {
                break;
            }
        }
        self.journey.enter(self.container).map_err(|errno| format!("enter its mount namespace: {errno:?}"))?;
        outcome
    }

    fn slave_of(&self, host: &Line<'_>) -> Result<OwnedFd, Errno> {
        let (handle, _) = self.journey.hold(host.path(), host.id)?;
        let copy = clone_mount(handle.as_fd())?;
        set_propagation(copy.as_fd(), NewPropagation::Slave)?;
        Ok(copy)
    }
}

fn not_held(errno: Errno) -> &'static str {
    match errno {
        Errno::ESTALE | Errno::ENOENT | Errno::ENOTDIR => "it cannot be reached by its path: gone meanwhile, or covered by another mount",
        Errno::ELOOP => "there is a symlink on its path now, which nobody but the workload can have put there; it is not followed",
        Errno::ENOSYS => "the kernel is too old: Linux 5.15 is needed",
        _ => "its path cannot be opened; its file server may be dead",
    }
}

/// What the two tables tell of our work and of others': healed mounts are slaves of the right group, and nothing else is different.
fn differences(before: &[Line<'_>], after: &[Line<'_>], healed: &HashMap<u32, u32>) -> Vec<Message> {
    let now: HashMap<u32, &Line<'_>> = after.iter().map(|line| (line.id, line)).collect();
    let then: HashMap<u32, &Line<'_>> = before.iter().map(|line| (line.id, line)).collect();
    let mut messages = Vec::new();
    for line in before {
        let path = line.path().display();
        let expected = match healed.get(&line.id) {
            Some(group) => Line { master: Some(*group), unbindable: false, ..line.clone() },
            None => line.clone(),
        };
        match now.get(&line.id) {
            None => messages.push(Message::Meanwhile(format!("{path} was unmounted"))),
            Some(now) if **now == expected => {}
            Some(now) if (Line { mountpoint: line.mountpoint.clone(), ..(*now).clone() }) == expected => {
                messages.push(Message::Meanwhile(format!("{path} was renamed to {}", now.path().display())));
            }
            Some(now) if healed.contains_key(&line.id) => {
                messages.push(Message::Failed(format!("{path} is not the slave that it was made: it is {:?} now; heal again", now.propagation())));
            }
            Some(_) => messages.push(Message::Meanwhile(format!("{path} was changed by somebody else"))),
        }
    }
    let appeared = after.iter().filter(|line| !then.contains_key(&line.id));
    messages.extend(appeared.map(|line| Message::Meanwhile(format!("{} was mounted", line.path().display()))));
    messages
}

#[cfg(test)]
mod tests;
