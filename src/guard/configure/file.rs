//! One settings file on disk: read, replaced and given back so that at any moment its name holds the old content or the new.

use super::places::understand;
use crate::bundle::read_whole;
use crate::report::errno_name;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use xattr::FileExt;

const MOST_BYTES: u64 = 16 << 20;

/// A settings file, which need not be there.
pub struct SettingsFile {
    pub path: PathBuf,
    existing: Option<Existing>,
}

struct Existing {
    text: String,
    file: File,
    metadata: Metadata,
}

impl SettingsFile {
    /// Reads it. A symlink is refused: behind it may be a file that others share or that is made anew by whatever made the link.
    pub fn read(path: &Path) -> Result<SettingsFile> {
        let path = path.to_owned();
        let kind = match std::fs::symlink_metadata(&path) {
            Ok(metadata) => metadata.file_type(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(SettingsFile { path, existing: None }),
            Err(error) => bail!("read {}: {}", path.display(), errno_name(&error)),
        };
        if kind.is_symlink() {
            let target = std::fs::read_link(&path).unwrap_or_default();
            bail!("edit {}: it is a symlink to {}; name the file that is meant with --file", path.display(), target.display());
        }
        ensure!(kind.is_file(), "edit {}: it is no regular file; move it away or name another with --file", path.display());
        let existing = read_regular(&path, libc::O_NOFOLLOW)?;
        Ok(SettingsFile { path, existing: Some(existing) })
    }

    pub fn text(&self) -> Option<&str> {
        self.existing.as_ref().map(|existing| existing.text.as_str())
    }

    /// What the file was before runc-guard, if that was kept.
    pub fn copy(&self) -> Result<Option<String>> {
        Ok(SettingsFile::read(&copy_path(&self.path))?.existing.map(|existing| existing.text))
    }

    /// Puts `text` in the file's place, with its mode, owner and attributes. `keep_copy`: what it was stays beside it.
    pub fn write(&self, text: &str, keep_copy: bool) -> Result<()> {
        let own = self.path.parent().unwrap_or(Path::new("/"));
        // Settings of engines lie below directories that only root can write.
        #[allow(clippy::disallowed_methods)]
        std::fs::create_dir_all(own).map_err(|error| self.failed("make the directory of", &error))?;
        let temporary = self.temporary(staging(&self.path), text)?;
        self.check_unchanged()?;
        if keep_copy {
            self.keep_copy().map_err(|error| self.failed("keep a copy of", &error))?;
        }
        // A drop-in directory may be a mount of its own, as in a pod that is to configure its node: then nothing can be moved into it.
        if let Err(error) = self.put_in_place(temporary) {
            if error.kind() != ErrorKind::CrossesDevices {
                return Err(self.failed("rename a temporary file to", &error));
            }
            let temporary = self.temporary(own, text)?;
            self.put_in_place(temporary).map_err(|error| self.failed("rename a temporary file to", &error))?;
        }
        self.sync_directory()
    }

    /// A whole new file, on the disk under another name.
    fn temporary(&self, directory: &Path, text: &str) -> Result<NamedTempFile> {
        // Opened here and not by tempfile, which hides the errno.
        let open = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let made = tempfile::Builder::new().prefix(".runc-guard-").make_in(directory, open);
        let mut temporary = made.map_err(|error| self.failed("create a temporary file beside", &error))?;
        temporary.as_file_mut().write_all(text.as_bytes()).map_err(|error| self.failed("write a temporary file beside", &error))?;
        self.copy_attributes(temporary.as_file()).map_err(|error| self.failed("copy the owner, mode and attributes of", &error))?;
        temporary.as_file().sync_all().map_err(|error| self.failed("write a temporary file beside", &error))?;
        Ok(temporary)
    }

    fn put_in_place(&self, temporary: NamedTempFile) -> io::Result<()> {
        let persisted = match self.existing {
            Some(_) => temporary.persist(&self.path),
            None => temporary.persist_noclobber(&self.path),
        };
        persisted.map(drop).map_err(|error| error.error)
    }

    /// Puts the copy in the file's place.
    #[allow(clippy::disallowed_methods)] // names in one directory that only root can write
    pub fn restore(&self) -> Result<()> {
        self.check_unchanged()?;
        std::fs::rename(copy_path(&self.path), &self.path).map_err(|error| self.failed("rename its copy to", &error))?;
        self.sync_directory()
    }

    #[allow(clippy::disallowed_methods)] // a file that `guard configure` made itself
    pub fn delete(&self) -> Result<()> {
        self.check_unchanged()?;
        std::fs::remove_file(&self.path).map_err(|error| self.failed("remove", &error))?;
        self.sync_directory()
    }

    #[allow(clippy::disallowed_methods)] // the copy is our own
    pub fn delete_copy(&self) -> Result<()> {
        match std::fs::remove_file(copy_path(&self.path)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed("remove the copy of", &error)),
            _ => Ok(()),
        }
    }

    /// The copy is a second name of the file itself, whose first one then goes to the new content: so mode, owner and attributes are right.
    #[allow(clippy::disallowed_methods)] // the copy is our own
    fn keep_copy(&self) -> io::Result<()> {
        let copy = copy_path(&self.path);
        match std::fs::hard_link(&self.path, &copy) {
            // Of a file that somebody has written anew since, without us: what is there now is what we have to give back.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                std::fs::remove_file(&copy).and_then(|()| std::fs::hard_link(&self.path, &copy))
            }
            outcome => outcome,
        }
    }

    fn copy_attributes(&self, to: &File) -> io::Result<()> {
        let Some(Existing { file, metadata, .. }) = &self.existing else {
            return set_mode(to, 0o644);
        };
        std::os::unix::fs::fchown(to, Some(metadata.uid()), Some(metadata.gid()))?;
        set_mode(to, metadata.mode())?;
        let names = match file.list_xattr() {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
            Err(error) => return Err(error),
        };
        for name in names {
            let value = file.get_xattr(&name)?.unwrap_or_default();
            if to.get_xattr(&name)?.as_deref() != Some(&value) {
                to.set_xattr(&name, &value)?;
            }
        }
        Ok(())
    }

    /// Somebody else may have written the file while it was read and thought about.
    fn check_unchanged(&self) -> Result<()> {
        let stamp = |metadata: &Metadata| (metadata.dev(), metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
        let now = std::fs::symlink_metadata(&self.path).ok();
        let was = self.existing.as_ref().map(|existing| stamp(&existing.metadata));
        ensure!(now.as_ref().map(stamp) == was, "edit {}: it changed meanwhile: ESTALE; run the command again", self.path.display());
        Ok(())
    }

    fn sync_directory(&self) -> Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| self.failed("write the directory of", &error))
    }

    fn failed(&self, verb: &str, error: &io::Error) -> anyhow::Error {
        anyhow!("{verb} {}: {}", self.path.display(), errno_name(error))
    }
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    #[allow(clippy::disallowed_methods)] // fchmod(2) on a file that this process has just created
    file.set_permissions(std::fs::Permissions::from_mode(mode & 0o7777))
}

/// Reads a file of settings that is not going to be edited; None: it is not there.
pub fn read_text(path: &Path) -> Result<Option<String>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => bail!("read {}: {}", path.display(), errno_name(&error)),
        // Opening a FIFO would wait for its writer.
        Ok(metadata) => ensure!(metadata.is_file(), "read {}: it is no regular file", path.display()),
    }
    read_regular(path, 0).map(|existing| Some(existing.text))
}

fn read_regular(path: &Path, flags: i32) -> Result<Existing> {
    let failed = |error: io::Error| anyhow!("read {}: {}", path.display(), errno_name(&error));
    let file = OpenOptions::new().read(true).custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    ensure!(metadata.is_file() && metadata.len() <= MOST_BYTES, "read {}: it is no regular file of at most 16 MiB", path.display());
    let bytes = read_whole(&file, &metadata).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow!("line {line}: invalid UTF-8; correct it first")
    });
    let text = text.with_context(|| understand(path))?;
    Ok(Existing { text, file, metadata })
}

/// Where a file's former content is kept.
pub fn copy_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".before-runc-guard");
    staging(path).join(name)
}

/// Where a file's temporary one and its copy are made: not in a drop-in directory, of which CRI-O reads every file, but in the one above.
fn staging(path: &Path) -> &Path {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let is_drop_ins = directory.extension().is_some_and(|extension| extension == "d");
    directory.parent().filter(|_| is_drop_ins).unwrap_or(directory)
}
