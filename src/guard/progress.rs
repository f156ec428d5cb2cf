//! One line on a terminal while something takes long; nothing anywhere else. A signal writes it, because what takes long is as often one step that
//! waits for a dead file server as it is many steps.

use crate::kernel::news;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

/// An action in steps that are usually too fast to be seen. One at a time.
pub struct Progress {
    verb: &'static str,
    total: usize,
    on_terminal: bool,
}

const PATIENCE: Duration = Duration::from_secs(1);
const REFRESH: Duration = Duration::from_millis(200);
/// To the first column, and nothing on the line.
const ERASE: &str = "\r\x1b[K";

impl Progress {
    /// `verb` as in "reading 3 of 100 namespaces".
    pub fn of(verb: &'static str, total: usize) -> Progress {
        let on_terminal = stderr().is_terminal();
        if on_terminal {
            news::tell_every(PATIENCE, REFRESH);
        }
        Progress { verb, total, on_terminal }
    }

    /// The same action goes on with other steps.
    pub fn turn_to(&mut self, verb: &'static str, total: usize) {
        (self.verb, self.total) = (verb, total);
    }

    /// `done` steps are over, and `what` comes next.
    pub fn step(&mut self, done: usize, what: &str) {
        if self.on_terminal {
            // Before the first step of none.
            let total = self.total.max(done + 1);
            news::set(&format!("{ERASE}{} {} of {total} {what}", self.verb, done + 1));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal {
            news::tell_every(Duration::ZERO, Duration::ZERO);
        }
        if news::were_told() {
            let _ = write!(stderr(), "{ERASE}");
        }
    }
}
