//! `guard doctor`: is this node set up right?
//!
//! Each part first looks, which yields plain data, and then judges: its `findings` computes from that data alone.

mod criu;
mod engines;
mod kernel_features;
mod logged;
mod ourselves;
mod real_runtime;
mod roots;
mod settings;

use super::{IDLE, Outcome, WOULD_CHANGE};
use crate::report::{json_line, one_line};
use crate::{runtime, settings_files};
use serde::Serialize;
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Problem,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        }
    }
}

/// What is to be said about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    subject: String,
    text: String,
    /// What to do.
    advice: Option<String>,
}

impl Finding {
    fn ok(subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, subject: subject.into(), text: text.into(), advice: None }
    }

    fn warning(subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { level: Level::Warning, ..Finding::ok(subject, text) }
    }

    fn problem(subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { level: Level::Problem, ..Finding::ok(subject, text) }
    }

    fn advise(self, advice: impl Into<String>) -> Finding {
        Finding { advice: Some(advice.into()), ..self }
    }
}

pub fn run(json: bool) -> Outcome {
    let findings = look();
    let status = if worst(&findings) == Level::Problem { WOULD_CHANGE } else { IDLE };
    Ok((if json { as_json(&findings) } else { as_text(&findings)? }, status))
}

/// In the order in which things depend on each other.
fn look() -> Vec<Finding> {
    let settings = settings_files::read();
    let found = runtime::find(&settings.config);
    let ourselves = ourselves::look();
    let runtime = real_runtime::look(&settings.config, found);
    let criu = criu::look(&runtime);
    [
        ourselves::findings(&ourselves),
        settings::findings(&settings::look(&settings)),
        logged::findings(&logged::look(&settings.config.log)),
        real_runtime::findings(&runtime),
        engines::findings(&engines::look(ourselves.path.as_deref(), &runtime.stand_ins)),
        roots::findings(&roots::look(&settings.config)),
        criu::findings(&criu),
        kernel_features::findings(&kernel_features::look()),
    ]
    .concat()
}

fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

#[derive(Serialize)]
struct Report<'a> {
    findings: &'a [Finding],
    ok: usize,
    warnings: usize,
    problems: usize,
    /// The worst level.
    status: Level,
}

fn as_json(findings: &[Finding]) -> String {
    let number = |level| count(findings, level);
    let (ok, warnings, problems) = (number(Level::Ok), number(Level::Warning), number(Level::Problem));
    String::from_utf8_lossy(&json_line(&Report { findings, ok, warnings, problems, status: worst(findings) })).into_owned()
}

fn as_text(findings: &[Finding]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for Finding { level, subject, text: what, advice } in findings {
        let advice = advice.as_ref().map_or(String::new(), |advice| format!("; {advice}"));
        writeln!(text, "{:<8} {}", level.word(), one_line(&format!("{subject}: {what}{advice}")))?;
    }
    let counted = |level, one: &str| match count(findings, level) {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    };
    writeln!(text, "{} ok, {}, {}", count(findings, Level::Ok), counted(Level::Warning, "warning"), counted(Level::Problem, "problem"))?;
    Ok(text)
}

#[cfg(test)]
mod tests;
