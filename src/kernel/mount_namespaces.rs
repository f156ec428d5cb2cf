//! Mount namespaces that no process is in, and the mounts in them: nsfs ioctls (Linux 6.11), listmount(2) and statmount(2) of a foreign namespace
//! (Linux 6.11), as of `linux/nsfs.h` and `linux/mount.h`.

use super::{SYS_LISTMOUNT, SYS_STATMOUNT};
use nix::errno::Errno;
use std::ffi::{CStr, c_int, c_ulong};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `struct mnt_ns_info`.
#[repr(C)]
#[derive(Default)]
struct NamespaceInfo {
    size: u32,
    nr_mounts: u32,
    id: u64,
}

/// `_IOR(0xb7, number, struct mnt_ns_info)`.
const fn ioctl_number(number: c_ulong) -> c_ulong {
    2 << 30 | 16 << 16 | 0xb7 << 8 | number
}

const NS_MNT_GET_INFO: c_ulong = ioctl_number(10);
const NS_MNT_GET_NEXT: c_ulong = ioctl_number(11);
const NS_MNT_GET_PREV: c_ulong = ioctl_number(12);

/// Where to look for a neighbour of a namespace: the kernel keeps them in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Next,
    Previous,
}

/// The neighbour of a mount namespace that has one.
///
/// # Errors
/// `ENOENT`: it is the last one. `ENOTTY`: the kernel is older than 6.11. `EPERM` without `CAP_SYS_ADMIN`.
pub fn neighbour(namespace: BorrowedFd, direction: Direction) -> Result<OwnedFd, Errno> {
    let mut info = NamespaceInfo { size: 16, ..NamespaceInfo::default() };
    let request = if direction == Direction::Next { NS_MNT_GET_NEXT } else { NS_MNT_GET_PREV };
    // SAFETY: `info` has the layout and the size that the request names.
    let result = unsafe { libc::ioctl(namespace.as_raw_fd(), request, &raw mut info) };
    let fd: c_int = Errno::result(result)?;
    // SAFETY: the kernel has just opened it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The id by which listmount(2) and statmount(2) know a namespace.
///
/// # Errors
/// As [`neighbour`].
pub fn id(namespace: BorrowedFd) -> Result<u64, Errno> {
    let mut info = NamespaceInfo { size: 16, ..NamespaceInfo::default() };
    // SAFETY: as above.
    Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_MNT_GET_INFO, &raw mut info) })?;
    Ok(info.id)
}

/// `struct mnt_id_req`, version 1.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    mount_id: u64,
    param: u64,
    namespace: u64,
}

impl Request {
    fn new(mount_id: u64, param: u64, namespace: u64) -> Request {
        Request { size: 32, spare: 0, mount_id, param, namespace }
    }
}

/// From the root of the namespace.
const LSMT_ROOT: u64 = u64::MAX;

/// The unique ids of all mounts of a namespace, in the order in which they were made.
///
/// # Errors
/// `ENOENT`: the namespace is gone. `EPERM` without `CAP_SYS_ADMIN`, `ENOSYS` and `EINVAL` on older kernels.
pub fn list_mounts(namespace: u64) -> Result<Vec<u64>, Errno> {
    let mut ids: Vec<u64> = Vec::new();
    let mut page = [0_u64; 512];
    loop {
        let request = Request::new(LSMT_ROOT, ids.last().copied().unwrap_or(0), namespace);
        // SAFETY: `request` has the layout and size it names; the kernel writes at most the ids that are asked for.
        let count = unsafe { libc::syscall(SYS_LISTMOUNT, &raw const request, page.as_mut_ptr(), page.len(), 0) };
        let count = usize::try_from(Errno::result(count)?).unwrap_or(0).min(page.len());
        ids.extend(&page[..count]);
        if count < page.len() {
            return Ok(ids);
        }
    }
}

/// What statmount(2) says of one mount.
#[derive(Debug)]
pub struct MountFacts {
    pub id: u32,
    pub parent: u32,
    pub device: (u32, u32),
    pub attributes: u64,
    pub propagation: u64,
    pub peer_group: u64,
    pub master: u64,
    pub root: Vec<u8>,
    pub mountpoint: Vec<u8>,
    pub fs_type: Vec<u8>,
    pub source: Vec<u8>,
}

/// `SB_BASIC | MNT_BASIC | MNT_ROOT | MNT_POINT | FS_TYPE | SB_SOURCE`.
const WANTED: u64 = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x200;
/// Where in `struct statmount` the strings begin.
const STRINGS: usize = 512;

/// One mount of a namespace, by its unique id.
///
/// # Errors
/// As [`list_mounts`]; `EOVERFLOW` for names that are longer than 16 kB together.
pub fn stat_mount(namespace: u64, mount_id: u64) -> Result<MountFacts, Errno> {
    let request = Request::new(mount_id, WANTED, namespace);
    let mut words = [0_u64; 2048];
    // SAFETY: `request` has the layout and size it names; the kernel writes at most the size of `words`.
    let result = unsafe { libc::syscall(SYS_STATMOUNT, &raw const request, words.as_mut_ptr(), size_of_val(&words), 0) };
    Errno::result(result)?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let long = |offset: usize| words[offset / 8];
    let short = |offset: usize| bytes[offset..offset + 4].try_into().map_or(0, u32::from_ne_bytes);
    let text = |offset: usize| {
        let tail = bytes.get(STRINGS + short(offset) as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(tail).map(CStr::to_bytes).unwrap_or_default().to_vec()
    };
    let has_source = long(8) & 0x200 != 0;
    Ok(MountFacts {
        id: short(56),
        parent: short(60),
        device: (short(16), short(20)),
        attributes: long(64),
        propagation: long(72),
        peer_group: long(80),
        master: long(88),
        root: text(104),
        mountpoint: text(108),
        fs_type: text(36),
        source: if has_source { text(124) } else { Vec::new() },
    })
}
