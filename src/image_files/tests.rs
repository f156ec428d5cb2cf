use super::*;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

const FILES: [&str; 3] = ["pstree.img", "ids-1.img", "mountpoints-12.img"];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/criu-image")
}

/// A copy of the fixture that a test may spoil.
fn image() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in FILES {
        std::fs::copy(fixture().join(name), directory.path().join(name)).unwrap();
    }
    directory
}

fn remove(image: &TempDir, name: &str) {
    std::fs::remove_file(image.path().join(name)).unwrap();
}

fn why_not(image: &TempDir) -> String {
    read_mounts(image.path()).unwrap_err()
}

/// A call that waits for something fails its test instead of holding it up.
fn without_waiting<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(Duration::from_secs(20)).expect("an answer without waiting")
}

#[test]
fn reads_images_also_where_a_symlink_names_the_directory() {
    let mounts = read_mounts(&fixture()).unwrap();
    assert_eq!((mounts.len(), mounts[5].mountpoint.as_path()), (14, Path::new("/test")));
    assert_eq!(read_mounts(&fixture().join("crun-1.28")).unwrap().len(), 22);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("checkpoint");
    symlink(fixture(), &link).unwrap();
    assert_eq!(read_mounts(&link).unwrap(), mounts);
}

#[test]
fn what_is_no_directory_is_not_opened() {
    let elsewhere = tempfile::tempdir().unwrap();
    let fifo = elsewhere.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    assert_eq!(read_mounts(&elsewhere.path().join("nothing")).unwrap_err(), "open the directory: ENOENT");
    assert_eq!(read_mounts(&fixture().join("ids-1.img")).unwrap_err(), "open the directory: ENOTDIR");
    assert_eq!(without_waiting(move || read_mounts(&fifo)).unwrap_err(), "open the directory: ENOTDIR");
    assert_eq!(why_not(&elsewhere), "open pstree.img: ENOENT; there is no file mountpoints-*.img");
}

#[test]
fn the_first_process_says_which_table_counts() {
    let image = image();
    std::fs::copy(image.path().join("mountpoints-12.img"), image.path().join("mountpoints-11.img")).unwrap();
    assert_eq!(read_mounts(image.path()).unwrap().len(), 14);
    remove(&image, "mountpoints-12.img");
    assert_eq!(why_not(&image), "open mountpoints-12.img: ENOENT", "another one is no replacement for the one that is named");
}

#[test]
fn without_that_only_one_table_is_no_guess() {
    for name in ["pstree.img", "ids-1.img"] {
        let image = image();
        remove(&image, name);
        for no_table in ["mountpoints-.img", "mountpoints-1x.img", "mountpoints-1.img.tmp", "xmountpoints-1.img", "tmpfs-dev-1.tar.gz.img"] {
            File::create_new(image.path().join(no_table)).unwrap();
        }
        assert_eq!(read_mounts(image.path()).unwrap().len(), 14);
        File::create_new(image.path().join("mountpoints-13.img")).unwrap();
        let why = format!("open {name}: ENOENT; there are several files mountpoints-*.img, and none is named as the container's");
        assert_eq!(why_not(&image), why);
        remove(&image, "mountpoints-12.img");
        assert_eq!(why_not(&image), "mountpoints-13.img ends within its magic");
    }
}

#[test]
fn symlinks_are_not_followed() {
    for name in FILES {
        let image = image();
        std::fs::rename(image.path().join(name), image.path().join("target")).unwrap();
        symlink("target", image.path().join(name)).unwrap();
        File::create_new(image.path().join("mountpoints-13.img")).unwrap();
        assert!(why_not(&image).starts_with(&format!("{name} is a symlink")), "{}", why_not(&image));
        remove(&image, name);
        std::fs::rename(image.path().join("target"), image.path().join(name)).unwrap();
        assert_eq!(read_mounts(image.path()).unwrap().len(), 14, "control: the same file at its own name");
    }
}

#[test]
fn nothing_but_regular_files_is_opened() {
    for name in FILES {
        let image = image();
        let path = image.path().join(name);
        remove(&image, name);
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        File::create_new(image.path().join("mountpoints-13.img")).unwrap();
        let directory = image.path().to_owned();
        let why = without_waiting(move || read_mounts(&directory)).unwrap_err();
        assert_eq!(why.split("; ").next(), Some(format!("{name} is no regular file").as_str()), "it was not opened");
        remove(&image, name);
        std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(why_not(&image).starts_with(&format!("{name} is no regular file")), "a socket: {}", why_not(&image));
    }
}

#[test]
fn files_have_a_size_that_can_be() {
    let grow = |image: &TempDir, name: &str, length| File::options().write(true).open(image.path().join(name)).unwrap().set_len(length).unwrap();
    let image = image();
    grow(&image, "mountpoints-12.img", MOST_MOUNTS_BYTES);
    assert_eq!(why_not(&image), "mountpoints-12.img has a record 15 without mnt_id", "it is read, and ends with zeros");
    grow(&image, "mountpoints-12.img", MOST_MOUNTS_BYTES + 1);
    assert_eq!(why_not(&image), "mountpoints-12.img is no regular file of at most 16 MiB");
    File::create_new(image.path().join("mountpoints-13.img")).unwrap();
    for name in ["ids-1.img", "pstree.img"] {
        grow(&image, name, MOST_BYTES);
        assert!(!why_not(&image).starts_with(name), "only the first record counts: {}", why_not(&image));
        grow(&image, name, MOST_BYTES + 1);
        assert!(why_not(&image).starts_with(&format!("{name} is no regular file of at most 4 MiB; there are several")), "{}", why_not(&image));
    }
}

#[test]
fn a_damaged_file_is_named() {
    let image = image();
    let spoil = |name: &str| {
        let path = image.path().join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    };
    spoil("mountpoints-12.img");
    assert_eq!(why_not(&image), "mountpoints-12.img ends within record 14");
    spoil("ids-1.img");
    File::create_new(image.path().join("mountpoints-13.img")).unwrap();
    assert!(why_not(&image).starts_with("ids-1.img ends within record 1; there are several"), "{}", why_not(&image));
}
