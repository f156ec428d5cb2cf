//! A node in a temporary directory: a runtime, a bundle, a protected root and settings of the guard.

use crate::call::{Call, Outcome};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The guard under test.
pub const GUARD: &str = env!("CARGO_BIN_EXE_runc-guard");
pub const RUNTIMES: [&str; 3] = ["runc", "crun", "youki"];
/// The guard's name while it writes: nothing may be left of it.
pub const TEMPORARY: &str = ".config.json.runc-guard";

pub struct Node {
    dir: TempDir,
    runtime: &'static str,
}

impl Node {
    /// A node with runc; settings name it, the protected root and the guard's own log.
    pub fn new() -> Node {
        Node::with("runc")
    }

    /// A node whose settings name `runtime`. All three runtimes stand in `bin`.
    pub fn with(runtime: &'static str) -> Node {
        let dir = tempfile::Builder::new().prefix("guard-cli.").tempdir().unwrap();
        let node = Node { dir, runtime };
        for name in ["bin", "protected", "bundle", "bundle/rootfs", "bundle/rootfs/host", "empty", "scratch"] {
            fs::create_dir(node.path(name)).unwrap();
        }
        RUNTIMES.iter().for_each(|name| install_fake_runtime(&node.path("bin").join(name)));
        node.settings("");
        node.config(node.pinning());
        node
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn bundle(&self) -> String {
        self.text("bundle")
    }

    pub fn runtime_path(&self) -> PathBuf {
        self.path("bin").join(self.runtime)
    }

    /// The usual settings and `more` after them.
    pub fn settings(&self, more: &str) {
        let usual = format!(
            "runtimes = ['{}']\nprotected_roots = ['{}']\nlog = '{}'\n",
            self.text(&format!("bin/{}", self.runtime)),
            self.text("protected"),
            self.text("own.log")
        );
        self.all_settings(usual + more);
    }

    /// Settings from the first byte to the last.
    pub fn all_settings(&self, bytes: impl AsRef<[u8]>) {
        fs::write(self.path("config.toml"), bytes).unwrap();
    }

    /// A document with one bind that pins what is mounted below the protected root.
    pub fn pinning(&self) -> String {
        self.document(r#""rbind","rprivate""#, "")
    }

    /// [`Node::pinning`] as the guard leaves it behind.
    pub fn mended(&self) -> String {
        let propagation = if self.runtime == "youki" { "" } else { r#""rootfsPropagation":"rslave","# };
        self.document(r#""rbind","rslave""#, propagation)
    }

    /// A document that needs no change, and of which there is nothing to tell.
    pub fn harmless(&self) -> String {
        self.pinning().replace(&self.text("protected"), &self.text("empty"))
    }

    fn document(&self, options: &str, propagation: &str) -> String {
        let source = self.text("protected");
        format!(
            r#"{{"ociVersion":"1.0.2","root":{{"path":"rootfs"}},"mounts":[{{"destination":"/host","type":"bind","source":"{source}","options":[{options}]}}],"linux":{{{propagation}"namespaces":[{{"type":"mount"}}]}}}}"#
        )
    }

    /// Makes `bytes` the bundle's config.json.
    pub fn config(&self, bytes: impl AsRef<[u8]>) {
        fs::write(self.path("bundle/config.json"), bytes).unwrap();
    }

    pub fn config_state(&self) -> FileState {
        FileState::of(&self.path("bundle/config.json"))
    }

    /// A call of the guard with these words after argv\[0\], in a directory that is no bundle.
    pub fn guard(&self, words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Call {
        let argv = std::iter::once(b"runc-guard".to_vec()).chain(words.into_iter().map(|word| word.as_ref().to_vec()));
        let call = Call {
            program: PathBuf::from(GUARD),
            record: PathBuf::new(),
            argv: argv.collect(),
            environment: vec![self.settings_variable(), b"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_vec()],
            cwd: self.path("empty"),
            scratch: self.path("scratch"),
            closed: Vec::new(),
            extra: Vec::new(),
            in_child: Vec::new(),
        };
        call.expecting(self.runtime_path())
    }

    /// `create` of the bundle.
    pub fn create(&self) -> Call {
        self.guard(["create", "--bundle", &self.bundle(), "c1"])
    }

    pub fn settings_variable(&self) -> Vec<u8> {
        format!("RUNC_GUARD_CONFIG={}", self.text("config.toml")).into_bytes()
    }

    /// Makes the call once through the guard and once with the runtime itself: both starts must be the same.
    #[track_caller]
    pub fn assert_passes_through(&self, call: Call) -> Outcome {
        let argv = call.argv.clone();
        self.assert_passes_through_as(call, &argv)
    }

    /// As [`Node::assert_passes_through`], where the runtime is to see `argv`.
    #[track_caller]
    pub fn assert_passes_through_as(&self, call: Call, argv: &[impl AsRef<[u8]>]) -> Outcome {
        let guarded = call.run();
        let direct = call.program(self.runtime_path()).argv(argv).run();
        let (guarded_record, direct_record) = (guarded.reached(), direct.reached());
        assert!(guarded_record == direct_record, "without the guard (-) and with it (+): {:#?}", direct_record.differences(guarded_record));
        assert_eq!(guarded.status, direct.status);
        guarded
    }

    /// The lines of the guard's own log, each of which must be JSON.
    #[track_caller]
    pub fn own_log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("own.log")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The single line of the guard's own log, which is taken away.
    #[track_caller]
    pub fn take_notice(&self) -> Value {
        let mut lines = self.own_log();
        assert_eq!(lines.len(), 1, "one line: {lines:?}");
        fs::remove_file(self.path("own.log")).unwrap();
        lines.remove(0)
    }
}

/// All there is to see of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileState {
    pub bytes: Vec<u8>,
    pub inode: u64,
    pub mtime: (i64, i64),
    pub mode: u32,
    pub owner: (u32, u32),
}

impl FileState {
    pub fn of(path: &Path) -> FileState {
        let about = fs::metadata(path).unwrap();
        let bytes = if about.is_file() { fs::read(path).unwrap() } else { Vec::new() };
        FileState { bytes, inode: about.ino(), mtime: (about.mtime(), about.mtime_nsec()), mode: about.mode(), owner: (about.uid(), about.gid()) }
    }
}

impl std::fmt::Debug for FileState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(400)]).into_owned();
        write!(f, "inode {} mtime {:?} mode {:o} owner {:?}: {start}", self.inode, self.mtime, self.mode, self.owner)
    }
}

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Puts the fake runtime at `path`, as a hard link or a copy.
pub fn install_fake_runtime(path: &Path) {
    let built = fake_runtime();
    if fs::hard_link(&built, path).is_err() {
        copy_program(&built, path);
    }
}

/// Copies a program by another process: a descriptor of ours that is open for writing could be inherited by another test's fork for a moment,
/// and a program that somebody writes is not executed.
pub fn copy_program(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("--preserve=mode").arg(from).arg(to).status().unwrap().success());
}

/// An executable file with these bytes.
pub fn install_script(path: &Path, text: impl AsRef<[u8]>) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    set_mode(&draft, 0o755);
    copy_program(&draft, path);
    fs::remove_file(draft).unwrap();
}

fn fake_runtime() -> PathBuf {
    let built = Path::new(GUARD).with_file_name("examples/fake-runtime");
    let modified = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_runtime/runtime.rs");
    assert!(modified(&built) >= modified(&source), "{} is missing or old: cargo build --example fake-runtime", built.display());
    built
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
