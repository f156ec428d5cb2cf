use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// A directory with one name in it.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn with(make: impl FnOnce(&Path)) -> Scratch {
        let scratch = Scratch(tempfile::tempdir().unwrap());
        make(&scratch.name());
        scratch
    }

    fn name(&self) -> PathBuf {
        self.0.path().join("mountpoint")
    }

    fn renew(&self) -> Result<(), String> {
        self.renew_path(self.name())
    }

    fn renew_path(&self, path: PathBuf) -> Result<(), String> {
        let mount = held(File::open(self.0.path()).unwrap().as_fd()).unwrap().mount;
        try_renew(&Mountpoint { path, mount })
    }

    fn names(&self) -> Vec<OsString> {
        fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    /// Kind, mode, owner, and an attribute.
    fn facts(&self) -> (u32, u32, u32, Option<Vec<u8>>) {
        let facts = fs::symlink_metadata(self.name()).unwrap();
        (facts.mode(), facts.uid(), facts.gid(), xattr::get(self.name(), "user.it").unwrap())
    }

    fn inode(&self) -> u64 {
        fs::symlink_metadata(self.name()).unwrap().ino()
    }
}

#[test]
fn what_takes_the_place_is_the_same_and_alone() {
    for make in [|path: &Path| fs::create_dir(path).unwrap(), |path: &Path| fs::write(path, "").unwrap()] {
        let scratch = Scratch::with(make);
        std::os::unix::fs::chown(scratch.name(), Some(12), Some(34)).unwrap();
        fs::set_permissions(scratch.name(), fs::Permissions::from_mode(0o2751)).unwrap();
        xattr::set(scratch.name(), "user.it", b"kept").unwrap();
        let (before, inode) = (scratch.facts(), scratch.inode());
        assert_eq!(scratch.renew(), Ok(()));
        assert_ne!(scratch.inode(), inode);
        assert_eq!((scratch.facts(), scratch.names()), (before, vec!["mountpoint".into()]));
    }
}

#[test]
fn what_is_not_empty_is_itself_and_at_its_place() {
    let full: [fn(&Path); 2] = [|path| fs::create_dir_all(path.join("within")).unwrap(), |path| fs::write(path, "text").unwrap()];
    for make in full {
        let scratch = Scratch::with(make);
        let inode = scratch.inode();
        assert!(scratch.renew().unwrap_err().contains("is not empty, so it cannot be replaced"));
        assert_eq!((scratch.inode(), scratch.names()), (inode, vec!["mountpoint".into()]));
    }
}

#[test]
fn what_is_no_directory_and_no_file_is_left_alone() {
    let odd: [fn(&Path); 2] =
        [|path| std::os::unix::fs::symlink("elsewhere", path).unwrap(), |path| nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap()];
    for make in odd {
        let scratch = Scratch::with(make);
        let inode = scratch.inode();
        assert!(scratch.renew().unwrap_err().contains("is neither a directory nor a file"));
        assert_eq!(scratch.inode(), inode);
    }
}

#[test]
fn another_mount_at_the_place_is_left_alone() {
    let scratch = Scratch::with(|path| fs::create_dir(path).unwrap());
    let error = try_renew(&Mountpoint { path: scratch.name(), mount: u32::MAX }).unwrap_err();
    assert!(error.contains("is a mountpoint of the host meanwhile"), "{error}");
}

#[test]
fn what_a_killed_run_left_behind_is_removed_and_not_replaced() {
    let scratch = Scratch::with(|path| fs::create_dir(path).unwrap());
    let left_behind = scratch.0.path().join(format!("{WAITING}1"));
    fs::create_dir(&left_behind).unwrap();
    assert_eq!(scratch.renew_path(left_behind), Ok(()));
    assert_eq!(scratch.names(), ["mountpoint"]);
}

/// Somebody else puts another directory at the name between the look and the exchange: it comes back to its place.
#[test]
fn what_was_not_looked_at_is_not_removed() {
    let scratch = Scratch::with(|path| fs::create_dir(path).unwrap());
    let looked_at = nix::sys::stat::stat(&scratch.name()).unwrap();
    let above = OwnedFd::from(File::open(scratch.0.path()).unwrap());
    let old = OwnedFd::from(File::open(scratch.name()).unwrap());
    let exchange = Exchange { above: &above, name: Path::new("mountpoint"), waiting: waiting_name(), is_directory: true };
    exchange.make_successor(&old, &looked_at).unwrap();
    fs::rename(scratch.name(), scratch.0.path().join("aside")).unwrap();
    fs::create_dir(scratch.name()).unwrap();
    let another = scratch.inode();
    assert_eq!(exchange.swap_and_remove(&looked_at), Err(Errno::ESTALE));
    assert_eq!(scratch.inode(), another);
    assert_eq!(scratch.names().len(), 2, "the successor is gone");
}
