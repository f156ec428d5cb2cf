//! runc-guard itself: which program this is, who can change it, and with what rights it was started here.

use super::Finding;
use crate::kernel;
use crate::runtime::CHAIN;
use crate::settings_files::replaceable_by;
use caps::{CapSet, Capability};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub struct Facts {
    /// `None`: not to be found out.
    pub path: Option<PathBuf>,
    /// The file or the directory above it by which others can put another program here.
    replaceable_by: Option<PathBuf>,
    mode: u32,
    has_file_capabilities: bool,
    uid: u32,
    /// `None`: not to be found out.
    missing: Option<Vec<Capability>>,
    is_in_chain: bool,
    is_proc_there: bool,
    /// The mount namespace is not that of the process 1. `None`: not to be told.
    has_own_mounts: Option<bool>,
}

/// What create and restore need, with what each is for.
const NEEDED: [(Capability, &str); 6] = [
    (Capability::CAP_SYS_ADMIN, "the runtime and CRIU mount, and a restore looks beneath mounts"),
    (Capability::CAP_DAC_OVERRIDE, "bundles and bind sources belong to other users"),
    (Capability::CAP_CHOWN, "config.json keeps its owner"),
    (Capability::CAP_FOWNER, "config.json keeps its mode"),
    (Capability::CAP_SETUID, "mountpoints belong to the container's root"),
    (Capability::CAP_SETGID, "mountpoints belong to the container's root group"),
];

pub fn look() -> Facts {
    let executed = || std::path::absolute(OsStr::from_bytes(kernel::executed_path()?.to_bytes())).ok();
    let path = std::env::current_exe().ok().or_else(executed);
    let mode = path.as_ref().and_then(|path| std::fs::metadata(path).ok()).map_or(0, |metadata| metadata.mode());
    let effective = caps::read(None, CapSet::Effective).ok();
    let missing =
        |effective: caps::CapsHashSet| NEEDED.iter().map(|(capability, _)| *capability).filter(|needed| !effective.contains(needed)).collect();
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    Facts {
        replaceable_by: path.as_deref().and_then(replaceable_by),
        has_file_capabilities: path.as_ref().is_some_and(|path| matches!(xattr::get(path, "security.capability"), Ok(Some(_)))),
        mode,
        uid: nix::unistd::geteuid().as_raw(),
        missing: effective.map(missing),
        is_in_chain: std::env::var_os(CHAIN).is_some(),
        is_proc_there: Path::new("/proc/self").exists(),
        has_own_mounts: namespace("self").and_then(|own| Some(own != namespace("1")?)),
        path,
    }
}

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![program(facts)];
    if facts.mode & 0o6000 != 0 || facts.has_file_capabilities {
        let what = if facts.has_file_capabilities { "has file capabilities" } else { "is setuid or setgid" };
        let text = format!("{what}, and refuses to run with more rights than its caller has");
        findings.push(Finding::problem("runc-guard", text).advise("remove them with `chmod ug-s` and `setcap -r`"));
    }
    findings.push(rights(facts));
    if facts.is_in_chain {
        let text = format!("{CHAIN} is set here, so programs that it names are passed over");
        findings.push(Finding::warning("environment", text).advise(format!("unset {CHAIN}")));
    }
    if !facts.is_proc_there {
        let text = "is not mounted: the mount table, the engines' daemons and a runtime in a chain are not to be seen";
        findings.push(Finding::warning("/proc", text).advise("mount it"));
    }
    if facts.has_own_mounts == Some(true) {
        let text = "this shell has mounts of its own, other than those of process 1: what is said about mounts is true here only";
        findings.push(Finding::warning("mount namespace", text).advise("run `nsenter --target 1 --mount runc-guard guard doctor`"));
    }
    findings
}

fn program(facts: &Facts) -> Finding {
    let version = env!("CARGO_PKG_VERSION");
    let Some(path) = &facts.path else { return Finding::warning("runc-guard", format!("version {version}; where its file is cannot be told")) };
    let Some(by) = &facts.replaceable_by else { return Finding::ok("runc-guard", format!("{}, version {version}", path.display())) };
    let text = format!("{}, version {version}: others than root can change {}, and with it what root executes", path.display(), by.display());
    Finding::problem("runc-guard", text).advise(format!("run `chown root: {0}` and `chmod go-w {0}`", by.display()))
}

fn rights(facts: &Facts) -> Finding {
    let Some(missing) = &facts.missing else { return Finding::warning("capabilities", "not to be found out (capget(2) is refused)") };
    if facts.uid != 0 {
        let text = format!("started as user {}: some things cannot be told", facts.uid);
        return Finding::warning("capabilities", text).advise("run it as root");
    }
    let needed = NEEDED.iter().filter(|(capability, _)| missing.contains(capability));
    let missing: Vec<String> = needed.map(|(capability, why)| format!("{capability} ({why})")).collect();
    if missing.is_empty() {
        return Finding::ok("capabilities", "root, with all that create and restore need");
    }
    let text = format!("this shell lacks {}", missing.join(", "));
    Finding::warning("capabilities", text).advise("run it with the rights that the engine has")
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn facts() -> Facts {
        Facts {
            path: Some("/usr/local/bin/runc-guard".into()),
            replaceable_by: None,
            mode: 0o100_755,
            has_file_capabilities: false,
            uid: 0,
            missing: Some(Vec::new()),
            is_in_chain: false,
            is_proc_there: true,
            has_own_mounts: Some(false),
        }
    }

    fn bad(facts: &Facts) -> Vec<(Level, String)> {
        findings(facts).into_iter().filter(|finding| finding.level != Level::Ok).map(|finding| (finding.level, finding.text)).collect()
    }

    #[test]
    fn a_plain_program_of_root_is_ok() {
        assert_eq!(bad(&facts()), []);
        assert_eq!(findings(&facts())[0].text, format!("/usr/local/bin/runc-guard, version {}", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn rights_beyond_the_callers_and_foreign_writers_are_problems() {
        for facts in [
            Facts { mode: 0o104_755, ..facts() },
            Facts { mode: 0o102_755, ..facts() },
            Facts { has_file_capabilities: true, ..facts() },
            Facts { replaceable_by: Some("/usr/local".into()), ..facts() },
        ] {
            let bad = bad(&facts);
            assert!(bad.len() == 1 && bad[0].0 == Level::Problem, "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_a_warning_and_not_a_guess() {
        for (facts, part) in [
            (Facts { path: None, ..facts() }, "cannot be told"),
            (Facts { missing: None, ..facts() }, "not to be found out"),
            (Facts { uid: 1000, missing: Some(vec![Capability::CAP_SYS_ADMIN]), ..facts() }, "started as user 1000"),
            (Facts { missing: Some(vec![Capability::CAP_SYS_ADMIN]), ..facts() }, "lacks CAP_SYS_ADMIN"),
            (Facts { is_in_chain: true, ..facts() }, "RUNC_GUARD_CHAIN is set"),
            (Facts { is_proc_there: false, has_own_mounts: None, ..facts() }, "not mounted"),
            (Facts { has_own_mounts: Some(true), ..facts() }, "mounts of its own"),
        ] {
            let bad = bad(&facts);
            assert!(bad.len() == 1 && bad[0].0 == Level::Warning && bad[0].1.contains(part), "{part}: {bad:?}");
        }
    }

    #[test]
    fn a_directory_that_others_write_counts_and_a_sticky_one_does_not() {
        use std::os::unix::fs::PermissionsExt;
        #[allow(clippy::disallowed_methods)]
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let program = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
        assert_eq!(replaceable_by(program.path()), None);
        mode(dir.path(), 0o777);
        assert_eq!(replaceable_by(program.path()), Some(dir.path().to_owned()));
        mode(dir.path(), 0o1777);
        assert_eq!(replaceable_by(program.path()), None);
        mode(program.path(), 0o666);
        assert_eq!(replaceable_by(program.path()), Some(program.path().to_owned()));
    }
}
