//! Reads the settings files: `/etc/runc-guard/config.toml`, then `/etc/runc-guard/conf.d/*.toml` in name order; or the one file that
//! `RUNC_GUARD_CONFIG` names. Never waits: what is no regular file of a sane size is a problem, not a read.

use crate::bundle::read_whole;
use crate::config::Settings;
use crate::report::errno_name;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where settings live.
pub const DIRECTORY: &str = "/etc/runc-guard";
/// Names another settings file.
pub const VARIABLE: &str = "RUNC_GUARD_CONFIG";

const MOST_BYTES: u64 = 1 << 20;

/// The settings of this process. Absent files mean defaults; everything else that is wrong is in [`Settings::problems`].
#[must_use]
pub fn read() -> Settings {
    match std::env::var_os(VARIABLE).filter(|file| !file.is_empty()) {
        Some(file) => {
            let mut settings = Settings::default();
            absorb_file(&mut settings, Path::new(&file), true);
            settings
        }
        None => read_directory(Path::new(DIRECTORY)),
    }
}

/// The settings of `directory`: its `config.toml`, then its `conf.d`.
#[must_use]
pub fn read_directory(directory: &Path) -> Settings {
    let mut settings = Settings::default();
    absorb_file(&mut settings, &directory.join("config.toml"), false);
    match drop_ins(&directory.join("conf.d")) {
        Ok(files) => files.iter().for_each(|file| absorb_file(&mut settings, file, true)),
        Err(error) => settings.tell(&directory.join("conf.d"), None, unreadable(&error)),
    }
    settings
}

/// The `*.toml` files of a drop-in directory in the order of their names' bytes; hidden files (an editor's) are none.
fn drop_ins(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_settings = |name: &OsStr| Path::new(name).extension() == Some(OsStr::new("toml")) && !name.as_bytes().starts_with(b".");
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name())).filter(|name| is_settings(name));
    let mut files: Vec<PathBuf> = names.map(|name| directory.join(name)).collect();
    files.sort();
    Ok(files)
}

fn absorb_file(settings: &mut Settings, file: &Path, required: bool) {
    match read_bytes(file) {
        Ok((bytes, metadata)) => {
            if is_writable_by_others(&metadata) {
                settings.writable_by_others.push(file.to_owned());
            }
            if let Err(error) = std::str::from_utf8(&bytes) {
                settings.tell(file, None, format!("invalid UTF-8 at byte {}; replace it by a TOML file", error.valid_up_to()));
            }
            settings.absorb(file, &String::from_utf8_lossy(&bytes));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
        Err(error) => settings.tell(file, None, unreadable(&error)),
    }
}

fn read_bytes(file: &Path) -> std::io::Result<(Vec<u8>, Metadata)> {
    let regular = |metadata: &Metadata| metadata.is_file() && metadata.len() <= MOST_BYTES;
    let refuse = || std::io::Error::new(std::io::ErrorKind::InvalidData, "no regular file of at most 1 MiB");
    // Looked at before it is opened: opening a FIFO or a device does something to it.
    if !regular(&std::fs::metadata(file)?) {
        return Err(refuse());
    }
    let handle: File = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(file)?;
    let metadata = handle.metadata()?;
    if !regular(&metadata) {
        return Err(refuse());
    }
    Ok((read_whole(&handle, &metadata)?, metadata))
}

fn unreadable(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => format!("{}; make it readable or remove it", errno_name(error)),
        None => format!("{error}; replace it by a TOML file"),
    }
}

/// Whether somebody who is neither root nor ourselves can change the file's content.
#[must_use]
pub fn is_writable_by_others(metadata: &Metadata) -> bool {
    let (mode, owner) = (metadata.mode(), metadata.uid());
    let by_group = mode & 0o020 != 0 && metadata.gid() != 0;
    mode & 0o002 != 0 || by_group || (owner != 0 && owner != nix::unistd::geteuid().as_raw())
}

/// The first of a file and the directories above it that somebody who is neither root nor ourselves can change. In a sticky directory
/// only its owner and the file's can do so.
#[must_use]
pub fn replaceable_by(path: &Path) -> Option<PathBuf> {
    let is_open = |step: &&Path| {
        let Ok(metadata) = std::fs::metadata(step) else { return false };
        let is_sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        let trusted = [0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid());
        is_writable_by_others(&metadata) && !(is_sticky && trusted)
    };
    let open_above = |path: &Path| path.ancestors().find(is_open).map(Path::to_owned);
    #[allow(clippy::disallowed_methods)] // for the modes of what is above it only
    let target = || path.is_symlink().then(|| std::fs::canonicalize(path).ok()).flatten();
    open_above(path).or_else(|| open_above(&target()?))
}

/// Where others than root could put settings of their own: a directory above the files, or the file that a symlink leads to.
#[must_use]
pub fn replaceable_settings() -> Vec<PathBuf> {
    let files = match std::env::var_os(VARIABLE).filter(|file| !file.is_empty()) {
        Some(file) => vec![PathBuf::from(file)],
        None => ["config.toml", "conf.d"].map(|name| Path::new(DIRECTORY).join(name)).to_vec(),
    };
    files.iter().filter_map(|file| replaceable_by(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Policy;
    use std::io::Write;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("conf.d")).unwrap();
        for (name, text) in files {
            let mut file = OpenOptions::new().write(true).create_new(true).open(dir.path().join(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        dir
    }

    #[test]
    fn drop_ins_come_after_and_in_name_order() {
        let dir = directory(&[
            ("config.toml", "policy = 'warn'\nlog = ''"),
            ("conf.d/20-b.toml", "policy = 'reject'"),
            ("conf.d/10-a.toml", "policy = 'rewrite'\nstrict = true"),
            ("conf.d/.hidden.toml", "broken ["),
            ("conf.d/note.txt", "broken ["),
        ]);
        let settings = read_directory(dir.path());
        assert_eq!(settings.problems, []);
        assert_eq!((settings.config.policy, settings.config.strict), (Policy::Reject, true));
        let last = settings.origins.iter().rev().find(|origin| origin.key == "policy").unwrap();
        assert!(last.file.ends_with("conf.d/20-b.toml") && last.line == 1, "{last:?}");
    }

    #[test]
    fn absent_files_mean_defaults() {
        let settings = read_directory(Path::new("/nonexistent/runc-guard"));
        assert_eq!((settings.config, settings.problems), (crate::config::Config::default(), Vec::new()));
    }

    #[test]
    fn what_is_no_text_file_is_a_problem_and_no_wait() {
        let dir = directory(&[("conf.d/c.toml", "policy = 'warn'")]);
        std::fs::create_dir(dir.path().join("conf.d/a.toml")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("conf.d/b.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("gone", dir.path().join("conf.d/d.toml")).unwrap();
        let settings = read_directory(dir.path());
        assert_eq!(settings.problems.len(), 3, "{:?}", settings.problems);
        assert_eq!(settings.config.policy, Policy::Warn);
    }
}
