//! Every setting there is, in the order of `config.example.toml`: its key, what it means, how it is read and how it is shown.

use super::{Config, OnError};
use crate::invocation::Flavour;
use crate::mountpoint::Owner;
use crate::rules;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

/// One setting.
pub struct Setting {
    pub key: &'static str,
    /// For `config.example.toml`, one line an entry.
    pub help: &'static [&'static str],
    pub(super) set: fn(&mut Config, Spanned<DeValue<'_>>) -> Result<(), String>,
    /// The value in force, as TOML.
    pub show: fn(&Config) -> String,
}

/// All settings.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "runtimes",
        help: &["The real runtime: names (looked up in PATH) or absolute paths. The first usable one that is not runc-guard itself is executed."],
        set: |config, value| {
            let runtimes: Vec<String> = read(value)?;
            if runtimes.is_empty() || runtimes.iter().any(|runtime| runtime.is_empty() || (runtime.contains('/') && !runtime.starts_with('/'))) {
                return Err("a list of names or absolute paths was expected, with at least one".to_owned());
            }
            config.runtimes = runtimes;
            Ok(())
        },
        show: |config| list(&config.runtimes),
    },
    Setting {
        key: "flavour",
        help: &[
            "Whose options and mount semantics the runtime has: \"runc\", \"crun\" or \"youki\"; \"auto\" goes by its file name.",
            "A runtime of unknown flavour is executed untouched.",
        ],
        set: |config, value| {
            let word: String = read(value)?;
            config.flavour = match word.as_str() {
                "auto" => None,
                "runc" => Some(Flavour::Runc),
                "crun" => Some(Flavour::Crun),
                "youki" => Some(Flavour::Youki),
                _ => return Err("one of \"auto\", \"runc\", \"crun\", \"youki\" was expected".to_owned()),
            };
            Ok(())
        },
        show: |config| config.flavour.map_or_else(|| string("auto"), |flavour| word(&flavour)),
    },
    Setting {
        key: "protected_roots",
        help: &[
            "Host directories whose mounts no container may pin. This list replaces the default one; of the default list only those that exist count.",
        ],
        set: |config, value| {
            config.protected_roots = absolute_paths(value)?;
            config.default_roots = false;
            Ok(())
        },
        show: |config| paths(&config.protected_roots),
    },
    Setting {
        key: "extra_protected_roots",
        help: &["More protected roots beside those above, for example the mount directory of a storage driver."],
        set: |config, value| {
            config.extra_protected_roots = absolute_paths(value)?;
            Ok(())
        },
        show: |config| paths(&config.extra_protected_roots),
    },
    Setting {
        key: "policy",
        help: &[
            "What happens to a directory bind that would pin mounts below a protected root: \"rewrite\" makes it rslave,",
            "\"reject\" fails the create and says what to write instead (as dockerd does), \"warn\" only writes a notice.",
        ],
        set: |config, value| {
            config.policy = read(value)?;
            Ok(())
        },
        show: |config| word(&config.policy),
    },
    Setting {
        key: "on_error",
        help: &[
            "When a rule cannot do what it should (say, a full disk): \"pass\" runs the container all the same and writes a notice,",
            "\"fail\" fails the call. Each rule can have its own, below.",
        ],
        set: |config, value| {
            config.on_error = read(value)?;
            Ok(())
        },
        show: |config| word(&config.on_error),
    },
    Setting {
        key: "strict",
        help: &[
            "Fail where runc-guard would otherwise stand aside with a notice: a config.json that runtimes read in different ways,",
            "settings or a runtime that others than root can write.",
        ],
        set: |config, value| {
            config.strict = read(value)?;
            Ok(())
        },
        show: |config| config.strict.to_string(),
    },
    Setting {
        key: "force_rro",
        help: &["Rewrite recursively read-only binds (rro), too. Mounts that the host makes later then appear in them writable."],
        set: |config, value| {
            config.force_rro = read(value)?;
            Ok(())
        },
        show: |config| config.force_rro.to_string(),
    },
    Setting {
        key: "allow_opt_out",
        help: &["Rules that a container may switch off for itself by the annotation \"runc-guard/RULE\": \"off\"."],
        set: |config, value| {
            let names: Vec<String> = read(value)?;
            if let Some(unknown) = names.iter().find(|name| !rules::NAMES.contains(&name.as_str())) {
                return Err(format!("there is no rule {unknown:?}, only {}", rules::NAMES.join(", ")));
            }
            config.allow_opt_out = names;
            Ok(())
        },
        show: |config| list(&config.allow_opt_out),
    },
    Setting {
        key: "log",
        help: &["Notices: one JSON line for each container in which something was changed or is worth telling. Best effort; \"\" is none."],
        set: |config, value| {
            let path: PathBuf = read(value)?;
            if !path.as_os_str().is_empty() && !path.is_absolute() {
                return Err("an absolute path was expected".to_owned());
            }
            config.log = path;
            Ok(())
        },
        show: |config| string(&config.log.to_string_lossy()),
    },
    Setting {
        key: "create_from_image",
        help: &[
            "At a restore, create the mountpoints that only the checkpoint image asks for, too: those of mounts which the container's own processes",
            "had made in a writable source. false: only those of mounts in config.json.",
        ],
        set: |config, value| {
            config.restore.create_from_image = read(value)?;
            Ok(())
        },
        show: |config| config.restore.create_from_image.to_string(),
    },
    Setting {
        key: "create_sources",
        help: &[
            "At a restore, create missing sources of binds below these host directories, as directory or file after the mountpoint in the root file",
            "system or what is mounted below. Elsewhere a missing source fails the restore.",
        ],
        set: |config, value| {
            config.restore.create_sources = absolute_paths(value)?;
            Ok(())
        },
        show: |config| paths(&config.restore.create_sources),
    },
    Setting {
        key: "create_sources_owner",
        help: &["Owner of such sources, as \"UID:GID\"; \"\" takes that of the mountpoint in the root file system, or else the container's root."],
        set: |config, value| {
            let word: String = read(value)?;
            let ids = || word.split_once(':').and_then(|(uid, gid)| Some(Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? }));
            config.restore.create_sources_owner = if word.is_empty() { None } else { Some(ids().ok_or("\"UID:GID\" in numbers was expected")?) };
            Ok(())
        },
        show: |config| string(&config.restore.create_sources_owner.map_or(String::new(), |owner| format!("{}:{}", owner.uid, owner.gid))),
    },
    Setting {
        key: "create_sources_mode",
        help: &[
            "Mode of such sources, in octal digits as \"0750\"; \"\" takes that of the mountpoint in the root file system, or else 0755 and 0644.",
        ],
        set: |config, value| {
            let word: String = read(value)?;
            let mode = || u32::from_str_radix(&word, 8).ok().filter(|mode| *mode <= 0o1777);
            config.restore.create_sources_mode =
                if word.is_empty() { None } else { Some(mode().ok_or("octal digits up to \"1777\" were expected")?) };
            Ok(())
        },
        show: |config| string(&config.restore.create_sources_mode.map_or(String::new(), |mode| format!("{mode:04o}"))),
    },
    rule_enabled::<0>("rules.slave-protected-binds.enabled"),
    rule_on_error::<0>("rules.slave-protected-binds.on_error"),
    rule_enabled::<1>("rules.may-detach-mounts.enabled"),
    rule_on_error::<1>("rules.may-detach-mounts.on_error"),
    rule_enabled::<2>("rules.checkpointable-mounts.enabled"),
    rule_on_error::<2>("rules.checkpointable-mounts.on_error"),
    rule_enabled::<3>("rules.restore-mountpoints.enabled"),
    rule_on_error::<3>("rules.restore-mountpoints.on_error"),
    rule_enabled::<4>("rules.restore-dialect.enabled"),
    rule_on_error::<4>("rules.restore-dialect.on_error"),
];

const fn rule_enabled<const RULE: usize>(key: &'static str) -> Setting {
    Setting {
        key,
        help: &[],
        set: |config, value| {
            config.rules[RULE].enabled = read(value)?;
            Ok(())
        },
        show: |config| config.rules[RULE].enabled.to_string(),
    }
}

const fn rule_on_error<const RULE: usize>(key: &'static str) -> Setting {
    Setting {
        key,
        help: &["The general on_error, unless set here."],
        set: |config, value| {
            config.rules[RULE].on_error = Some(read::<OnError>(value)?);
            Ok(())
        },
        show: |config| word(&config.rules[RULE].on_error.unwrap_or(config.on_error)),
    }
}

fn read<'de, T: Deserialize<'de>>(value: Spanned<DeValue<'de>>) -> Result<T, String> {
    T::deserialize(ValueDeserializer::from(value)).map_err(|error| error.message().lines().next().unwrap_or_default().to_owned())
}

fn absolute_paths(value: Spanned<DeValue<'_>>) -> Result<Vec<PathBuf>, String> {
    let paths: Vec<PathBuf> = read(value)?;
    match paths.iter().find(|path| !path.is_absolute()) {
        Some(relative) => Err(format!("{relative:?} is not an absolute path")),
        None => Ok(paths),
    }
}

/// A TOML basic string is a JSON string, for all characters that JSON escapes.
fn string(text: &str) -> String {
    word(&text)
}

fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| string(item)).collect::<Vec<_>>().join(", "))
}

fn paths(items: &[PathBuf]) -> String {
    list(&items.iter().map(|item| item.to_string_lossy().into_owned()).collect::<Vec<_>>())
}
