//! `guard configure ENGINE`: names runc-guard in an engine's own settings, or takes it out again.

mod ask;
mod change;
mod containerd;
mod crio;
mod docker;
mod file;
mod places;
mod podman;
mod report;
mod settings;
mod toml_removal;
mod toml_text;

use super::engine::{Engine, Use};
use super::{IDLE, Outcome, WOULD_CHANGE};
use anyhow::{Context, Result, anyhow, ensure};
use change::Step;
use clap::Args;
use file::SettingsFile;
use places::{Place, places, understand};
use report::{Change, Report};
use settings::{Entry, NAME, View};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[derive(Args)]
#[allow(clippy::struct_excessive_bools)] // the options of a command line
pub struct Arguments {
    /// The engine whose settings change.
    engine: Engine,
    /// Make runc-guard the runtime of every container that asks for no other. Without this a container has to ask for runc-guard.
    #[arg(long, conflicts_with = "remove")]
    set_default: bool,
    /// Take runc-guard out again: give back what was there before.
    #[arg(long)]
    remove: bool,
    /// Print what would change, as a unified diff, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The settings file, in place of the usual one. For containerd: the main file (k3s: /var/lib/rancher/k3s/agent/etc/containerd/config.toml).
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Where the engine finds runc-guard; by default the program that is running.
    #[arg(long, value_name = "PATH", conflicts_with = "remove")]
    runtime_path: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A file with what becomes of it.
struct Planned {
    place: Place,
    file: SettingsFile,
    step: Step,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let file = arguments.file.as_deref().map(std::path::absolute).transpose().context("find the working directory")?;
    let places = places(arguments.engine, file.as_deref())?;
    let planned = if arguments.remove { plan_removal(places)? } else { vec![plan_entry(places, arguments)?] };
    let changes = planned.iter().map(Planned::change).collect::<Vec<_>>();
    if !arguments.dry_run {
        planned.iter().try_for_each(Planned::carry_out)?;
    }
    let report = Report::new(arguments.engine, arguments.remove, arguments.dry_run, changes, notes(arguments, &planned));
    let status = if arguments.dry_run && report.changed { WOULD_CHANGE } else { IDLE };
    Ok((if arguments.json { serde_json::to_string(&report)? + "\n" } else { report.text() }, status))
}

/// The file that names us already, or else the first, with our entry.
fn plan_entry(places: Vec<Place>, arguments: &Arguments) -> Result<Planned> {
    let wanted = Entry { program: program(arguments.runtime_path.as_deref())?, default: arguments.set_default };
    let mut places = places.into_iter();
    let first = places.next().ok_or_else(|| anyhow!("no place for settings is known"))?;
    let named = places.find(|place| file::read_text(&place.file).is_ok_and(|text| names_us(place, text.as_deref())));
    let place = if names_us(&first, file::read_text(&first.file)?.as_deref()) { first } else { named.unwrap_or(first) };
    let file = SettingsFile::read(&place.file)?;
    let step = change::configure(place.settings.as_ref(), file.text(), file.copy()?.as_deref(), &wanted).with_context(|| understand(&place.file))?;
    check_effect(&place, step.text().or(file.text()).unwrap_or_default(), &wanted)?;
    Ok(Planned { place, file, step })
}

fn names_us(place: &Place, text: Option<&str>) -> bool {
    text.is_some_and(|text| place.settings.view(text).is_ok_and(|view| view.entry().is_some()))
}

/// The files that name us; where none does, the first, of which that can be said.
fn plan_removal(mut places: Vec<Place>) -> Result<Vec<Planned>> {
    let names = |place: &Place| file::read_text(&place.file).is_ok_and(|text| names_us(place, text.as_deref()));
    if places.iter().any(names) {
        places.retain(names);
    } else {
        places.truncate(1);
    }
    let plan = |place: Place| {
        let file = SettingsFile::read(&place.file)?;
        let step = change::remove(place.settings.as_ref(), file.text(), file.copy()?.as_deref()).with_context(|| understand(&place.file))?;
        Ok(Planned { place, file, step })
    };
    places.into_iter().map(plan).collect()
}

/// What is written must count: files that the engine reads later must not say otherwise.
fn check_effect(place: &Place, text: &str, wanted: &Entry) -> Result<()> {
    let own = place.settings.view(text)?;
    let later = place.later.iter().filter_map(|layer| Some((&layer.path, place.settings.view(&layer.text).ok()?)));
    let mut view = own;
    for (path, layer) in later {
        view.absorb(layer, place.later_replaces);
        let counts = view.runtimes.get(NAME) == Some(&wanted.program) && (!wanted.default || view.default.as_deref() == Some(NAME));
        let (file, later) = (place.file.display(), path.display());
        ensure!(
            counts,
            "edit {file}: it would have no effect, because {later}, which is read later, says otherwise; change that file or name it with --file"
        );
    }
    Ok(())
}

impl Planned {
    fn change(&self) -> Change {
        let before = self.file.text();
        let after = match &self.step {
            Step::Nothing => before,
            step => step.text(),
        };
        let view = after.and_then(|text| self.place.settings.view(text).ok());
        let is_default = view.and_then(|view| view.entry()).is_some_and(|entry| entry.default);
        Change::new(&self.file.path, &self.step, before, after, is_default)
    }

    fn carry_out(&self) -> Result<()> {
        match &self.step {
            Step::Nothing => Ok(()),
            Step::Write { text, keep_copy } => self.file.write(text, *keep_copy),
            Step::TakeOut { text } => self.file.write(text, false).and_then(|()| self.file.delete_copy()),
            Step::Restore { .. } => self.file.restore(),
            Step::Delete => self.file.delete(),
        }
    }
}

/// What the operator should know of these files.
fn notes(arguments: &Arguments, planned: &[Planned]) -> Vec<String> {
    let mut notes = Vec::new();
    for Planned { place, file, step } in planned {
        let layers: Vec<&str> = place.earlier.iter().map(|layer| layer.text.as_str()).chain(file.text()).collect();
        let is_generated = file.text().is_some_and(|text| text.lines().take(3).any(|line| line.starts_with('#') && line.contains("DO NOT EDIT")));
        if is_generated && *step != Step::Nothing {
            notes.push(format!("{} says that it is generated: what makes it may write it anew", file.path.display()));
        }
        if arguments.engine == Engine::Containerd && layers.iter().any(|text| places::has_cri_disabled(text)) {
            notes.push("the CRI plugin is disabled in these settings: nobody asks this containerd for a runtime by its name".to_owned());
        }
        let mut view = View::default();
        layers.iter().filter_map(|text| place.settings.view(text).ok()).for_each(|layer| view.absorb(layer, false));
        let former = view.default.filter(|name| arguments.set_default && name != NAME).unwrap_or_default();
        let former = view.runtimes.get(&former).filter(|program| !program.is_empty());
        if let Some(program) = former {
            notes.push(format!("the default until now executes {program}; runc-guard executes what its own setting `runtimes` names"));
        }
    }
    if arguments.remove && planned.iter().any(|planned| planned.step != Step::Nothing) {
        notes.push("containers that were made with the runtime runc-guard still ask for it by that name".to_owned());
    }
    notes
}

/// Where runc-guard is, as the engine will call it.
fn program(named: Option<&Path>) -> Result<String> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::fs::read_link("/proc/self/exe").context("find this program")?,
    };
    let shown = path.display();
    ensure!(path.is_absolute(), "use {shown} as the runtime: engines need an absolute path; write it from / on");
    let metadata = std::fs::metadata(&path).map_err(|error| anyhow!("use {shown} as the runtime: {}", crate::report::errno_name(&error)))?;
    let is_program = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    ensure!(is_program, "use {shown} as the runtime: it is no executable file");
    path.to_str().map(str::to_owned).ok_or_else(|| anyhow!("use {shown} as the runtime: settings are UTF-8, and this path is not"))
}

/// How the engine's settings, at the places where it looks for them, name the runc-guard at `program`.
///
/// # Errors
/// A settings file of the engine cannot be read or understood.
pub fn used_by(engine: Engine, program: &Path) -> Result<Use> {
    use_in(engine, None, program)
}

fn use_in(engine: Engine, file: Option<&Path>, program: &Path) -> Result<Use> {
    let place = places(engine, file)?.into_iter().next().ok_or_else(|| anyhow!("no place for settings is known"))?;
    let own = file::read_text(&place.file)?.map(|text| places::Layer { path: place.file.clone(), text });
    let mut view = View::default();
    for layer in place.earlier.iter().chain(&own).chain(&place.later) {
        let read = place.settings.view(&layer.text).with_context(|| understand(&layer.path))?;
        view.absorb(read, place.later_replaces);
    }
    let is_ours = |named: &str| is_same_program(named, program);
    let executed = match &view.default {
        // podman takes a path, too.
        Some(default) => view.runtimes.get(default).or(Some(default)),
        None => engine.built_in_defaults().iter().find_map(|name| view.runtimes.get(*name)),
    };
    Ok(if executed.is_some_and(|program| is_ours(program)) {
        Use::Default
    } else if view.runtimes.values().any(|program| is_ours(program)) {
        Use::Named
    } else {
        Use::No
    })
}

fn is_same_program(named: &str, program: &Path) -> bool {
    let found = if named.contains('/') { Some(PathBuf::from(named)) } else { which::which(named).ok().filter(|_| !named.is_empty()) };
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    found.is_some_and(|found| found == program || (identity(&found).is_some() && identity(&found) == identity(program)))
}

#[cfg(test)]
mod tests;
