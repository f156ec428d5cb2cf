//! `guard release`: copies that the host's umount did not reach are detached inside the namespaces that hold them.

mod act;
mod freedom;
mod plan;
mod renewal;
mod report;

use super::heal::{Host, LIMIT, selection};
use super::progress::Progress;
use super::target::{self, Wanted};
use super::{FAILED, IDLE, Outcome, WOULD_CHANGE};
use crate::copies::Target;
use crate::in_namespace;
use crate::kernel::mount_namespaces::{Direction, neighbour};
use crate::mountinfo::line::{Tree, lines};
use crate::namespaces::{self, Found, Namespace};
use crate::open_files;
use crate::report::json_line;
use crate::workload::{Kind, Node};
use act::{Fate, Message};
use anyhow::Context;
use clap::Args;
use freedom::Freedom;
use nix::errno::Errno;
use plan::Copy;
use report::{Action, CopyReport, Report};
use std::ffi::c_int;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

#[derive(Args)]
pub struct Arguments {
    /// A mountpoint (before or after the host unmounted it) or a block device.
    path: PathBuf,
    /// Only in this container (id, beginning of an id, name, or pid), or in this process' namespace.
    #[arg(long, value_name = "ID")]
    container: Vec<String>,
    /// Also copies that the host still has mounted, that have files open, or that are in the namespace of no container.
    #[arg(long)]
    force: bool,
    /// Show what would be done; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    selection::ensure_able("release")?;
    let table = std::fs::read("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let host_lines = lines(&table);
    let host = Host::of(&host_lines, Vec::new());
    let Wanted { path, target, is_device } = target::of_path(&arguments.path, &host.tree)?;
    let found = namespaces::find().context("read /proc")?;
    let chosen = selection::chosen(&found, &arguments.container)?;
    let only: Vec<u64> = chosen.iter().map(|container| container.inode).collect();
    let wish = Wish { target: &target, only: &only, force: arguments.force, dry_run: arguments.dry_run };
    let mut copies = release_everywhere(&host, &found, &wish);
    if !arguments.dry_run {
        renew_mountpoints(&mut copies, &host.tree, &found);
    }
    let freedom = if arguments.dry_run { Freedom::default() } else { freedom::look(&path, &target, is_device, &copies) };
    let unlisted = found.unlisted.map(|errno| format!("{errno:?}"));
    let report = Report { path: path.display().to_string(), copies, freedom, unlisted, unreadable: found.unreadable };
    let status = status(&report);
    let text = if arguments.json { String::from_utf8_lossy(&json_line(&report)).into_owned() } else { report.text() };
    Ok((text, status))
}

struct Wish<'w> {
    target: &'w Target,
    /// Namespaces, by inode; none named: all.
    only: &'w [u64],
    force: bool,
    dry_run: bool,
}

fn release_everywhere(host: &Host<'_, '_>, found: &Found, wish: &Wish<'_>) -> Vec<CopyReport> {
    let others = found.namespaces.iter().filter(|namespace| !namespace.is_ours && (wish.only.is_empty() || wish.only.contains(&namespace.inode)));
    let others: Vec<&Namespace> = others.collect();
    let mut progress = Progress::of("releasing in", others.len());
    let (node, mut reports) = (Node::new(), Vec::new());
    for (index, namespace) in others.into_iter().enumerate() {
        progress.step(index, "namespaces");
        reports.extend(release_in(namespace, host, &node, wish));
    }
    reports
}

fn release_in(namespace: &Namespace, host: &Host<'_, '_>, node: &Node, wish: &Wish<'_>) -> Vec<CopyReport> {
    // It has ended, or is the node's own although we run as the first process of something else.
    let Some(table) = namespace.table().ok().filter(|_| !is_first(namespace)) else { return Vec::new() };
    let lines = lines(&table);
    let copies = plan::copies(host, &Tree::of(&lines), wish.target, wish.force);
    if copies.is_empty() {
        return Vec::new();
    }
    let workload = namespace.pid.map(|pid| node.of_process(pid));
    let mut reports: Vec<CopyReport> = copies.into_iter().map(|copy| CopyReport::of(namespace, workload.clone(), copy)).collect();
    let is_foreign = wish.only.is_empty() && !wish.force && workload.is_some_and(|workload| workload.kind != Kind::Container);
    for report in &mut reports {
        report.open = open_files::of_mounts(namespace.inode, &report.copy.doomed.iter().map(|doomed| doomed.id).collect::<Vec<_>>());
        report.why = report.copy.refusal.take().or_else(|| is_foreign.then(not_a_container)).or_else(|| report.open_file().filter(|_| !wish.force));
        report.action = if report.why.is_some() { Action::Refused } else { Action::WouldRelease };
    }
    if !wish.dry_run {
        detach(namespace, &mut reports);
    }
    reports
}

/// The first mount namespace that the kernel made.
fn is_first(namespace: &Namespace) -> bool {
    namespace.handle.as_ref().is_some_and(|handle| neighbour(handle.as_fd(), Direction::Previous).err() == Some(Errno::ENOENT))
}

fn not_a_container() -> String {
    "this is no container, and may have mounted it itself; name it by --container, or use --force".to_owned()
}

fn detach(namespace: &Namespace, reports: &mut [CopyReport]) {
    let wanted = |report: &CopyReport| report.action == Action::WouldRelease;
    let copies: Vec<Copy> = reports.iter().filter(|report| wanted(report)).map(|report| report.copy.clone()).collect();
    if copies.is_empty() {
        return;
    }
    let Some(handle) = open(namespace) else {
        reports.iter_mut().filter(|report| wanted(report)).for_each(|report| report.settle(Action::Released, Some("it has ended meanwhile")));
        return;
    };
    let answer = in_namespace::in_child::<Message>(LIMIT, |sender| act::release(handle.as_fd(), &copies, sender));
    drop(handle);
    let (messages, broken) = match answer {
        Ok(answer) => (answer.messages, answer.broken),
        Err(errno) => (Vec::new(), Some(format!("start a child for its namespace: {errno:?}"))),
    };
    for report in reports.iter_mut().filter(|report| wanted(report)) {
        match messages.iter().find(|message| message.copy == report.copy.id).map(|message| &message.fate) {
            Some(Fate::Released) => report.settle(Action::Released, None),
            Some(Fate::Stuck(why)) => report.settle(Action::Stuck, Some(why)),
            None => report.settle(Action::Stuck, Some(broken.as_deref().unwrap_or("nothing is known of it"))),
        }
    }
}

/// `None`: it has ended, and its pid may be somebody else's.
fn open(namespace: &Namespace) -> Option<OwnedFd> {
    if let Some(handle) = &namespace.handle {
        return handle.try_clone().ok();
    }
    let file = File::open(format!("/proc/{}/ns/mnt", namespace.pid?)).ok()?;
    (file.metadata().ok()?.ino() == namespace.inode).then(|| file.into())
}

/// What could not be detached inside goes when that goes on which it is mounted.
fn renew_mountpoints(reports: &mut [CopyReport], host: &Tree<'_, '_>, found: &Found) {
    let released: Vec<(u64, u32)> = reports
        .iter()
        .filter(|report| matches!(report.action, Action::Stuck | Action::Released))
        .map(|report| (report.namespace, report.copy.id))
        .collect();
    for report in reports.iter_mut().filter(|report| report.action == Action::Stuck) {
        let why = report.why.take().unwrap_or_default();
        // Two copies on one mountpoint: the second has nothing left to find.
        if is_gone(report, found) {
            report.settle(Action::Released, Some("it went with another copy on the same mountpoint"));
            continue;
        }
        match renewal::mountpoint(&report.copy, &released, host, found) {
            Ok(mountpoint) => renew(report, &mountpoint, &why, found),
            Err(refusal) => report.settle(Action::Stuck, Some(&format!("{why}; {refusal}"))),
        }
    }
}

fn renew(report: &mut CopyReport, mountpoint: &renewal::Mountpoint, why: &str, found: &Found) {
    let answer = in_namespace::in_child(LIMIT, |sender| renewal::renew(mountpoint, sender));
    let message = match answer {
        Ok(answer) => answer.messages.into_iter().next().unwrap_or_else(|| renewal::Message::Failed(answer.broken.unwrap_or_default())),
        Err(errno) => renewal::Message::Failed(format!("start a child: {errno:?}")),
    };
    let path = mountpoint.path.display();
    let done = format!("{why}, so another like it took the place of {path} on the host");
    match message {
        renewal::Message::Failed(refusal) => report.settle(Action::Stuck, Some(&format!("{why}; {refusal}"))),
        _ if !is_gone(report, found) => report.settle(Action::Stuck, Some(&format!("{done}, without effect"))),
        renewal::Message::Renewed => report.settle(Action::Released, Some(&done)),
    }
}

fn is_gone(report: &CopyReport, found: &Found) -> bool {
    let namespace = found.namespaces.iter().find(|namespace| namespace.inode == report.namespace);
    let Some(Ok(table)) = namespace.map(Namespace::table) else { return true };
    !lines(&table).iter().any(|line| line.id == report.copy.id && line.device == report.copy.device)
}

fn status(report: &Report) -> c_int {
    let has = |action| report.copies.iter().any(|copy| copy.action == action);
    if has(Action::Refused) || has(Action::Stuck) || report.freedom.busy.is_some() || !report.freedom.left.is_empty() {
        FAILED
    } else if has(Action::WouldRelease) {
        WOULD_CHANGE
    } else {
        IDLE
    }
}
