//! Reads a bundle's `config.json` without ever waiting for it, and replaces it atomically.

use crate::kernel::process::undisturbed;
use crate::report::errno_name;
use nix::errno::Errno;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xattr::FileExt;

/// Larger than any document an engine writes; beyond it a document counts as not understood.
const MOST_BYTES: u64 = 256 << 20;

/// One fixed name: what a killed run left behind, the next one takes away.
const TEMPORARY_NAME: &str = ".config.json.runc-guard";

/// How long another runc-guard may take over the same document: 50 times 2 ms.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// A `config.json` as it was read.
#[derive(Debug)]
pub struct Document {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    file: File,
    metadata: Metadata,
}

/// Where the document of a call stands: crun's `--config`, or `config.json` in the bundle, which by default is the working directory.
#[must_use]
pub fn document_path(bundle: &Path, config_file: Option<&Path>) -> PathBuf {
    config_file.map_or_else(|| bundle.join("config.json"), Path::to_owned)
}

impl Document {
    /// Reads a regular file whole. A FIFO, socket, device, directory or symlink is not opened at all: that would wait for it, or do something
    /// to it, or make a change in a file that others share.
    ///
    /// # Errors
    /// Why it was not read, as `ERRNO` or in words.
    pub fn read(path: PathBuf) -> Result<Document, String> {
        let kind = std::fs::symlink_metadata(&path).map_err(|error| errno_name(&error))?;
        if !kind.is_file() {
            return Err(if kind.is_symlink() { "it is a symlink" } else { "it is no regular file" }.to_owned());
        }
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&path).map_err(|error| errno_name(&error))?;
        let metadata = file.metadata().map_err(|error| errno_name(&error))?;
        if !metadata.is_file() || metadata.len() > MOST_BYTES {
            return Err("it is no regular file of at most 256 MiB".to_owned());
        }
        let bytes = read_whole(&file, &metadata).map_err(|error| errno_name(&error))?;
        Ok(Document { path, bytes, file, metadata })
    }

    /// Puts `pieces`, one after the other, in the document's place: a temporary file beside it with its mode, owner and extended attributes, then
    /// rename(2). At any moment the name holds the old document or the new one. Not synced: a crash of the machine leaves no running container,
    /// and engines write bundles anew.
    ///
    /// # Errors
    /// Why it was not replaced, as `verb: ERRNO`; nothing has changed then and no temporary file is left.
    pub fn replace(&self, pieces: &[&[u8]]) -> Result<(), String> {
        self.lock()?;
        let now = std::fs::symlink_metadata(&self.path).map_err(named("look at it again"))?;
        if stamp(&now) != stamp(&self.metadata) {
            return Err("it changed while runc-guard read it: ESTALE".to_owned());
        }
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Opened here and not by tempfile, which hides the errno.
        let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(self.metadata.mode() & 0o777).open(path);
        let open = |path: &Path| match create(path) {
            // The lock makes the fixed name ours: what is there was left by a run that was killed.
            #[allow(clippy::disallowed_methods)]
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => std::fs::remove_file(path).and_then(|()| create(path)),
            outcome => outcome,
        };
        let builder_failed = named("create a temporary file beside it");
        let temporary = tempfile::Builder::new().prefix(TEMPORARY_NAME).rand_bytes(0).make_in(directory, open).map_err(builder_failed)?;
        undisturbed(|| write_pieces(temporary.as_file(), pieces)).map_err(named("write a temporary file beside it"))?;
        self.copy_attributes(temporary.as_file()).map_err(named("copy its owner, mode and attributes"))?;
        temporary.persist(&self.path).map_err(|error| named("rename a temporary file over it")(error.error))?;
        Ok(())
    }

    /// Two runc-guards on one document take turns; a lock that stays is not waited for. File systems without locks do without.
    fn lock(&self) -> Result<(), String> {
        for _ in 0..LOCK_ATTEMPTS {
            match self.file.try_lock() {
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
            }
        }
        Err("lock it: EWOULDBLOCK".to_owned())
    }

    fn copy_attributes(&self, copy: &File) -> io::Result<()> {
        let fresh = copy.metadata()?;
        if (fresh.uid(), fresh.gid()) != (self.metadata.uid(), self.metadata.gid()) {
            std::os::unix::fs::fchown(copy, Some(self.metadata.uid()), Some(self.metadata.gid()))?;
        }
        if fresh.mode() != self.metadata.mode() {
            #[allow(clippy::disallowed_methods)] // fchmod(2) on a file that this process has just created
            copy.set_permissions(self.metadata.permissions())?;
        }
        let names = match self.file.list_xattr() {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(()),
            Err(error) => return Err(error),
        };
        for name in names {
            let value = self.file.get_xattr(&name)?.unwrap_or_default();
            if copy.get_xattr(&name)?.as_deref() != Some(&value) {
                copy.set_xattr(&name, &value)?;
            }
        }
        Ok(())
    }
}

fn write_pieces(mut file: &File, pieces: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    IoSlice::advance_slices(&mut rest, 0); // passes over empty pieces
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut rest, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The bytes of a file of known size; one that grows meanwhile is read to that size and one byte more, and so found torn or changed later.
pub(crate) fn read_whole(mut file: &File, metadata: &Metadata) -> io::Result<Vec<u8>> {
    let size = usize::try_from(metadata.len()).unwrap_or(0) + 1;
    // Where memory is limited, an error and not the end of the process. Asked first, because only `vec!` gets its zeroes from the kernel.
    let mut asked: Vec<u8> = Vec::new();
    asked.try_reserve_exact(size).map_err(|_| io::Error::from(Errno::ENOMEM))?;
    // The compiler may leave out what nobody looks at.
    drop(std::hint::black_box(asked));
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// What tells one state of a file from the next.
fn stamp(metadata: &Metadata) -> [i64; 5] {
    #[allow(clippy::cast_possible_wrap)] // compared for equality only
    [metadata.dev() as i64, metadata.ino() as i64, metadata.size() as i64, metadata.mtime(), metadata.mtime_nsec()]
}

fn named(verb: &'static str) -> impl Fn(io::Error) -> String {
    move |error| format!("{verb}: {}", errno_name(&error))
}

#[cfg(test)]
mod tests;
