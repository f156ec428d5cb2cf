//! Stands in the runtime's place and records how it was started, in lines of `WORD VALUES…` (bytes as hex). `no_main` and raw system calls,
//! because Rust's own start-up would change what is to be recorded.
//!
//! The record goes to the file that `FAKE_RUNTIME_RECORD` names, or to `PATH.record` for a program executed as PATH. `FAKE_RUNTIME_EXIT` is the
//! exit status, `FAKE_RUNTIME_SIGNAL` a signal to die of.
#![no_main]
#![allow(unsafe_code, clippy::disallowed_methods, clippy::not_unsafe_ptr_arg_deref, clippy::format_collect, clippy::format_push_string)]

use std::ffi::{CStr, OsString, c_char, c_int};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;

/// Highest descriptor looked for.
const MOST_FDS: c_int = 1024;
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;
const RESOURCES: std::ops::Range<u32> = 0..16;
/// Lines of `/proc/self/status` that a child inherits.
const STATUS: [&str; 16] = [
    "Uid",
    "Gid",
    "Groups",
    "NoNewPrivs",
    "Seccomp",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "Cpus_allowed",
    "Mems_allowed",
    "SigPnd",
    "ShdPnd",
    "Threads",
    "Seccomp_filters",
];
/// Files of `/proc/self` with more of what is inherited. `children`: none may be left of whoever was here before.
const FILES: [&str; 5] = ["oom_score_adj", "coredump_filter", "cgroup", "timens_offsets", "task/self/children"];
const NAMESPACES: [&str; 7] = ["mnt", "pid", "net", "user", "ipc", "uts", "cgroup"];

#[unsafe(no_mangle)]
pub extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // The descriptors first, before anything here opens one.
    let mut record = descriptors();
    // SAFETY: `main` received `argc` strings.
    for index in 0..usize::try_from(argc).unwrap_or(0) {
        let _ = writeln!(record, "arg {}", hex(unsafe { CStr::from_ptr(*argv.add(index)) }.to_bytes()));
    }
    for entry in environment() {
        let _ = writeln!(record, "env {}", hex(entry.to_bytes()));
    }
    record += &process();
    record += &signals();
    record += &limits();
    record += &status();
    record += &scheduling();
    record += &files();
    if write(&record).is_none() {
        return 99;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<c_int>().ok());
    if let Some(signal) = number("FAKE_RUNTIME_SIGNAL") {
        // SAFETY: plain calls.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    number("FAKE_RUNTIME_EXIT").unwrap_or(0)
}

/// `fd NUMBER TARGET STATUS-FLAGS DESCRIPTOR-FLAGS`.
fn descriptors() -> String {
    let mut lines = String::new();
    for fd in 0..MOST_FDS {
        // SAFETY: plain calls on descriptors.
        let descriptor = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if descriptor != -1 {
            // SAFETY: as above.
            let status = unsafe { libc::fcntl(fd, libc::F_GETFL) };
            let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
            let _ = writeln!(lines, "fd {fd} {} {status:o} {descriptor}", hex(target.as_os_str().as_bytes()));
        }
    }
    lines
}

fn environment() -> Vec<&'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: a NULL-terminated array of strings.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            entries.push(CStr::from_ptr(*entry));
            entry = entry.add(1);
        }
    }
    entries
}

fn process() -> String {
    // SAFETY: plain calls; the umask is put back at once.
    let (pid, parent, group, session, nice, mask) = unsafe {
        let mask = libc::umask(0);
        libc::umask(mask);
        (libc::getpid(), libc::getppid(), libc::getpgrp(), libc::getsid(0), libc::getpriority(libc::PRIO_PROCESS, 0), mask)
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    let cwd = hex(cwd.as_os_str().as_bytes());
    let group_is_pid = group == pid;
    // A session of its own has another number each time.
    let own_session = if session == pid { 0 } else { session };
    format!("pid {pid}\nppid {parent}\nleader {group_is_pid}\nsid {own_session}\nnice {nice}\numask {mask:o}\ncwd {cwd}\n")
}

/// `ignored`, `caught` and `blocked` with signal numbers; `deathsig`.
fn signals() -> String {
    let (mut ignored, mut caught, mut blocked) = (String::from("ignored"), String::from("caught"), String::from("blocked"));
    let mut deathsig: c_int = 0;
    // SAFETY: all-zero is a valid value of both structures, and the kernel fills them.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut mask);
        for signal in SIGNALS {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 {
                match action.sa_sigaction {
                    libc::SIG_DFL => {}
                    libc::SIG_IGN => ignored += &format!(" {signal}"),
                    _ => caught += &format!(" {signal}"),
                }
            }
            if libc::sigismember(&raw const mask, signal) == 1 {
                blocked += &format!(" {signal}");
            }
        }
        libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut deathsig);
    }
    format!("{ignored}\n{caught}\n{blocked}\ndeathsig {deathsig}\n")
}

fn limits() -> String {
    let mut lines = String::new();
    for resource in RESOURCES {
        // SAFETY: the kernel fills the structure.
        unsafe {
            let mut limit: libc::rlimit = std::mem::zeroed();
            libc::getrlimit(resource, &raw mut limit);
            let _ = writeln!(lines, "limit {resource} {} {}", limit.rlim_cur, limit.rlim_max);
        }
    }
    lines
}

fn status() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| STATUS.contains(name));
    lines.map(|(name, value)| format!("status {name} {}\n", value.trim())).collect()
}

/// `sched POLICY PRIORITY`, `ioprio`, and what prctl(2) tells.
fn scheduling() -> String {
    let mut lines = String::new();
    // SAFETY: plain calls; the kernel fills the structure; a personality of all ones asks.
    unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_getparam(0, &raw mut parameters);
        let _ = writeln!(lines, "sched {} {}", libc::sched_getscheduler(0), parameters.sched_priority);
        let _ = writeln!(lines, "ioprio {}", libc::syscall(libc::SYS_ioprio_get, 1, 0));
        let _ = writeln!(lines, "personality {:x}", libc::personality(0xffff_ffff));
        let mut subreaper: c_int = 0;
        libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut subreaper);
        let _ = writeln!(lines, "subreaper {subreaper}");
        let asked = [libc::PR_GET_SECUREBITS, libc::PR_GET_TIMERSLACK, libc::PR_GET_DUMPABLE, libc::PR_GET_THP_DISABLE];
        for option in asked {
            let _ = writeln!(lines, "prctl {option} {}", libc::prctl(option, 0, 0, 0, 0));
        }
        let mut timer: libc::itimerval = std::mem::zeroed();
        libc::getitimer(libc::ITIMER_REAL, &raw mut timer);
        let _ = writeln!(lines, "alarm {}", timer.it_value.tv_sec > 0);
    }
    lines
}

fn files() -> String {
    let mut lines = String::new();
    for name in FILES {
        let path = format!("/proc/self/{}", name.replace("self", &std::process::id().to_string()));
        let _ = writeln!(lines, "{} {}", name.rsplit('/').next().unwrap_or(name), hex(&std::fs::read(path).unwrap_or_default()));
    }
    for name in NAMESPACES {
        let target = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default();
        let _ = writeln!(lines, "ns-{name} {}", hex(target.as_os_str().as_bytes()));
    }
    lines
}

fn write(record: &str) -> Option<()> {
    let path = std::env::var_os("FAKE_RUNTIME_RECORD").unwrap_or_else(|| {
        // SAFETY: the kernel puts a NUL-terminated string there.
        let executed = unsafe { CStr::from_ptr(libc::getauxval(libc::AT_EXECFN) as *const c_char) };
        OsString::from_vec([executed.to_bytes(), b".record"].concat())
    });
    let mut file = std::fs::File::create(path).ok()?;
    // Readable by the test whatever the umask is.
    file.set_permissions(std::fs::Permissions::from_mode(0o644)).ok()?;
    file.write_all(record.as_bytes()).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("-"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
