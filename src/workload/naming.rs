//! The name by which an operator knows a container, and its engine, from what engines write about it. Text in, data out.

use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// What the annotations of a container tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub engine: Option<&'static str>,
    pub name: Option<String>,
}

/// Kubernetes by containerd and by CRI-O, nerdctl, and who made the container.
pub fn of_annotations<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Told {
    let (mut told, mut namespace, mut pod, mut container) = (Told::default(), None, None, None);
    for (key, value) in pairs {
        match key {
            "io.kubernetes.cri.sandbox-namespace" | "io.kubernetes.pod.namespace" => namespace = Some(value),
            "io.kubernetes.cri.sandbox-name" | "io.kubernetes.pod.name" => pod = Some(value),
            "io.kubernetes.cri.container-name" | "io.kubernetes.container.name" => container = Some(value),
            "nerdctl/name" => told.name = Some(value.to_owned()),
            "io.container.manager" => told.engine = engine_of_manager(value).or(told.engine),
            _ => {}
        }
    }
    if let (Some(namespace), Some(pod)) = (namespace, pod) {
        told.name = Some(in_kubernetes(namespace, pod, container));
    }
    told
}

fn engine_of_manager(manager: &str) -> Option<&'static str> {
    match manager {
        "libpod" => Some("podman"),
        "cri-o" => Some("cri-o"),
        _ => None,
    }
}

/// `POD` is what kubelet calls a pod's sandbox.
fn in_kubernetes(namespace: &str, pod: &str, container: Option<&str>) -> String {
    match container.filter(|container| *container != "POD") {
        Some(container) => format!("{namespace}/{pod}/{container}"),
        None => format!("{namespace}/{pod}"),
    }
}

/// A name as docker, podman and CRI-O keep it: `/web`, or `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`. In Kubernetes' names there is no `_`.
fn as_known(name: &str) -> String {
    let name = name.strip_prefix('/').unwrap_or(name);
    match name.split('_').collect::<Vec<_>>()[..] {
        ["k8s", container, pod, namespace, _, _] => in_kubernetes(namespace, pod, Some(container)),
        _ => name.to_owned(),
    }
}

#[derive(Deserialize)]
struct DockerContainer<'a> {
    #[serde(borrow, rename = "Name")]
    name: Cow<'a, str>,
}

/// docker's `config.v2.json`.
#[must_use]
pub fn of_docker(text: &[u8]) -> Option<String> {
    let container: DockerContainer<'_> = serde_json::from_slice(text).ok()?;
    Some(as_known(&container.name)).filter(|name| !name.is_empty())
}

#[derive(Deserialize)]
struct StoredContainer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    names: Option<Vec<String>>,
}

/// The `containers.json` of the storage that podman and CRI-O share: the first name of each id.
#[must_use]
pub fn of_storage(text: &[u8]) -> HashMap<String, String> {
    let containers: Vec<StoredContainer<'_>> = serde_json::from_slice(text).unwrap_or_default();
    let named = |container: StoredContainer<'_>| Some((container.id.into_owned(), as_known(container.names?.first()?)));
    containers.into_iter().filter_map(named).collect()
}

/// What the id and the bundle's place say about who made it, where nothing else does.
#[must_use]
pub fn engine_of(id: &str, bundle: Option<&Path>) -> Option<&'static str> {
    let has = |name: &str| bundle.is_some_and(|bundle| bundle.iter().any(|component| component == name));
    if id.starts_with("buildah-") {
        Some("buildah")
    } else if has("buildkit") {
        Some("buildkit")
    } else if has("io.containerd.runtime.v2.task") {
        Some(if has("moby") { "docker" } else { "containerd" })
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
