//! Plans without a host: the document and hand-made facts in, steps and spliced bytes out.

mod golden;
mod lossless;
mod properties;

use runc_guard::config::Config;
use runc_guard::host::spelling::Spelling;
use runc_guard::host::{HostView, Root, Rootfs, Source};
use runc_guard::invocation::{Command, Flavour};
use runc_guard::paths;
use runc_guard::plan::Plan;
use runc_guard::rules::{self, Facts};
use runc_guard::spec::{Spec, splice};
use std::path::{Path, PathBuf};

/// A node on which every default root exists, every mount is shared and every source is what its name says.
fn node(spec: &Spec<'_>, config: &Config) -> HostView {
    let root = |path: &PathBuf| Root { path: path.clone(), place: None };
    HostView {
        roots: config.protected_roots.iter().map(root).collect(),
        sources: spec.mounts.iter().map(source).collect(),
        rootfs: Some(Rootfs { is_mountpoint: true, mount_id: Some(7) }),
        spellings: spec.mounts.iter().map(spelling).collect(),
        ..HostView::default()
    }
}

/// The root file systems of the recorded containers have `/var/run` as a symlink, as real images do.
fn spelling(mount: &runc_guard::spec::Mount<'_>) -> Spelling {
    let mountpoint = paths::lexical(Path::new("/"), Path::new(&*mount.destination));
    let mountpoint = mountpoint.strip_prefix("/var/run").map_or(mountpoint.clone(), |below| Path::new("/run").join(below));
    Spelling { mountpoint, source: None }
}

/// The recorded sources that are files.
const FILES: [&str; 7] = ["hosts", "hostname", "resolv.conf", ".containerenv", "sec1", "secret", "token"];

fn source(mount: &runc_guard::spec::Mount<'_>) -> Option<Source> {
    let is_bind = mount.options.iter().any(|option| option.text == "rbind" || option.text == "bind");
    let path = PathBuf::from(mount.source.as_deref().filter(|path| is_bind && path.starts_with('/'))?);
    let is_file = path.file_name().is_some_and(|name| FILES.iter().any(|file| name == *file));
    let is_bare_mountpoint = path.file_name().is_some_and(|name| name == "shm");
    (!is_file).then_some(Source { path, is_bare_mountpoint, mount_id: Some(1), parent_shared: Some(true), places: Vec::new() })
}

fn plan(text: &str, flavour: Flavour, config: &Config) -> Plan {
    let spec = Spec::parse(text.as_bytes()).expect("a document that is understood");
    let host = node(&spec, config);
    rules::plan(&Facts { command: Command::Create, flavour, config, spec: &spec, foreign_words: &[], host: &host })
}

fn rewritten(text: &str, flavour: Flavour, config: &Config) -> String {
    splice(text, &plan(text, flavour, config).edits()).concat()
}

/// Name and text of every recorded config.json.
fn recorded_configs() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let read = |path: PathBuf| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap());
    let mut configs: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| read(entry.unwrap().path())).collect();
    configs.sort();
    assert!(configs.len() >= 37, "the recorded configs are there");
    configs
}
