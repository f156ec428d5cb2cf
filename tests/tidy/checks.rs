//! What the rules look for in a file's text; the tests below plant each thing, so that no rule can be blind.

/// The program text of a file: without its unit tests and comments.
pub fn program(text: &str) -> String {
    let program = text.split("#[cfg(test)]").next().unwrap();
    program.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The first of `names` that stands in `text` as a word of its own.
fn first_named(text: &str, names: &[&'static str]) -> Option<&'static str> {
    let is_word = |at: usize| !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    names.iter().copied().find(|name| text.match_indices(name).any(|(at, _)| is_word(at)))
}

/// What of the world outside a program names. `std::{` would hide a name of it.
pub fn name_of_the_world(text: &str) -> Option<&'static str> {
    let world = [
        "std::fs",
        "std::env",
        "std::process",
        "std::io",
        "std::net",
        "std::os::unix::fs",
        "std::thread",
        "std::time",
        "std::{",
        "nix::",
        "libc::",
        "pathrs::",
        "tempfile::",
        "SystemTime",
        "Instant",
    ];
    first_named(&program(text), &world)
}

/// The module that looks at the world or changes it, and that a program calls.
pub fn acting_module(text: &str) -> Option<&'static str> {
    let acting = [
        "crate::apply",
        "crate::bundle",
        "crate::deadline",
        "crate::image_files",
        "crate::in_namespace",
        "crate::kernel",
        "crate::namespaces",
        "crate::notices",
        "crate::open_files",
        "crate::report",
        "crate::runtime",
        "crate::settings_files",
        "crate::sysctl",
    ];
    first_named(&program(text), &acting)
}

pub fn uses_unsafe(text: &str) -> bool {
    program(text).replace("unsafe_code", "").contains("unsafe")
}

/// The number of the first line with an unsafe block that has no SAFETY comment shortly before it.
pub fn unsafe_without_reason(text: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = lines.iter().enumerate().filter(|(_, line)| line.contains("unsafe {") && !line.contains("extern"));
    blocks.find(|(index, _)| !lines[index.saturating_sub(3)..=*index].iter().any(|line| line.contains("SAFETY:"))).map(|(index, _)| index + 1)
}

/// The number of the first line that allows a disallowed call and says why neither behind it nor in the line before.
pub fn allowance_without_reason(text: &str) -> Option<usize> {
    let program = text.split("#[cfg(test)]").next().unwrap();
    let lines: Vec<&str> = program.lines().collect();
    let mut allowed = lines.iter().enumerate().filter(|(_, line)| line.contains("clippy::disallowed_methods"));
    let says = |index: usize, line: &str| {
        let before = index.checked_sub(1).map_or("", |before| lines[before].trim_start());
        let behind = line.split_once("//").is_some_and(|(_, reason)| reason.trim().len() > 10);
        behind || before.starts_with("//") && before.trim_start_matches('/').trim().len() > 10
    };
    allowed.find(|(index, line)| !says(*index, line)).map(|(index, _)| index + 1)
}

/// The first line and the length of each function.
pub fn function_lengths(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut lengths = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let is_function = ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "pub unsafe", "const fn ", "pub const fn "];
        if !is_function.iter().any(|word| code.starts_with(word)) || line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[start..].iter().position(|line| *line == closing) {
            lengths.push((start + 1, length + 1));
        }
    }
    lengths
}

#[test]
fn the_world_is_seen_by_every_spelling() {
    for planted in ["use std::fs;", "std::env::var(\"A\")", "use std::{fs, path::Path};", "    nix::unistd::getpid()", "let now = Instant::now();"] {
        assert!(name_of_the_world(planted).is_some(), "{planted}");
    }
    for innocent in ["// std::fs is not for us", "use std::collections::BTreeMap;", "phoenix::rise()", "#[cfg(test)]\nuse std::fs;"] {
        assert_eq!(name_of_the_world(innocent), None, "{innocent}");
    }
    assert_eq!(acting_module("use crate::kernel::statx;"), Some("crate::kernel"));
    assert_eq!(acting_module("use crate::host::HostView;"), None);
}

#[test]
fn unsafe_is_seen_and_its_reason_too() {
    assert!(uses_unsafe("fn f() { unsafe { g() } }"));
    assert!(!uses_unsafe("#![deny(unsafe_code)]\n// unsafe in a comment"));
    assert_eq!(unsafe_without_reason("fn f() {\n    unsafe { g() }\n}"), Some(2));
    assert_eq!(unsafe_without_reason("fn f() {\n    // SAFETY: g asks nothing\n    unsafe { g() }\n}"), None);
}

#[test]
fn an_allowance_without_a_reason_is_seen() {
    let allow = "#[allow(clippy::disallowed_methods)]";
    for bare in [allow.to_owned(), format!("{allow} //"), format!("//\n{allow}"), format!("fn f() {{}}\n{allow}")] {
        assert!(allowance_without_reason(&bare).is_some(), "{bare}");
    }
    for said in [format!("{allow} // compared, never opened"), format!("/// Compared, never opened.\n{allow}"), format!("#[cfg(test)]\n{allow}")] {
        assert_eq!(allowance_without_reason(&said), None, "{said}");
    }
}

#[test]
fn functions_are_measured() {
    let text = format!("impl A {{\n    pub fn long() {{\n{}    }}\n\n    fn short() {{\n    }}\n}}\n", "        work();\n".repeat(39));
    assert_eq!(function_lengths(&text), [(2, 41), (44, 2)]);
}
