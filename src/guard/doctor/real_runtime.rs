//! The real runtime, and what stands between it and us.

use super::Finding;
use crate::config::Config;
use crate::guard::child::{Answer, ask, short};
use crate::invocation::Flavour;
use crate::report::Failure;
use crate::runtime::{self, Runtime};
use crate::settings_files::replaceable_by;
use std::path::{Path, PathBuf};

pub struct Facts {
    /// Or the words of the error that a container would get.
    pub found: Result<Found, String>,
    /// Programs in PATH that are called as a runtime and are runc-guard.
    pub stand_ins: Vec<PathBuf>,
}

pub struct Found {
    pub path: PathBuf,
    /// What its calls are taken for.
    pub flavour: Flavour,
    /// What its file name says.
    named: Flavour,
    is_script: bool,
    replaceable_by: Option<PathBuf>,
    is_strict: bool,
    refused: Vec<String>,
    /// To `--version`; `None`: not asked, because what others can write is not for doctor to execute.
    pub version: Option<Answer>,
}

const NAMES: [&str; 3] = ["runc", "crun", "youki"];
const SECONDS: u64 = 5;

pub fn look(config: &Config, found: Result<Runtime, Failure>) -> Facts {
    let by_name = |name: &&str| runtime::candidates(name).find(|path| runtime::is_ourselves(path));
    Facts {
        found: found.map(|runtime| look_at(runtime, config.strict)).map_err(|failure| failure.message().to_owned()),
        stand_ins: NAMES.iter().filter_map(by_name).collect(),
    }
}

fn look_at(runtime: Runtime, is_strict: bool) -> Found {
    let Runtime { path, flavour, is_script, writable_by_others, refused, .. } = runtime;
    let replaceable_by = if writable_by_others { Some(path.clone()) } else { replaceable_by(&path) };
    let version = replaceable_by.is_none().then(|| ask(&path, &["--version"], SECONDS));
    let named = path.file_name().map_or(Flavour::Unknown, Flavour::of_file_name);
    Found { path, flavour, named, is_script, replaceable_by, is_strict, refused, version }
}

/// The runtime that a program says it is, or that it says it leads to (some wrappers print a version of their own first).
pub fn end_of_chain(version: &str) -> Option<(Flavour, String)> {
    let of_line = |line: &str| {
        let (name, rest) = line.trim().split_once(' ')?;
        let number = rest.strip_prefix("version ").or_else(|| rest.strip_prefix("version: "))?;
        let flavour = Flavour::of_file_name(name.as_ref());
        (NAMES.contains(&name) && !number.is_empty()).then(|| (flavour, short(number)))
    };
    version.lines().find_map(of_line)
}

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = match &facts.found {
        Ok(found) => of_runtime(found),
        Err(why) => vec![Finding::problem("runtime", why.strip_prefix("runc-guard: ").unwrap_or(why))],
    };
    let in_place = |path: &PathBuf| Finding::ok("runtime", format!("{} is runc-guard, in place of the runtime of that name", path.display()));
    findings.extend(facts.stand_ins.iter().map(in_place));
    findings
}

fn of_runtime(found: &Found) -> Vec<Finding> {
    let path = found.path.display();
    let mut findings = vec![answer(found)];
    if let Some(by) = &found.replaceable_by {
        let so = if found.is_strict { " (strict = true refuses create, run and restore for less)" } else { "" };
        let text = format!("others than root can change {}, and with it what root executes{so}", by.display());
        findings.push(Finding::problem("runtime", text).advise(format!("run `chown root: {0}` and `chmod go-w {0}`", by.display())));
    }
    if found.is_script || found.named == Flavour::Unknown {
        let what = if found.is_script { "a script" } else { "no runtime's name" };
        let said = found.version.as_ref().and_then(Answer::text).and_then(end_of_chain);
        let end = said.map_or("what is at its end is not known".to_owned(), |(flavour, number)| format!("at its end is {} {number}", flavour.name()));
        findings.push(Finding::ok("runtime", format!("another wrapper in the chain: {path} ({what}); {end}")));
    }
    let odd: Vec<&str> = found.refused.iter().map(String::as_str).filter(|why| !is_usual(why)).collect();
    if !odd.is_empty() {
        findings
            .push(Finding::warning("runtime", format!("passed over: {}", odd.join("; "))).advise("mend them, or name the one to use in runtimes"));
    }
    findings
}

/// Half of the default names is missing on nearly every node, and we may stand in the runtime's place.
fn is_usual(refused: &str) -> bool {
    refused.ends_with(": not in PATH") || refused.ends_with(": runc-guard itself")
}

/// The finding about the runtime itself: what its answer says, against what its calls are taken for.
fn answer(found: &Found) -> Finding {
    let path = found.path.display();
    let taken = found.flavour;
    let Some(answer) = &found.version else {
        return Finding::warning("runtime", format!("{path} ({}), not asked for its version, because others can change it", taken.name()));
    };
    if let Some(why) = answer.failure() {
        return Finding::problem("runtime", format!("`{path} --version` {why}")).advise("install a working runtime, or name another in runtimes");
    }
    let end = answer.text().and_then(end_of_chain);
    match end {
        _ if taken == Flavour::Unknown => {
            let is = end.map_or("\"runc\" or \"crun\", whichever it leads to".to_owned(), |(flavour, _)| format!("\"{}\"", flavour.name()));
            let text = format!("{path} is of unknown flavour, so every call passes through and nothing is mended");
            Finding::problem("runtime", text).advise(format!("set flavour to {is}"))
        }
        Some((is, number)) if is == taken => Finding::ok("runtime", format!("{path}, {} {number}", is.name())),
        Some((is, number)) => {
            let text = format!("{path} is taken for {}, but says it is {} {number}: its calls are misread", taken.name(), is.name());
            Finding::problem("runtime", text).advise(format!("set flavour to \"{}\"", is.name()))
        }
        None => {
            let said = short(answer.text().and_then(|text| text.lines().next()).unwrap_or_default().trim());
            Finding::warning("runtime", format!("{path} is taken for {}, but its --version names no runtime: {said:?}", taken.name()))
                .advise("see whether that is so, and set flavour")
        }
    }
}

/// The runtime asked something more, if it may be executed.
pub fn program(facts: &Facts) -> Option<(&Path, Flavour)> {
    let found = facts.found.as_ref().ok()?;
    let text = found.version.as_ref().and_then(Answer::text);
    let flavour = text.and_then(end_of_chain).map_or(found.flavour, |(flavour, _)| flavour);
    Some((&found.path, flavour))
}

#[cfg(test)]
mod tests;
