use super::*;

const ID: &str = "9d44c4c3b954c32f18d94f3bbdca10c17fdc9a0bdd2e0fbfd60394eacf6807a6";
const OTHER: &str = "55093c1c32e19046cacf49f08a815071708ff8151758701f4abbaa9dd2c0c32c";

/// The text of a process whose cgroup is `path` in cgroup v2.
fn v2(path: &str) -> String {
    format!("0::{}\n", path.replace("ID", ID).replace("OTHER", OTHER))
}

fn known(text: &str) -> Vec<(String, Option<&'static str>)> {
    containers(&paths(text)).into_iter().map(|named| (named.id.to_owned(), named.engine)).collect()
}

#[test]
fn every_engines_spelling() {
    for (path, engine) in [
        ("/docker/ID", Some("docker")),
        ("/system.slice/docker-ID.scope", Some("docker")),
        ("/my/parent/ID", None),
        ("/libpod_parent/libpod-ID", Some("podman")),
        ("/machine.slice/libpod-ID.scope", Some("podman")),
        ("/machine.slice/libpod-ID.scope/container", Some("podman")),
        ("/machine.slice/machine-libpod_pod_OTHER.slice/libpod-ID.scope/container", Some("podman")),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", Some("podman")),
        ("/system.slice/web.service/libpod-payload-ID", Some("podman")),
        ("/kubepods/besteffort/pod0f3/ID", None),
        ("/kubepods/burstable/pod0f3/crio-ID", Some("cri-o")),
        ("/kubepods.slice/kubepods-pod0f3.slice/crio-ID.scope", Some("cri-o")),
        ("/kubepods.slice/kubepods-pod0f3.slice/cri-containerd-ID.scope", Some("containerd")),
        ("/system.slice/containerd.service/kubepods-burstable-pod0f3.slice:cri-containerd:ID", Some("containerd")),
        ("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod0f3.slice/cri-containerd-ID.scope", Some("containerd")),
        ("/k8s.io/ID", Some("containerd")),
        ("/default/ID", None),
        ("/system.slice/nerdctl-ID.scope", Some("containerd")),
    ] {
        assert_eq!(known(&v2(path)), [(ID.to_owned(), engine)], "{path}");
    }
    assert_eq!(known(&v2("/buildah-buildah4139192498")), [("buildah-buildah4139192498".to_owned(), Some("buildah"))]);
    assert_eq!(known(&v2("/docker/buildkit/x9c0wq2l")), [("x9c0wq2l".to_owned(), Some("buildkit"))]);
    assert_eq!(known(&v2("/lxc.payload.web/system.slice/a.service")), [("web".to_owned(), Some("lxc"))]);
}

#[test]
fn what_is_beside_containers_is_none() {
    for path in [
        "/",
        "/init.scope",
        "/system.slice/containerd.service",
        "/machine.slice/libpod-conmon-ID.scope",
        "/kubepods.slice/kubepods-pod0f3.slice/crio-conmon-ID.scope",
        "/libpod_parent/conmon",
        "/machine.slice/machine-libpod_pod_ID.slice",
        "/kubepods.slice/kubepods-pod0f3.slice",
        "/process_api/a9ff67271c39987875feffd90dce62a4",
        "/buildah-buildah",
        "/docker-.scope",
        "/docker",
        "/lxc.monitor.web",
    ] {
        assert_eq!(known(&v2(path)), [], "{path}");
    }
    let upper_case = v2("/docker/ID").to_uppercase();
    assert_eq!(known(&upper_case), []);
}

#[test]
fn a_container_in_a_container_comes_after_it() {
    let both = [(OTHER.to_owned(), Some("docker")), (ID.to_owned(), Some("containerd"))];
    assert_eq!(known(&v2("/docker/OTHER/kubelet.slice/kubelet-kubepods-pod0f3.slice/cri-containerd-ID.scope")), both);
    assert_eq!(known(&v2("/docker/OTHER/docker/OTHER")).len(), 1);
}

/// As recorded: runc 1.1.15 by dockerd 26.1.5 on cgroup v1; podman 5.4.2 on cgroup v2 where v1 is mounted, too; hybrid as systemd makes it.
#[test]
fn several_hierarchies() {
    let v1 = format!("9:name=systemd:/docker/{ID}\n8:pids:/docker/{ID}\n3:cpuset:/docker/{ID}\n1:cpu:/docker/{ID}\n0::/\n");
    assert_eq!(paths(&v1), [format!("/docker/{ID}")]);
    let beside = format!("9:name=systemd:/\n8:pids:/\n1:cpu:/\n0::/libpod_parent/libpod-{ID}\n");
    assert_eq!(known(&beside), [(ID.to_owned(), Some("podman"))]);
    let hybrid = "12:pids:/user.slice\n4:cpu,cpuacct:/\n1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service\n";
    assert_eq!(paths(hybrid), ["/system.slice/a.service", "/user.slice"], "systemd's own comes first");
    assert_eq!(service(&paths(hybrid)), Some("a.service"));
}

#[test]
fn seen_from_within_a_cgroup_namespace() {
    assert_eq!(known(&v2("/../../machine.slice/libpod-ID.scope")), [(ID.to_owned(), Some("podman"))]);
    assert_eq!(paths("0::/..\n0::/.\n"), Vec::<&str>::new());
}

#[test]
fn units_of_systemd() {
    let of = |path: &str| service(&paths(&v2(path))).map(str::to_owned);
    let is = |unit: &str| Some(unit.to_owned());
    assert_eq!(of("/system.slice/sshd.service"), is("sshd.service"));
    assert_eq!(of("/system.slice/system-getty.slice/getty@tty1.service"), is("getty@tty1.service"));
    assert_eq!(of("/system.slice/web.service/worker"), is("web.service"));
    assert_eq!(of("/user.slice/user-1000.slice/user@1000.service/app.slice/app-a\\x2db.service"), is("app-a\\x2db.service"));
    assert_eq!(of("/user.slice/user-1000.slice/user@1000.service/init.scope"), is("user@1000.service"));
    assert_eq!(of("/user.slice/user-1000.slice/session-3.scope"), None);
    assert_eq!(of("/system.slice/.service"), None);
    assert_eq!(of("/"), None);
}

#[test]
fn any_text_is_survived() {
    for text in ["", "\n", ":", "::", "0:", "0::", "x", "9:a:b:c\n", ":::/::", "0::/\u{1b}[31m/\u{fffd}/docker-\n", "0::////docker//\n"] {
        let paths = paths(text);
        let _ = (containers(&paths), service(&paths));
    }
    assert_eq!(paths("1:cpu:/a:b/c\n"), ["/a:b/c"], "a path may have colons");
}

#[test]
fn a_cgroup_and_those_above_it() {
    let of = |path| lineage(path).collect::<Vec<_>>();
    assert_eq!(of("/a/bc/d"), ["/a/bc/d", "/a/bc", "/a"]);
    assert_eq!(of("/../a//./b/"), ["/a/b", "/a"]);
    assert_eq!((of("/"), of(""), of("/..")), (vec![], vec![], vec![]));
}

#[test]
fn the_cgroup_of_a_mounted_path() {
    assert_eq!(of_mounted("name=systemd", "/sys/fs/cgroup/systemd/web/box"), Some("/web/box"));
    assert_eq!(of_mounted("cpu", "/sys/fs/cgroup/cpu,cpuacct/box"), Some("/box"));
    assert_eq!(of_mounted("", "/sys/fs/cgroup/libpod_parent/x"), Some("/libpod_parent/x"));
    assert_eq!(of_mounted("", "/sys/fs/cgroup/unified/x"), Some("/x"));
    assert_eq!(of_mounted("", "/sys/fs/cgroup/unifiedly"), Some("/unifiedly"));
    assert_eq!(of_mounted("cpu", "/sys/fs/cgroup/cpu"), None);
    assert_eq!(of_mounted("cpu", "/elsewhere/cpu/x"), None);
}
