//! The engines' daemons that run on this node, by the names of the processes.

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use std::path::Path;
use std::time::{Duration, SystemTime};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// As the kernel has it: `/proc/PID/comm`.
    pub name: String,
    pub pid: u32,
    /// `None`: not to be found out.
    pub started: Option<SystemTime>,
    /// Its mount namespace is not ours. `None`: only root may see that.
    pub has_other_mounts: Option<bool>,
}

/// Those in our pid namespace: a daemon inside a container has settings of its own.
pub fn look() -> Vec<Daemon> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| daemon(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn daemon(pid: u32) -> Option<Daemon> {
    let process = Path::new("/proc").join(pid.to_string());
    let name = std::fs::read_to_string(process.join("comm")).ok()?.trim_end().to_owned();
    if !["containerd", "crio", "dockerd"].contains(&name.as_str()) {
        return None;
    }
    // `None` when either cannot be read.
    let is_ours = |namespace: &str| {
        let of = |process: &Path| std::fs::read_link(process.join("ns").join(namespace)).ok();
        Some(of(&process)? == of(Path::new("/proc/self"))?)
    };
    if is_ours("pid") == Some(false) {
        return None;
    }
    let stat = std::fs::read_to_string(process.join("stat")).ok();
    let started = stat.as_deref().and_then(ticks_of_start).and_then(time_of);
    Some(Daemon { name, pid, started, has_other_mounts: is_ours("mnt").map(|same| !same) })
}

/// The 22nd field of `/proc/PID/stat`; the second is in parentheses and may hold anything.
fn ticks_of_start(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn time_of(ticks_since_boot: u64) -> Option<SystemTime> {
    let hertz = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok().filter(|hertz| *hertz > 0)?;
    let since_boot = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    let age = since_boot.checked_sub(Duration::from_millis(ticks_since_boot * 1000 / hertz))?;
    SystemTime::now().checked_sub(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_read_past_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(ticks_of_start(&format!("7 (a) 1 2 (b c) {rest}")), Some(4711));
        assert_eq!(ticks_of_start("7 (a"), None);
    }

    #[test]
    fn our_own_start_lies_between_the_boot_and_now() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let started = ticks_of_start(&stat).and_then(time_of).unwrap();
        assert!(started <= SystemTime::now() + Duration::from_secs(1));
        let boot = time_of(0).unwrap();
        assert!(boot < started, "{boot:?} {started:?}");
    }
}
