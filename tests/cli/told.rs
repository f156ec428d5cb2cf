//! What an engine makes of an error: podman and containerd read the runtime's `--log`, a person reads stderr.

use crate::call::Call;
use crate::node::Node;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Engines hunt for these in an error's text and give wrong advice (engines.md, section 9).
const STRERROR: [&str; 9] = [
    "no such file",
    "permission denied",
    "not permitted",
    "not a directory",
    "is a directory",
    "file exists",
    "read-only file",
    "no space",
    "executable file not found",
];

/// From start to refusal, of a debug build on a busy machine; the release build takes a hundredth.
const LONGEST: Duration = Duration::from_secs(5);

/// A message as it should be: one printable line with our name, without the words that engines misread.
#[track_caller]
pub fn assert_well_formed(message: &str) {
    assert!(message.starts_with("runc-guard: ") && message.len() > "runc-guard: ".len(), "{message:?}");
    let forged = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}');
    assert!(!message.contains(forged), "{message:?}");
    let lower = message.to_lowercase();
    assert!(!STRERROR.iter().any(|words| lower.contains(words)), "{message}");
    assert!(!message.contains("(os error"), "{message}");
}

/// podman unmarshals the whole file as one object (`oci_conmon_common.go`).
#[track_caller]
fn as_podman(log: &str) -> Value {
    serde_json::from_str(log).unwrap_or_else(|error| panic!("one JSON object: {error}: {log:?}"))
}

/// containerd takes the last line whose level is error (`process/utils.go`, getLastRuntimeError).
#[track_caller]
pub fn as_containerd(log: &str) -> String {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line:?}")));
    let mut errors = lines.filter(|line| line["level"] == "error");
    errors.next_back().unwrap_or_else(|| panic!("an error: {log:?}"))["msg"].as_str().unwrap().to_owned()
}

/// Makes a call that must fail before the runtime, with `--log` and `--log-format json` before its words; every reader must get the message.
#[track_caller]
pub fn told(node: &Node, words: &[&str], adjust: impl Fn(Call) -> Call) -> String {
    let log = node.path("log.json");
    let _ = fs::remove_file(&log);
    let argv = ["--log", log.to_str().unwrap(), "--log-format", "json"].into_iter().chain(words.iter().copied());
    let outcome = adjust(node.guard(argv)).run();
    let message = outcome.refused();
    assert!(outcome.took < LONGEST, "{:?}", outcome.took);
    assert_well_formed(&message);
    let text = fs::read_to_string(&log).unwrap_or_else(|error| panic!("a log after {message}: {error}"));
    assert!(text.ends_with('\n') && text.matches('\n').count() == 1 && text.is_ascii(), "one line of ASCII: {text:?}");
    let line = as_podman(&text);
    let members: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(members, ["level", "msg", "time"]);
    assert_eq!((line["level"].as_str(), line["msg"].as_str()), (Some("error"), Some(message.as_str())));
    assert!(humantime::parse_rfc3339(line["time"].as_str().unwrap()).is_ok(), "{text}");
    assert_eq!(as_containerd(&text), message);
    message
}
