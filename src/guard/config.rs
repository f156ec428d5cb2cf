//! `guard config`: the settings in force.

use super::{FAILED, IDLE, Outcome};
use crate::config::{Origin, SETTINGS, Setting, Settings};
use crate::settings_files;
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Write;

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a str,
    /// Strings, lists and booleans are written alike in TOML and JSON.
    value: Box<RawValue>,
    /// `FILE:LINE`, or `default`.
    origin: String,
}

#[derive(Serialize)]
struct Report<'a> {
    settings: Vec<Entry<'a>>,
    problems: Vec<String>,
}

pub(super) fn run(json: bool) -> Outcome {
    let settings = settings_files::read();
    let report = report(&settings)?;
    let status = if report.problems.is_empty() { IDLE } else { FAILED };
    Ok((if json { serde_json::to_string(&report)? + "\n" } else { text(&report)? }, status))
}

fn report(settings: &Settings) -> serde_json::Result<Report<'_>> {
    let place = |origin: &Origin| format!("{}:{}", origin.file.display(), origin.line);
    let origin = |key: &str| settings.origins.iter().rev().find(|origin| origin.key == key).map_or("default".to_owned(), place);
    let entry = |setting: &Setting| {
        let value = RawValue::from_string((setting.show)(&settings.config))?;
        Ok(Entry { key: setting.key, value, origin: origin(setting.key) })
    };
    let entries = SETTINGS.iter().map(entry).collect::<serde_json::Result<_>>()?;
    Ok(Report { settings: entries, problems: settings.problems.iter().map(ToString::to_string).collect() })
}

fn text(report: &Report<'_>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for Entry { key, value, origin } in &report.settings {
        writeln!(text, "{key} = {value}    # {origin}")?;
    }
    for problem in &report.problems {
        writeln!(text, "# problem: {problem}")?;
    }
    Ok(text)
}
