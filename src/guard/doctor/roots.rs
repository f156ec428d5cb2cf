//! The protected roots: which are there, and whether an unmount below them is propagated.

use super::Finding;
use crate::config::Config;
use crate::deadline;
use crate::kernel;
use crate::mountinfo;
use nix::errno::Errno;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub struct Facts {
    roots: Vec<Root>,
    /// `rules.slave-protected-binds`.
    is_enabled: bool,
}

struct Root {
    /// As the settings spell it.
    path: PathBuf,
    /// A root that the operator named counts also when it does not exist.
    is_default: bool,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Missing,
    /// A dead mount.
    NoAnswer,
    Refused(Errno),
    Is(Place),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    resolved: PathBuf,
    is_directory: bool,
    /// `None`: the kernel does not tell.
    is_mountpoint: Option<bool>,
    /// Whether the mount that holds it is shared. `None`: not to be found out.
    is_shared: Option<bool>,
}

/// For each root: a dead network file system is found out and not waited for.
const LIMIT: Duration = Duration::from_secs(2);

pub fn look(config: &Config) -> Facts {
    let root = |path: &PathBuf, is_default: bool| {
        let asked = path.clone();
        Root { path: path.clone(), is_default, state: deadline::within(LIMIT, move || state(&asked)).unwrap_or(State::NoAnswer) }
    };
    let listed = config.protected_roots.iter().map(|path| root(path, config.default_roots));
    let roots = listed.chain(config.extra_protected_roots.iter().map(|path| root(path, false))).collect();
    Facts { roots, is_enabled: config.rule("slave-protected-binds").enabled }
}

fn state(path: &Path) -> State {
    let facts = match kernel::stat(path) {
        Ok(facts) => facts,
        Err(Errno::ENOENT) => return State::Missing,
        Err(errno) => return State::Refused(errno),
    };
    #[allow(clippy::disallowed_methods)] // for comparison and display
    let Ok(resolved) = std::fs::canonicalize(path) else { return State::Missing };
    let asked = facts.mount.filter(|mount| mount.unique).and_then(|mount| kernel::is_shared_mount(mount.id).ok());
    let is_shared = asked.or_else(|| {
        let table = std::fs::read("/proc/self/mountinfo").ok()?;
        Some(mountinfo::holder(&mountinfo::parse(&table), &resolved)?.shared)
    });
    State::Is(Place { resolved, is_directory: facts.is_dir, is_mountpoint: facts.is_mountpoint, is_shared })
}

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts.roots.iter().filter_map(of_root).collect();
    let exists = |root: &Root| !(root.is_default && root.state == State::Missing);
    if !facts.is_enabled {
        return Vec::new();
    }
    if facts.roots.is_empty() {
        findings.push(Finding::warning("roots", "none are set, so no mount is protected").advise("set protected_roots"));
    } else if !facts.roots.iter().any(exists) {
        let text = "none of the default ones exists, so no mount is protected";
        findings.push(Finding::warning("roots", text).advise("set protected_roots, or start the engine once"));
    }
    findings
}

/// Of the default roots most are missing on any one node: nothing to say.
fn of_root(root: &Root) -> Option<Finding> {
    let subject = format!("root {}", root.path.display());
    match &root.state {
        State::Missing if root.is_default => None,
        State::Missing => Some(Finding::warning(subject, "does not exist; it counts as it is spelt").advise("correct the settings, or create it")),
        State::NoAnswer => {
            Some(Finding::problem(subject, "gives no answer in 2 s").advise("unmount it with `umount --lazy`, or bring its server back"))
        }
        State::Refused(errno) => Some(Finding::warning(subject, format!("cannot be looked at: {errno:?}"))),
        State::Is(place) => Some(of_place(subject, root, place)),
    }
}

fn of_place(subject: String, root: &Root, place: &Place) -> Finding {
    let mut text = match place.is_mountpoint {
        Some(true) => "a mount of its own".to_owned(),
        _ if place.is_directory => "a directory".to_owned(),
        _ => return Finding::warning(subject, "no directory, so nothing can be mounted below it").advise("correct protected_roots"),
    };
    if place.resolved != root.path {
        text = format!("{text} at {}", place.resolved.display());
    }
    let is_own = place.is_mountpoint == Some(true);
    match place.is_shared {
        Some(true) => Finding::ok(subject, text + if is_own { ", shared" } else { ", on a shared mount" }),
        Some(false) => {
            let which = if is_own { "and private" } else { "on a private mount" };
            let at = if is_own { place.resolved.display().to_string() } else { "/".to_owned() };
            Finding::warning(subject, format!("{text} {which}: no unmount below it reaches a container"))
                .advise(format!("run `mount --make-rshared {at}`, at every boot and before the engine starts"))
        }
        None => Finding::warning(subject, format!("{text}; whether its mount is shared is not to be found out")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    const HEALTHY: Place = Place { resolved: PathBuf::new(), is_directory: true, is_mountpoint: Some(false), is_shared: Some(true) };

    fn root(is_default: bool, state: State) -> Root {
        Root { path: "/var/lib/kubelet".into(), is_default, state }
    }

    fn at(resolved: &str, place: &Place) -> State {
        State::Is(Place { resolved: resolved.into(), ..place.clone() })
    }

    fn one(root: Root) -> (Level, String) {
        let all = findings(&Facts { roots: vec![root], is_enabled: true });
        assert_eq!(all.len(), 1, "{all:?}");
        (all[0].level, format!("{}; {}", all[0].text, all[0].advice.clone().unwrap_or_default()))
    }

    #[test]
    fn a_root_on_a_shared_mount_is_ok_and_on_a_private_one_is_not() {
        let place = |place: Place| root(true, at("/var/lib/kubelet", &place));
        assert_eq!(one(place(HEALTHY)), (Level::Ok, "a directory, on a shared mount; ".to_owned()));
        let own = Place { is_mountpoint: Some(true), ..HEALTHY };
        assert_eq!(one(place(own.clone())), (Level::Ok, "a mount of its own, shared; ".to_owned()));
        let (level, text) = one(place(Place { is_shared: Some(false), ..HEALTHY }));
        assert!(level == Level::Warning && text.contains("mount --make-rshared /`"), "{text}");
        let (level, text) = one(place(Place { is_shared: Some(false), ..own }));
        assert!(level == Level::Warning && text.contains("mount --make-rshared /var/lib/kubelet`"), "{text}");
        let (level, text) = one(place(Place { is_shared: None, ..HEALTHY }));
        assert!(level == Level::Warning && text.contains("not to be found out"), "{text}");
    }

    #[test]
    fn a_symlink_is_told_with_where_it_leads() {
        assert_eq!(one(root(true, at("/data/kubelet", &HEALTHY))), (Level::Ok, "a directory at /data/kubelet, on a shared mount; ".to_owned()));
    }

    #[test]
    fn a_dead_root_is_a_problem_and_a_missing_one_of_the_operators_a_warning() {
        assert_eq!(one(root(true, State::NoAnswer)).0, Level::Problem);
        assert_eq!(one(root(false, State::Missing)).0, Level::Warning);
        assert!(one(root(true, State::Missing)).1.contains("none of the default ones"));
        assert!(one(root(true, State::Refused(Errno::EACCES))).1.contains("EACCES"));
        assert_eq!(one(root(true, at("/x", &Place { is_directory: false, ..HEALTHY }))).0, Level::Warning);
    }

    #[test]
    fn missing_default_roots_are_silent_beside_one_that_exists() {
        let roots = vec![root(true, State::Missing), root(true, at("/var/lib/kubelet", &HEALTHY))];
        assert_eq!(findings(&Facts { roots, is_enabled: true }).len(), 1);
        assert!(findings(&Facts { roots: Vec::new(), is_enabled: true })[0].text.contains("none are set"));
    }

    #[test]
    fn the_root_directory_is_there() {
        let State::Is(place) = state(Path::new("/")) else { panic!() };
        assert!(place.is_directory && place.is_mountpoint != Some(false) && place.resolved == Path::new("/"));
        assert_eq!(state(Path::new("/nonexistent")), State::Missing);
    }
}
