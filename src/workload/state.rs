//! What runc and crun write about a container: runc's `state.json`, crun's `status`. Text in, data out; of each only what is asked for.

use super::cgroup;
use super::naming::{self, Told};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One container as its runtime knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub runtime: &'static str,
    /// Its first process. The number may be somebody else's by now.
    pub pid: i32,
    /// When that process was started, as in `/proc/P/stat`.
    pub started: Option<u64>,
    pub cgroups: Vec<String>,
    pub bundle: Option<PathBuf>,
    pub rootfs: Option<PathBuf>,
    pub annotations: Told,
}

/// A text in a list or map, borrowed where JSON has no escape in it.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Runc<'a> {
    init_process_pid: i32,
    init_process_start: Option<u64>,
    #[serde(borrow)]
    cgroup_paths: Option<BTreeMap<Text<'a>, Text<'a>>>,
    #[serde(borrow)]
    config: Option<RuncConfig<'a>>,
}

#[derive(Deserialize)]
struct RuncConfig<'a> {
    #[serde(borrow)]
    rootfs: Option<Cow<'a, str>>,
    /// The annotations as `key=value`, and `bundle=PATH` at the end.
    #[serde(borrow)]
    labels: Option<Vec<Text<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Crun<'a> {
    pid: i32,
    process_start_time: Option<u64>,
    #[serde(borrow)]
    cgroup_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    bundle: Option<Cow<'a, str>>,
    #[serde(borrow)]
    rootfs: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Config<'a> {
    #[serde(borrow)]
    annotations: Option<BTreeMap<Text<'a>, Text<'a>>>,
}

/// runc's `state.json`.
#[must_use]
pub fn of_runc(text: &[u8]) -> Option<State> {
    let state: Runc<'_> = serde_json::from_slice(text).ok()?;
    let config = state.config.unwrap_or(RuncConfig { rootfs: None, labels: None });
    let labels = config.labels.unwrap_or_default();
    let pairs = || labels.iter().filter_map(|Text(label)| label.split_once('='));
    // Of several labels of this name the last is runc's own; the others were the user's annotations.
    let bundle = pairs().rfind(|(key, _)| *key == "bundle").map(|(_, path)| PathBuf::from(path));
    let paths = state.cgroup_paths.unwrap_or_default();
    let mut cgroups: Vec<String> = paths.iter().filter_map(|(hierarchy, path)| Some(cgroup::of_mounted(&hierarchy.0, &path.0)?.to_owned())).collect();
    cgroups.dedup();
    Some(State {
        runtime: "runc",
        pid: state.init_process_pid,
        started: state.init_process_start,
        cgroups,
        bundle,
        rootfs: config.rootfs.map(|path| PathBuf::from(&*path)),
        annotations: naming::of_annotations(pairs()),
    })
}

/// crun's `status`. The annotations are elsewhere: [`annotations`].
#[must_use]
pub fn of_crun(text: &[u8]) -> Option<State> {
    let state: Crun<'_> = serde_json::from_slice(text).ok()?;
    let path = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(|text| PathBuf::from(&*text));
    Some(State {
        runtime: "crun",
        pid: state.pid,
        started: state.process_start_time,
        cgroups: state.cgroup_path.into_iter().map(Cow::into_owned).collect(),
        bundle: path(state.bundle),
        rootfs: path(state.rootfs),
        annotations: Told::default(),
    })
}

/// The annotations of a `config.json`.
#[must_use]
pub fn annotations(config: &[u8]) -> Told {
    let config: Option<Config<'_>> = serde_json::from_slice(config).ok();
    let annotations = config.and_then(|config| config.annotations).unwrap_or_default();
    naming::of_annotations(annotations.iter().map(|(key, value)| (&*key.0, &*value.0)))
}

#[cfg(test)]
mod tests;
