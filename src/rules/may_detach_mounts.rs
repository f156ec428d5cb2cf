//! `fs.may_detach_mounts = 1`: on RHEL and CentOS 7 (kernel 3.10) the sysctl that lets a mountpoint be removed while another mount namespace
//! still holds a copy. Newer kernels do so always and have no such file.

use super::Facts;
use crate::invocation::Command;
use crate::plan::{Action, Step};

pub(super) const NAME: &str = "may-detach-mounts";

pub(super) fn steps(facts: &Facts<'_>) -> Vec<Step> {
    let starts = matches!(facts.command, Command::Create | Command::Run);
    let path = facts.host.sysctl_to_enable.clone().filter(|_| starts);
    let step = |path| Step {
        rule: NAME,
        why: "a removed mountpoint stays busy while a container holds a copy of its mount".to_owned(),
        action: Action::EnableSysctl { path },
    };
    path.map(step).into_iter().collect()
}
