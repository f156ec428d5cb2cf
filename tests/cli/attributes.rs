//! Every attribute of a process that execve(2) hands on: the runtime gets it as the caller left it, whatever the call is, and also when a bundle
//! was rewritten or mountpoints were made on the way (P1).

use crate::checkpoint_image::CheckpointImage;
use crate::restore_container::{Container, rbind, tmpfs};
use std::io;

/// Something unusual about a process, between fork and exec.
pub type Dress = fn() -> io::Result<()>;

/// As `(what, how)`. Each is one that a record shows.
pub const DRESSES: [(&str, Dress); 17] = [
    ("umask", || done(unsafe { libc::umask(0o027) })),
    ("every signal ignored", || dispose(libc::SIG_IGN)),
    ("every signal by default", || dispose(libc::SIG_DFL)),
    ("every signal blocked", || block(&(1..=64).collect::<Vec<_>>())),
    ("signals pending", || {
        block(&[libc::SIGTERM, libc::SIGCHLD, libc::SIGXFSZ, libc::SIGPIPE]).and_then(|()| raise(&[libc::SIGTERM, libc::SIGCHLD, libc::SIGXFSZ]))
    }),
    ("child signals blocked and ignored", || {
        block(&[libc::SIGCHLD])?;
        // SAFETY: SIG_IGN is no function.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        Ok(())
    }),
    ("groups", || checked(unsafe { libc::setgroups(3, [1, 1000, 70_000].as_ptr()) }.into())),
    ("a bounding set without two", || (0..2).try_for_each(|at| prctl(libc::PR_CAPBSET_DROP, [12, 21][at], 0))),
    ("inheritable and ambient capabilities", inherit_capabilities),
    ("secure bits", || prctl(libc::PR_SET_SECUREBITS, 1 << 2 | 1 << 3, 0)),
    ("batch scheduling, nice, I/O priority", schedule),
    ("one CPU", one_cpu),
    ("no new privileges, parent death signal, timer slack", || {
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
        prctl(libc::PR_SET_PDEATHSIG, 9, 0)?;
        prctl(libc::PR_SET_TIMERSLACK, 123_456, 0)?;
        prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0)
    }),
    ("oom_score_adj, coredump_filter", || {
        std::fs::write("/proc/self/coredump_filter", "11")?;
        std::fs::write("/proc/self/oom_score_adj", "500")
    }),
    ("a session of its own, an alarm, a personality", || {
        // SAFETY: plain calls. Not a leader of a process group any more, or it would be refused.
        unsafe {
            libc::setpgid(0, libc::getpgid(libc::getppid()));
            checked(libc::setsid().into())?;
            libc::alarm(1000);
            done(libc::personality(0x0040_0000))
        }
    }),
    ("every limit halved", halve_limits),
    ("descriptors up to the highest", high_descriptors),
];

#[allow(clippy::unnecessary_wraps)] // one of the dresses
fn done<T>(_: T) -> io::Result<()> {
    Ok(())
}

fn checked(result: i64) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn prctl(option: i32, value: u64, more: u64) -> io::Result<()> {
    // SAFETY: a plain call.
    checked(unsafe { libc::prctl(option, value, more, 0, 0) }.into())
}

/// But those of which none can be disposed of.
#[allow(clippy::unnecessary_wraps)] // one of the dresses
fn dispose(action: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: SIG_IGN and SIG_DFL are no functions.
    (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP, 32, 33].contains(signal)).for_each(|signal| {
        unsafe { libc::signal(signal, action) };
    });
    Ok(())
}

fn block(signals: &[i32]) -> io::Result<()> {
    // SAFETY: a set of our own.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        signals.iter().for_each(|signal| {
            libc::sigaddset(&raw mut set, *signal);
        });
        checked(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()).into())
    }
}

fn raise(signals: &[i32]) -> io::Result<()> {
    // SAFETY: signals to ourselves, which are blocked.
    signals.iter().try_for_each(|signal| checked(unsafe { libc::kill(libc::getpid(), *signal) }.into()))
}

fn inherit_capabilities() -> io::Result<()> {
    // SAFETY: the layout of version 3 of capset(2): a header, and two sets of effective, permitted and inheritable.
    unsafe {
        let header: [u32; 2] = [0x2008_0522, 0];
        let mut sets = [0_u32; 6];
        checked(libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()))?;
        sets[2] = 1 << 10 | 1 << 13;
        checked(libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()))?;
    }
    prctl(libc::PR_CAP_AMBIENT, 2, 10)
}

fn schedule() -> io::Result<()> {
    // SAFETY: plain calls; the kernel reads the structure.
    unsafe {
        let parameters = libc::sched_param { sched_priority: 0 };
        checked(libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters).into())?;
        checked(libc::setpriority(libc::PRIO_PROCESS, 0, 11).into())?;
        checked(libc::syscall(libc::SYS_ioprio_set, 1, 0, 2 << 13 | 6))
    }
}

fn one_cpu() -> io::Result<()> {
    // SAFETY: a set of our own.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut set);
        checked(libc::sched_setaffinity(0, size_of_val(&set), &raw const set).into())
    }
}

/// But sizes of files and memory, without which the recorder itself could not write.
fn halve_limits() -> io::Result<()> {
    for resource in [
        libc::RLIMIT_CPU,
        libc::RLIMIT_NOFILE,
        libc::RLIMIT_NPROC,
        libc::RLIMIT_CORE,
        libc::RLIMIT_MEMLOCK,
        libc::RLIMIT_SIGPENDING,
        libc::RLIMIT_MSGQUEUE,
        libc::RLIMIT_RTTIME,
        libc::RLIMIT_STACK,
    ] {
        // SAFETY: the kernel fills and reads the structure.
        unsafe {
            let mut limit: libc::rlimit = std::mem::zeroed();
            libc::getrlimit(resource, &raw mut limit);
            limit.rlim_cur = limit.rlim_cur.min(1 << 30) / 2;
            checked(libc::setrlimit(resource, &raw const limit).into())?;
        }
    }
    Ok(())
}

/// As `LISTEN_FDS` and `--preserve-fds` would leave them: from 3 on, without a gap, and one at the end of the table.
fn high_descriptors() -> io::Result<()> {
    let file = std::fs::File::open("/dev/zero")?;
    // SAFETY: duplicates of a descriptor of our own, without close-on-exec.
    (3..8).chain([700, 1023]).try_for_each(|fd| checked(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&file), fd) }.into()))
}

/// A container that a create rewrites, and whose restore makes a directory for another owner.
fn container() -> Container {
    let container = Container::of("runc");
    container.directory("bundle/rootfs/data");
    let namespace = r#","uidMappings":[{"containerID":0,"hostID":100000,"size":9}],"gidMappings":[{"containerID":0,"hostID":100000,"size":9}]"#;
    container.document(
        &[rbind("/data", container.directory("srv/data")), rbind("/host", container.path("protected")), tmpfs("/data/x")],
        "",
        namespace,
    );
    container.image(&CheckpointImage::new().external("/data").external("/host").tmpfs("/data/x"));
    container
}

#[test]
fn the_runtime_inherits_every_attribute_whatever_the_call_is() {
    for (what, dress) in DRESSES {
        for command in ["state", "delete", "exec", "create", "run", "restore"] {
            let container = container();
            let before = (container.config_state(), container.tree());
            let call = match command {
                "restore" => container.restore(),
                "create" | "run" => container.guard([command, "--bundle", &container.bundle(), "c1"]),
                _ => container.guard([command, "c1"]),
            };
            println!("{what}, {command}");
            let outcome = container.assert_passes_through(call.cwd(container.path("srv")).env("LISTEN_FDS=5").in_child(dress));
            assert!(outcome.status.success(), "{what}, {command}");
            let acted = (container.config_state() != before.0, container.path("srv/data/x").exists());
            let expected = (["create", "run", "restore"].contains(&command), command == "restore");
            assert_eq!(acted, expected, "{what}, {command}");
        }
    }
}

/// The control: each of them is seen in the record.
#[test]
fn a_record_shows_every_attribute() {
    let container = container();
    let record = |dress: Option<Dress>| {
        let call = container.guard(["state", "c1"]).program(container.runtime_path());
        dress.into_iter().fold(call, crate::call::Call::in_child).run().reached().clone()
    };
    let plain = record(None);
    for (what, dress) in DRESSES {
        // The test's own start-up ignores SIGPIPE, so the default is something else, too.
        assert!(record(Some(dress)) != plain, "{what}");
    }
}
