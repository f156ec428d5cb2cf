use super::*;
use crate::kernel::staging;
use nix::sched::{CloneFlags, unshare};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A mount namespace of this thread and of what it starts, with a folder to mount on.
struct Apart {
    folder: tempfile::TempDir,
    mounts: Vec<PathBuf>,
}

impl Apart {
    fn new() -> Apart {
        unshare(CloneFlags::CLONE_NEWNS).expect("as root");
        staging::mount(Path::new("none"), Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "").unwrap();
        Apart { folder: tempfile::tempdir().unwrap(), mounts: Vec::new() }
    }

    fn mountpoint(&mut self, name: &str) -> PathBuf {
        let at = self.folder.path().join(name);
        std::fs::create_dir_all(&at).unwrap();
        self.mounts.push(at.clone());
        at
    }

    /// A tmpfs, and its id.
    fn tmpfs(&mut self, name: &str) -> (PathBuf, u32) {
        let at = self.mountpoint(name);
        staging::mount(Path::new("tmpfs"), &at, "tmpfs", 0, "").unwrap();
        let id = id_at(&at);
        (at, id)
    }

    fn bind(&mut self, from: &Path, name: &str) -> (PathBuf, u32) {
        let at = self.mountpoint(name);
        staging::mount(from, &at, "", libc::MS_BIND, "").unwrap();
        let id = id_at(&at);
        (at, id)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        for at in self.mounts.iter().rev() {
            let _ = staging::unmount(at);
        }
    }
}

/// Of the mount on top of what is mounted at `path`.
fn id_at(path: &Path) -> u32 {
    let table = std::fs::read("/proc/thread-self/mountinfo").unwrap();
    crate::mountinfo::line::lines(&table).iter().rfind(|line| line.path() == path).unwrap().id
}

/// A shell that does `script` and then waits, ended when dropped.
struct Process(Child);

impl Process {
    fn start(script: &str, words: &[&Path]) -> Process {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{script}; echo; read"), "bash"]).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        Process(child)
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    fn namespace(&self) -> u64 {
        workload_process::mount_namespace(self.pid()).unwrap()
    }

    /// How and with which path it uses the mounts.
    fn uses(&self, ids: &[u32]) -> Vec<(String, PathBuf, u32)> {
        let found = of_mounts(self.namespace(), ids);
        found.into_iter().filter(|file| file.pid == self.pid()).map(|file| (file.how, file.path, file.mount_id)).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_descriptor_and_a_working_directory() {
    let mut apart = Apart::new();
    let (volume, id) = apart.tmpfs("volume");
    let (other, other_id) = apart.tmpfs("other");
    let process = Process::start("exec 7>\"$1/a\nb\" 8>\"$2/c\"; rm \"$2/c\"; cd \"$1\"", &[&volume, &other]);
    let expected = [("fd 7".to_owned(), volume.join("a\nb"), id), ("cwd".to_owned(), volume.clone(), id)];
    assert_eq!(process.uses(&[id]), expected);
    assert_eq!(process.uses(&[other_id]), [("fd 8".to_owned(), other.join("c (deleted)"), other_id)]);
    assert_eq!(process.uses(&[id, other_id]).len(), 3);
    assert_eq!(process.uses(&[]), []);
    let found = of_mounts(process.namespace(), &[id]);
    assert!(found.iter().all(|file| file.command == "bash" && file.pid == process.pid()), "nobody else: {found:?}");
    drop(process);
    assert_eq!(of_mounts(workload_process::mount_namespace("thread-self").unwrap(), &[id]), []);
}

#[test]
fn a_mapped_file_in_the_mount_it_was_opened_by() {
    let mut apart = Apart::new();
    let (volume, id) = apart.tmpfs("volume");
    let (_, same_files) = apart.bind(&volume, "same-files");
    std::fs::copy("/bin/bash", volume.join("bash")).unwrap();
    let process = Process::start("exec \"$1/bash\" -c 'echo; read'", &[&volume]);
    // Until the new program's own line, which comes after the exec.
    let program = volume.join("bash");
    let mut seen = process.uses(&[id]);
    while seen.is_empty() {
        seen = process.uses(&[id]);
    }
    assert_eq!(seen, [("mapped".to_owned(), program, id)], "once, however many parts of it are mapped");
    assert_eq!(process.uses(&[same_files]), [], "the file system is the same, the mount is not");
}

#[test]
fn a_root_and_what_is_covered_by_another_mount() {
    let mut apart = Apart::new();
    let (volume, below) = apart.tmpfs("volume");
    std::fs::create_dir(volume.join("usr")).unwrap();
    staging::mount(Path::new("/usr"), &volume.join("usr"), "", libc::MS_BIND, "").unwrap();
    for name in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), volume.join(name)).unwrap();
    }
    let process = Process::start("exec chroot \"$1\" /bin/sh -c 'echo; read x'", &[&volume]);
    let both = |path: &Path| [("cwd".to_owned(), path.to_owned(), below), ("root".to_owned(), path.to_owned(), below)];
    let mut seen = process.uses(&[below]);
    while seen.len() < 2 {
        seen = process.uses(&[below]);
    }
    assert_eq!(seen, both(&volume));
    let (_, above) = apart.tmpfs("volume");
    assert_eq!((process.uses(&[below]).as_slice(), process.uses(&[above])), (both(&volume).as_slice(), vec![]), "the paths are the same");
}

#[test]
fn a_descriptor_handed_to_another_namespace() {
    let mut apart = Apart::new();
    let (volume, id) = apart.tmpfs("volume");
    let ours = File::create(volume.join("kept")).unwrap();
    let theirs = workload_process::mount_namespace("thread-self").unwrap();
    // The process of this test is where its first thread is.
    let elsewhere = from_elsewhere(&[theirs], &[id]);
    let expected = format!("fd {}", ours.as_raw_fd());
    assert_eq!(elsewhere.iter().map(|file| (file.how.clone(), file.path.clone())).collect::<Vec<_>>(), [(expected, volume.join("kept"))]);
    let first_threads = workload_process::mount_namespace("self").unwrap();
    assert_eq!(from_elsewhere(&[theirs, first_threads], &[id]), []);
    drop(ours);
    assert_eq!(from_elsewhere(&[theirs], &[id]), []);
}

#[test]
fn several_namespaces_in_one_pass() {
    let start = || {
        let mut apart = Apart::new();
        let (volume, id) = apart.tmpfs("volume");
        let process = Process::start("exec 7>\"$1/file\"", &[&volume]);
        (process, id, apart)
    };
    let (one, first, _apart) = std::thread::spawn(start).join().unwrap();
    let (two, second, _apart) = std::thread::spawn(start).join().unwrap();
    let wanted = [(one.namespace(), vec![first]), (two.namespace(), vec![second])];
    let found = of_namespaces(&BTreeMap::from(wanted.clone()));
    let mut seen: Vec<_> = found.iter().map(|file| (file.pid, file.mount_id)).collect();
    seen.sort_unstable();
    let mut expected = vec![(one.pid(), first), (two.pid(), second)];
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let crossed = BTreeMap::from([(one.namespace(), vec![second]), (two.namespace(), vec![first])]);
    assert_eq!(of_namespaces(&crossed), [], "a mount is of one namespace");
}

/// A FUSE server that lets processes in and is silent from then on: it says what it can (nothing), and that it has no opinion on access.
fn let_in(mut server: File) -> File {
    const INIT: u32 = 26;
    const ACCESS: u32 = 34;
    const NOT_BUILT: i32 = -libc::ENOSYS;
    loop {
        let mut request = vec![0; 1 << 17];
        let length = server.read(&mut request).unwrap();
        assert!(length > 16, "a request has a head");
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        let (opcode, unique) = (word(4), &request[8..16]);
        let (error, body): (i32, Vec<u8>) = match opcode {
            INIT => (0, [7_u32.to_ne_bytes(), 31_u32.to_ne_bytes()].concat().into_iter().chain([0; 56]).collect()),
            _ => (NOT_BUILT, Vec::new()),
        };
        let length = u32::try_from(16 + body.len()).unwrap();
        server.write_all(&[&length.to_ne_bytes()[..], &error.to_ne_bytes(), unique, &body].concat()).unwrap();
        if opcode == ACCESS {
            return server;
        }
    }
}

#[test]
fn a_server_that_never_answers_is_never_asked() {
    let mut apart = Apart::new();
    let at = apart.mountpoint("silent");
    let server = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
    staging::mount(Path::new("silent"), &at, "fuse", 0, &options).unwrap();
    let id = id_at(&at);
    let inside = Command::new("env").arg(format!("--chdir={}", at.display())).args(["sleep", "1000"]).spawn().unwrap();
    let process = Process(inside);
    let _silent = deadline::within(Duration::from_secs(20), move || let_in(server)).expect("somebody asks to be let in");
    while workload_process::command(process.pid()) != "sleep" {
        std::thread::yield_now();
    }
    let there = at.clone();
    let looked = deadline::within(Duration::from_millis(300), move || std::fs::metadata(there).is_ok());
    assert_eq!(looked, None, "the control: who looks waits for ever");
    let found = of_mounts(process.namespace(), &[id]);
    assert_eq!(found.iter().map(|file| (file.how.as_str(), file.path.clone())).collect::<Vec<_>>(), [("cwd", at)]);
}

#[test]
fn a_process_that_holds_the_look_up_is_told() {
    const HUNG: i32 = 2;
    fn look(pids: &[i32], ids: &[u32]) -> Vec<OpenFile> {
        let of = |pid: &i32| {
            if *pid == HUNG {
                std::thread::sleep(Duration::from_secs(1000));
            }
            OpenFile { pid: *pid, command: String::new(), how: "cwd".to_owned(), path: PathBuf::new(), mount_id: ids[0] }
        };
        pids.iter().map(of).collect()
    }
    let patience = (Duration::from_millis(300), Duration::from_secs(3));
    let found = looked_at_within(patience, vec![(vec![1, HUNG], vec![7]), (vec![3], vec![8])], look);
    let seen: Vec<_> = found.iter().map(|file| (file.pid, file.how.as_str(), file.mount_id)).collect();
    assert_eq!(seen, [(1, "cwd", 7), (HUNG, NO_ANSWER, 7), (3, "cwd", 8)]);
    let found = looked_at_within(patience, vec![(vec![1], vec![7])], look);
    assert_eq!(found.len(), 1, "the control");
}

#[test]
fn any_path_can_be_written_as_json() {
    use std::os::unix::ffi::OsStrExt;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(b"/srv/\xff\n"));
    let file = OpenFile { pid: 7, command: "a".to_owned(), how: "cwd".to_owned(), path, mount_id: 1 };
    assert_eq!(serde_json::to_value(&file).unwrap()["path"], "/srv/\u{fffd}\n");
}
