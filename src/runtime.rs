//! Finds the real runtime, which is never ourselves, and becomes it.

use crate::config::Config;
use crate::invocation::Flavour;
use crate::kernel::{self, RawArgs};
use crate::report::{Failure, errno_name};
use crate::settings_files::is_writable_by_others;
use nix::time::ClockId;
use nix::unistd::{AccessFlags, access};
use std::ffi::{CString, OsStr};
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Searched when PATH is unset or empty, as podman's direct calls may leave it.
const USUAL_DIRECTORIES: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Programs that earlier runc-guards of this chain have become and that may lead back to one, as `DEV:INO` separated by commas. It goes only to
/// such a program (a shell wrapper, a file of another name), not straight to runc, crun or youki.
pub const CHAIN: &str = "RUNC_GUARD_CHAIN";

/// A usable real runtime.
#[derive(Debug)]
pub struct Runtime {
    pub path: PathBuf,
    pub flavour: Flavour,
    /// Others than root and ourselves can replace its content.
    pub writable_by_others: bool,
    /// Some admin's wrapper.
    pub is_script: bool,
    /// Candidates that came before and cannot be used, each with the reason.
    pub refused: Vec<String>,
    chain: Option<CString>,
}

type Identity = (u64, u64);

/// The first usable candidate of `config.runtimes`.
///
/// # Errors
/// None is usable; the failure says why for each.
pub fn find(config: &Config) -> Result<Runtime, Failure> {
    let ourselves = own_identity();
    let entered = entered_before();
    let mut refused: Vec<String> = Vec::new();
    for name in &config.runtimes {
        let mut found = false;
        for path in candidates(name) {
            found = true;
            match usable(&path, ourselves, &entered) {
                Ok(metadata) => return Ok(Runtime { refused, ..runtime(path, &metadata, config.flavour, &entered) }),
                Err(why) => refused.push(format!("{}: {why}", path.display())),
            }
        }
        if !found {
            refused.push(format!("{name}: not in PATH"));
        }
    }
    Err(Failure::new(format!("find the real runtime: none of the candidates can be used ({}); name one in the setting runtimes", refused.join("; "))))
}

/// The paths a name stands for, each looked up only when the one before cannot be used.
pub fn candidates(name: &str) -> Box<dyn Iterator<Item = PathBuf>> {
    if name.starts_with('/') {
        return Box::new(std::iter::once(PathBuf::from(name)));
    }
    let path = std::env::var_os("PATH").filter(|path| !path.is_empty()).unwrap_or_else(|| USUAL_DIRECTORIES.into());
    // A relative entry would search the bundle or whatever directory the engine is in.
    let path = std::env::join_paths(std::env::split_paths(&path).filter(|entry| entry.is_absolute())).unwrap_or_default();
    match which::which_in_all(name.to_owned(), Some(path), "/") {
        Ok(found) => Box::new(found),
        Err(_) => Box::new(std::iter::empty()),
    }
}

fn usable(path: &Path, ourselves: Option<Identity>, entered: &[Identity]) -> Result<Metadata, String> {
    let metadata = std::fs::metadata(path).map_err(|error| errno_name(&error))?;
    let identity = (metadata.dev(), metadata.ino());
    if Some(identity) == ourselves {
        return Err("runc-guard itself".to_owned());
    }
    if entered.contains(&identity) {
        return Err("leads back to runc-guard".to_owned());
    }
    if !metadata.is_file() {
        return Err("no regular file".to_owned());
    }
    access(path, AccessFlags::X_OK).map_err(|errno| format!("{errno:?}"))?;
    Ok(metadata)
}

fn runtime(path: PathBuf, metadata: &Metadata, configured: Option<Flavour>, entered: &[Identity]) -> Runtime {
    let (named, is_script) = look_at(&path);
    let flavour = configured.unwrap_or(named);
    let needs_mark = flavour == Flavour::Unknown || !entered.is_empty() || is_script || has_run_long();
    let chain = needs_mark.then(|| chain_variable(entered, (metadata.dev(), metadata.ino())));
    Runtime { path, flavour, writable_by_others: is_writable_by_others(metadata), is_script, refused: Vec::new(), chain }
}

/// What the file says about itself: its flavour by the name of what is executed in the end (a symlink `runc` may lead to crun; a target of
/// unknown name has the link's flavour), and whether it is a script.
fn look_at(path: &Path) -> (Flavour, bool) {
    let by_name = |path: &Path| path.file_name().map_or(Flavour::Unknown, Flavour::of_file_name);
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
    if !open.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ELOOP)) {
        return (by_name(path), open.is_ok_and(is_script));
    }
    #[allow(clippy::disallowed_methods)] // read for its name only
    let target = std::fs::canonicalize(path).map_or(Flavour::Unknown, |target| by_name(&target));
    let flavour = if target == Flavour::Unknown { by_name(path) } else { target };
    (flavour, File::open(path).is_ok_and(is_script))
}

/// A script of a runtime's name is some admin's wrapper and may lead back to us.
fn is_script(mut file: File) -> bool {
    let mut magic = [0_u8; 2];
    file.read_exact(&mut magic).is_ok() && magic == *b"#!"
}

/// Whether this process has used more CPU time than one that has just been forked. It keeps its time across execve, so programs that execute each
/// other without end are marked, and then found, whatever they are.
fn has_run_long() -> bool {
    nix::time::clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).is_ok_and(|time| time.tv_sec() > 0 || time.tv_nsec() > 50_000_000)
}

/// Whether `path` is this very program, by whatever name.
#[must_use]
pub fn is_ourselves(path: &Path) -> bool {
    own_identity().is_some_and(|own| std::fs::metadata(path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == own))
}

fn own_identity() -> Option<Identity> {
    let executed = || kernel::executed_path().and_then(|path| std::fs::metadata(OsStr::from_bytes(path.to_bytes())).ok());
    let metadata = std::fs::metadata("/proc/self/exe").ok().or_else(executed)?;
    Some((metadata.dev(), metadata.ino()))
}

fn entered_before() -> Vec<Identity> {
    let chain = std::env::var(CHAIN).unwrap_or_default();
    let identity = |entry: &str| entry.split_once(':').and_then(|(dev, ino)| Some((dev.parse().ok()?, ino.parse().ok()?)));
    chain.split(',').filter_map(identity).collect()
}

fn chain_variable(entered: &[Identity], next: Identity) -> CString {
    let chain: Vec<String> = entered.iter().chain([&next]).map(|(dev, ino)| format!("{dev}:{ino}")).collect();
    CString::new(format!("{CHAIN}={}", chain.join(","))).unwrap_or_default()
}

impl Runtime {
    /// Becomes the runtime; returns only why that failed.
    #[must_use]
    pub fn exec(&self, args: RawArgs) -> Failure {
        let Ok(path) = CString::new(self.path.clone().into_os_string().into_vec()) else {
            return Failure::new(format!("execute {:?}: EINVAL; correct the setting runtimes", self.path));
        };
        let errno = kernel::execve(&path, args, self.chain.as_deref());
        Failure::new(format!("execute {}: {errno:?}; install a working runtime there or name another in the setting runtimes", self.path.display()))
    }
}
