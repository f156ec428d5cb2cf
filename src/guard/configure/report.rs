//! What `guard configure` says it did, for people and for scripts.

use super::change::Step;
use super::file::copy_path;
use super::settings::NAME;
use crate::guard::engine::Engine;
use crate::report::one_line;
use serde::Serialize;
use similar::TextDiff;
use std::path::Path;

/// Names the runtime in Kubernetes.
const RUNTIME_CLASS: &str = "apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata:
  name: runc-guard
handler: runc-guard
";

#[derive(Serialize)]
pub struct Report {
    engine: &'static str,
    remove: bool,
    dry_run: bool,
    pub changed: bool,
    files: Vec<Change>,
    /// What makes the engine read its settings.
    restart: Option<&'static str>,
    runtime_class: Option<&'static str>,
    notes: Vec<String>,
}

/// One file.
#[derive(Serialize)]
pub struct Change {
    file: String,
    /// `none`, `created`, `edited`, `restored` or `deleted`.
    #[serde(rename = "change")]
    done: &'static str,
    /// Where the former content is kept.
    copy: Option<String>,
    diff: String,
    /// Whether the file, as it is afterwards, makes runc-guard the default.
    is_default: bool,
}

impl Change {
    pub fn new(path: &Path, step: &Step, before: Option<&str>, after: Option<&str>, is_default: bool) -> Change {
        let file = path.display().to_string();
        let done = match step {
            Step::Nothing => "none",
            Step::Write { .. } if before.is_none() => "created",
            Step::Write { .. } | Step::TakeOut { .. } => "edited",
            Step::Restore { .. } => "restored",
            Step::Delete => "deleted",
        };
        let copy = matches!(step, Step::Write { keep_copy: true, .. }).then(|| copy_path(path).display().to_string());
        let header = |text: Option<&str>| if text.is_some() { file.clone() } else { "/dev/null".to_owned() };
        let diff = TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default());
        let diff = diff.unified_diff().header(&header(before), &header(after)).to_string();
        Change { file, done, copy, diff, is_default }
    }
}

impl Report {
    pub fn new(engine: Engine, remove: bool, dry_run: bool, files: Vec<Change>, notes: Vec<String>) -> Report {
        let changed = files.iter().any(|file| file.done != "none");
        let is_default = files.iter().any(|file| file.is_default);
        Report {
            engine: engine.name(),
            remove,
            dry_run,
            changed,
            files,
            restart: engine.restart_command().filter(|_| changed),
            runtime_class: (engine.serves_kubernetes() && !remove && !is_default).then_some(RUNTIME_CLASS),
            notes,
        }
    }

    /// For people. A dry run has the diff on stdout and nothing beside it, so that it can be applied.
    pub fn text(&self) -> String {
        if self.dry_run && self.changed {
            return self.files.iter().map(|file| file.diff.as_str()).collect();
        }
        let mut lines: Vec<String> = self.files.iter().filter(|file| file.done != "none").map(Change::line).collect();
        if !self.changed {
            let files = self.files.iter().map(|file| file.file.as_str()).collect::<Vec<_>>().join(" and ");
            let state = if self.remove { "does not name" } else { "already has" };
            lines.push(format!("nothing to do: {files} {state} {NAME}"));
        }
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        if let Some(command) = self.restart {
            lines.push(format!("now run: {command}"));
        } else if self.changed {
            lines.push(format!("{} reads it at its next call", self.engine));
        }
        let mut text = lines.iter().map(|line| one_line(line) + "\n").collect::<String>();
        if let Some(manifest) = self.runtime_class.filter(|_| self.changed) {
            text += "for pods that ask for it (runtimeClassName: runc-guard), kubectl apply -f - <<'END'\n";
            text += manifest;
            text += "END\n";
        }
        text
    }
}

impl Change {
    fn line(&self) -> String {
        let copy = self.copy.as_ref().map(|copy| format!(" (as it was: {copy})"));
        format!("{} {}{}", self.done, self.file, copy.unwrap_or_default())
    }
}
