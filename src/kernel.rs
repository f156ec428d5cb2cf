//! The system calls that no crate here wraps. Together with `main.rs` the only place with `unsafe`.

pub mod mount_groups;
pub mod mount_namespaces;
pub mod news;
pub mod probe;
pub mod process;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

/// What statx(2) says about a file and the mount that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    pub is_dir: bool,
    /// The file is the root of its mount. `None` on kernels before 5.8.
    pub is_mountpoint: Option<bool>,
    pub mount: Option<MountId>,
}

/// The id of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountId {
    pub id: u64,
    /// Never used again by the kernel, and known to statmount(2): since Linux 6.8. Otherwise the id of mountinfo.
    pub unique: bool,
}

const STATX_MNT_ID_UNIQUE: u32 = 0x4000;

/// Looks at a file, following symlinks, without waiting for a network file system to agree and without mounting an automount.
///
/// # Errors
/// The errno of statx(2); a path with a NUL byte is `EINVAL`.
pub fn stat(path: &Path) -> Result<FileFacts, Errno> {
    let path = c_path(path)?;
    let stat = statx(libc::AT_FDCWD, &path, libc::AT_NO_AUTOMOUNT | libc::AT_STATX_DONT_SYNC)?;
    let knows = |bit: c_int| stat.stx_attributes_mask & u64::from(bit.unsigned_abs()) != 0;
    Ok(FileFacts {
        is_dir: u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFDIR,
        is_mountpoint: knows(libc::STATX_ATTR_MOUNT_ROOT).then(|| stat.stx_attributes & u64::from(libc::STATX_ATTR_MOUNT_ROOT.unsigned_abs()) != 0),
        mount: mount_id(&stat),
    })
}

/// The mount that holds an open file, which may be an `O_PATH` handle. `None` on kernels before 5.8.
pub fn mount_of(file: BorrowedFd) -> Option<MountId> {
    let stat = statx(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC).ok()?;
    mount_id(&stat)
}

fn statx(directory: c_int, path: &CStr, flags: c_int) -> Result<libc::statx, Errno> {
    let mask = libc::STATX_TYPE | libc::STATX_MNT_ID | STATX_MNT_ID_UNIQUE;
    // SAFETY: all-zero is a valid `statx`; the kernel writes at most one of it, and `path` is NUL-terminated.
    let (result, stat) = unsafe {
        let mut stat: libc::statx = std::mem::zeroed();
        (libc::statx(directory, path.as_ptr(), flags, mask, &raw mut stat), stat)
    };
    Errno::result(result)?;
    Ok(stat)
}

fn mount_id(stat: &libc::statx) -> Option<MountId> {
    let unique = stat.stx_mask & STATX_MNT_ID_UNIQUE != 0;
    (unique || stat.stx_mask & libc::STATX_MNT_ID != 0).then_some(MountId { id: stat.stx_mnt_id, unique })
}

/// `struct mnt_id_req` of statmount(2), version 0.
#[repr(C)]
struct MountIdRequest {
    size: u32,
    spare: u32,
    mount_id: u64,
    param: u64,
}

const SYS_STATMOUNT: c_long = 457;
const SYS_LISTMOUNT: c_long = 458;
const STATMOUNT_MNT_BASIC: u64 = 2;
const STATMOUNT_SB_BASIC: u64 = 1;
/// Offset of `sb_magic` in `struct statmount`, in eight-byte words.
const MAGIC_WORD: usize = 24 / 8;
/// Offset of `mnt_propagation` in `struct statmount`, in eight-byte words.
const PROPAGATION_WORD: usize = 72 / 8;

/// Whether a mount is shared, by its unique id: statmount(2), Linux 6.8.
///
/// # Errors
/// `ENOSYS` before 6.8, `EPERM` under a seccomp filter that does not know it, `ENOENT` when the mount is gone.
pub fn is_shared_mount(unique_id: u64) -> Result<bool, Errno> {
    Ok(statmount(unique_id, STATMOUNT_MNT_BASIC)?[PROPAGATION_WORD] & libc::MS_SHARED != 0)
}

fn statmount(mount_id: u64, param: u64) -> Result<[u64; 128], Errno> {
    let request = MountIdRequest { size: 24, spare: 0, mount_id, param };
    let mut reply = [0_u64; 128];
    // SAFETY: `request` has the layout and size it names; the kernel writes at most the size of `reply`.
    Errno::result(unsafe { libc::syscall(SYS_STATMOUNT, &raw const request, reply.as_mut_ptr(), size_of_val(&reply), 0) })?;
    Ok(reply)
}

/// Whether anything is mounted below a mount, by its unique id: listmount(2), Linux 6.8, asked for one of them.
///
/// # Errors
/// As [`is_shared_mount`].
pub fn has_mounts_below(unique_id: u64) -> Result<bool, Errno> {
    let request = MountIdRequest { size: 24, spare: 0, mount_id: unique_id, param: 0 };
    let mut first = 0_u64;
    // SAFETY: `request` has the layout and size it names; the kernel writes at most the one id that is asked for.
    let count = unsafe { libc::syscall(SYS_LISTMOUNT, &raw const request, &raw mut first, 1, 0) };
    Ok(Errno::result(count)? > 0)
}

/// Whether a file lies in a file system of this machine, which answers.
///
/// # Errors
/// `EAGAIN`: that is not known without asking. `ENOENT`: it is known not to be there.
pub fn is_at_hand(path: &Path) -> Result<bool, Errno> {
    // tmpfs, overlay, btrfs, zfs: those without a disk of their own that are no network's and no server's.
    const MAGIC: [u64; 4] = [0x0102_1994, 0x794c_7630, 0x9123_683e, 0x2fc1_2fc1];
    const RESOLVE_CACHED: u64 = 0x20;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::from_bits_retain(RESOLVE_CACHED));
    let handle = openat2(AT_FDCWD, path, how)?;
    let stat = statx(handle.as_raw_fd(), c"", libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC)?;
    let magic = || mount_id(&stat).filter(|mount| mount.unique).and_then(|mount| statmount(mount.id, STATMOUNT_SB_BASIC).ok());
    Ok(stat.stx_dev_major != 0 || magic().is_some_and(|reply| MAGIC.contains(&reply[MAGIC_WORD])))
}

/// Fills closed standard descriptors for the time before `execve`, so that no file of ours becomes fd 0, 1 or 2 and is taken for the
/// container's stdio. Close-on-exec: the runtime inherits them closed, as the caller left them.
pub fn hold_closed_stdio() {
    for fd in 0..=2 {
        // SAFETY: plain calls on descriptors; `open` takes the lowest free one, which is `fd`.
        unsafe {
            if libc::fcntl(fd, libc::F_GETFD) == -1 {
                libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
            }
        }
    }
}

/// Whether the program was started with more rights than its caller has (setuid, setgid, file capabilities): getauxval(3), `AT_SECURE`.
#[must_use]
pub fn is_privileged_start() -> bool {
    // SAFETY: getauxval has no preconditions.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The path by which this program was executed (`AT_EXECFN`), for systems without `/proc`.
#[must_use]
pub fn executed_path() -> Option<&'static CStr> {
    // SAFETY: the kernel puts a NUL-terminated string on the initial stack, which stays for the life of the process.
    unsafe {
        let path = libc::getauxval(libc::AT_EXECFN) as *const c_char;
        (!path.is_null()).then(|| CStr::from_ptr(path))
    }
}

/// The arguments of `main`, as the kernel passed them.
#[derive(Clone, Copy)]
pub struct RawArgs {
    argv: *const *const c_char,
    count: usize,
}

impl RawArgs {
    /// # Safety
    /// `argc` and `argv` must be those that `main` received.
    #[must_use]
    pub unsafe fn of_main(argc: c_int, argv: *const *const c_char) -> RawArgs {
        RawArgs { argv, count: usize::try_from(argc).unwrap_or(0) }
    }

    /// The arguments without those at `indices`, for `execve`. The new array stays for the life of the process.
    #[must_use]
    pub fn without(self, indices: &[usize]) -> RawArgs {
        // SAFETY: `main` received `argc` pointers; all of them are read, none is changed.
        let all = (0..self.count).map(|index| (index, unsafe { *self.argv.add(index) }));
        let mut kept: Vec<*const c_char> = all.filter(|(index, _)| !indices.contains(index)).map(|(_, word)| word).collect();
        let count = kept.len();
        kept.push(std::ptr::null());
        RawArgs { argv: kept.leak().as_ptr(), count }
    }

    /// Every argument's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<&'static [u8]> {
        // SAFETY: `main` received `argc` NUL-terminated strings that live as long as the process, and nothing here changes them.
        (0..self.count).map(|index| unsafe { CStr::from_ptr(*self.argv.add(index)).to_bytes() }).collect()
    }
}

/// Becomes `program`: same argv (argv\[0\] too), same environment, with one variable added when `extra` names it. Raw execve(2), because
/// `std::process::Command` resets SIGPIPE, opens closed standard descriptors and renames argv\[0\]. Returns only on failure.
#[must_use]
pub fn execve(program: &CStr, args: RawArgs, extra: Option<&CStr>) -> Errno {
    // SAFETY: argv and environ are the NULL-terminated arrays this process was started with; `extra` outlives the call.
    unsafe {
        let mut environment: Vec<*const c_char> = Vec::new();
        let mut environ = libc_environ();
        if let Some(extra) = extra {
            let name_len = extra.to_bytes().iter().position(|byte| *byte == b'=').map_or(0, |at| at + 1);
            let mut entry = environ;
            while !entry.is_null() && !(*entry).is_null() {
                if !CStr::from_ptr(*entry).to_bytes().starts_with(&extra.to_bytes()[..name_len]) {
                    environment.push(*entry);
                }
                entry = entry.add(1);
            }
            environment.extend([extra.as_ptr(), std::ptr::null()]);
            environ = environment.as_ptr();
        }
        libc::execve(program.as_ptr(), args.argv, environ);
    }
    Errno::last()
}

unsafe fn libc_environ() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: nothing in this program changes the environment.
    unsafe { environ }
}

fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::EINVAL)
}

/// A private copy of the one mount that holds `file`, with `file` as its root and without the mounts below it: open_tree(2), Linux 5.2. It is
/// attached nowhere and ends with the descriptor, which is an `O_PATH` handle and close-on-exec.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN` or under a seccomp filter, `ENOSYS` before 5.2, `EINVAL` for an unbindable mount.
pub fn clone_mount(file: BorrowedFd) -> Result<OwnedFd, Errno> {
    let flags = libc::AT_EMPTY_PATH.unsigned_abs() | libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is NUL-terminated and `file` is open.
    let result = unsafe { libc::syscall(libc::SYS_open_tree, file.as_raw_fd(), c"".as_ptr(), flags) };
    let fd = c_int::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What tests of this crate do to the world: mounts, and system calls that are refused.
#[cfg(test)]
pub(crate) mod staging {
    use super::{CString, Errno, c_int, c_long, c_path};
    use std::path::Path;

    /// mount(2).
    pub fn mount(source: &Path, at: &Path, kind: &str, flags: libc::c_ulong, options: &str) -> Result<(), Errno> {
        let (source, at) = (c_path(source)?, c_path(at)?);
        let text = |text: &str| CString::new(text).map_err(|_| Errno::EINVAL);
        let (kind, options) = (text(kind)?, text(options)?);
        // SAFETY: NUL-terminated strings that outlive the call.
        Errno::result(unsafe { libc::mount(source.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) }).map(drop)
    }

    /// umount2(2), even of a mount in use.
    pub fn unmount(at: &Path) -> Result<(), Errno> {
        let at = c_path(at)?;
        // SAFETY: a NUL-terminated path.
        Errno::result(unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) }).map(drop)
    }

    /// From now on, and for ever, `calls` answer `errno` in this thread and in those that it starts: seccomp(2).
    pub fn refuse(calls: &[c_long], errno: Errno) {
        const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
        const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
        let op = |code: u32, jump_if_not: u8, k: u32| libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf: jump_if_not, k };
        // The number of the call stands first in what a filter sees.
        let mut filter = vec![op(LOAD, 0, 0)];
        for call in calls {
            filter.push(op(IF_EQUAL, 1, u32::try_from(*call).unwrap()));
            filter.push(op(RETURN, 0, libc::SECCOMP_RET_ERRNO | (errno as c_int).unsigned_abs()));
        }
        filter.push(op(RETURN, 0, libc::SECCOMP_RET_ALLOW));
        let program = libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
        // SAFETY: `program` points to a filter of the length it names; the kernel copies it.
        Errno::result(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }).unwrap();
    }
}
