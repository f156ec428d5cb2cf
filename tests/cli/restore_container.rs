//! A container to be restored: its bundle, its checkpoint image and the directories that it binds, and what came into being in all of them.

use crate::call::Call;
use crate::checkpoint_image::CheckpointImage;
use crate::node::{Node, set_mode};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The runtimes that have a restore.
pub const RESTORERS: [&str; 2] = ["runc", "crun"];

/// What runc's create would make, as lines of [`Tree::made_since`], in the modes of `runtime`'s own create: crun's directories have the sticky bit,
/// but for those that it makes for a file's sake.
pub fn as_made_by(runtime: &str, made_by_runc: &[&str]) -> Vec<String> {
    let path = |line: &str| PathBuf::from(line.split(' ').next().unwrap());
    let holds = |kind: &str, above: &str| made_by_runc.iter().any(|line| line.contains(kind) && path(line).parent() == Some(&path(above)));
    let by_crun = |line: &str| match line {
        line if line.contains(" f ") => line.replace(" 0644 ", " 0700 "),
        line if holds(" f ", line) && !holds(" d ", line) => line.to_owned(),
        line => line.replace(" 0755 ", " 1755 "),
    };
    made_by_runc.iter().map(|line| if runtime == "crun" { by_crun(line) } else { (*line).to_owned() }).collect()
}

/// Where it all lies: `bundle` with its `rootfs`, `srv` for the sources of binds, `checkpoint` for the image.
pub struct Container(Node);

impl Deref for Container {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

impl Container {
    /// A node with `runtime` and a container without mounts, of which there is no image yet.
    pub fn of(runtime: &'static str) -> Container {
        let container = Container(Node::with(runtime));
        for name in ["bundle/rootfs/proc", "bundle/rootfs/dev", "bundle/rootfs/sys", "srv"] {
            fs::create_dir(container.path(name)).unwrap();
        }
        // Whatever umask the tests run with.
        for name in ["srv", "bundle", "bundle/rootfs"] {
            set_mode(&container.path(name), 0o755);
        }
        container
    }

    /// A new, empty directory of the host.
    pub fn directory(&self, name: &str) -> PathBuf {
        fs::create_dir_all(self.path(name)).unwrap();
        self.path(name)
    }

    /// A new file of the host.
    pub fn file(&self, name: &str) -> PathBuf {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), name).unwrap();
        self.path(name)
    }

    /// Makes `config.json` one with these mounts.
    pub fn mounts(&self, mounts: &[String]) {
        self.document(mounts, "", "");
    }

    /// As [`Container::mounts`], with more members of `root` and of `linux`, each with a comma before it.
    pub fn document(&self, mounts: &[String], root: &str, linux: &str) {
        let mounts = mounts.join(",");
        self.config(format!(
            r#"{{"ociVersion":"1.0.2","root":{{"path":"rootfs"{root}}},"mounts":[{mounts}],"linux":{{"namespaces":[{{"type":"mount"}}]{linux}}}}}"#
        ));
    }

    /// Writes the image where [`Container::restore`] names it.
    pub fn image(&self, image: &CheckpointImage) {
        image.write(&self.path("checkpoint"));
    }

    /// `restore` of the bundle from the image.
    pub fn restore(&self) -> Call {
        self.restore_with(&[])
    }

    /// The same with more options.
    pub fn restore_with(&self, options: &[&str]) -> Call {
        let (bundle, image) = (self.bundle(), self.text("checkpoint"));
        let words = ["restore", "--bundle", &bundle, "--image-path", &image];
        self.guard(words.into_iter().chain(options.iter().copied()).chain(["c1"]))
    }

    /// Restores, with the very start that the runtime would have without the guard, and tells what came into being.
    #[track_caller]
    pub fn made_by(&self, call: Call) -> Vec<String> {
        let before = self.tree();
        self.assert_passes_through(call);
        self.tree().made_since(&before)
    }

    /// [`Container::made_by`] a plain restore.
    #[track_caller]
    pub fn made(&self) -> Vec<String> {
        self.made_by(self.restore())
    }

    /// All that a restore could touch.
    pub fn tree(&self) -> Tree {
        let mut inodes = BTreeMap::new();
        ["bundle", "srv"].iter().for_each(|name| note_inodes(&self.path(""), Path::new(name), &mut inodes));
        Tree(inodes)
    }

    /// A restore that must be refused with nothing touched; the message.
    #[track_caller]
    pub fn refused(&self) -> String {
        let before = self.tree();
        let (bundle, image) = (self.bundle(), self.text("checkpoint"));
        let message = crate::told::told(self, &["restore", "--bundle", &bundle, "--image-path", &image, "c1"], |call| call);
        assert_eq!(self.tree(), before, "{message}");
        message
    }

    /// What the single line of the guard's own log tells besides changes. The line is taken away.
    #[track_caller]
    pub fn take_notices(&self) -> Vec<String> {
        let line = self.take_notice();
        line["notices"].as_array().unwrap().iter().map(|notice| notice["msg"].as_str().unwrap().to_owned()).collect()
    }
}

/// An entry of `mounts`.
pub fn mount(destination: impl AsRef<str>, kind: &str, source: impl AsRef<Path>, options: &[&str]) -> String {
    let source = source.as_ref().to_str().unwrap();
    serde_json::json!({"destination": destination.as_ref(), "type": kind, "source": source, "options": options}).to_string()
}

/// A recursive bind, which is what engines write.
pub fn rbind(destination: impl AsRef<str>, source: impl AsRef<Path>) -> String {
    mount(destination, "bind", source, &["rbind", "rprivate"])
}

pub fn tmpfs(destination: &str) -> String {
    mount(destination, "tmpfs", "tmpfs", &["nosuid"])
}

/// The inodes below some directories, by lstat(2).
#[derive(Clone, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Inode>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inode {
    number: u64,
    kind: char,
    mode: u32,
    owner: (u32, u32),
    /// Of its bytes or entries, and of anything else about it.
    times: [(i64, i64); 2],
}

fn note_inodes(root: &Path, below: &Path, inodes: &mut BTreeMap<PathBuf, Inode>) {
    let about = fs::symlink_metadata(root.join(below)).unwrap();
    let file_type = about.file_type();
    let kind = match () {
        () if file_type.is_dir() => 'd',
        () if file_type.is_file() => 'f',
        () if file_type.is_symlink() => 'l',
        () if file_type.is_fifo() => 'p',
        () => '?',
    };
    let times = [(about.mtime(), about.mtime_nsec()), (about.ctime(), about.ctime_nsec())];
    let inode = Inode { number: about.ino(), kind, mode: about.mode() & 0o7777, owner: (about.uid(), about.gid()), times };
    inodes.insert(below.to_owned(), inode);
    if kind == 'd' {
        for entry in fs::read_dir(root.join(below)).unwrap() {
            note_inodes(root, &below.join(entry.unwrap().file_name()), inodes);
        }
    }
}

impl Tree {
    /// What is new, as `PATH KIND MODE UID:GID`. All else must be as before, but for the times of directories that have something new in them.
    #[track_caller]
    pub fn made_since(&self, before: &Tree) -> Vec<String> {
        let mut made = Vec::new();
        for (path, Inode { kind, mode, owner: (uid, gid), .. }) in self.0.iter().filter(|(path, _)| !before.0.contains_key(*path)) {
            made.push(format!("{} {kind} {mode:04o} {uid}:{gid}", path.display()));
        }
        let is_new_in = |path: &Path| self.0.keys().any(|new| new.parent() == Some(path) && !before.0.contains_key(new));
        for (path, was) in &before.0 {
            let is = self.0.get(path).unwrap_or_else(|| panic!("{} is gone", path.display()));
            let times = if is_new_in(path) { is.times } else { was.times };
            assert_eq!(*is, Inode { times, ..was.clone() }, "{}", path.display());
        }
        made
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(path, inode)| (path.display().to_string(), format!("{inode:?}")))).finish()
    }
}
