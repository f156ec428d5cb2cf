//! What happens while the guard looks and creates: a directory is swapped for a symlink, a file system never answers (P6, P8).

use crate::checkpoint_image::CheckpointImage;
use crate::dead_server::{DeadServer, MANNERS, Manner};
use crate::node::names;
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{Container, rbind, tmpfs};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A thread that swaps two names over and over.
struct Flipping {
    stop: Arc<AtomicBool>,
    flips: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Flipping {
    fn between(one: &Path, other: &Path) -> Flipping {
        let c_path = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        let (one, other) = (c_path(one), c_path(other));
        let (stop, flips) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, flipped) = (Arc::clone(&stop), Arc::clone(&flips));
        let flip = move || {
            while !stopped.load(Ordering::Relaxed) {
                // SAFETY: NUL-terminated paths.
                let result = unsafe { libc::renameat2(libc::AT_FDCWD, one.as_ptr(), libc::AT_FDCWD, other.as_ptr(), libc::RENAME_EXCHANGE) };
                assert_eq!(result, 0, "swap: {}", io::Error::last_os_error());
                flipped.fetch_add(1, Ordering::Relaxed);
            }
        };
        Flipping { stop, flips, thread: Some(std::thread::spawn(flip)) }
    }

    fn count(&self) -> usize {
        self.flips.load(Ordering::Relaxed)
    }
}

impl Drop for Flipping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// Takes away what is in a directory, by a handle on it; how much that was.
fn empty(directory: &File) -> usize {
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let found = names(&path);
    found.iter().for_each(|name| fs::remove_dir_all(path.join(name)).unwrap());
    found.len()
}

const MOUNTS: usize = 100;

#[test]
fn a_directory_that_is_swapped_for_a_symlink_meanwhile_lets_nothing_out() {
    let container = Container::of("runc");
    container.settings("rules.restore-mountpoints.on_error = 'pass'");
    container.directory("bundle/rootfs/data");
    container.mounts(&[rbind("/data", container.directory("srv/data"))]);
    let place = |number: usize| format!("/data/lower/{number}/x");
    container.image(&(0..MOUNTS).fold(CheckpointImage::new().external("/data"), |image, number| image.tmpfs(&place(number))));
    let (lower, link, outside) = (container.directory("srv/data/lower"), container.path("srv/data/link"), container.directory("outside"));
    symlink(&outside, &link).unwrap();
    let inside = File::open(&lower).unwrap();
    let flipping = Flipping::between(&lower, &link);
    let (end, mut runs, mut created) = (Instant::now() + Duration::from_secs(10), 0, 0);
    while Instant::now() < end {
        container.restore().run().reached();
        runs += 1;
        created += empty(&inside);
        assert_eq!(names(&outside), [""; 0], "run {runs}");
    }
    // The control, against the same swaps.
    let escaped = |attempts: usize| {
        (0..attempts).for_each(|number| drop(fs::create_dir_all(lower.join(format!("naive-{number}/x")))));
        names(&outside).len()
    };
    assert!(escaped(2000) > 0, "the naive way escapes");
    let log = fs::read_to_string(container.path("own.log")).unwrap();
    let (refused, lost) = (log.matches(" is a symlink").count(), log.matches(": ELOOP").count());
    let flips = flipping.count();
    println!("{runs} runs, {flips} swaps: {created} created, {refused} found to be a symlink, {lost} swapped between the look and the creation");
    assert!(runs > 10 && flips > 10_000 && created > 0 && refused > 0 && lost > 0, "{runs} {flips} {created} {refused} {lost}");
}

/// A restore in a node where `silent` is the mountpoint of a file system that never answers.
#[track_caller]
fn assert_handed_over_in_time(container: &Container, silent: &str, manner: Manner) {
    let _mounts = PrivateMounts::new();
    let silent = DeadServer::mount(&container.directory(silent), manner);
    let call = container.restore();
    let outcome = call.run();
    let mut record = outcome.reached().clone();
    if manner == Manner::TakesQuestions {
        assert!(silent.taken() > 1, "it was asked");
        // Who waits in the kernel can only be left behind: one process, of which the runtime knows nothing.
        assert_eq!(record.replace("children", &[]).len(), 1, "{record:?}");
    }
    let direct = call.program(container.runtime_path()).run();
    assert!(record == *direct.reached(), "{:#?}", direct.reached().differences(&record));
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&outcome.took), "{:?}", outcome.took);
    let notices = container.take_notices();
    assert!(notices.len() == 1 && notices[0].contains("10 s") && notices[0].contains("does not answer"), "{notices:?}");
}

#[test]
fn a_source_that_never_answers_does_not_hold_the_restore_up_for_long() {
    let container = Container::of("runc");
    let document = [rbind("/data", container.path("srv/silent")), tmpfs("/data/x"), rbind("/other", container.directory("srv/other"))];
    container.mounts(&document);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/x").external("/other"));
    let before = container.config_state();
    for manner in MANNERS {
        assert_handed_over_in_time(&container, "srv/silent", manner);
        assert_eq!(container.config_state(), before);
    }
    // The control: with a server that answers there is no delay, and the mountpoints are made.
    let outcome = container.restore().run();
    assert!(outcome.took < Duration::from_secs(5) && container.path("srv/silent/x").is_dir(), "{outcome:?}");
}

#[test]
fn an_image_that_never_answers_does_not_hold_the_restore_up_for_long() {
    let container = Container::of("crun");
    container.mounts(&[]);
    MANNERS.into_iter().for_each(|manner| assert_handed_over_in_time(&container, "checkpoint", manner));
}
