use super::*;
use std::os::unix::fs::PermissionsExt;

fn bundle(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    OpenOptions::new().write(true).create_new(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    (dir, path)
}

fn names(dir: &tempfile::TempDir) -> Vec<String> {
    std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
#[allow(clippy::disallowed_methods)]
fn replace_keeps_mode_and_attributes_and_leaves_nothing_behind() {
    let (dir, path) = bundle("old");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
    let has_xattrs = File::open(&path).unwrap().set_xattr("user.test", b"kept").is_ok();
    std::fs::copy(&path, dir.path().join(TEMPORARY_NAME)).unwrap();
    let document = Document::read(path.clone()).unwrap();
    document.replace(&[b"", b"n", b"", b"ew"]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(names(&dir), ["config.json"]);
    let after = File::open(&path).unwrap();
    assert_eq!(after.metadata().unwrap().mode() & 0o7777, 0o604);
    assert!(!has_xattrs || after.get_xattr("user.test").unwrap().as_deref() == Some(b"kept"));
}

#[test]
fn a_document_that_changed_meanwhile_is_not_overwritten() {
    let (dir, path) = bundle("read");
    let document = Document::read(path.clone()).unwrap();
    let newer = dir.path().join("newer");
    std::fs::copy(&path, &newer).unwrap();
    std::fs::rename(&newer, &path).unwrap();
    assert!(document.replace(&[b"mine"]).unwrap_err().contains("ESTALE"));
    assert_eq!(std::fs::read(&path).unwrap(), b"read");
}

#[test]
fn a_lock_that_stays_is_not_waited_for() {
    let (_dir, path) = bundle("old");
    let other = File::open(&path).unwrap();
    other.lock().unwrap();
    let document = Document::read(path.clone()).unwrap();
    assert!(document.replace(&[b"new"]).unwrap_err().contains("EWOULDBLOCK"));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let (dir, path) = bundle("{}");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(Document::read(link).unwrap_err(), "it is a symlink");
    assert_eq!(Document::read(fifo).unwrap_err(), "it is no regular file");
    assert_eq!(Document::read(dir.path().to_owned()).unwrap_err(), "it is no regular file");
    assert_eq!(Document::read(dir.path().join("gone")).unwrap_err(), "ENOENT");
}

#[test]
fn the_working_directory_is_the_default_bundle() {
    assert_eq!(document_path(Path::new("."), None), Path::new("./config.json"));
    assert_eq!(document_path(Path::new("/b"), Some(Path::new("other.json"))), Path::new("other.json"));
}
