//! One call of the guard, or of the runtime itself, started exactly as described: `std::process::Command` sorts the environment, resets signals
//! and cannot leave a standard descriptor closed.

use crate::record::Record;
use std::ffi::{CString, c_char, c_int};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// A call that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(20);

type InChild = Box<dyn Fn() -> io::Result<()>>;

/// A call to be made.
pub struct Call {
    pub program: PathBuf,
    /// Where the runtime that is expected to run leaves its record.
    pub record: PathBuf,
    pub argv: Vec<Vec<u8>>,
    pub environment: Vec<Vec<u8>>,
    pub cwd: PathBuf,
    pub scratch: PathBuf,
    pub closed: Vec<RawFd>,
    pub extra: Vec<(RawFd, File)>,
    pub in_child: Vec<InChild>,
}

/// What came of a call.
pub struct Outcome {
    pub pid: i32,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub took: Duration,
    /// CPU time of the process, through all that it has become, and of its children that it has waited for.
    pub cpu: Duration,
    /// `None`: the runtime was not reached.
    pub record: Option<Record>,
}

impl Call {
    #[must_use]
    pub fn argv(mut self, argv: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Call {
        self.argv = argv.into_iter().map(|word| word.as_ref().to_vec()).collect();
        self
    }

    /// Adds one entry, `NAME=VALUE`.
    #[must_use]
    pub fn env(mut self, entry: impl AsRef<[u8]>) -> Call {
        self.environment.push(entry.as_ref().to_vec());
        self
    }

    #[must_use]
    pub fn without_environment(mut self) -> Call {
        self.environment.clear();
        self
    }

    #[must_use]
    pub fn cwd(mut self, cwd: impl AsRef<Path>) -> Call {
        self.cwd = cwd.as_ref().to_owned();
        self
    }

    #[must_use]
    pub fn closed(mut self, fds: &[RawFd]) -> Call {
        self.closed = fds.to_vec();
        self
    }

    /// Opens one more descriptor that is inherited.
    #[must_use]
    pub fn with_fd(mut self, number: RawFd, file: File) -> Call {
        self.extra.push((number, file));
        self
    }

    /// Does something between fork and exec.
    #[must_use]
    pub fn in_child(mut self, action: impl Fn() -> io::Result<()> + 'static) -> Call {
        self.in_child.push(Box::new(action));
        self
    }

    /// The runtime that is to be reached, when it is another than the node's.
    #[must_use]
    pub fn expecting(mut self, runtime: impl AsRef<Path>) -> Call {
        self.record = PathBuf::from(format!("{}.record", runtime.as_ref().display()));
        self
    }

    #[must_use]
    pub fn program(mut self, program: impl AsRef<Path>) -> Call {
        self.program = program.as_ref().to_owned();
        self
    }

    /// Starts the call and waits for its end.
    pub fn run(&self) -> Outcome {
        self.start().wait()
    }

    /// Starts the call.
    pub fn start(&self) -> Running {
        let _ = std::fs::remove_file(&self.record);
        let c_string = |bytes: &[u8]| CString::new(bytes).unwrap();
        let argv: Vec<CString> = self.argv.iter().map(|word| c_string(word)).collect();
        let environment: Vec<CString> = self.environment.iter().map(|entry| c_string(entry)).collect();
        let (argv, environment) = (pointers(&argv), pointers(&environment));
        let program = c_string(self.program.as_os_str().as_encoded_bytes());
        let stdio = [File::open("/dev/null").unwrap(), self.capture("stdout"), self.capture("stderr")];
        let started = Instant::now();
        // SAFETY: the child uses only its own copy of this thread, executes or ends.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
        if pid == 0 {
            let error = self.become_program(&program, &argv, &environment, &stdio);
            eprintln!("start {}: {error}", self.program.display());
            // SAFETY: ends the child without running the test's own exit handlers.
            unsafe { libc::_exit(126) }
        }
        Running { pid, started, scratch: self.scratch.clone(), record: self.record.clone() }
    }

    fn capture(&self, name: &str) -> File {
        // Two who have opened it do not write over each other.
        let path = self.scratch.join(name);
        let _ = std::fs::remove_file(&path);
        OpenOptions::new().append(true).create(true).open(path).unwrap()
    }

    fn become_program(&self, program: &CString, argv: &[*const c_char], environment: &[*const c_char], stdio: &[File; 3]) -> io::Error {
        // SAFETY: plain calls on descriptors of this child; the arrays end with NULL.
        unsafe {
            libc::setpgid(0, 0);
            let wanted = stdio.iter().enumerate().map(|(number, file)| (i32::try_from(number).unwrap_or(0), file));
            let wanted = wanted.chain(self.extra.iter().map(|(number, file)| (*number, file)));
            // Out of the way first: a file of the test may have one of the wanted numbers.
            let moved: Vec<(c_int, c_int)> =
                wanted.map(|(number, file)| (number, libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 900))).collect();
            libc::close_range(3, 899, 0);
            for (number, from) in moved {
                libc::dup2(from, number);
            }
            if let Err(error) = std::env::set_current_dir(&self.cwd) {
                return error;
            }
            for action in &self.in_child {
                if let Err(error) = action() {
                    return error;
                }
            }
            for fd in &self.closed {
                libc::close(*fd);
            }
            libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr());
        }
        io::Error::last_os_error()
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// A call under way.
pub struct Running {
    pub pid: i32,
    started: Instant,
    scratch: PathBuf,
    record: PathBuf,
}

impl Running {
    pub fn wait(self) -> Outcome {
        let in_time = self.ends_in_time();
        if !in_time {
            // SAFETY: the process group that the child made for itself.
            unsafe { libc::kill(-self.pid, libc::SIGKILL) };
            assert!(self.ends_within(Duration::from_secs(2)), "the call hangs, and cannot even be killed");
        }
        let mut status = 0;
        // SAFETY: our own child, not yet waited for; all-zero is a valid structure, which the kernel fills.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::wait4(self.pid, &raw mut status, 0, &raw mut usage);
            usage
        };
        let seconds = |time: libc::timeval| Duration::from_micros(u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap());
        let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
        let read = |name: &str| std::fs::read(self.scratch.join(name)).unwrap();
        let (stdout, stderr) = (read("stdout"), read("stderr"));
        assert!(in_time, "the call hangs; its stderr: {}", String::from_utf8_lossy(&stderr));
        let status = ExitStatus::from_raw(status);
        assert_ne!(status.code(), Some(126), "the call could not be started: {}", String::from_utf8_lossy(&stderr));
        Outcome { pid: self.pid, status, stdout, stderr, took: self.started.elapsed(), cpu, record: Record::take(&self.record) }
    }

    fn ends_in_time(&self) -> bool {
        self.ends_within(LONGEST)
    }

    fn ends_within(&self, limit: Duration) -> bool {
        // SAFETY: a new descriptor of our own child, then one poll on it.
        unsafe {
            let fd = i32::try_from(libc::syscall(libc::SYS_pidfd_open, self.pid, 0)).unwrap();
            let fd = OwnedFd::from_raw_fd(fd);
            let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            libc::poll(&raw mut poll, 1, c_int::try_from(limit.as_millis()).unwrap()) == 1
        }
    }
}

impl Outcome {
    /// The record of a runtime that was reached, in the process that was started, with a silent guard before it.
    #[track_caller]
    pub fn reached(&self) -> &Record {
        let record = self.record.as_ref().unwrap_or_else(|| panic!("the runtime is reached: {self:?}"));
        assert_eq!(record.pid, self.pid, "executed, not forked");
        assert_eq!(record.parent, i32::try_from(std::process::id()).unwrap(), "the caller is the parent");
        assert_eq!((self.stdout_text(), self.stderr_text()), (String::new(), String::new()), "nothing is printed");
        record
    }

    /// The error of a guard that failed: exit status 1, the runtime not reached, nothing on stdout, one line on stderr.
    #[track_caller]
    pub fn refused(&self) -> String {
        assert!(self.record.is_none(), "the runtime is not reached: {self:?}");
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        assert_eq!(self.stdout_text(), "");
        let text = self.stderr_text();
        let message = text.strip_suffix('\n').unwrap_or_else(|| panic!("a line on stderr: {text:?}"));
        assert!(message.starts_with("runc-guard: ") && !message.contains('\n'), "one line: {message:?}");
        message.to_owned()
    }

    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reached = if self.record.is_some() { "reached" } else { "not reached" };
        write!(f, "runtime {reached}, {}, stdout {:?}, stderr {:?}", self.status, self.stdout_text(), self.stderr_text())
    }
}
