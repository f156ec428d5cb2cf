//! Every mount namespace of this node and its mount table. Reads /proc and, where the kernel has it, the list of all namespaces; looks at no mount,
//! so that a dead file server holds nothing up.

use crate::kernel::mount_namespaces::{self as kernel, Direction, MountFacts};
use crate::mountinfo::line as mountinfo;
use crate::report::errno;
use crate::workload::process::read;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One mount namespace.
#[derive(Debug)]
pub struct Namespace {
    /// The inode of its file, as `lsns` prints it.
    pub inode: u64,
    /// The lowest pid in it. `None`: nobody is; an open file, a bind mount or a process of another thread group keeps it.
    pub pid: Option<i32>,
    /// A handle of a namespace without a process: there is no path to it.
    pub handle: Option<OwnedFd>,
    pub is_ours: bool,
}

/// All mount namespaces.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of their first processes; those without one come last.
    pub namespaces: Vec<Namespace>,
    /// Why not all namespaces without a process were looked for: only those that are mounted here.
    pub unlisted: Option<Errno>,
    /// Processes whose namespace must not be read: somebody else's, without `CAP_SYS_PTRACE`.
    pub unreadable: usize,
}

/// All that can be seen from here.
///
/// # Errors
/// `/proc` cannot be read.
pub fn find() -> std::io::Result<Found> {
    let mut found = Found::default();
    let mut by_inode: BTreeMap<u64, i32> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        match inode_of(&process_file(pid, "ns/mnt")) {
            Ok(inode) => {
                by_inode.entry(inode).and_modify(|lowest| *lowest = pid.min(*lowest)).or_insert(pid);
            }
            Err(error) => match errno(&error) {
                // It has ended, or is a kernel thread or a zombie.
                Errno::ENOENT | Errno::ESRCH => {}
                Errno::EACCES | Errno::EPERM => found.unreadable += 1,
                _ => return Err(error),
            },
        }
    }
    let ours = inode_of(Path::new("/proc/thread-self/ns/mnt"))?;
    let known: Vec<u64> = by_inode.keys().copied().collect();
    found.namespaces = by_inode.into_iter().map(|(inode, pid)| Namespace { inode, pid: Some(pid), handle: None, is_ours: inode == ours }).collect();
    found.namespaces.sort_by_key(|namespace| namespace.pid);
    match without_process(&known) {
        Ok(others) => found.namespaces.extend(others),
        Err(errno) => {
            found.unlisted = Some(errno);
            found.namespaces.extend(kept_by_mounts(&known));
        }
    }
    Ok(found)
}

/// The mount namespace `inode`, by its process `pid` or whichever other is in it. `None`: no process is.
///
/// # Errors
/// That is not to be found out.
pub fn open(pid: i32, inode: u64) -> Result<Option<OwnedFd>, Errno> {
    if let Some(handle) = open_of_process(pid, inode)? {
        return Ok(Some(handle));
    }
    // A lower pid than that of a container's own process may have been that of a command in it, and has ended.
    let found = find().map_err(|error| errno(&error))?;
    let other = found.namespaces.iter().find(|namespace| namespace.inode == inode).and_then(|namespace| namespace.pid);
    other.map_or(Ok(None), |pid| open_of_process(pid, inode))
}

fn open_of_process(pid: i32, inode: u64) -> Result<Option<OwnedFd>, Errno> {
    match File::open(process_file(pid, "ns/mnt")).and_then(|file| Ok((file.metadata()?.ino(), file))) {
        Ok((found, file)) => Ok((found == inode).then(|| file.into())),
        Err(error) => match errno(&error) {
            Errno::ENOENT | Errno::ESRCH => Ok(None),
            errno => Err(errno),
        },
    }
}

fn process_file(pid: i32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// By the link's text, `mnt:[4026531841]`: opening the file would take more rights.
fn inode_of(link: &Path) -> std::io::Result<u64> {
    let text = std::fs::read_link(link)?;
    let inode = text.to_str().and_then(|text| text.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok());
    inode.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
}

/// Walks the kernel's own list, both ways from our namespace; `known` is in order.
fn without_process(known: &[u64]) -> Result<Vec<Namespace>, Errno> {
    let ours = File::open("/proc/thread-self/ns/mnt").map_err(|error| errno(&error))?;
    let mut found = Vec::new();
    for direction in [Direction::Next, Direction::Previous] {
        let mut at = OwnedFd::from(ours.try_clone().map_err(|error| errno(&error))?);
        loop {
            at = match kernel::neighbour(at.as_fd(), direction) {
                Ok(next) => next,
                Err(Errno::ENOENT) => break,
                Err(errno) => return Err(errno),
            };
            let handle = File::from(at.try_clone().map_err(|_| Errno::EMFILE)?);
            let inode = handle.metadata().map_or(0, |metadata| metadata.ino());
            if known.binary_search(&inode).is_err() {
                found.push(Namespace { inode, pid: None, handle: Some(handle.into()), is_ours: false });
            }
        }
    }
    Ok(found)
}

/// Where the kernel does not give its list away (before 6.11; since 6.18 to the initial pid namespace only): those that are mounted somewhere here,
/// as `unshare --mount=FILE` leaves them. Such a file is of nsfs, which answers at once.
fn kept_by_mounts(known: &[u64]) -> Vec<Namespace> {
    let table = std::fs::read("/proc/thread-self/mountinfo").unwrap_or_default();
    let mut found: Vec<Namespace> = Vec::new();
    for line in mountinfo::lines(&table).iter().filter(|line| *line.fs_type == *b"nsfs") {
        let inode = line.fs_root.strip_prefix(b"mnt:[").and_then(|rest| std::str::from_utf8(rest.strip_suffix(b"]")?).ok()?.parse::<u64>().ok());
        let Some(inode) = inode.filter(|inode| !known.contains(inode) && found.iter().all(|namespace| namespace.inode != *inode)) else { continue };
        if let Ok(handle) = File::open(line.path()) {
            found.push(Namespace { inode, pid: None, handle: Some(handle.into()), is_ours: false });
        }
    }
    found
}

impl Namespace {
    /// Its mounts, as text of mountinfo.
    ///
    /// # Errors
    /// It is gone, or must not be read.
    pub fn table(&self) -> Result<Vec<u8>, Errno> {
        if let Some(pid) = self.pid {
            return read(process_file(pid, "mountinfo")).map_err(|error| errno(&error));
        }
        let Some(handle) = &self.handle else { return Err(Errno::ESRCH) };
        let id = kernel::id(handle.as_fd())?;
        let mounts = kernel::list_mounts(id)?;
        // A mount that went away since it was listed is none.
        Ok(mounts.into_iter().filter_map(|mount| kernel::stat_mount(id, mount).ok()).flat_map(|facts| mountinfo_line(&facts)).collect())
    }
}

/// As the kernel itself would write it in mountinfo.
fn mountinfo_line(facts: &MountFacts) -> Vec<u8> {
    const READ_ONLY: u64 = 1;
    let mut line = format!("{} {} {}:{} ", facts.id, facts.parent, facts.device.0, facts.device.1).into_bytes();
    escape_into(&mut line, &facts.root);
    line.push(b' ');
    escape_into(&mut line, &facts.mountpoint);
    line.extend(if facts.attributes & READ_ONLY == 0 { b" rw" } else { b" ro" });
    if facts.peer_group != 0 && facts.propagation & libc::MS_SHARED != 0 {
        line.extend(format!(" shared:{}", facts.peer_group).bytes());
    }
    if facts.master != 0 {
        line.extend(format!(" master:{}", facts.master).bytes());
    }
    if facts.propagation & libc::MS_UNBINDABLE != 0 {
        line.extend(b" unbindable");
    }
    line.extend(b" - ");
    escape_into(&mut line, &facts.fs_type);
    line.push(b' ');
    escape_into(&mut line, &facts.source);
    line.push(b'\n');
    line
}

fn escape_into(line: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => line.extend(format!("\\{byte:03o}").bytes()),
            _ => line.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo::line::lines;

    #[test]
    fn our_own_namespace_is_found_with_its_mounts() {
        let found = find().unwrap();
        let ours = found.namespaces.iter().find(|namespace| namespace.is_ours).unwrap();
        assert_eq!(lines(&ours.table().unwrap()), lines(&std::fs::read("/proc/self/mountinfo").unwrap()));
    }

    #[test]
    fn statmount_says_what_mountinfo_says() {
        let ours = File::open("/proc/thread-self/ns/mnt").unwrap();
        let Ok(id) = kernel::id(ours.as_fd()) else { return assert!(!is_new_kernel(), "the ioctl is there since 6.11") };
        let text = std::fs::read("/proc/self/mountinfo").unwrap();
        let seen: Vec<u8> =
            kernel::list_mounts(id).unwrap().into_iter().flat_map(|mount| mountinfo_line(&kernel::stat_mount(id, mount).unwrap())).collect();
        let (mut seen, mut told) = (lines(&seen), lines(&text));
        seen.sort_by_key(|line| line.id);
        told.sort_by_key(|line| line.id);
        // Older than 6.13: without the source.
        for (seen, told) in seen.iter().zip(&mut told).filter(|(seen, _)| seen.source.is_empty()) {
            told.source.clone_from(&seen.source);
        }
        assert_eq!(seen, told);
    }

    fn is_new_kernel() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 11)
    }

    /// Nobody is in it, and no file leads to it: only the kernel's own list has it.
    #[test]
    fn a_namespace_that_only_an_open_file_keeps_is_found() {
        const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
        let kept = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS | nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            File::open("/proc/thread-self/ns/mnt").unwrap()
        });
        let kept = kept.join().unwrap();
        let inode = kept.metadata().unwrap().ino();
        let found = find().unwrap();
        let others: Vec<_> = found.namespaces.iter().filter(|namespace| namespace.inode == inode).collect();
        if let Some(errno) = found.unlisted {
            let is_first = std::fs::metadata("/proc/self/ns/pid").unwrap().ino() == FIRST_PID_NAMESPACE;
            assert!(!is_first || !is_new_kernel(), "the kernel's list is there, to root in the first pid namespace: {errno}");
        } else {
            let [namespace] = others[..] else { panic!("found {} times", others.len()) };
            assert_eq!((namespace.pid, namespace.is_ours), (None, false));
            assert!(lines(&namespace.table().unwrap()).iter().any(|line| line.path() == Path::new("/")));
        }
    }

    #[test]
    fn names_are_escaped_as_the_kernel_does() {
        let mut line = Vec::new();
        escape_into(&mut line, b"a b\tc\nd\\e\xff");
        assert_eq!(line, b"a\\040b\\011c\\012d\\134e\xff");
    }

    #[test]
    fn a_namespace_is_opened_by_another_process_when_the_one_that_was_known_is_gone() {
        let ours = inode_of(Path::new("/proc/thread-self/ns/mnt")).unwrap();
        let mut short = std::process::Command::new("true").spawn().unwrap();
        short.wait().unwrap();
        let gone = i32::try_from(short.id()).unwrap();
        assert!(open_of_process(gone, ours).unwrap().is_none(), "the control");
        assert!(open(gone, ours).unwrap().is_some());
        assert!(open(gone, 1).unwrap().is_none(), "a namespace that nobody has");
    }
}
