use super::*;

fn sample() -> Vec<Finding> {
    vec![
        Finding::ok("settings", "none set"),
        Finding::warning("root /a\n\u{1b}[2Jproblem  forged", "private").advise("do\nthis"),
        Finding::problem("runtime", "none"),
        Finding::problem("log", "none"),
    ]
}

#[test]
fn text_is_a_line_for_each_and_the_counts() {
    let text = as_text(&sample()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "ok       settings: none set");
    assert_eq!(lines[1], r"warning  root /a\n\u{1b}[2Jproblem  forged: private; do\nthis");
    assert_eq!(lines[2], "problem  runtime: none");
    assert_eq!(lines[4..], ["1 ok, 1 warning, 2 problems"]);
    assert_eq!(as_text(&[]).unwrap(), "0 ok, 0 warnings, 0 problems\n");
}

#[test]
fn json_has_the_same_findings_and_counts() {
    let json = as_json(&sample());
    assert!(json.is_ascii() && json.ends_with('\n') && json.lines().count() == 1, "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["ok"], &json["warnings"], &json["problems"], &json["status"]), (&1.into(), &1.into(), &2.into(), &"problem".into()));
    assert_eq!(json["findings"][1]["advice"], "do\nthis");
    assert_eq!(json["findings"][0], serde_json::json!({"level": "ok", "subject": "settings", "text": "none set", "advice": null}));
}

#[test]
fn the_worst_level_counts() {
    assert_eq!(worst(&[]), Level::Ok);
    assert_eq!((worst(&sample()[..1]), worst(&sample()[..2]), worst(&sample())), (Level::Ok, Level::Warning, Level::Problem));
}
