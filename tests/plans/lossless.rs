//! Over every recorded config.json: nothing but propagation words and destinations through symlinks change, and an independent reader understands the result.

use crate::{plan, recorded_configs, rewritten};
use runc_guard::config::Config;
use runc_guard::invocation::Flavour;
use serde_json::Value;
use std::path::Path;

const FLAVOURS: [Flavour; 3] = [Flavour::Runc, Flavour::Crun, Flavour::Youki];
const WORDS: [&str; 8] = ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];

/// The document without anything that may change: in these containers `/var/run` is a symlink to `/run`.
pub fn without_propagation(text: &str) -> Value {
    let mut document: Value = serde_json::from_str(text).unwrap();
    for mount in document["mounts"].as_array_mut().into_iter().flatten() {
        if let Some(below) = mount["destination"].as_str().and_then(|at| at.strip_prefix("/var/run/")) {
            mount["destination"] = Value::from(format!("/run/{below}"));
        }
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|option| !option.as_str().is_some_and(|word| WORDS.contains(&word)));
        }
    }
    if let Some(linux) = document["linux"].as_object_mut() {
        linux.remove("rootfsPropagation");
    }
    document
}

#[test]
fn only_propagation_and_spelling_change() {
    for (name, text) in recorded_configs() {
        for flavour in FLAVOURS {
            let after = rewritten(&text, flavour, &Config::default());
            assert_eq!(without_propagation(&after), without_propagation(&text), "{name}");
        }
    }
}

#[test]
fn every_byte_outside_the_edits_stays() {
    for (name, text) in recorded_configs() {
        for flavour in FLAVOURS {
            let mut edits = plan(&text, flavour, &Config::default()).edits();
            edits.sort_by_key(|edit| edit.span.start);
            let mut after = rewritten(&text, flavour, &Config::default()).into_bytes();
            // Undo from the end: what is left must be the original.
            for edit in edits.iter().rev() {
                let shift: isize = edits.iter().filter(|other| other.span.start < edit.span.start).map(growth).sum();
                let start = edit.span.start.checked_add_signed(shift).unwrap();
                after.splice(start..start + edit.text.len(), text.as_bytes()[edit.span.clone()].iter().copied());
            }
            assert_eq!(after, text.as_bytes(), "{name}");
        }
    }
}

fn growth(edit: &runc_guard::spec::Edit) -> isize {
    edit.text.len().cast_signed() - edit.span.len().cast_signed()
}

#[test]
fn a_second_pass_finds_nothing() {
    for (name, text) in recorded_configs() {
        for flavour in FLAVOURS {
            let after = rewritten(&text, flavour, &Config::default());
            assert_eq!(plan(&after, flavour, &Config::default()).edits(), [], "{name}");
        }
    }
}

#[test]
fn oci_spec_reads_the_same_container_before_and_after() {
    for (name, text) in recorded_configs() {
        let after = rewritten(&text, Flavour::Runc, &Config::default());
        let read = |text: &str| serde_json::from_str::<oci_spec::runtime::Spec>(text).unwrap();
        let (before, after) = (read(&text), read(&after));
        assert_eq!((before.process(), before.hooks(), before.root()), (after.process(), after.hooks(), after.root()), "{name}");
        let real = |path: &Path| path.strip_prefix("/var/run").map_or(path.to_owned(), |below| Path::new("/run").join(below));
        let places = |spec: &oci_spec::runtime::Spec| spec.mounts().iter().flatten().map(|mount| real(mount.destination())).collect::<Vec<_>>();
        assert_eq!(places(&before), places(&after), "{name}");
    }
}

#[test]
fn a_document_with_nothing_to_change_comes_back_as_it_is() {
    let idle = recorded_configs().into_iter().filter(|(_, text)| plan(text, Flavour::Runc, &Config::default()).is_idle());
    let unchanged = idle.inspect(|(name, text)| assert_eq!(rewritten(text, Flavour::Runc, &Config::default()), *text, "{name}"));
    assert!(unchanged.count() >= 10, "some recorded containers have nothing to change");
}
