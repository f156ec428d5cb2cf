//! CRIU: whether a checkpoint and a restore can work at all.

use super::Finding;
use super::real_runtime;
use crate::guard::child::{Answer, ask, last_line, short};
use crate::invocation::Flavour;
use crate::runtime;
use crate::settings_files::replaceable_by;
use std::path::{Path, PathBuf};

#[derive(Clone)]
pub struct Facts {
    /// Where it is, and what it said.
    criu: Option<(PathBuf, Said)>,
    is_root: bool,
    /// The flavour of the runtime, and what it said of itself.
    runtime: Option<(Flavour, String)>,
    /// crun opens it when it is asked for a checkpoint. `None`: not found where libraries usually are.
    library: Option<PathBuf>,
    /// The file among those CRIU reads for this runtime that lets slave mounts be dumped.
    dumps_slaves: Option<PathBuf>,
}

#[derive(Clone)]
enum Said {
    /// Others can change it, so it was not executed.
    NotAsked(PathBuf),
    Version(Answer),
    /// The second is the answer to `criu check`.
    Checked(Answer, Answer),
}

const SECONDS: u64 = 5;
const CHECK_SECONDS: u64 = 10;
const USUAL_DIRECTORIES: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
const LIBRARY: &str = "libcriu.so.2";
const LIBRARY_DIRECTORIES: [&str; 5] = ["/usr/lib", "/usr/lib64", "/lib64", "/usr/local/lib", "/usr/local/lib64"];
/// What lets CRIU treat the host mounts below a slave bind as external.
const SLAVES: &str = "mnt[]:ms";

pub fn look(runtime: &real_runtime::Facts) -> Facts {
    let is_root = nix::unistd::geteuid().is_root();
    let usual = || USUAL_DIRECTORIES.iter().map(|directory| Path::new(directory).join("criu")).find(|path| path.is_file());
    let path = runtime::candidates("criu").next().or_else(usual);
    let said = real_runtime::program(runtime).map(|(_, flavour)| {
        let version = runtime.found.as_ref().ok().and_then(|found| found.version.as_ref()?.text().map(ToOwned::to_owned));
        (flavour, version.unwrap_or_default())
    });
    let flavour = said.as_ref().map_or(Flavour::Unknown, |(flavour, _)| *flavour);
    Facts {
        criu: path.map(|path| (path.clone(), interrogate(&path, is_root))),
        is_root,
        library: library(),
        dumps_slaves: settings_of(flavour).into_iter().find(|file| std::fs::read_to_string(file).is_ok_and(|text| allows_slaves(&text))),
        runtime: said,
    }
}

/// What hangs at its version is not asked any further.
fn interrogate(path: &Path, is_root: bool) -> Said {
    if let Some(by) = replaceable_by(path) {
        return Said::NotAsked(by);
    }
    let version = ask(path, &["--version"], SECONDS);
    if !is_root || version.text().is_none() {
        return Said::Version(version);
    }
    Said::Checked(version, ask(path, &["check"], CHECK_SECONDS))
}

/// Multi-arch systems have one more directory.
fn library() -> Option<PathBuf> {
    let below = |directory: &str| std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path().join(LIBRARY));
    let direct = LIBRARY_DIRECTORIES.iter().map(|directory| Path::new(directory).join(LIBRARY));
    direct.chain(below("/usr/lib")).find(|path| path.is_file())
}

/// runc and crun each bring a file of their own.
fn settings_of(flavour: Flavour) -> [PathBuf; 2] {
    ["default", flavour.name()].map(|name| Path::new("/etc/criu").join(format!("{name}.conf")))
}

/// Of a settings file of CRIU: `external mnt[]:ms`, on a line that is no comment.
fn allows_slaves(text: &str) -> bool {
    let words =
        |line: &str| line.split('#').next().unwrap_or_default().replace(['=', '"'], " ").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    text.lines().map(words).any(|words| matches!(words.as_slice(), [key, value, ..] if key == "external" && value == SLAVES))
}

/// `Version: 4.1.1`.
fn number(text: &str) -> Option<(u32, u32)> {
    let version = text.lines().find_map(|line| line.strip_prefix("Version: "))?;
    let mut parts = version.trim().split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or(0)))
}

/// The least version the runtimes accept: runc `criu_linux.go`, crun `criu.c`.
fn least(flavour: Flavour) -> (u32, u32) {
    if flavour == Flavour::Crun { (3, 15) } else { (3, 0) }
}

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = of_runtime(facts);
    let Some((path, said)) = &facts.criu else {
        let text = "not found in PATH: no checkpoint and no restore can work";
        findings.push(Finding::warning("criu", text).advise("install criu, or ignore this on a node without checkpoints"));
        return findings;
    };
    match said {
        Said::NotAsked(by) => {
            let text = format!("others than root can change {}, and with it what root executes; it was not asked for its version", by.display());
            findings.push(Finding::problem("criu", text).advise(format!("run `chown root: {0}` and `chmod go-w {0}`", by.display())));
        }
        Said::Version(version) => findings.push(of_version(facts, path, version)),
        Said::Checked(version, check) => findings.extend([of_version(facts, path, version), of_check(check)]),
    }
    if !facts.is_root {
        findings.push(Finding::warning("criu check", "only root can ask it").advise("run it as root"));
    }
    findings.push(of_slaves(facts));
    findings
}

/// What the runtime itself brings for a restore.
fn of_runtime(facts: &Facts) -> Vec<Finding> {
    let text = match &facts.runtime {
        Some((Flavour::Youki, _)) => "youki has no restore; runc and crun do".to_owned(),
        Some((Flavour::Crun, said)) if !said.is_empty() && !said.contains("+CRIU") => "this crun is built without CRIU".to_owned(),
        Some((Flavour::Crun, said)) if !said.is_empty() && facts.library.is_none() => {
            format!("crun needs {LIBRARY}, which is not where libraries usually are: its checkpoint and restore fail without it")
        }
        _ => return Vec::new(),
    };
    vec![Finding::warning("restore", text)]
}

fn of_version(facts: &Facts, path: &Path, version: &Answer) -> Finding {
    let path = path.display();
    if let Some(why) = version.failure() {
        return Finding::warning("criu", format!("`{path} --version` {why}")).advise("reinstall criu");
    }
    let said = version.text().unwrap_or_default();
    let Some(has) = number(said) else {
        return Finding::warning("criu", format!("`{path} --version` names no version: {:?}", short(last_line(said))));
    };
    let flavour = facts.runtime.as_ref().map_or(Flavour::Unknown, |(flavour, _)| *flavour);
    let shown = said.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap_or_default().trim();
    let needs = least(flavour);
    if has < needs {
        let text = format!("{path}, version {}: {} needs {}.{}", short(shown), flavour.name(), needs.0, needs.1);
        return Finding::warning("criu", text).advise("install a newer one");
    }
    Finding::ok("criu", format!("{path}, version {}", short(shown)))
}

fn of_check(check: &Answer) -> Finding {
    match check.failure() {
        Some(why) => Finding::warning("criu check", why).advise("read all of what `criu check` says; checkpoint and restore may fail"),
        None => Finding::ok("criu check", short(last_line(check.text().unwrap_or_default()))),
    }
}

fn of_slaves(facts: &Facts) -> Finding {
    const SUBJECT: &str = "criu settings";
    match &facts.dumps_slaves {
        Some(file) => {
            let unless = if file.ends_with("crun.conf") { ", if this crun reads it (1.21 does not)" } else { "" };
            Finding::ok(SUBJECT, format!("{}: host mounts below a slave bind can be dumped{unless}", file.display()))
        }
        None => Finding::ok(SUBJECT, "a container with host mounts below a slave bind cannot be dumped")
            .advise(format!("where that is wanted, write `external {SLAVES}` to /etc/criu/default.conf")),
    }
}

#[cfg(test)]
mod tests;
