//! Our own log: whether a notice written to it would arrive.

use super::Finding;
use crate::deadline;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A local file system answers at once.
const LIMIT: Duration = Duration::from_secs(2);

pub struct Facts {
    log: PathBuf,
    /// `None`: no answer in time.
    state: Option<State>,
    is_root: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Off,
    Writable {
        bytes: u64,
    },
    NotYet,
    /// A directory, a FIFO, a device.
    NoFile,
    Refused(Errno),
    /// The directory of a log that is not there.
    DirectoryRefused(Errno),
}

pub fn look(log: &Path) -> Facts {
    let path = log.to_owned();
    Facts { log: log.to_owned(), state: deadline::within(LIMIT, move || state(&path)), is_root: nix::unistd::geteuid().is_root() }
}

fn state(log: &Path) -> State {
    if log.as_os_str().is_empty() {
        return State::Off;
    }
    match std::fs::metadata(log) {
        Ok(metadata) if !metadata.is_file() => State::NoFile,
        Ok(metadata) => match access(log, AccessFlags::W_OK) {
            Ok(()) => State::Writable { bytes: metadata.len() },
            Err(errno) => State::Refused(errno),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let directory = log.parent().unwrap_or(log);
            access(directory, AccessFlags::W_OK | AccessFlags::X_OK).map_or_else(State::DirectoryRefused, |()| State::NotYet)
        }
        Err(error) => State::Refused(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
    }
}

/// A log that does not work delays and fails no container.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let log = facts.log.display();
    if !facts.is_root && matches!(&facts.state, Some(State::Refused(Errno::EACCES) | State::DirectoryRefused(Errno::EACCES))) {
        return vec![Finding::warning("log", format!("{log}: only root can tell whether it can be written")).advise("run it as root")];
    }
    let lost = |why: String| Finding::warning("log", format!("{log}: {why}: notices are lost")).advise("mend that or set log");
    vec![match &facts.state {
        None => lost("no answer in 2 s".to_owned()),
        Some(State::Off) => Finding::ok("log", "switched off in the settings"),
        Some(State::Writable { bytes }) => Finding::ok("log", format!("{log}, {} kB", bytes.div_ceil(1000))),
        Some(State::NotYet) => Finding::ok("log", format!("{log}, not yet written")),
        Some(State::NoFile) => lost("no regular file".to_owned()),
        Some(State::Refused(errno)) => lost(format!("cannot be written: {errno:?}")),
        Some(State::DirectoryRefused(Errno::ENOENT)) => lost("its directory does not exist".to_owned()),
        Some(State::DirectoryRefused(errno)) => lost(format!("its directory cannot be written: {errno:?}")),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_log_is_a_file_in_a_directory_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (log, wanted, level) in [
            (Path::new(""), State::Off, Level::Ok),
            (file.path(), State::Writable { bytes: 0 }, Level::Ok),
            (&dir.path().join("new.log"), State::NotYet, Level::Ok),
            (&dir.path().join("gone/new.log"), State::DirectoryRefused(Errno::ENOENT), Level::Warning),
            (&fifo, State::NoFile, Level::Warning),
            (dir.path(), State::NoFile, Level::Warning),
            (&file.path().join("below"), State::Refused(Errno::ENOTDIR), Level::Warning),
        ] {
            let facts = look(log);
            assert_eq!((&facts.state, findings(&facts)[0].level), (&Some(wanted), level), "{}", log.display());
        }
        let silent = findings(&Facts { log: "/nfs/log".into(), state: None, is_root: true });
        assert!(silent[0].level == Level::Warning && silent[0].text.contains("no answer"));
        let user = findings(&Facts { log: "/var/log/log".into(), state: Some(State::DirectoryRefused(Errno::EACCES)), is_root: false });
        assert!(user[0].text.contains("only root can tell"), "{user:?}");
    }
}
