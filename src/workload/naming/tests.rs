use super::*;

fn told(pairs: &[(&str, &str)]) -> (Option<&'static str>, Option<String>) {
    let told = of_annotations(pairs.iter().copied());
    (told.engine, told.name)
}

#[test]
fn kubernetes_by_cri_o() {
    let of = |container: &str| {
        told(&[
            ("io.container.manager", "cri-o"),
            ("io.kubernetes.pod.namespace", "kube-system"),
            ("io.kubernetes.pod.name", "proxy-x7"),
            ("io.kubernetes.container.name", container),
        ])
    };
    assert_eq!(of("proxy"), (Some("cri-o"), Some("kube-system/proxy-x7/proxy".to_owned())));
    assert_eq!(of("POD"), (Some("cri-o"), Some("kube-system/proxy-x7".to_owned())), "the sandbox");
}

#[test]
fn kubernetes_by_containerd() {
    let sandbox = [("io.kubernetes.cri.sandbox-namespace", "a"), ("io.kubernetes.cri.sandbox-name", "b")];
    assert_eq!(told(&sandbox), (None, Some("a/b".to_owned())));
    assert_eq!(told(&sandbox[..1]), (None, None), "half a name is none");
}

#[test]
fn other_annotations() {
    assert_eq!(told(&[("nerdctl/name", "web"), ("io.container.manager", "somebody")]), (None, Some("web".to_owned())));
    assert_eq!(told(&[("io.container.manager", "libpod")]), (Some("podman"), None));
    let hostile = "a\nb\x1b[31m/../c";
    let name = told(&[("io.kubernetes.pod.namespace", hostile), ("io.kubernetes.pod.name", "p")]).1;
    assert_eq!(name, Some(format!("{hostile}/p")), "escaped by who prints it");
}

#[test]
fn docker() {
    assert_eq!(of_docker(include_bytes!("../../../tests/fixtures/containers/docker-28.5.2.config.v2.json")), Some("box-crun".to_owned()));
    let name = |name: &str| of_docker(format!("{{\"Name\":\"{name}\"}}").as_bytes());
    assert_eq!(name("/k8s_web_shop-1_prod_0f3_2"), Some("prod/shop-1/web".to_owned()), "cri-dockerd");
    assert_eq!(name("/k8s_POD_shop-1_prod_0f3_2"), Some("prod/shop-1".to_owned()));
    assert_eq!(name("/k8s_web"), Some("k8s_web".to_owned()));
    assert_eq!((name("/"), name("")), (None, None));
    assert_eq!((of_docker(b"{}"), of_docker(b"\xff"), of_docker(br#"{"Name":1}"#)), (None, None, None));
}

#[test]
fn the_storage_of_podman() {
    let names = of_storage(include_bytes!("../../../tests/fixtures/containers/podman-5.8.6.containers.json"));
    assert_eq!(names["7bf0b0369fe543c015b428c937da0765f6d6cfc56d87c11cfabce3bdd1d98a89"], "plain-runc");
    assert_eq!(names.len(), 2);
    assert_eq!(of_storage(br#"[{"id":"a","names":[]},{"id":"b","names":null},{"id":"c"}]"#).len(), 0);
    assert_eq!((of_storage(b"").len(), of_storage(b"{}").len(), of_storage(b"[1]").len()), (0, 0, 0));
}

#[test]
fn an_engine_by_id_or_bundle() {
    let of = |id, bundle: &str| engine_of(id, Some(Path::new(bundle)));
    assert_eq!(of("buildah-buildah1", "/tmp/buildah1"), Some("buildah"));
    assert_eq!(of("x", "/var/lib/docker/buildkit/executor/x"), Some("buildkit"));
    assert_eq!(of("x", "/run/containerd/io.containerd.runtime.v2.task/moby/x"), Some("docker"));
    assert_eq!(of("x", "/run/containerd/io.containerd.runtime.v2.task/k8s.io/x"), Some("containerd"));
    assert_eq!((of("x", "/srv/bundle"), engine_of("x", None)), (None, None));
}
