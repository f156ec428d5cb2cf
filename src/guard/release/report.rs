//! What `release` tells.

use super::freedom::Freedom;
use super::plan::Copy;
use crate::namespaces::Namespace;
use crate::open_files::OpenFile;
use crate::report::one_line;
use crate::workload::Workload;
use serde::Serialize;
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Released,
    WouldRelease,
    /// It must not be touched.
    Refused,
    /// It was tried, and it is still there.
    Stuck,
}

/// What became of one copy.
#[derive(Serialize)]
pub struct CopyReport {
    pub namespace: u64,
    pub pid: Option<i32>,
    workload: Option<Workload>,
    path: String,
    device: String,
    fs_type: String,
    source: String,
    /// How many mounts that were made inside it go along.
    inside: usize,
    pub action: Action,
    pub why: Option<String>,
    pub open: Vec<OpenFile>,
    #[serde(skip)]
    pub copy: Copy,
}

#[derive(Serialize)]
pub struct Report {
    pub path: String,
    pub copies: Vec<CopyReport>,
    #[serde(flatten)]
    pub freedom: Freedom,
    /// Why namespaces without a process were looked for among the mounted ones only.
    pub unlisted: Option<String>,
    /// Processes whose namespace must not be read.
    pub unreadable: usize,
}

impl CopyReport {
    pub fn of(namespace: &Namespace, workload: Option<Workload>, copy: Copy) -> CopyReport {
        CopyReport {
            namespace: namespace.inode,
            pid: namespace.pid,
            workload,
            path: copy.path.display().to_string(),
            device: format!("{}:{}", copy.device.0, copy.device.1),
            fs_type: copy.fs_type.clone(),
            source: copy.source.clone(),
            inside: copy.doomed.len().saturating_sub(1),
            action: Action::WouldRelease,
            why: None,
            open: Vec::new(),
            copy,
        }
    }

    pub fn settle(&mut self, action: Action, why: Option<&str>) {
        self.action = action;
        self.why = why.map(str::to_owned);
    }

    /// Why its open files speak against it.
    pub fn open_file(&self) -> Option<String> {
        let OpenFile { pid, command, how, path, .. } = self.open.first()?;
        let more = if self.open.len() > 1 { format!(" and {} more", self.open.len() - 1) } else { String::new() };
        Some(format!("files are open in it: {} by pid {pid} ({command}), {how}{more}; end that process, or use --force", path.display()))
    }

    fn line(&self) -> String {
        let action = match self.action {
            Action::Released => "released",
            Action::WouldRelease => "would release",
            Action::Refused => "refused",
            Action::Stuck => "stuck",
        };
        let inside = if self.inside > 0 { format!(" with {} mounts inside", self.inside) } else { String::new() };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{action:<13} {} in {}{inside}{why}", self.path, self.who())
    }

    fn who(&self) -> String {
        let Some(pid) = self.pid else { return format!("mount namespace {} without a process", self.namespace) };
        let known = self.workload.as_ref().and_then(|workload| workload.name.as_ref().or(workload.id.as_ref()));
        known.map_or_else(|| format!("pid {pid}"), |known| format!("{known} (pid {pid})"))
    }
}

impl Report {
    pub fn text(&self) -> String {
        let mut text = String::new();
        for copy in &self.copies {
            let _ = writeln!(text, "{}", one_line(&copy.line()));
        }
        if self.copies.is_empty() {
            let _ = writeln!(text, "nobody but the host holds {}", one_line(&self.path));
        }
        for line in self.freedom.lines() {
            let _ = writeln!(text, "{}", one_line(&line));
        }
        if self.unreadable > 0 {
            let _ = writeln!(text, "not looked at: the namespaces of {} processes (EACCES)", self.unreadable);
        }
        if let Some(errno) = &self.unlisted {
            let _ = writeln!(
                text,
                "not looked for: namespaces that only an open file keeps ({errno}; needs Linux 6.11, CAP_SYS_ADMIN and the host's pid namespace)"
            );
        }
        text
    }
}
