use super::*;
use crate::deadline;
use crate::kernel::staging;
use nix::sched::{CloneFlags, unshare};
use std::os::unix::fs::symlink;
use std::time::Duration;
use tempfile::TempDir;

const STATUS: &str = r#"{"pid":7,"bundle":"/srv/b"}"#;

/// A `/run` with one container, `one`, in each folder that is named.
fn run_with(folders: &[&str]) -> TempDir {
    let run = tempfile::tempdir().unwrap();
    for folder in folders {
        std::fs::create_dir_all(run.path().join(folder).join("one")).unwrap();
        std::fs::write(run.path().join(folder).join("one/status"), STATUS).unwrap();
    }
    run
}

/// A `/run` with states of real processes.
#[derive(Debug)]
pub struct Run(TempDir);

impl Default for Run {
    fn default() -> Run {
        Run(tempfile::tempdir().unwrap())
    }
}

impl Run {
    pub fn node(&self) -> crate::workload::Node {
        crate::workload::Node::with(roots_below(self.0.path()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn runc(&self, root: &str, id: &str, pid: i32, started: u64, labels: &[&str]) {
        let state = serde_json::json!({"id": id, "init_process_pid": pid, "init_process_start": started, "config": {"labels": labels}});
        self.file(&format!("{root}/{id}/state.json"), &state.to_string());
    }

    /// Its cgroup is `/odd/ID`.
    pub fn crun(&self, root: &str, id: &str, pid: i32, started: u64) {
        let status = serde_json::json!({"pid": pid, "process-start-time": started, "cgroup-path": format!("/odd/{id}"), "bundle": "/srv/b"});
        self.file(&format!("{root}/{id}/status"), &status.to_string());
    }
}

/// Folder, engine, owner and ids.
type Seen = (String, Option<&'static str>, Option<u32>, Vec<String>);

/// Each root that has something.
fn seen(run: &TempDir) -> Vec<Seen> {
    let of = |root: &Root| {
        let ids = StateFolder::all_in(root).into_iter().filter(|folder| folder.read().is_some()).map(|folder| folder.id).collect();
        (root.path.strip_prefix(run.path()).unwrap().display().to_string(), root.engine, root.owner, ids)
    };
    roots_below(run.path()).iter().map(of).filter(|(_, _, _, ids): &Seen| !ids.is_empty()).collect()
}

#[test]
fn the_roots_of_all_engines() {
    let folders = [
        "runc",
        "crun",
        "containerd/runc/k8s.io",
        "containerd/runc/moby",
        "docker/runtime-runc/moby",
        "user/1000/crun",
        "user/1000/docker/runtime-runc/moby",
        "user/name/runc",
        "docker/netns",
    ];
    let run = run_with(&folders);
    let one = || vec!["one".to_owned()];
    let expected = [
        ("runc", None, None),
        ("crun", None, None),
        ("containerd/runc/k8s.io", Some("containerd"), None),
        ("containerd/runc/moby", Some("docker"), None),
        ("docker/runtime-runc/moby", Some("docker"), None),
        ("user/1000/crun", None, Some(1000)),
        ("user/1000/docker/runtime-runc/moby", Some("docker"), Some(1000)),
    ];
    assert_eq!(seen(&run), expected.map(|(path, engine, owner)| (path.to_owned(), engine, owner, one())));
    assert_eq!(seen(&run_with(&[])), []);
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    let run = run_with(&["crun"]);
    let folder = run.path().join("crun");
    for name in ["fifo", "directory", "large", "dangling"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    nix::unistd::mkfifo(&folder.join("fifo/status"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir(folder.join("directory/status")).unwrap();
    std::fs::File::create(folder.join("large/status")).unwrap().set_len(MOST_BYTES + 1).unwrap();
    symlink("nowhere", folder.join("dangling/status")).unwrap();
    std::fs::write(folder.join("stray"), "").unwrap();
    let ids = deadline::within(Duration::from_secs(10), move || seen(&run)).expect("nothing waits");
    assert_eq!(ids, [("crun".to_owned(), None, None, vec!["one".to_owned()])]);
}

#[test]
fn in_a_users_folder_no_symlink_is_followed() {
    let run = run_with(&["crun", "user/1000/runc", "user/1000/crun"]);
    let user = run.path().join("user/1000");
    std::fs::rename(user.join("crun"), user.join("moved")).unwrap();
    symlink("moved", user.join("crun")).unwrap();
    std::fs::create_dir(user.join("runc/two")).unwrap();
    symlink("../one/status", user.join("runc/two/status")).unwrap();
    symlink("one", user.join("runc/three")).unwrap();
    symlink("one", run.path().join("crun/linked")).unwrap();
    let both = vec!["linked".to_owned(), "one".to_owned()];
    let expected = [("crun".to_owned(), None, None, both), ("user/1000/runc".to_owned(), None, Some(1000), vec!["one".to_owned()])];
    assert_eq!(seen(&run), expected, "root may arrange its own folders as it likes");
}

#[test]
fn in_a_users_folder_no_mount_is_entered() {
    let run = run_with(&["user/1000/runc", "user/1000/crun"]);
    unshare(CloneFlags::CLONE_NEWNS).expect("as root");
    staging::mount(Path::new("none"), Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "").unwrap();
    let server = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
    let at = run.path().join("user/1000/crun");
    staging::mount(Path::new("silent"), &at, "fuse", 0, &options).unwrap();
    let silent = at.join("one");
    let looked = deadline::within(Duration::from_millis(300), move || silent.exists());
    assert_eq!(looked, None, "the control: who looks waits for ever");
    // In this namespace, and back with the folder: who drops it would look into the mount.
    let (run, found) = deadline::within(Duration::from_secs(10), move || {
        let found = seen(&run);
        (run, found)
    })
    .expect("nothing waits");
    assert_eq!(found, [("user/1000/runc".to_owned(), None, Some(1000), vec!["one".to_owned()])]);
    staging::unmount(&at).unwrap();
    drop(run);
}

#[test]
fn crun_has_the_annotations_beside_its_status() {
    let run = run_with(&["crun"]);
    let config = r#"{"annotations":{"io.container.manager":"libpod"}}"#;
    std::fs::write(run.path().join("crun/one/config.json"), config).unwrap();
    let roots = roots_below(run.path());
    let state = StateFolder { root: &roots[1], id: "one".to_owned() }.read().unwrap();
    assert_eq!((state.annotations.engine, state.bundle), (Some("podman"), Some("/srv/b".into())));
}

#[test]
fn dockers_name_is_above_its_root_file_system() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(data.path().join("containers/7bf0")).unwrap();
    std::fs::write(data.path().join("containers/7bf0/config.v2.json"), r#"{"Name":"/web"}"#).unwrap();
    let named = |rootfs: &str| docker_name("7bf0", Some(&data.path().join(rootfs)));
    assert_eq!((named("overlay2/x/merged"), named("rootfs/overlayfs/x")), (Some("web".to_owned()), Some("web".to_owned())));
    assert_eq!((docker_name("7bf0", None), docker_name("7bf1", Some(&data.path().join("x")))), (None, None));
}

#[test]
fn the_storage_of_a_bundle() {
    let of = |bundle: &str| storage_of(Path::new(bundle)).map(|path| path.display().to_string());
    assert_eq!(of("/var/lib/containers/storage/vfs-containers/7bf0/userdata"), Some("/var/lib/containers/storage/vfs-containers".to_owned()));
    assert_eq!((of("/srv/containers/x/userdata"), of("/var/lib/x-containers/7bf0/other"), of("userdata"), of("/")), (None, None, None, None));
    let storage = tempfile::tempdir().unwrap();
    std::fs::write(storage.path().join("containers.json"), r#"[{"id":"a","names":["web"]}]"#).unwrap();
    std::fs::write(storage.path().join("volatile-containers.json"), r#"[{"id":"b","names":["once"]}]"#).unwrap();
    let names = names_in_storage(storage.path());
    assert_eq!((names["a"].as_str(), names["b"].as_str()), ("web", "once"));
}
