use super::*;

#[test]
fn a_json_line_is_ascii_and_one_line() {
    let hostile = "a\nb\u{1b}[31m\u{2028}\u{7f}\u{85}ü\u{10ffff}\"\\";
    let line = json_line(&LogLine { level: "error", msg: hostile, time: now() });
    assert!(line.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "{}", String::from_utf8_lossy(&line));
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(read["msg"], hostile);
}

#[test]
fn a_failure_is_one_printable_line() {
    let failure = Failure::new("read /a\nb\u{1b}/\u{2028}config.json: ENOENT");
    assert_eq!(failure.message(), "runc-guard: read /a\\nb\\u{1b}/\\u{2028}config.json: ENOENT");
}

#[test]
fn time_is_rfc_3339() {
    let now = now();
    assert_eq!(now.len(), "2026-11-22T04:38:00Z".len());
    assert!(humantime::parse_rfc3339(&now).is_ok());
}

#[test]
fn only_plain_paths_and_file_are_written_to() {
    let path = |text: &'static str| plain_path(OsStr::new(text)).map(|path| path.display().to_string());
    assert_eq!(path("/b/log.json").as_deref(), Some("/b/log.json"));
    assert_eq!(path("file:/b/log").as_deref(), Some("/b/log"));
    assert_eq!(path("journald:x"), None);
    assert_eq!(path("syslog:x"), None);
}

#[test]
fn text_lines_have_logrus_form() {
    let line = String::from_utf8(text_line("a \"b\"", "T")).unwrap();
    assert_eq!(line, "time=\"T\" level=error msg=\"a \\\"b\\\"\"\n");
}
