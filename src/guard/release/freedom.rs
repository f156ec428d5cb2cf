//! Whether what was released is free now: no namespace lists it any more, and its device can be opened for oneself alone.

use super::report::{Action, CopyReport};
use crate::copies::Target;
use crate::guard::heal::LIMIT;
use crate::in_namespace::{Answer, in_child};
use crate::mountinfo::Device;
use crate::mountinfo::line::{Tree, lines};
use crate::namespaces;
use crate::report::errno_name;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The kernel ends a file system in the background when its last mount is gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found afterwards.
#[derive(Debug, Default, Serialize)]
pub struct Freedom {
    /// The block devices that were asked for or released, as far as they have a name.
    devices: Vec<PathBuf>,
    /// Where the host itself has it mounted.
    pub host: Vec<String>,
    /// Copies that are still there, although nothing was refused.
    pub left: Vec<String>,
    /// Why a device cannot be opened exclusively, or nobody knows whether it can.
    pub busy: Option<String>,
    /// It was looked at, and is free.
    free: bool,
}

pub fn look(path: &Path, target: &Target, is_device: bool, copies: &[CopyReport]) -> Freedom {
    let mut devices: Vec<PathBuf> = copies.iter().filter_map(|report| device_path(report.copy.device)).collect();
    if is_device {
        devices = vec![path.to_owned()];
    }
    devices.sort();
    devices.dedup();
    // What had to stay is told already, and nothing more is to be expected.
    let stays: Vec<(u64, u32)> =
        copies.iter().filter(|report| report.action != Action::Released).map(|report| (report.namespace, report.copy.id)).collect();
    let end = Instant::now() + PATIENCE;
    loop {
        let freedom = once(target, &devices, &stays);
        if freedom.free || !stays.is_empty() || !freedom.host.is_empty() || Instant::now() > end {
            return freedom;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn once(target: &Target, devices: &[PathBuf], stays: &[(u64, u32)]) -> Freedom {
    let mut freedom = Freedom { devices: devices.to_vec(), ..Freedom::default() };
    let found = match namespaces::find() {
        Ok(found) => found,
        Err(error) => {
            freedom.busy = Some(format!("look for what is left: {}", errno_name(&error)));
            return freedom;
        }
    };
    for namespace in found.namespaces {
        let Ok(table) = namespace.table() else { continue };
        let lines = lines(&table);
        for (line, _) in target.copies(&Tree::of(&lines)) {
            let path = line.path().display().to_string();
            if namespace.is_ours {
                freedom.host.push(path);
            } else if !stays.contains(&(namespace.inode, line.id)) {
                freedom
                    .left
                    .push(namespace.pid.map_or_else(|| format!("{path} in a namespace without a process"), |pid| format!("{path} of pid {pid}")));
            }
        }
    }
    if freedom.host.is_empty() && freedom.left.is_empty() && stays.is_empty() {
        freedom.busy = devices.iter().find_map(|device| busy(device));
        freedom.free = freedom.busy.is_none();
    }
    freedom
}

/// What mkfs, e2fsck and cryptsetup do first. In a child, because a device may not answer.
fn busy(device: &Path) -> Option<String> {
    let exclusively = OFlag::O_RDONLY | OFlag::O_EXCL | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let answer = in_child(LIMIT, |sender| sender.send(&open(device, exclusively, Mode::empty()).err().map_or(0, |errno| errno as i32)));
    let errno = match answer {
        Ok(Answer { messages, .. }) => messages.first().map_or(Errno::ETIMEDOUT, |errno: &i32| Errno::from_raw(*errno)),
        Err(errno) => errno,
    };
    match errno {
        // Zero is no errno; a device that has gone is free.
        Errno::UnknownErrno | Errno::ENOENT | Errno::ENXIO => None,
        errno => Some(format!(
            "open {} exclusively: {errno:?}; nobody has it mounted, so an open file or another device on top of it keeps it",
            device.display()
        )),
    }
}

/// As devtmpfs names it.
fn device_path((major, minor): Device) -> Option<PathBuf> {
    if major == 0 {
        return None;
    }
    let text = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/uevent")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("DEVNAME=")).map(|name| Path::new("/dev").join(name))
}

impl Freedom {
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.host.iter().map(|path| format!("the host itself has it mounted at {path}")).collect();
        lines.extend(self.left.iter().map(|left| format!("still there: {left}")));
        lines.extend(self.busy.clone());
        if self.free && self.devices.is_empty() {
            lines.push("free: no mount namespace has it any more".to_owned());
        }
        let free = self.devices.iter().filter(|_| self.free);
        lines
            .extend(free.map(|device| format!("{} is free: no mount namespace has it any more, and it can be opened exclusively", device.display())));
        lines
    }
}
