//! Finds and reads the mount table in the directory of a CRIU image. Somebody else may have filled that directory: nothing in it is followed or
//! waited for.

use crate::bundle::read_whole;
use crate::criu_image::{self, Malformed, MountRecord};
use crate::report::errno_name;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// Some thousand times the table of a plain container; also what is read into memory at most.
const MOST_MOUNTS_BYTES: u64 = 16 << 20;
/// For the table of processes, of which a container has some ten thousand at most, and for the few bytes about one of them.
const MOST_BYTES: u64 = 4 << 20;

/// The mounts of the container in an image directory, which may be named through symlinks. Where the image does not say which mount namespace is
/// the container's, its only table of mounts counts (most images have just one).
///
/// # Errors
/// Why not, as words that end the sentence "read the checkpoint image I: …", with errno names.
pub fn read_mounts(image_path: &Path) -> Result<Vec<MountRecord>, String> {
    // Not for reading: a search permission is enough.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let image = open(image_path, flags, Mode::empty()).map_err(|errno| failed("open", "the directory", &errno.into()))?;
    let table = match named_table(&image) {
        Ok(table) => table,
        Err(why) => only_table(&image).map_err(|search| format!("{why}; {search}"))?,
    };
    decoded(&image, &table, MOST_MOUNTS_BYTES, criu_image::mounts)
}

/// The table of the mount namespace of the container's first process.
fn named_table(image: &OwnedFd) -> Result<String, String> {
    let pid = decoded(image, "pstree.img", MOST_BYTES, criu_image::root_pid)?;
    let namespace = decoded(image, &format!("ids-{pid}.img"), MOST_BYTES, criu_image::mount_namespace)?;
    Ok(format!("mountpoints-{namespace}.img"))
}

/// The only table there is. Only its name comes from here; it is opened below the same directory like any other.
fn only_table(image: &OwnedFd) -> Result<String, String> {
    let failed = |error: io::Error| format!("list the directory: {}", errno_name(&error));
    let mut found = None;
    for entry in std::fs::read_dir(format!("/proc/self/fd/{}", image.as_raw_fd())).map_err(failed)? {
        let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
        if is_table(&name) && found.replace(name).is_some() {
            return Err("there are several files mountpoints-*.img, and none is named as the container's".to_owned());
        }
    }
    found.ok_or_else(|| "there is no file mountpoints-*.img".to_owned())
}

fn is_table(name: &str) -> bool {
    let number = name.strip_prefix("mountpoints-").and_then(|name| name.strip_suffix(".img"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn decoded<T>(image: &OwnedFd, name: &str, most_bytes: u64, decode: fn(&[u8]) -> Result<T, Malformed>) -> Result<T, String> {
    decode(&read(image, name, most_bytes)?).map_err(|malformed| format!("{name} {malformed}"))
}

/// Reads a regular file of the directory whole. Nothing else is opened: a FIFO would be waited for, a device would act, a symlink leads elsewhere.
fn read(image: &OwnedFd, name: &str, most_bytes: u64) -> Result<Vec<u8>, String> {
    let kind = fstatat(image, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|errno| failed("open", name, &errno.into()))?;
    match SFlag::from_bits_truncate(kind.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => {}
        SFlag::S_IFLNK => return Err(format!("{name} is a symlink")),
        _ => return Err(format!("{name} is no regular file")),
    }
    // It may be another file by now.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file: File = openat(image, name, flags, Mode::empty()).map_err(|errno| failed("open", name, &errno.into()))?.into();
    let metadata = file.metadata().map_err(|error| failed("look at", name, &error))?;
    if !metadata.is_file() || metadata.len() > most_bytes {
        return Err(format!("{name} is no regular file of at most {} MiB", most_bytes >> 20));
    }
    let bytes = read_whole(&file, &metadata).map_err(|error| failed("read", name, &error))?;
    if bytes.len() as u64 != metadata.len() {
        return Err(format!("{name} changed while runc-guard read it"));
    }
    Ok(bytes)
}

fn failed(verb: &str, name: &str, error: &io::Error) -> String {
    format!("{verb} {name}: {}", errno_name(error))
}

#[cfg(test)]
mod tests;
