//! What one process has open, by the links and texts in its folder of /proc.

use super::OpenFile;
use crate::mountinfo::Device;
use crate::mountinfo::line::lines;
use crate::workload::process::{command, read};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// By all processes, which are of one namespace.
pub fn uses(pids: &[i32], mount_ids: &[u32]) -> Vec<OpenFile> {
    let devices = pids.iter().find_map(|pid| devices_of(*pid, mount_ids));
    let of_process = |pid: &i32| {
        let process = Process { pid: *pid, folder: PathBuf::from(format!("/proc/{pid}")), mount_ids };
        let mut found = process.descriptors();
        found.extend(["cwd", "root"].iter().filter_map(|link| process.use_by(link, (*link).to_owned())));
        found.extend(process.mapped(devices.as_deref()));
        found
    };
    pids.iter().flat_map(of_process).collect()
}

/// By their descriptors alone.
pub fn uses_by_handle(pids: &[i32], mount_ids: &[u32]) -> Vec<OpenFile> {
    let of_process = |pid: &i32| Process { pid: *pid, folder: PathBuf::from(format!("/proc/{pid}")), mount_ids }.descriptors();
    pids.iter().flat_map(of_process).collect()
}

/// The devices of mounts, as a list of mapped files names them. `None`: any, because a file of an overlay can be shown with another.
fn devices_of(pid: i32, mount_ids: &[u32]) -> Option<Vec<Device>> {
    let table = read(format!("/proc/{pid}/mountinfo")).ok().filter(|table| !table.is_empty())?;
    let lines = lines(&table);
    let wanted = || lines.iter().filter(|line| mount_ids.contains(&line.id));
    // Out of this process' sight (chroot): another may see it.
    let is_complete = wanted().count() == mount_ids.len();
    (is_complete && wanted().all(|line| *line.fs_type != *b"overlay")).then(|| wanted().map(|line| line.device).collect())
}

struct Process<'a> {
    pid: i32,
    folder: PathBuf,
    mount_ids: &'a [u32],
}

impl Process<'_> {
    fn descriptors(&self) -> Vec<OpenFile> {
        let mut numbers: Vec<u32> = names_in(&self.folder.join("fd")).filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        numbers.iter().filter_map(|number| self.descriptor(*number)).collect()
    }

    fn descriptor(&self, number: u32) -> Option<OpenFile> {
        let target = std::fs::read_link(self.folder.join(format!("fd/{number}"))).ok()?;
        // Most descriptors are these, and they are in no mount.
        let is_nowhere = [&b"socket:["[..], b"pipe:[", b"anon_inode:"].iter().any(|kind| target.as_os_str().as_bytes().starts_with(kind));
        if is_nowhere {
            return None;
        }
        let mount_id = mount_id_of(&self.folder.join(format!("fdinfo/{number}")))?;
        self.found(mount_id, format!("fd {number}"), target)
    }

    /// By a magic link: to open it leads straight to the file.
    fn use_by(&self, link: &str, how: String) -> Option<OpenFile> {
        let link = self.folder.join(link);
        let handle: File = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(&link).ok()?;
        let mount_id = mount_id_of(&Path::new("/proc/self/fdinfo").join(handle.as_raw_fd().to_string()))?;
        self.found(mount_id, how, std::fs::read_link(&link).ok()?)
    }

    fn found(&self, mount_id: u32, how: String, path: PathBuf) -> Option<OpenFile> {
        self.mount_ids.contains(&mount_id).then(|| OpenFile { pid: self.pid, command: command(self.pid), how, path, mount_id })
    }

    /// Each file once, however many parts of it are mapped. The device and inode of a line are those of the file system, which may be mounted
    /// several times; which mount it is says the link.
    fn mapped(&self, devices: Option<&[Device]>) -> Vec<OpenFile> {
        let text = read(self.folder.join("maps")).unwrap_or_default();
        let mut seen = BTreeSet::new();
        let files =
            text.split(|byte| *byte == b'\n').filter_map(mapping).filter(|mapping| devices.is_none_or(|wanted| wanted.contains(&mapping.device)));
        files
            .filter(|file| seen.insert((file.device, file.inode)))
            .filter_map(|file| self.use_by(&format!("map_files/{}", file.range), "mapped".to_owned()))
            .collect()
    }
}

/// One line of `/proc/P/maps` that is of a file.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    /// As the folder map_files spells it: without the zeros that fill up small numbers in the list.
    range: String,
    device: Device,
    inode: u64,
}

/// `7f0e8c000000-7f0e8c021000 r--p 00000000 fe:00 131104 /usr/lib/libc.so.6`: the device in hexadecimal numbers, the inode in decimal.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty()).map(|field| std::str::from_utf8(field).ok());
    let (start, end) = fields.next()??.split_once('-')?;
    let (major, minor) = fields.nth(2)??.split_once(':')?;
    let inode = fields.next()??.parse().ok().filter(|inode| *inode != 0)?;
    let number = |text| u32::from_str_radix(text, 16).ok();
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping { range: format!("{:x}-{:x}", address(start)?, address(end)?), device: (number(major)?, number(minor)?), inode })
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok())
}

/// The field `mnt_id` of a descriptor's text, one of the first lines; what an eventpoll or inotify adds below may be long.
fn mount_id_of(fdinfo: &Path) -> Option<u32> {
    let mut text = [0; 256];
    let length = File::open(fdinfo).ok()?.read(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text[..length]);
    text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps() {
        let of = |line: &str| mapping(line.as_bytes()).map(|mapping| (mapping.range, mapping.device, mapping.inode));
        let known = of("7f0e8c000000-7f0e8c021000 r--p 00001000 fe:1a 131104                     /usr/lib/a b (deleted)");
        assert_eq!(known, Some(("7f0e8c000000-7f0e8c021000".to_owned(), (254, 26), 131_104)));
        let low = of("00400000-00401000 r--p 00000000 00:5f 142                                /bin/busybox");
        assert_eq!(low, Some(("400000-401000".to_owned(), (0, 95), 142)), "a program with a fixed address");
        for nothing in [
            "55d0 r--p 0 fe:00 7 /x",
            "7ffc0c5e2000-7ffc0c603000 rw-p 00000000 00:00 0                          [stack]",
            "55d0 r--p 0 fe:00",
            "55d0 r--p 0 fe00 12 /x",
            "",
            "\u{fffd} \u{fffd} \u{fffd} \u{fffd}:1 1",
        ] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
        assert_eq!(mapping(&[0xff; 90]), None);
        assert!(mapping(b"1-2 r--p 0 fe:00 7 /\xff\xfe").is_some(), "a name is any bytes");
    }
}
