//! A program is asked something: a child process with a time limit, so that nothing it does holds doctor up.

use crate::report::errno_name;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Both of its outputs.
    Said { success: bool, text: String },
    /// The errno of starting it.
    NotStarted(String),
    /// It did not end in time, and was killed.
    Silent { seconds: u64 },
}

/// Nobody says more about a version.
const MOST_BYTES: u64 = 64 << 10;
const MOST_CHARS: usize = 160;

impl Answer {
    /// Why there is nothing to go by, if so.
    pub fn failure(&self) -> Option<String> {
        match self {
            Answer::Said { success: true, .. } => None,
            Answer::Said { success: false, text } => Some(format!("fails: {}", short(last_line(text)))),
            Answer::NotStarted(errno) => Some(format!("cannot be started: {errno}")),
            Answer::Silent { seconds } => Some(format!("gives no answer in {seconds} s")),
        }
    }

    /// What it said, if it succeeded.
    pub fn text(&self) -> Option<&str> {
        if let Answer::Said { success: true, text } = self { Some(text) } else { None }
    }
}

/// The last line that says something, where programs give the verdict.
pub fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("(nothing said)")
}

/// At most what fits a line.
pub fn short(text: &str) -> String {
    let cut: String = text.chars().take(MOST_CHARS).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

/// Runs `program` with `words`, without input, at the root of the file system.
pub fn ask(program: &Path, words: &[&str], seconds: u64) -> Answer {
    let end = Instant::now() + Duration::from_secs(seconds);
    match start(program, words) {
        Ok((child, output)) => listen(child, output, end).unwrap_or(Answer::Silent { seconds }),
        Err(error) => Answer::NotStarted(errno_name(&error)),
    }
}

/// In a process group of its own, so that what a script has started ends with it.
fn start(program: &Path, words: &[&str]) -> io::Result<(Child, PipeReader)> {
    let (output, into) = io::pipe()?;
    #[allow(clippy::disallowed_methods)] // an operator's command is no runtime: nobody waits for its pid, and it executes nothing afterwards
    let mut command = Command::new(program);
    command.args(words).current_dir("/").stdin(Stdio::null()).stdout(into.try_clone()?).stderr(into).process_group(0);
    Ok((command.spawn()?, output))
}

fn listen(mut child: Child, output: PipeReader, end: Instant) -> Option<Answer> {
    let (tell, told) = mpsc::channel();
    let read = move || {
        let mut bytes = Vec::new();
        // Closed after that many bytes: whoever goes on writing is ended by SIGPIPE.
        let _ = output.take(MOST_BYTES).read_to_end(&mut bytes);
        tell.send(bytes)
    };
    let reader = thread::Builder::new().spawn(read).ok();
    let bytes = reader.and_then(|_| told.recv_timeout(end.saturating_duration_since(Instant::now())).ok());
    let ended = bytes.and_then(|bytes| Some((bytes, wait(&mut child, end)?)));
    let Some((bytes, status)) = ended else {
        kill(&mut child);
        return None;
    };
    Some(Answer::Said { success: status.success(), text: String::from_utf8_lossy(&bytes).into_owned() })
}

/// wait(2) knows no time limit.
fn wait(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
            Ok(status) => return status,
            Err(_) => return None,
        }
    }
}

/// The child is not reaped yet, so its id is still its own.
fn kill(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    // A process in a wait that no signal ends is left to init.
    wait(child, Instant::now() + Duration::from_millis(200));
}
