//! What the caller asks for: argv read by the real runtime's own grammar, and by nothing else.
//!
//! Three programs read the same words in three ways (`-b=X` is the bundle `X` for runc and `=X` for crun), so there is one option table and one
//! scanner per runtime. What a scanner cannot follow to the end (unknown option, missing value, `--help`, wrong number of ids) is [`None`]: the
//! caller then executes the runtime untouched and the runtime gives its own answer.

mod crun;
mod runc;
mod youki;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Whose grammar and whose mount semantics count. `Unknown` is never interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    Runc,
    Crun,
    Youki,
    #[serde(skip_deserializing)]
    Unknown,
}

impl Flavour {
    /// The flavour a program's file name stands for: the name itself or the name with a suffix, as packagers write it
    /// (`runc`, `crun-1.28`, `runc.real`, `youki_musl`). Anything else is `Unknown`.
    #[must_use]
    pub fn of_file_name(name: &OsStr) -> Flavour {
        let name = name.as_bytes();
        let stem_end = name.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(name.len());
        match &name[..stem_end] {
            b"runc" => Flavour::Runc,
            b"crun" => Flavour::Crun,
            b"youki" => Flavour::Youki,
            _ => Flavour::Unknown,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Flavour::Runc => "runc",
            Flavour::Crun => "crun",
            Flavour::Youki => "youki",
            Flavour::Unknown => "unknown",
        }
    }
}

/// The commands that runc-guard prepares; every other one is passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Create,
    Run,
    Restore,
    /// Only in front of crun, and only for its work path.
    Checkpoint,
}

impl Command {
    fn named(word: &[u8]) -> Option<Command> {
        match word {
            b"create" => Some(Command::Create),
            b"run" => Some(Command::Run),
            b"restore" => Some(Command::Restore),
            b"checkpoint" => Some(Command::Checkpoint),
            _ => None,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Command::Create => "create",
            Command::Run => "run",
            Command::Restore => "restore",
            Command::Checkpoint => "checkpoint",
        }
    }
}

/// A call that runc-guard prepares before it becomes the runtime. All paths are as the caller spelt them, relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation<'a> {
    pub command: Command,
    /// The global option `--root`: where the runtime keeps the state of its containers.
    pub state_root: Option<&'a OsStr>,
    /// Container id.
    pub id: &'a OsStr,
    /// `None`: the working directory is the bundle.
    pub bundle: Option<&'a OsStr>,
    /// crun's `--config FILE`; `None`: `config.json` in the bundle.
    pub config_file: Option<&'a OsStr>,
    /// Of `restore`: the directory of the checkpoint image.
    pub image_path: Option<&'a OsStr>,
    /// Of `restore` and `checkpoint`: where CRIU puts its log.
    pub work_path: Option<&'a OsStr>,
    /// Indices in argv of words that the runtime would refuse although it needs nothing of what they say.
    pub foreign_words: Vec<usize>,
}

impl Invocation<'_> {
    /// The directory of the checkpoint image, relative to the working directory. runc looks at its own working directory (`restore.go`,
    /// `getCheckpointImagePath`), crun enters the bundle first (`src/restore.c`); both take `checkpoint` when nothing is said.
    #[must_use]
    pub fn image_directory(&self, flavour: Flavour) -> PathBuf {
        self.as_the_runtime_sees(flavour, self.image_path.unwrap_or("checkpoint".as_ref()))
    }

    /// The work directory, relative to the working directory; `None` when nothing is said.
    #[must_use]
    pub fn work_directory(&self, flavour: Flavour) -> Option<PathBuf> {
        self.work_path.map(|path| self.as_the_runtime_sees(flavour, path))
    }

    fn as_the_runtime_sees(&self, flavour: Flavour, path: &OsStr) -> PathBuf {
        match self.bundle {
            Some(bundle) if flavour == Flavour::Crun => Path::new(bundle).join(path),
            _ => PathBuf::from(path),
        }
    }
}

/// Where the engine reads the runtime's error: the global options `--log` and `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogTarget<'a> {
    pub path: Option<&'a OsStr>,
    pub json: bool,
}

/// One option of a runtime: all its names without dashes, and whether it takes a value.
#[derive(Clone, Copy)]
struct OptionSpec {
    names: &'static [&'static str],
    takes_value: bool,
    /// Its one name is a whole word of another runtime's command line, which this runtime refuses.
    foreign: bool,
}

const fn flag(names: &'static [&'static str]) -> OptionSpec {
    OptionSpec { names, takes_value: false, foreign: false }
}

const fn valued(names: &'static [&'static str]) -> OptionSpec {
    OptionSpec { names, takes_value: true, foreign: false }
}

const fn foreign(word: &'static [&'static str; 1]) -> OptionSpec {
    OptionSpec { names: word, takes_value: false, foreign: true }
}

/// What a scanner read of one run of words: options by their first name in order of appearance, and the words after them.
#[derive(Default)]
struct Scan<'a> {
    options: Vec<(&'static str, &'a [u8])>,
    operands: Vec<&'a [u8]>,
    /// Indices of foreign words.
    foreign: Vec<usize>,
}

impl<'a> Scan<'a> {
    /// The last value given for an option: all three runtimes let the last one win (youki refuses a second one by itself).
    fn value(&self, name: &str) -> Option<&'a OsStr> {
        let found = self.options.iter().rev().find(|(option, _)| *option == name);
        found.map(|(_, value)| OsStr::from_bytes(value))
    }
}

/// Reads words into a [`Scan`]. `None` where the runtime would print help, a version or a usage error; what was read before stays in the scan.
type Scanner = for<'a> fn(&'static [OptionSpec], &[&'a [u8]], &mut Scan<'a>) -> Option<()>;

/// A runtime's command line: its tables and the scanner that reads them.
struct Grammar {
    globals: &'static [OptionSpec],
    create: &'static [OptionSpec],
    run: &'static [OptionSpec],
    restore: &'static [OptionSpec],
    /// `None`: nothing is to be prepared for a checkpoint.
    checkpoint: Option<&'static [OptionSpec]>,
    /// For the words before the command: the command and all that follows are operands.
    scan_globals: Scanner,
    /// For the words after the command.
    scan_command: Scanner,
    /// More operands than the id that the runtime tolerates (crun: `restore` takes two).
    restore_operands: usize,
    /// What `--bundle ""` means: the working directory (runc), or an error of the runtime's own.
    empty_bundle_is_cwd: bool,
}

impl Grammar {
    fn of(flavour: Flavour) -> Option<&'static Grammar> {
        match flavour {
            Flavour::Runc => Some(&runc::GRAMMAR),
            Flavour::Crun => Some(&crun::GRAMMAR),
            Flavour::Youki => Some(&youki::GRAMMAR),
            Flavour::Unknown => None,
        }
    }
}

/// Reads `argv` (with argv\[0\]) by the grammar of `flavour`. `None`: not a command that is prepared, or not certainly so; pass through.
#[must_use]
pub fn parse<'a>(flavour: Flavour, argv: &[&'a [u8]]) -> Option<Invocation<'a>> {
    let grammar = Grammar::of(flavour)?;
    let mut globals = Scan::default();
    (grammar.scan_globals)(grammar.globals, argv.get(1..)?, &mut globals)?;
    let (word, rest) = globals.operands.split_first()?;
    let command = Command::named(word)?;
    if flavour == Flavour::Youki && command == Command::Restore {
        return youki::restore(rest);
    }
    let (table, most_operands) = match command {
        Command::Create => (grammar.create, 1),
        Command::Run => (grammar.run, 1),
        Command::Restore => (grammar.restore, grammar.restore_operands),
        Command::Checkpoint => (grammar.checkpoint?, 1),
    };
    let mut scan = Scan::default();
    (grammar.scan_command)(table, rest, &mut scan)?;
    if scan.operands.is_empty() || scan.operands.len() > most_operands {
        return None;
    }
    let bundle = match scan.value("bundle") {
        Some(empty) if empty.is_empty() && grammar.empty_bundle_is_cwd => None,
        Some(empty) if empty.is_empty() => return None,
        given => given,
    };
    // crun compares with the literal default name before it resolves FILE against the working directory (src/run_create.c).
    let config_file = scan.value("config").filter(|file| *file != "config.json");
    let before_rest = argv.len() - rest.len();
    Some(Invocation {
        command,
        state_root: globals.value("root"),
        id: OsStr::from_bytes(scan.operands[0]),
        bundle,
        config_file,
        image_path: scan.value("image-path"),
        work_path: scan.value("work-path"),
        foreign_words: scan.foreign.iter().map(|index| before_rest + index).collect(),
    })
}

/// The log target of any call, passed through or not, as far as the words before the command can be read. An unknown flavour is read as runc.
#[must_use]
pub fn log_target<'a>(flavour: Flavour, argv: &[&'a [u8]]) -> LogTarget<'a> {
    let grammar = Grammar::of(flavour).unwrap_or(&runc::GRAMMAR);
    let mut scan = Scan::default();
    let _ = (grammar.scan_globals)(grammar.globals, argv.get(1..).unwrap_or_default(), &mut scan);
    LogTarget { path: scan.value("log").filter(|path| !path.is_empty()), json: scan.value("log-format").is_some_and(|format| format == "json") }
}

#[cfg(test)]
mod tests;
