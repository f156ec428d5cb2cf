//! `guard holders`: who holds a mount.

use super::progress::Progress;
use super::target::{self, Wanted};
use super::{IDLE, Outcome, WOULD_CHANGE};
use crate::copies::{Reason, Target};
use crate::mountinfo::line::{Line, Propagation, Tree, lines};
use crate::namespaces::{self, Found, Namespace};
use crate::open_files::{self, OpenFile};
use crate::paths::lossy;
use crate::report::one_line;
use crate::workload::{self, Workload};
use anyhow::Context;
use clap::{ArgGroup, Args};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(group(ArgGroup::new("wanted").required(true)))]
pub struct Arguments {
    /// A mountpoint (before or after the host unmounted it) or a block device.
    #[arg(group = "wanted")]
    path: Option<PathBuf>,
    /// A network namespace by its name in /run/netns.
    #[arg(long, group = "wanted")]
    netns: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Everything that holds what was asked for.
#[derive(Serialize)]
pub struct Holders {
    #[serde(serialize_with = "lossy")]
    path: PathBuf,
    /// What was asked for is a block device.
    is_device: bool,
    /// Where the host itself has it mounted.
    host: Vec<Held>,
    #[serde(rename = "holders")]
    others: Vec<Holder>,
    /// Why namespaces without a process were looked for among the mounted ones only.
    unlisted: Option<String>,
    /// Processes whose namespace could not be read.
    unreadable: usize,
}

/// A namespace with copies.
#[derive(Serialize)]
pub struct Holder {
    /// Inode of the namespace, as `lsns` prints it.
    namespace: u64,
    /// `null`: no process is in it.
    pid: Option<i32>,
    workload: Option<Workload>,
    mounts: Vec<Held>,
}

/// One copy.
#[derive(Serialize)]
pub struct Held {
    /// As its namespace sees it.
    #[serde(serialize_with = "lossy")]
    path: PathBuf,
    device: String,
    fs_type: String,
    source: String,
    propagation: Propagation,
    reason: Reason,
    /// Its id in mountinfo.
    id: u32,
    open: Vec<OpenFile>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let path = match (&arguments.path, &arguments.netns) {
        (Some(path), _) => path.clone(),
        (None, Some(name)) => Path::new("/run/netns").join(name),
        (None, None) => anyhow::bail!("look for holders: EINVAL; name a path, a device or --netns NAME"),
    };
    let found = namespaces::find().context("read /proc")?;
    let holders = look(&path, &found)?;
    let status = if holders.others.is_empty() { IDLE } else { WOULD_CHANGE };
    let text = if arguments.json { format!("{}\n", serde_json::to_string_pretty(&holders)?) } else { holders.text() };
    Ok((text, status))
}

fn look(path: &Path, found: &Found) -> anyhow::Result<Holders> {
    let ours = std::fs::read("/proc/thread-self/mountinfo").context("read /proc/thread-self/mountinfo")?;
    let ours = lines(&ours);
    let host = Tree::of(&ours);
    let mut progress = Progress::of("reading", found.namespaces.len());
    progress.step(0, "mount tables");
    let Wanted { path, target, is_device } = target::of_path(path, &host)?;
    let mut others = Vec::new();
    for (index, namespace) in found.namespaces.iter().enumerate().filter(|(_, namespace)| !namespace.is_ours) {
        progress.step(index, "mount tables");
        others.extend(holder(namespace, &target));
    }
    progress.turn_to("asking about", others.len());
    progress.step(0, "holders");
    add_open_files(&mut others);
    let node = workload::Node::new();
    for (index, holder) in others.iter_mut().enumerate() {
        progress.step(index, "holders");
        holder.workload = holder.pid.map(|pid| node.of_process(pid));
    }
    Ok(Holders {
        host: target.copies(&host).into_iter().map(|(line, reason)| Held::of(line, reason)).collect(),
        path,
        is_device,
        others,
        unlisted: found.unlisted.map(|errno| format!("{errno:?}")),
        unreadable: found.unreadable,
    })
}

/// `None`: it holds nothing, or has ended meanwhile.
fn holder(namespace: &Namespace, target: &Target) -> Option<Holder> {
    let table = namespace.table().ok()?;
    let lines = lines(&table);
    let tree = Tree::of(&lines);
    let mounts: Vec<Held> = target.copies(&tree).into_iter().map(|(line, reason)| Held::of(line, reason)).collect();
    (!mounts.is_empty()).then_some(Holder { namespace: namespace.inode, pid: namespace.pid, workload: None, mounts })
}

/// One pass over all processes; a mount's id is that of no other mount of the node.
fn add_open_files(holders: &mut [Holder]) {
    let ids = holders.iter().map(|holder| (holder.namespace, holder.mounts.iter().map(|held| held.id).collect()));
    let open = open_files::of_namespaces(&ids.collect());
    for file in open {
        let held = holders.iter_mut().flat_map(|holder| &mut holder.mounts).find(|held| held.id == file.mount_id);
        if let Some(held) = held {
            held.open.push(file);
        }
    }
}

impl Held {
    fn of(line: &Line<'_>, reason: Reason) -> Held {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Held {
            path: line.path().to_owned(),
            device: format!("{}:{}", line.device.0, line.device.1),
            fs_type: text(&line.fs_type),
            source: text(&line.source),
            propagation: line.propagation(),
            reason,
            id: line.id,
            open: Vec::new(),
        }
    }

    /// What becomes of the copy when the host unmounts.
    fn fate(&self) -> &'static str {
        match self.propagation {
            Propagation::Private | Propagation::Unbindable => "private",
            Propagation::Slave => "slave",
            Propagation::Shared => "shared",
            Propagation::SharedSlave => "shared, slave",
        }
    }
}

impl Holders {
    fn text(&self) -> String {
        let mut text = String::new();
        for held in &self.host {
            let _ = writeln!(text, "the host has it mounted at {}: {} {} ({})", shown(&held.path), held.fs_type, one_line(&held.source), held.device);
        }
        if self.host.is_empty() {
            let what = if self.is_device { "nothing of this device mounted" } else { "nothing mounted there" };
            let _ = writeln!(text, "{}: the host has {what}", shown(&self.path));
        }
        for holder in &self.others {
            holder.write_text(&mut text);
        }
        let _ = match self.others.len() {
            0 => writeln!(text, "nobody else holds it"),
            1 => writeln!(text, "1 holder"),
            count => writeln!(text, "{count} holders"),
        };
        if let Some(errno) = &self.unlisted {
            let _ = writeln!(
                text,
                "not looked for: namespaces that only an open file keeps ({errno}; needs Linux 6.11, CAP_SYS_ADMIN and the host's pid namespace)"
            );
        }
        if self.unreadable > 0 {
            let _ = writeln!(text, "not looked at: the namespaces of {} processes (EACCES; run as root)", self.unreadable);
        }
        text
    }
}

impl Holder {
    fn write_text(&self, text: &mut String) {
        let _ = writeln!(text, "{}", one_line(&self.who()));
        for held in &self.mounts {
            let _ = writeln!(text, "    {:13} {}", held.fate(), shown(&held.path));
            for file in &held.open {
                let line = format!("open by pid {} ({}), {}: {}", file.pid, file.command, file.how, file.path.display());
                let _ = writeln!(text, "        {}", one_line(&line));
            }
        }
    }

    /// `container 3f4a… web-0/nginx (containerd), pid 4711`
    fn who(&self) -> String {
        let (Some(workload), Some(pid)) = (&self.workload, self.pid) else {
            return format!("mount namespace {} without a process", self.namespace);
        };
        let kind = match workload.kind {
            workload::Kind::Container => "container",
            workload::Kind::Service => "service",
            workload::Kind::Process => "process",
        };
        let id = workload.id.as_deref().map(|id| format!(" {}", id.get(..12).filter(|_| is_hex(id)).unwrap_or(id))).unwrap_or_default();
        let name = workload.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        let engine = workload.engine.as_deref().map(|engine| format!(" ({engine})")).unwrap_or_default();
        format!("{kind}{id}{name}{engine}, pid {pid} {}", workload.command)
    }
}

fn is_hex(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string())
}
