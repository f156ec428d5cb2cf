use super::*;
use folders::tests::Run;
use std::process::{Child, Command};

/// A process that sleeps, ended when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        Sleeper(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    /// In a mount namespace of its own.
    fn apart() -> Sleeper {
        Sleeper(Command::new("unshare").args(["--mount", "sleep", "1000"]).spawn().unwrap()).settled("sleep")
    }

    /// In a user namespace of user 1000's own.
    fn of_user() -> Sleeper {
        let words = ["--reuid=1000", "--regid=1000", "--clear-groups", "unshare", "--user", "--map-root-user", "sleep", "1000"];
        Sleeper(Command::new("setpriv").args(words).spawn().unwrap()).settled("sleep")
    }

    fn settled(mut self, command: &str) -> Sleeper {
        while process::command(self.pid()) != command {
            assert_eq!(self.0.try_wait().unwrap(), None, "it has ended");
            std::thread::yield_now();
        }
        self
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    fn started(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap().parse().unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ID: &str = "9d44c4c3b954c32f18d94f3bbdca10c17fdc9a0bdd2e0fbfd60394eacf6807a6";
const OTHER: &str = "55093c1c32e19046cacf49f08a815071708ff8151758701f4abbaa9dd2c0c32c";

fn ids(node: &Node) -> Vec<String> {
    node.containers().into_iter().map(|container| container.workload.id.unwrap()).collect()
}

#[test]
fn containers_are_those_whose_first_process_is_there() {
    let run = Run::default();
    let (by_runc, by_crun) = (Sleeper::start().settled("sleep"), Sleeper::start().settled("sleep"));
    run.runc("runc", "a", by_runc.pid(), by_runc.started(), &["bundle=/srv/a"]);
    run.crun("containerd/runc/web", "b", by_crun.pid(), by_crun.started());
    run.runc("runc", "stale", by_runc.pid(), by_runc.started() + 1, &[]);
    run.runc("runc", "gone", i32::MAX, 7, &[]);
    run.file("runc/broken/state.json", "{");
    let node = run.node();
    let containers = node.containers();
    assert_eq!(ids(&node), ["a", "b"]);
    let (a, b) = (&containers[0], &containers[1]);
    assert_eq!((a.runtime.as_str(), a.pid, a.state.clone()), ("runc", by_runc.pid(), run.path("runc/a")));
    assert_eq!((a.workload.engine.as_deref(), a.workload.bundle.clone()), (Some("runc"), Some("/srv/a".into())));
    assert_eq!((b.runtime.as_str(), b.workload.engine.as_deref(), b.workload.kind), ("crun", Some("containerd"), Kind::Container));
    assert_eq!((a.workload.command.as_str(), b.workload.command.as_str()), ("sleep", "sleep"));
}

#[test]
fn a_user_cannot_call_any_process_a_container() {
    let run = Run::default();
    let ours = Sleeper::start();
    run.runc("user/1000/runc", "mine", ours.pid(), ours.started(), &[]);
    run.runc("runc", "of-root", ours.pid(), ours.started(), &[]);
    assert_eq!(ids(&run.node()), ["of-root"]);
    // In a user namespace of that user it is one.
    let theirs = Sleeper::of_user();
    run.runc("user/1000/runc", "mine", theirs.pid(), theirs.started(), &[]);
    run.runc("user/1001/runc", "not-mine", theirs.pid(), theirs.started(), &[]);
    assert_eq!(ids(&run.node()), ["of-root", "mine"]);
}

#[test]
fn of_two_states_of_one_process_roots_counts() {
    let run = Run::default();
    let theirs = Sleeper::of_user();
    run.runc("user/1000/runc", "claimed", theirs.pid(), theirs.started(), &[]);
    assert_eq!(ids(&run.node()), ["claimed"]);
    run.runc("docker/runtime-runc/moby", ID, theirs.pid(), theirs.started(), &[]);
    assert_eq!(ids(&run.node()), [ID]);
}

#[test]
fn a_process_is_of_the_container_that_its_cgroup_names() {
    let run = Run::default();
    run.runc("containerd/runc/k8s.io", ID, i32::MAX, 7, &["io.kubernetes.cri.sandbox-namespace=prod", "io.kubernetes.cri.sandbox-name=shop-1"]);
    let node = run.node();
    let of = |path: &str| node.of_cgroup(&format!("0::{path}\n"), 1);
    let inside = of(&format!("/kubepods/pod0f3/{ID}/deeper"));
    assert_eq!((inside.kind, inside.id.as_deref(), inside.name.as_deref()), (Kind::Container, Some(ID), Some("prod/shop-1")));
    assert_eq!(inside.engine.as_deref(), Some("containerd"), "the folder tells what the cgroup does not");
    let nested = of(&format!("/docker/{OTHER}/docker/{ID}"));
    assert_eq!(nested.id.as_deref(), Some(ID), "of two the one that is known here");
    let unknown = of(&format!("/docker/{OTHER}/docker/{}", ID.replace('9', "8")));
    assert_eq!((unknown.id.as_deref(), unknown.engine.as_deref(), unknown.bundle), (Some(OTHER), Some("docker"), None));
}

#[test]
fn a_container_with_a_cgroup_of_any_name() {
    let run = Run::default();
    let first = Sleeper::start();
    run.crun("runc", "by-hand", first.pid(), first.started());
    let node = run.node();
    let of = |path: &str| node.of_cgroup(&format!("9:name=systemd:{path}\n0::/\n"), 1);
    assert_eq!(of("/odd/by-hand").id.as_deref(), Some("by-hand"));
    assert_eq!((of("/odd/by-hand/deeper").id.as_deref(), of("/odd/by-hand/deeper").engine.as_deref()), (Some("by-hand"), Some("crun")));
    assert_eq!(of("/odd/by-hands").kind, Kind::Process);
    let service = of("/system.slice/web.service");
    assert_eq!((service.kind, service.id.as_deref()), (Kind::Service, Some("web.service")));
}

#[test]
fn a_container_without_a_cgroup_is_known_by_its_mounts() {
    let run = Run::default();
    let (apart, beside) = (Sleeper::apart(), Sleeper::start().settled("sleep"));
    run.runc("runc", "apart", apart.pid(), apart.started(), &[]);
    let second = Command::new("nsenter").arg(format!("--mount=/proc/{}/ns/mnt", apart.pid())).args(["sleep", "1000"]).spawn().unwrap();
    let second = Sleeper(second).settled("sleep");
    let node = run.node();
    let of = |pid| node.of_cgroup("0::/\n", pid);
    assert_eq!(of(second.pid()).id.as_deref(), Some("apart"));
    assert_eq!(of(beside.pid()), Workload::default(), "a process in our own namespace");
    // A container that shares the host's mounts says nothing about others that do.
    run.runc("runc", "beside", beside.pid(), beside.started(), &[]);
    assert_eq!(run.node().of_cgroup("0::/\n", i32::try_from(std::process::id()).unwrap()), Workload::default());
}

#[test]
fn what_we_are_in_is_no_container_to_us() {
    let run = Run::default();
    let mut node = run.node();
    let text = format!("0::/docker/{OTHER}/system.slice/web.service\n");
    assert_eq!(node.of_cgroup(&text, 1).kind, Kind::Container);
    node.around_us.insert(OTHER.to_owned());
    assert_eq!((node.of_cgroup(&text, 1).kind, node.of_cgroup(&text, 1).id.as_deref()), (Kind::Service, Some("web.service")));
    assert_eq!(node.of_cgroup(&format!("0::/docker/{OTHER}/docker/{ID}\n"), 1).id.as_deref(), Some(ID));
}

#[test]
fn podmans_names_are_in_its_storage() {
    let run = Run::default();
    let storage = run.path("storage/overlay-containers");
    run.file("storage/overlay-containers/containers.json", &format!(r#"[{{"id":"{ID}","names":["web\nshop"]}}]"#));
    let labels = ["io.container.manager=libpod".to_owned(), format!("bundle={}/{ID}/userdata", storage.display())];
    let first = Sleeper::start();
    run.runc("runc", ID, first.pid(), first.started(), &[&labels[0], &labels[1]]);
    let found = run.node().containers().remove(0).workload;
    assert_eq!((found.engine.as_deref(), found.name.as_deref()), (Some("podman"), Some("web\nshop")), "escaped by who prints it");
}

#[test]
fn a_process_that_is_gone_is_a_process() {
    assert_eq!(of_process(i32::MAX), Workload::default());
    let sleeper = Sleeper::start().settled("sleep");
    assert_eq!(of_process(sleeper.pid()).command, "sleep");
}

#[test]
fn any_path_can_be_written_as_json() {
    use std::os::unix::ffi::OsStrExt;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(b"/srv/\xff\n"));
    let workload = Workload { bundle: Some(path.clone()), ..Workload::default() };
    let container = Container { workload, pid: 7, runtime: "runc".to_owned(), state: path };
    let json: serde_json::Value = serde_json::to_value(&container).unwrap();
    assert_eq!((&json["state"], &json["workload"]["bundle"]), (&"/srv/\u{fffd}\n".into(), &"/srv/\u{fffd}\n".into()));
    assert_eq!(serde_json::to_value(Workload::default()).unwrap()["bundle"], serde_json::Value::Null);
}

/// `cargo test --release -- --ignored --nocapture a_hundred`: states as large as docker's and podman's, by their seccomp profile.
#[test]
#[ignore = "a measurement"]
fn a_hundred_containers_take_this_long() {
    let run = Run::default();
    let sleepers: Vec<Sleeper> = (0..100).map(|_| Sleeper::apart()).collect();
    let syscalls = vec![serde_json::json!({"name": "clock_gettime", "action": 4, "errnoRet": null, "args": []}); 400];
    for sleeper in &sleepers {
        let config = serde_json::json!({"seccomp": {"syscalls": syscalls}, "labels": ["io.container.manager=libpod", "bundle=/srv/b"]});
        let state = serde_json::json!({"init_process_pid": sleeper.pid(), "init_process_start": sleeper.started(), "config": config});
        run.file(&format!("runc/{:064x}/state.json", sleeper.pid()), &state.to_string());
    }
    let took = |what: &str, work: &dyn Fn() -> usize| {
        let start = std::time::Instant::now();
        println!("{what}: {} in {:?}", work(), start.elapsed());
    };
    for _ in 0..3 {
        took("containers", &|| run.node().containers().len());
        let node = run.node();
        took("by cgroup", &|| sleepers.iter().filter(|it| node.of_cgroup(&format!("0::/x/{:064x}\n", it.pid()), it.pid()).id.is_some()).count());
        took("by mounts", &|| sleepers.iter().filter(|it| node.of_cgroup("0::/\n", it.pid()).id.is_some()).count());
    }
}
