//! Where an engine reads its settings, in the order in which it does, and which of those files is ours to write.

use super::ask;
use super::containerd::Containerd;
use super::crio::Crio;
use super::docker::Docker;
use super::file::read_text;
use super::podman::Podman;
use super::settings::Settings;
use super::toml_text::Reader;
use crate::guard::engine::Engine;
use crate::invocation::Flavour;
use crate::{runtime, settings_files};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use toml_edit::{Item, Value};

const CONTAINERD_DROP_IN: &str = "99-runc-guard.toml";

/// A file that could be edited, with how that is done.
pub struct Place {
    pub file: PathBuf,
    pub settings: Box<dyn Settings>,
    /// Read by the engine before this file, as far as they are there.
    pub earlier: Vec<Layer>,
    /// Read after this file.
    pub later: Vec<Layer>,
    /// Whether what is read later takes the place of all that was read before, and not of equal keys only.
    pub later_replaces: bool,
}

pub struct Layer {
    pub path: PathBuf,
    pub text: String,
}

impl Engine {
    fn usual_file(self) -> &'static Path {
        Path::new(match self {
            Engine::Containerd => "/etc/containerd/config.toml",
            Engine::Crio => "/etc/crio/crio.conf.d/10-runc-guard.conf",
            Engine::Podman => "/etc/containers/containers.conf.d/runc-guard.conf",
            Engine::Docker => "/etc/docker/daemon.json",
        })
    }
}

/// The files in which runc-guard may be named, the one for a new entry first. `file` takes the place of the usual one.
pub fn places(engine: Engine, file: Option<&Path>) -> Result<Vec<Place>> {
    let file = file.unwrap_or(engine.usual_file());
    match engine {
        Engine::Containerd => containerd_places(file),
        Engine::Crio => {
            let (earlier, later) = layers(&drop_in_order(file, "crio.conf", &|_| true), file)?;
            let settings = Box::new(Crio { others: texts(earlier.iter().chain(&later)) });
            Ok(vec![Place { file: file.to_owned(), settings, earlier, later, later_replaces: false }])
        }
        Engine::Podman => {
            let is_read = |path: &Path| path.extension().is_some_and(|extension| extension == "conf");
            let mut order = drop_in_order(file, "containers.conf", &is_read);
            if order.iter().any(|path| path == Path::new("/etc/containers/containers.conf")) {
                order.insert(0, "/usr/share/containers/containers.conf".into());
            }
            let (earlier, later) = layers(&order, file)?;
            let appends = ask::version("podman").is_some_and(|version| version >= (4, 8));
            let is_crun = runtime::find(&settings_files::read().config).is_ok_and(|runtime| runtime.flavour == Flavour::Crun);
            let settings = Box::new(Podman { appends, is_crun, earlier: texts(&earlier) });
            Ok(vec![Place { file: file.to_owned(), settings, earlier, later, later_replaces: false }])
        }
        Engine::Docker => {
            Ok(vec![Place { file: file.to_owned(), settings: Box::new(Docker), earlier: Vec::new(), later: Vec::new(), later_replaces: false }])
        }
    }
}

/// The main file and, before it, the drop-in in a directory that it imports, if settings merge key by key in this version.
fn containerd_places(main: &Path) -> Result<Vec<Place>> {
    let installed = ask::version("containerd").map(|(major, _)| major);
    let text = read_text(main)?;
    let imports = text.as_deref().map_or(Ok(Vec::new()), imports).with_context(|| understand(main))?;
    let version = text.as_deref().map_or(1, version);
    let directory = imports.iter().find_map(|pattern| pattern.strip_suffix("/*.toml").filter(|directory| !directory.contains(['*', '?', '['])));
    let drop_in = directory.filter(|_| version > 2).map(|directory| beside(main, directory).join(CONTAINERD_DROP_IN));
    let order = import_order(main, drop_in.as_deref())?;
    let mut places = Vec::new();
    for file in drop_in.iter().map(PathBuf::as_path).chain([main]) {
        let new_version = match (file == main, installed) {
            (false, _) => Ok(version),
            (true, Some(1)) => Ok(2),
            (true, Some(_)) => Ok(3),
            (true, None) => Err("it is not there, and containerd is not in PATH to tell the version of its settings; make the file first".to_owned()),
        };
        let (earlier, later) = layers(&order, file)?;
        let settings = Containerd { new_version, installed, others: texts(earlier.iter().chain(&later)) };
        let later_replaces = version < 3 && installed.is_none_or(|major| major < 2);
        places.push(Place { file: file.to_owned(), settings: Box::new(settings), earlier, later, later_replaces });
    }
    Ok(places)
}

fn version(text: &str) -> i64 {
    Reader::parse(text).ok().and_then(|reader| reader.root().get("version")?.as_integer()).unwrap_or(1)
}

/// What could not be done, where the text of a file is not what it should be.
pub fn understand(file: &Path) -> String {
    format!("understand {} (it is left as it is)", file.display())
}

/// The patterns that a file of containerd's imports.
fn imports(text: &str) -> Result<Vec<String>> {
    let reader = Reader::parse(text)?;
    let Some(imports) = reader.root().get("imports") else { return Ok(Vec::new()) };
    let imports = imports.as_array().ok_or_else(|| reader.not_a(reader.root(), "imports", "list"))?;
    Ok(imports.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The main file and what it imports, as containerd goes through them: file by file, the imports of each put at the end. `drop_in` is taken for there.
fn import_order(main: &Path, drop_in: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut order = vec![main.to_owned()];
    let mut next = 0;
    while let Some(file) = order.get(next).cloned() {
        next += 1;
        let text = read_text(&file)?.unwrap_or_default();
        for pattern in imports(&text).with_context(|| understand(&file))? {
            let found = matches(&beside(&file, &pattern), drop_in)?;
            order.extend(found.into_iter().filter(|path| !order.contains(path)).collect::<Vec<_>>());
        }
    }
    Ok(order)
}

fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("/")).join(path)
}

/// The files of a pattern, in the order of their names. Asterisks are understood in the last part of a path, where all have them.
fn matches(pattern: &Path, drop_in: Option<&Path>) -> Result<Vec<PathBuf>> {
    let (directory, name) = (pattern.parent().unwrap_or(Path::new("/")), pattern.file_name().unwrap_or_default().to_string_lossy());
    if !pattern.to_string_lossy().contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let is_simple = !directory.to_string_lossy().contains('*') && !name.contains(['?', '[', '\\']);
    ensure!(is_simple, "understand the import {}: only asterisks in the file name are known; edit the file by hand", pattern.display());
    let mut found: Vec<PathBuf> = files_in(directory).into_iter().chain(drop_in.map(Path::to_owned)).collect();
    found.retain(|path| path.parent() == Some(directory) && path.file_name().is_some_and(|file| fits(&file.to_string_lossy(), &name)));
    found.sort();
    found.dedup();
    Ok(found)
}

fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((head, rest)) => {
            name.strip_prefix(head).is_some_and(|name| (0..=name.len()).any(|at| name.get(at..).is_some_and(|tail| fits(tail, rest))))
        }
    }
}

/// `main` and the files of `main.d` beside it, if `file` is one of them; else the file alone.
fn drop_in_order(file: &Path, main: &str, is_read: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    let above = directory.parent().filter(|_| directory.file_name().is_some_and(|name| *name == *format!("{main}.d"))).unwrap_or(directory);
    let main = above.join(main);
    let is_drop_in = above != directory;
    if !is_drop_in && file != main {
        return vec![file.to_owned()];
    }
    let mut drop_ins: Vec<PathBuf> = files_in(&main.with_extension("conf.d")).into_iter().filter(|path| is_read(path)).collect();
    drop_ins.extend(is_drop_in.then(|| file.to_owned()));
    drop_ins.sort();
    drop_ins.dedup();
    [vec![main], drop_ins].concat()
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect()
}

/// Reads the files before and after `file`.
fn layers(order: &[PathBuf], file: &Path) -> Result<(Vec<Layer>, Vec<Layer>)> {
    let read = |path: &PathBuf| Ok(read_text(path)?.map(|text| Layer { path: path.clone(), text }));
    let read_all = |paths: &[PathBuf]| paths.iter().filter_map(|path| read(path).transpose()).collect::<Result<Vec<_>>>();
    let at = order.iter().position(|path| path == file).unwrap_or(order.len());
    Ok((read_all(&order[..at])?, read_all(order.get(at + 1..).unwrap_or_default())?))
}

fn texts<'a>(layers: impl IntoIterator<Item = &'a Layer>) -> Vec<String> {
    layers.into_iter().map(|layer| layer.text.clone()).collect()
}

/// Whether this containerd serves CRI at all: docker's package turns that off.
pub fn has_cri_disabled(text: &str) -> bool {
    let Ok(reader) = Reader::parse(text) else { return false };
    let disabled = reader.root().get("disabled_plugins").and_then(Item::as_array);
    disabled.is_some_and(|list| list.iter().filter_map(Value::as_str).any(|name| name == "cri" || name.starts_with("io.containerd.grpc.v1.cri")))
}
