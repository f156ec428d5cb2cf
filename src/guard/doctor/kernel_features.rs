//! What the kernel offers of that which runc-guard and its runtimes use, asked by calls that change nothing.

use super::Finding;
use crate::kernel::{self, probe};
use crate::sysctl;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, openat2};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

pub struct Facts {
    release: String,
    features: Vec<Feature>,
    /// `fs.may_detach_mounts` of RHEL 7, which the rule of that name switches on: its file, if it reads 0.
    is_may_detach_off: bool,
    /// `None`: no SELinux. Otherwise whether it enforces.
    selinux: Option<bool>,
    /// `None`: no cgroups to be seen.
    is_cgroup2: Option<bool>,
}

#[derive(Clone)]
struct Feature {
    name: &'static str,
    /// `Err`: the errno with which the kernel, or a filter before it, refuses.
    answer: Result<bool, Errno>,
    /// From which release on.
    since: &'static str,
    /// What is without it; `Err`: only slower.
    without: Result<&'static str, &'static str>,
}

pub fn look() -> Facts {
    let release = nix::sys::utsname::uname().map(|kernel| kernel.release().to_string_lossy().into_owned()).unwrap_or_default();
    let enforces = |text: Vec<u8>| text.first() == Some(&b'1');
    Facts {
        release,
        features: features(),
        is_may_detach_off: sysctl::may_detach_mounts().and_then(sysctl::read_disabled).is_some(),
        selinux: std::fs::read("/sys/fs/selinux/enforce").ok().map(enforces),
        is_cgroup2: statfs("/sys/fs/cgroup").ok().map(|cgroups| cgroups.filesystem_type() == CGROUP2_SUPER_MAGIC),
    }
}

fn features() -> Vec<Feature> {
    let root = kernel::stat(Path::new("/"));
    let mount = root.map(|facts| facts.mount);
    let by_id = |ask: fn(u64) -> Result<bool, Errno>| match mount {
        Ok(Some(mount)) if mount.unique => ask(mount.id).map(|_| true),
        Ok(_) => Err(Errno::ENOSYS),
        Err(errno) => Err(errno),
    };
    let open = || openat2(AT_FDCWD, "/", OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC)).map(|_| true);
    let clone = || File::open("/").map_err(|_| Errno::EACCES).and_then(|root| kernel::clone_mount(root.as_fd())).map(|_| true);
    let feature = |name, since, answer, without| Feature { name, answer, since, without };
    vec![
        feature("openat2", "5.6", open(), Err("names are resolved one by one")),
        feature("statx mount ids", "5.8", mount.map(|mount| mount.is_some()), Ok("what is a mountpoint is not always told apart")),
        feature("statmount", "6.8", by_id(kernel::is_shared_mount), Err("the mount table is read more often")),
        feature("listmount", "6.8", by_id(kernel::has_mounts_below), Err("the mount table is read more often")),
        feature("open_tree", "5.2", clone(), Ok("at a restore mountpoints beneath other mounts cannot be created")),
        feature("mount_setattr", "5.12", probe::knows_mount_setattr(), Ok("the runtime has no recursively read-only mounts")),
        feature("MOVE_MOUNT_SET_GROUP", "5.15", probe::knows_set_group(), Ok("mounts of containers that run already cannot be made slaves")),
    ]
}

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let has = |feature: &&Feature| feature.answer == Ok(true);
    let there: Vec<&str> = facts.features.iter().filter(has).map(|feature| feature.name).collect();
    let list = if there.is_empty() { "none of what is asked for".to_owned() } else { there.join(", ") };
    let mut findings = vec![Finding::ok("kernel", format!("Linux {}: {list}", facts.release))];
    findings.extend(facts.features.iter().filter(|feature| !has(feature)).map(of_missing));
    if facts.is_may_detach_off {
        findings.push(Finding::ok("kernel", "fs.may_detach_mounts is 0; the next create sets it to 1"));
    }
    findings.push(match facts.selinux {
        Some(enforcing) => Finding::ok("selinux", if enforcing { "enforcing" } else { "permissive" }),
        None => Finding::ok("selinux", "off"),
    });
    findings.push(match facts.is_cgroup2 {
        Some(is_cgroup2) => Finding::ok("cgroups", if is_cgroup2 { "v2" } else { "v1" }),
        None => Finding::warning("cgroups", "nothing at /sys/fs/cgroup: no runtime will work").advise("mount them"),
    });
    findings
}

/// A call that is refused for want of rights may be there for the engine.
fn of_missing(feature: &Feature) -> Finding {
    let Feature { name, answer, since, without } = feature;
    let subject = format!("kernel {name}");
    let why = match answer {
        Err(Errno::EPERM | Errno::EACCES) => {
            return Finding::warning(subject, "not to be found out: EPERM, without CAP_SYS_ADMIN or by a seccomp filter").advise("run it as root");
        }
        Err(errno) if *errno != Errno::ENOSYS => format!("refused ({errno:?})"),
        _ => format!("not in this kernel (Linux {since})"),
    };
    match without {
        Ok(loss) => Finding::warning(subject, format!("{why}: {loss}")),
        Err(slower) => Finding::ok(subject, format!("{why}: {slower}, which is slower")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn facts(answer: Result<bool, Errno>) -> Facts {
        let features = features().into_iter().map(|feature| Feature { answer, ..feature }).collect();
        Facts { release: "6.18.0".to_owned(), features, is_may_detach_off: false, selinux: None, is_cgroup2: Some(true) }
    }

    fn told(facts: &Facts) -> Vec<(Level, String)> {
        findings(facts).into_iter().map(|finding| (finding.level, format!("{}: {}", finding.subject, finding.text))).collect()
    }

    #[test]
    fn what_is_there_stands_in_one_line() {
        let told = told(&facts(Ok(true)));
        assert_eq!(told.len(), 3);
        assert!(told[0].1.starts_with("kernel: Linux 6.18.0: openat2, ") && told[0].1.ends_with(", MOVE_MOUNT_SET_GROUP"), "{told:?}");
    }

    #[test]
    fn what_is_missing_is_told_with_the_loss() {
        for answer in [Err(Errno::ENOSYS), Ok(false), Err(Errno::EINVAL)] {
            let told = told(&facts(answer));
            let warnings = told.iter().filter(|(level, _)| *level == Level::Warning).count();
            assert_eq!((told.len(), warnings), (10, 4), "the slower ways are no defect: {told:?}");
        }
    }

    #[test]
    fn what_is_refused_for_want_of_rights_is_not_called_missing() {
        let told = told(&facts(Err(Errno::EPERM)));
        assert!(told[1..=7].iter().all(|(level, text)| *level == Level::Warning && text.contains("not to be found out")), "{told:?}");
    }

    #[test]
    fn the_node_itself() {
        let base = facts(Ok(true));
        let told = told(&Facts { is_may_detach_off: true, selinux: Some(true), is_cgroup2: None, ..base });
        assert!(told[1].1.contains("may_detach_mounts is 0") && told[2].1 == "selinux: enforcing" && told[3].0 == Level::Warning, "{told:?}");
    }

    #[test]
    fn a_filter_is_found_by_the_calls_themselves() {
        // In a thread of its own, because a filter is for ever.
        let refused = std::thread::spawn(|| {
            kernel::staging::refuse(&[libc::SYS_openat2, libc::SYS_open_tree, 457, 458], Errno::ENOSYS);
            features().into_iter().filter(|feature| feature.answer == Err(Errno::ENOSYS)).map(|feature| feature.name).collect::<Vec<_>>()
        });
        assert_eq!(refused.join().unwrap(), ["openat2", "statmount", "listmount", "open_tree"]);
    }
}
