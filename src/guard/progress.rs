//! One line on a terminal while something takes long; nothing anywhere else.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// An action in steps that are usually too fast to be seen.
pub struct Progress {
    verb: &'static str,
    total: usize,
    begun: Instant,
    shown: Option<Instant>,
}

const PATIENCE: Duration = Duration::from_secs(1);
const REFRESH: Duration = Duration::from_millis(200);

impl Progress {
    /// `verb` as in "reading 3 of 100 namespaces".
    pub fn of(verb: &'static str, total: usize) -> Progress {
        Progress { verb, total, begun: Instant::now(), shown: None }
    }

    /// `done` steps are over, and `what` comes next.
    pub fn step(&mut self, done: usize, what: &str) {
        let is_due = self.shown.map_or(self.begun.elapsed() > PATIENCE, |shown| shown.elapsed() > REFRESH);
        if is_due && stderr().is_terminal() {
            self.shown = Some(Instant::now());
            let _ = write!(stderr(), "\r\x1b[K{} {} of {} {what}", self.verb, done + 1, self.total);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
