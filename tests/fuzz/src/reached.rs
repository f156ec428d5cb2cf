//! How often a target got to the part it is there for: a million runs that all end at the first byte show nothing. Printed at the end of a run;
//! hack/fuzz fails when one of them is 0.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A place that a target should reach.
pub struct Reached {
    name: &'static str,
    times: AtomicU64,
}

impl Reached {
    #[must_use]
    pub const fn new(name: &'static str) -> Reached {
        Reached { name, times: AtomicU64::new(0) }
    }

    pub fn count(&self) {
        self.times.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts where `found`.
    pub fn count_if(&self, found: bool) {
        if found {
            self.count();
        }
    }
}

static PLACES: OnceLock<&'static [&'static Reached]> = OnceLock::new();

/// Prints all of `places` when the process ends.
pub fn report_at_exit(places: &'static [&'static Reached]) {
    extern "C" fn report() {
        let show = |place: &&Reached| format!("{}={}", place.name, place.times.load(Ordering::Relaxed));
        let places = PLACES.get().into_iter().copied().flatten();
        eprintln!("reached: {}", places.map(show).collect::<Vec<_>>().join(" "));
    }
    // libFuzzer ends by exit(3).
    // SAFETY: the handler is a function of this program and touches nothing but statics.
    if PLACES.set(places).is_ok() && unsafe { libc::atexit(report) } != 0 {
        panic!("atexit is refused");
    }
}
