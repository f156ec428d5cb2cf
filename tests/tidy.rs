//! Rules of this repository as tests: what a reader may rely on without looking.

use std::path::{Path, PathBuf};

#[path = "tidy/checks.rs"]
mod checks;

const MOST_LINES: usize = 300;
const MOST_FUNCTION_LINES: usize = 40;

/// Modules that compute only: same input, same output, no look at the world.
const PURE: [&str; 17] = [
    "invocation",
    "config",
    "spec",
    "propagation",
    "mountinfo",
    "criu_image",
    "restored_mounts",
    "paths",
    "container_path",
    "plan",
    "rules",
    "lib",
    "copies",
    "audit",
    "workload/cgroup",
    "workload/state",
    "workload/naming",
];
/// The only files in which `unsafe` may stand.
const UNSAFE: [&str; 7] = [
    "src/kernel.rs",
    "src/kernel/mount_groups.rs",
    "src/kernel/mount_namespaces.rs",
    "src/kernel/news.rs",
    "src/kernel/probe.rs",
    "src/kernel/process.rs",
    "src/main.rs",
];

struct SourceFile {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(directory: &str, wanted: &dyn Fn(&Path) -> bool) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut pending = vec![root().join(directory)];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                pending.push(entry);
            } else if wanted(&entry) {
                let path = entry.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push(SourceFile { path, text: std::fs::read_to_string(&entry).unwrap() });
            }
        }
    }
    assert!(!found.is_empty(), "{directory} holds files");
    found
}

fn rust_files(directory: &str) -> Vec<SourceFile> {
    files_below(directory, &|path| path.extension().is_some_and(|extension| extension == "rs"))
}

fn scripts() -> Vec<SourceFile> {
    let is_text = |path: &Path| path.extension().is_none_or(|extension| extension != "png");
    ["hack", "integration"].iter().flat_map(|directory| files_below(directory, &is_text)).collect()
}

#[test]
fn pure_modules_do_not_look_at_the_world() {
    let is_pure = |path: &str| PURE.iter().any(|module| path == format!("src/{module}.rs") || path.starts_with(&format!("src/{module}/")));
    let pure: Vec<_> = rust_files("src").into_iter().filter(|file| is_pure(&file.path) && !file.path.ends_with("tests.rs")).collect();
    assert!(pure.len() >= 14, "the pure modules are found");
    for SourceFile { path, text } in pure {
        assert_eq!(checks::name_of_the_world(&text), None, "{path} names it");
        // lib.rs puts the parts together; it computes nothing, and looks at nothing itself.
        let parts = if path == "src/lib.rs" { None } else { checks::acting_module(&text) };
        assert_eq!(parts, None, "{path} calls what acts");
    }
}

#[test]
fn unsafe_stands_in_named_files_only() {
    for SourceFile { path, text } in rust_files("src").into_iter().filter(|file| !UNSAFE.contains(&file.path.as_str())) {
        assert!(!checks::uses_unsafe(&text), "{path} uses unsafe");
    }
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    for path in UNSAFE {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        assert!(checks::uses_unsafe(&text), "{path} has no unsafe any more: take it off the list");
        assert_eq!(checks::unsafe_without_reason(&text), None, "{path}: the line of an unsafe block without a SAFETY comment");
    }
}

#[test]
fn every_allowed_call_has_a_reason() {
    let mut seen = 0;
    for SourceFile { path, text } in rust_files("src").into_iter().filter(|file| !file.path.ends_with("tests.rs") && !file.path.contains("/tests/")) {
        seen += text.matches("allow(clippy::disallowed_methods)").count();
        assert_eq!(checks::allowance_without_reason(&text), None, "{path}: the line of a disallowed call without a reason");
    }
    assert!(seen > 5, "allowances are found");
}

#[test]
fn calls_with_one_place_are_disallowed_with_a_reason() {
    let settings: toml::Table = std::fs::read_to_string(root().join("clippy.toml")).unwrap().parse().unwrap();
    let methods = settings["disallowed-methods"].as_array().unwrap();
    for method in methods {
        assert!(method.get("reason").and_then(toml::Value::as_str).is_some_and(|reason| reason.len() > 10), "no reason: {method:?}");
    }
    let named = |path: &str| methods.iter().any(|method| method["path"].as_str() == Some(path));
    // Promise P16.
    for path in ["create_dir_all", "File::create", "write", "set_permissions", "canonicalize"] {
        assert!(named(&format!("std::fs::{path}")), "std::fs::{path} is disallowed");
    }
}

#[test]
fn clap_lives_in_the_operators_commands_only() {
    for SourceFile { path, text } in rust_files("src").into_iter().filter(|file| !file.path.starts_with("src/guard")) {
        assert!(!checks::program(&text).contains("clap::"), "{path} uses clap: the runtime's argv is read by its own grammar");
    }
}

#[test]
fn files_are_short() {
    for SourceFile { path, text } in rust_files("src").into_iter().chain(rust_files("tests")).chain(scripts()) {
        let is_data = Path::new(&path).extension().is_some_and(|extension| extension == "txt");
        assert!(is_data || text.lines().count() <= MOST_LINES, "{path} has {} lines", text.lines().count());
    }
}

#[test]
fn functions_are_short() {
    let mut seen = 0;
    for SourceFile { path, text } in rust_files("src").into_iter().chain(rust_files("tests")) {
        let lengths = checks::function_lengths(&text);
        seen += lengths.len();
        for (line, length) in lengths {
            assert!(length <= MOST_FUNCTION_LINES, "{path}:{line}: a function of {length} lines");
        }
    }
    assert!(seen > 100, "functions are found");
}

#[test]
fn there_is_no_drawer() {
    for SourceFile { path, .. } in rust_files("src").into_iter().chain(rust_files("tests")) {
        let name = Path::new(&path).file_stem().unwrap().to_str().unwrap();
        assert!(!["util", "utils", "common", "types", "helpers", "misc"].contains(&name), "{path} is a drawer");
    }
}

#[test]
fn text_ends_with_a_newline_and_lines_without_blanks() {
    let documents = files_below(".", &|path| {
        path.parent() == Some(&root()) && path.extension().is_some_and(|extension| extension == "md" || extension == "toml")
    });
    for SourceFile { path, text } in rust_files("src").into_iter().chain(rust_files("tests")).chain(scripts()).chain(documents) {
        assert!(text.is_empty() || text.ends_with('\n'), "{path} ends without a newline");
        let blank = text.lines().position(|line| line.ends_with([' ', '\t']));
        assert!(blank.is_none(), "{path}:{} ends with a blank", blank.unwrap_or(0) + 1);
    }
}

#[test]
fn every_allowed_skip_has_a_reason() {
    let skips = std::fs::read_to_string(root().join("integration/allowed-skips.txt")).unwrap();
    for line in skips.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let reason = line.split_once(" # ").map(|(_, reason)| reason.trim());
        assert!(reason.is_some_and(|reason| reason.len() > 10), "a skip without a reason: {line}");
    }
}

#[test]
fn the_documents_name_every_rule_setting_and_version() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let (readme, architecture, changelog) = (read("README.md"), read("ARCHITECTURE.md"), read("CHANGELOG.md"));
    for rule in runc_guard::rules::NAMES {
        assert!(readme.contains(rule) && architecture.contains(rule), "README and ARCHITECTURE name {rule}");
    }
    for setting in runc_guard::config::SETTINGS.iter().filter(|setting| !setting.key.contains('.')) {
        assert!(readme.contains(&format!("`{}`", setting.key)), "README names the setting {}", setting.key);
    }
    assert!(changelog.contains(env!("CARGO_PKG_VERSION")), "CHANGELOG names this version");
    for module in rust_files("src").iter().filter(|file| file.path.matches('/').count() == 1 && !file.path.ends_with("main.rs")) {
        let name = Path::new(&module.path).file_name().unwrap().to_str().unwrap();
        assert!(architecture.contains(name), "ARCHITECTURE names {name}");
    }
}
