//! `fs.may_detach_mounts = 1`: on RHEL and CentOS 7 (kernel 3.10) the sysctl that lets a mountpoint be removed while another mount namespace
//! still holds a copy. Newer kernels do so always and have no such file.

use super::Facts;
use crate::invocation::Command;
use crate::plan::{Action, Change, Level, Step};

pub(super) const NAME: &str = "may-detach-mounts";

pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    let starts = matches!(facts.command, Command::Create | Command::Run);
    let Some(path) = facts.host.sysctl_to_enable.clone().filter(|_| starts) else { return Vec::new() };
    let why = "a removed mountpoint stays busy while a container holds a copy of its mount".to_owned();
    let change = Change::Key { key: "fs.may_detach_mounts", before: Some("0".to_owned()), after: "1" };
    vec![Step { rule: NAME, level: Level::Info, why, action: Action::EnableSysctl { path, change } }]
}
