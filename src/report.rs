//! One error, told the way the engine can show it: one line in the runtime's `--log` and the same text on stderr. containerd reads only the
//! log, podman parses the whole of it as one object, a person reads stderr.

use crate::invocation::LogTarget;
use crate::kernel::process::undisturbed;
use crate::{deadline, kernel};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Why runc-guard could not do its work: one sentence, verb and object, errno by name, what to do. Never strerror's words: engines take
/// "permission denied" and "no such file or directory" for something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure(String);

const PREFIX: &str = "runc-guard: ";

impl Failure {
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> Failure {
        Failure(one_line(&format!("{PREFIX}{}", sentence.into())))
    }

    /// The same with what went wrong before it.
    #[must_use]
    pub fn after(&self, cause: impl Display) -> Failure {
        Failure::new(format!("{cause}; {}", self.0.strip_prefix(PREFIX).unwrap_or(&self.0)))
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }
}

/// `ENOSPC`, never strerror's words.
#[must_use]
pub fn errno_name(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| format!("{:?}", error.kind()), |errno| format!("{:?}", Errno::from_raw(errno)))
}

/// An error that the kernel did not make counts as `EIO`.
#[must_use]
pub fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// A line of the runtimes' JSON log.
#[derive(Serialize)]
struct LogLine<'a> {
    level: &'static str,
    msg: &'a str,
    time: String,
}

/// Reports a failure. Nothing here can fail in a way that somebody could still be told of.
pub fn tell(failure: &Failure, target: LogTarget<'_>) {
    let msg = failure.message();
    let time = now();
    if let Some(path) = target.path.and_then(plain_path) {
        let line = if target.json { json_line(&LogLine { level: "error", msg, time }) } else { text_line(msg, &time) };
        append_line(path, &line, 0o644);
    }
    // Straight to the descriptor: with closed stderr this is a write that fails.
    let _ = undisturbed(|| io::stderr().write_all(format!("{msg}\n").as_bytes()));
}

/// From here on a bug of ours is told to the engine like any other failure, instead of as a stack trace in the container's output.
pub fn tell_panics(target: LogTarget<'_>) {
    let (path, json) = (target.path.map(OsStr::to_owned), target.json);
    std::panic::set_hook(Box::new(move |panic| {
        tell(&bug(panic), LogTarget { path: path.as_deref(), json });
        #[allow(clippy::disallowed_methods)] // after a panic there is no way back to the caller, who would tell it a second time
        std::process::exit(1);
    }));
}

/// What is told of a bug of ours.
#[must_use]
pub fn bug(panic: &PanicHookInfo<'_>) -> Failure {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    Failure::new(format!("prepare the bundle: a bug at {place}; please report it"))
}

/// crun's `--log` also takes `file:PATH`, and `journald:ID` or `syslog:ID`, which are no files.
fn plain_path(path: &OsStr) -> Option<&Path> {
    let bytes = path.as_bytes();
    let elsewhere = bytes.starts_with(b"journald:") || bytes.starts_with(b"syslog:");
    let file = bytes.strip_prefix(b"file:").unwrap_or(bytes);
    (!elsewhere).then(|| Path::new(OsStr::from_bytes(file)))
}

/// logrus' text format, which is runc's default.
fn text_line(msg: &str, time: &str) -> Vec<u8> {
    let mut line = format!("time=\"{time}\" level=error msg=").into_bytes();
    line.extend(json_line(&msg));
    line
}

/// RFC 3339 in UTC, to the second.
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// One line of ASCII JSON: no byte of any value can end the line or reach a terminal as a control.
#[must_use]
pub fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut line, Ascii);
    if value.serialize(&mut serializer).is_err() {
        line.clear();
    }
    line.push(b'\n');
    line
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                writer.write_all(&[character as u8])?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// How long a file system that has to be asked may take to append a line.
const LONGEST: Duration = Duration::from_secs(1);

/// Appends one line with one write(2), and never waits: a FIFO without a reader does not open, a full one drops the line, a device or socket is
/// left alone, a file server that does not answer is given up.
pub fn append_line(path: &Path, line: &[u8], mode: u32) {
    if answers_at_once(path) {
        return append(path, line, mode);
    }
    let _ = deadline::in_process(LONGEST, || append(path, line, mode), |_| ());
}

/// Whether the file, or the directory in which it is to be made, needs no answer of a server. Below /dev and /proc lie our own descriptors.
fn answers_at_once(path: &Path) -> bool {
    let is_kernels = path.starts_with("/dev") || path.starts_with("/proc");
    let directory = || path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    is_kernels
        || matches!(
            kernel::is_at_hand(path).or_else(|errno| if errno == Errno::ENOENT { kernel::is_at_hand(directory()) } else { Err(errno) }),
            Ok(true)
        )
}

fn append(path: &Path, line: &[u8], mode: u32) {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().append(true).create(true).mode(mode).custom_flags(flags).open(path);
    if let Ok(mut file) = file {
        let _ = undisturbed(|| file.write(line));
    }
}

/// Control characters as escapes, so that a hostile path cannot add lines of its own, or reach a terminal.
#[must_use]
pub fn one_line(text: &str) -> String {
    let escape = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { c.escape_default().collect() } else { String::from(c) };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests;
