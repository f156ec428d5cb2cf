//! Mounted file systems of a server that never answers (FUSE). Nothing in the test itself may look into one.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How it does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It does not even say hello. Who asks can be killed.
    NeverBegan,
    /// It takes every question and answers none, as a daemon that hangs. Who has asked waits in the kernel, and no signal ends that.
    TakesQuestions,
}

pub const MANNERS: [Manner; 2] = [Manner::NeverBegan, Manner::TakesQuestions];

/// The mount. Dropped, it is gone, and whoever waited is told so.
pub struct DeadServer {
    at: PathBuf,
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
    server: Option<JoinHandle<()>>,
}

impl DeadServer {
    /// Mounts one in this thread's mount namespace.
    pub fn mount(at: &Path, manner: Manner) -> DeadServer {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
        let path = CString::new(at.as_os_str().as_encoded_bytes()).unwrap();
        let options = CString::new(format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd())).unwrap();
        // SAFETY: NUL-terminated strings.
        let result = unsafe { libc::mount(c"silent".as_ptr(), path.as_ptr(), c"fuse".as_ptr(), 0, options.as_ptr().cast()) };
        assert_eq!(result, 0, "mount {}: {}", at.display(), io::Error::last_os_error());
        let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&taken));
        let server = std::thread::spawn(move || serve(device, manner, &stopped, &counted));
        let dead = DeadServer { at: at.to_owned(), stop, taken, server: Some(server) };
        let hello = Instant::now() + Duration::from_secs(20);
        while manner == Manner::TakesQuestions && dead.taken.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < hello, "the kernel says hello");
            std::thread::sleep(Duration::from_millis(1));
        }
        dead
    }

    /// How many questions it has taken, with the kernel's hello.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

impl Drop for DeadServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let path = CString::new(self.at.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: a NUL-terminated path.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        let _ = self.server.take().unwrap().join();
    }
}

/// Until it is told to stop; then the device is closed, which ends every wait.
fn serve(mut device: File, manner: Manner, stop: &AtomicBool, taken: &AtomicUsize) {
    let mut question = vec![0; 1 << 20];
    while !stop.load(Ordering::SeqCst) {
        let mut poll = libc::pollfd { fd: device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor of our own.
        if manner == Manner::NeverBegan || unsafe { libc::poll(&raw mut poll, 1, 20) } != 1 {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let Ok(length) = device.read(&mut question) else { continue };
        if let Some(hello) = hello(&question[..length]) {
            device.write_all(&hello).unwrap();
        }
        taken.fetch_add(1, Ordering::SeqCst);
    }
}

/// The answer to FUSE_INIT (`linux/fuse.h`: `fuse_out_header`, `fuse_init_out`), if that is the question.
fn hello(question: &[u8]) -> Option<Vec<u8>> {
    const INIT: u32 = 26;
    let word = |at: usize| u32::from_ne_bytes(question[at..at + 4].try_into().unwrap());
    if word(4) != INIT {
        return None;
    }
    let mut body = vec![0; 64];
    for (at, value) in [(0, 7_u32), (4, 31), (8, 1 << 16), (20, 1 << 16), (24, 1)] {
        body[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    let mut answer = Vec::new();
    answer.extend(80_u32.to_ne_bytes());
    answer.extend(0_u32.to_ne_bytes());
    answer.extend(&question[8..16]);
    answer.extend(body);
    Some(answer)
}
