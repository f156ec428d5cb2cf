use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/containers/", $name))
    };
}

#[test]
fn runc_for_kubernetes() {
    let state = of_runc(fixture!("runc-1.1.15-cri.state.json")).unwrap();
    let id = "78cdeda2e44a26c75e0c50c3f3270e403a577f4866dd17cd5f8cd72b4a9d50b2";
    let bundle = PathBuf::from(format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}"));
    assert_eq!((state.runtime, state.pid, state.started), ("runc", 317, Some(2_476_483)));
    assert_eq!(state.cgroups, [format!("/k8s.io/{id}")]);
    assert_eq!((state.rootfs, state.bundle), (Some(bundle.join("rootfs")), Some(bundle)));
    assert_eq!(state.annotations, Told { engine: None, name: Some("default/app-runc/app-runc".to_owned()) });
}

#[test]
fn runc_for_podman_on_cgroup_v2() {
    let state = of_runc(fixture!("runc-1.3.6-podman.state.json")).unwrap();
    let id = "7bf0b0369fe543c015b428c937da0765f6d6cfc56d87c11cfabce3bdd1d98a89";
    assert_eq!(state.cgroups, [format!("/libpod_parent/libpod-{id}")]);
    assert_eq!(state.bundle, Some(format!("/var/lib/containers/storage/overlay-containers/{id}/userdata").into()));
    assert_eq!(state.annotations, Told { engine: Some("podman"), name: None });
}

#[test]
fn runc_by_hand() {
    let state = of_runc(fixture!("runc-1.3.6-by-hand.state.json")).unwrap();
    assert_eq!((state.cgroups, state.bundle), (vec!["/hand-runc".to_owned()], Some("/srv/b-runc".into())));
    assert_eq!(state.annotations, Told::default());
}

#[test]
fn crun_for_docker_and_for_podman() {
    let docker = of_crun(fixture!("crun-1.21-docker.status")).unwrap();
    let id = "c799ad6d8adc7e2e29ee846ed452b7287991288093acdbf9a15fcb258a313904";
    assert_eq!((docker.runtime, docker.pid, docker.started), ("crun", 322, Some(2_476_355)));
    assert_eq!(docker.cgroups, [format!("/docker/{id}")]);
    assert_eq!(docker.bundle, Some(format!("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{id}").into()));
    assert!(docker.rootfs.unwrap().starts_with("/var/lib/docker/overlay2"));
    // crun 1.28 writes each slash as `\/`.
    let podman = of_crun(fixture!("crun-1.28-podman.status")).unwrap();
    let id = "3d16f9340dbc4beb8803ad3f4552960eec74e20bdb8d6dddf89d6e8751dd8548";
    assert_eq!(podman.cgroups, [format!("/libpod_parent/libpod-{id}")]);
    assert_eq!(podman.bundle, Some(format!("/var/lib/containers/storage/overlay-containers/{id}/userdata").into()));
}

#[test]
fn the_annotations_of_a_config() {
    let told = annotations(fixture!("crun-1.28-cri.config.json"));
    assert_eq!(told, Told { engine: None, name: Some("default/app-crun/app-crun".to_owned()) });
}

#[test]
fn the_last_bundle_label_is_runcs_own() {
    let text = br#"{"init_process_pid":7,"config":{"labels":["bundle=/of/the/user","a","=","bundle=/real=one"]}}"#;
    assert_eq!(of_runc(text).unwrap().bundle, Some("/real=one".into()));
}

#[test]
fn what_is_broken_is_unknown() {
    let broken: [&[u8]; 7] =
        [b"", b"{}", b"[]", b"\xff\xfe", br#"{"init_process_pid":"7"}"#, br#"{"pid":99999999999}"#, br#"{"init_process_pid":7,"config":[]}"#];
    for text in broken {
        assert_eq!((of_runc(text), of_crun(text)), (None, None), "{}", text.escape_ascii());
        assert_eq!(annotations(text), Told::default());
    }
    let cut = &fixture!("runc-1.1.15-cri.state.json")[..4000];
    assert_eq!(of_runc(cut), None);
    assert_eq!(annotations(br#"{"annotations":{"nerdctl/name":7}}"#), Told::default());
    assert_eq!(of_runc(br#"{"init_process_pid":7,"config":null,"cgroup_paths":null}"#).unwrap().pid, 7);
    assert_eq!(of_crun(br#"{"pid":7,"bundle":"","cgroup-path":""}"#).unwrap().bundle, None);
}
