use super::within;
use crate::kernel::staging;
use crate::mountpoint::tests::scratch::{in_own_mounts, in_own_process, mount};
use crate::mountpoint::{Base, Found, Kind};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// What a thread hands on to a program it becomes, and what the kernel counts for it.
fn attributes() -> Vec<String> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let wanted = ["Umask:", "Uid:", "Gid:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "SigBlk:", "SigIgn:", "SigCgt:", "NoNewPrivs:"];
    let mut found: Vec<String> = status.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect();
    assert_eq!(found.len(), wanted.len());
    found.push(std::env::current_dir().unwrap().display().to_string());
    found
}

/// A thread whose umask and working directory no other test shares.
fn set_apart<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let run = || {
            unshare(CloneFlags::CLONE_FS).unwrap();
            umask(Mode::from_bits_truncate(0o027));
            test()
        };
        scope.spawn(run).join().unwrap()
    })
}

/// Changes all that work may change, and says which umask it found.
fn change_everything() -> Mode {
    let found = umask(Mode::from_bits_truncate(0o777));
    std::env::set_current_dir("/").unwrap();
    nix::unistd::setfsuid(nix::unistd::Uid::from_raw(100_000));
    found
}

#[test]
fn work_has_umask_0_and_its_caller_stays_as_it_was() {
    set_apart(|| {
        std::env::set_current_dir("/usr").unwrap();
        let before = attributes();
        assert!(before.contains(&"Umask:\t0027".to_owned()) && before.contains(&"/usr".to_owned()), "{before:?}");
        assert_eq!(within(LONG, change_everything), Some(Mode::empty()));
        assert_eq!(attributes(), before);
        // The control: in a thread that is not set apart, umask and working directory are the caller's.
        std::thread::spawn(change_everything).join().unwrap();
        let after = attributes();
        assert!(after.contains(&"Umask:\t0777".to_owned()) && after.contains(&"/".to_owned()), "{after:?}");
    });
}

#[test]
fn what_work_computes_comes_back_and_what_takes_too_long_does_not() {
    assert_eq!(within(LONG, || 6 * 7), Some(42));
    let start = Instant::now();
    assert_eq!(within(Duration::from_millis(300), || std::thread::sleep(Duration::from_secs(3))), None);
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_millis(2500), "{waited:?}");
}

/// Where no thread can be had, or none with a umask of its own, the work is done all the same, and the umask is put back.
#[test]
fn without_a_thread_of_its_own_work_is_done_here() {
    for calls in [[libc::SYS_clone3, libc::SYS_clone], [libc::SYS_unshare, libc::SYS_unshare]] {
        set_apart(|| {
            let caller = nix::unistd::gettid();
            staging::refuse(&calls, Errno::EPERM);
            let found = within(Duration::from_millis(1), move || {
                std::thread::sleep(Duration::from_millis(50));
                (nix::unistd::gettid() == caller, umask(Mode::from_bits_truncate(0o111)))
            });
            assert_eq!(found, Some((true, Mode::empty())), "{calls:?}");
            assert!(attributes().contains(&"Umask:\t0027".to_owned()));
        });
    }
    assert_eq!(within(LONG, nix::unistd::gettid).map(|thread| thread == nix::unistd::gettid()), Some(false), "the control");
}

/// A FUSE mount whose server never answers, not even to the kernel's first message.
fn dead_fuse(at: &Path) -> File {
    let server = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
    mount("dead", at, "fuse", 0, &options);
    server
}

fn look_at(path: &Path) -> impl FnOnce() -> Result<Found, Errno> + Send + 'static + use<> {
    let path = path.to_owned();
    move || Ok(Base::open(&path, false)?.look(Path::new("x")))
}

/// Promise P8: a source that never answers holds nobody up for longer than the limit.
#[test]
fn a_dead_source_is_waited_for_no_longer_than_the_limit() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().canonicalize().unwrap();
    in_own_mounts(|| {
        fs::DirBuilder::new().mode(0o700).create(source.join("x")).unwrap();
        assert_eq!(within(LONG, look_at(&source)), Some(Ok(Found::Is(Kind::Directory))), "the control: a source that answers");
        let server = dead_fuse(&source);
        let start = Instant::now();
        assert_eq!(within(Duration::from_secs(1), look_at(&source)), None);
        let waited = start.elapsed();
        assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(5), "{waited:?}");
        // Ends the wait of the thread that was left behind.
        drop(server);
    });
}

const MARK: &str = "RUNC_GUARD_TEST_DEAD_SOURCE";

/// Which processes carry the mark in their environment.
fn marked(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let carries = |path: &Path| fs::read(path.join("environ")).is_ok_and(|text| String::from_utf8_lossy(&text).contains(mark));
    processes.filter(|path| carries(path)).map(|path| path.display().to_string()).collect()
}

fn wait_a_little() -> bool {
    std::thread::sleep(Duration::from_millis(10));
    false
}

/// After the wait was given up the process becomes another program at once, alone, as it was, and leaves nobody behind.
#[test]
fn after_a_dead_source_the_process_becomes_another_program() {
    let name = "deadline::tests::after_a_dead_source_the_process_becomes_another_program";
    if std::env::var_os(MARK).is_some() {
        become_another_program();
    }
    let (place, mark) = (tempfile::tempdir().unwrap(), format!("{MARK}={}", std::process::id()));
    let mut wrapped = Command::new(std::env::current_exe().unwrap());
    wrapped.args([name, "--exact", "--nocapture"]);
    let mut control = Command::new("sleep").arg("20").env(MARK, std::process::id().to_string()).spawn().unwrap();
    // The environment of a program that has just started is readable a moment later.
    assert!((0..200).any(|_| marked(&mark).len() == 1 || wait_a_little()), "who is there is found");
    control.kill().and_then(|()| control.wait()).unwrap();
    let start = Instant::now();
    let said = wrapped.env(MARK, std::process::id().to_string()).env("PLACE", place.path()).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{text}");
    assert!(start.elapsed() < Duration::from_secs(8), "{text}");
    for line in ["I am another program", "Umask:\t0027", "Threads:\t1", "threads were 2 or more", "process is the same"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(marked(&mark), Vec::<String>::new());
}

fn become_another_program() -> ! {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "");
    umask(Mode::from_bits_truncate(0o027));
    let place = std::env::var("PLACE").unwrap();
    let source = Path::new(&place).canonicalize().unwrap();
    // Close-on-exec: open until the kernel has ended this process's other threads. So it is not the server's end that ends the wait.
    let server = dead_fuse(&source);
    assert_eq!(within(Duration::from_secs(1), look_at(&source)), None);
    assert!(fs::read_dir("/proc/self/task").unwrap().count() >= 2, "the thread is left behind");
    println!("threads were 2 or more");
    std::mem::forget(server);
    let script = format!(
        "echo I am another program; grep -E '^(Umask|Threads):' /proc/$$/status; [ $$ = {} ] && echo process is the same",
        std::process::id()
    );
    panic!("{}", Command::new("/bin/sh").args(["-c", &script]).exec());
}

#[test]
fn work_that_panics_gives_nothing() {
    in_own_process("deadline::tests::work_that_panics_gives_nothing", || {
        assert_eq!(within(LONG, || -> u8 { panic!("on purpose") }), None);
    });
}

/// A panic is told to a log that may lie on a dead server.
#[test]
fn work_is_done_in_a_process_while_a_panic_is_told() {
    in_own_process("deadline::tests::work_is_done_in_a_process_while_a_panic_is_told", || {
        let (told, hears) = std::sync::mpsc::channel();
        std::panic::set_hook(Box::new(move |_| {
            let parent = std::process::id();
            told.send(super::in_process(LONG, || (6 * 7, std::process::id() != parent), |_| (0, false))).unwrap();
        }));
        std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
        assert_eq!(hears.recv().unwrap(), Ok((42, true)));
    });
}
