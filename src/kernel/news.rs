//! What is told on stderr by a timer's signal, so that it is told also while the process waits for something.

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

/// What SIGALRM writes on stderr, and what it wrote last.
static NEWS: AtomicPtr<Box<[u8]>> = AtomicPtr::new(null_mut());
static TOLD: AtomicPtr<Box<[u8]>> = AtomicPtr::new(null_mut());

/// From now on stderr gets the latest `news`, if they are new, after `first` and then every `interval`, whatever this process is waiting for; its
/// children are not affected. Without a time it ends.
pub fn tell_every(first: Duration, interval: Duration) {
    let action = SigAction::new(SigHandler::Handler(tell), SaFlags::SA_RESTART, SigSet::empty());
    let time = |time: Duration| libc::timeval { tv_sec: time.as_secs().cast_signed(), tv_usec: time.subsec_micros().into() };
    let timer = libc::itimerval { it_interval: time(interval), it_value: time(first) };
    // SAFETY: the handler does nothing but what signal-safety(7) allows; the kernel copies both structures.
    let _ = unsafe { sigaction(Signal::SIGALRM, &action).map(|_| libc::setitimer(libc::ITIMER_REAL, &raw const timer, null_mut())) };
}

/// Never freed: another thread may be telling the old ones.
pub fn set(news: &str) {
    NEWS.store(Box::into_raw(Box::new(news.as_bytes().into())), Ordering::Release);
}

/// Whether anything has been told.
#[must_use]
pub fn were_told() -> bool {
    !TOLD.load(Ordering::Acquire).is_null()
}

extern "C" fn tell(_: c_int) {
    let (news, errno) = (NEWS.load(Ordering::Acquire), Errno::last_raw());
    // SAFETY: null, or stored above and never freed or changed.
    if let Some(text) = unsafe { news.as_ref() }.filter(|_| TOLD.swap(news, Ordering::AcqRel) != news) {
        // SAFETY: reads no more than there is.
        unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    }
    Errno::set_raw(errno);
}
