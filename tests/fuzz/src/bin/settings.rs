//! A settings file's text → `Settings`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runc_guard::config::{Config, SETTINGS, Settings};
use runc_guard_fuzz::reached::{Reached, report_at_exit};
use std::path::Path;

static SOUND: Reached = Reached::new("sound");
static SET: Reached = Reached::new("something-set");
static PROBLEMS: Reached = Reached::new("bad-values");
static DAMAGED: Reached = Reached::new("no-toml");
static SALVAGED: Reached = Reached::new("salvaged");
static PLACES: &[&Reached] = &[&SOUND, &SET, &PROBLEMS, &DAMAGED, &SALVAGED];

const FILE: &str = "/etc/x.toml";

fuzz_target!(init: report_at_exit(PLACES), |data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
});

fn read(texts: &[&str]) -> Settings {
    let mut settings = Settings::default();
    texts.iter().for_each(|text| settings.absorb(Path::new(FILE), text));
    settings
}

fn check(text: &str) {
    let settings = read(&[text]);
    let lines = text.split('\n').count();
    for problem in &settings.problems {
        assert!(problem.line.is_some_and(|line| (1..=lines).contains(&line)), "{problem}");
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
    for origin in &settings.origins {
        assert!((1..=lines).contains(&origin.line));
        let line = text.split('\n').nth(origin.line - 1).unwrap_or_default();
        let name = origin.key.rsplit('.').next().unwrap_or_default();
        assert!(line.contains(name) || line.contains('\\') || line.contains('{'), "{origin:?}: {line:?}");
    }
    let is_toml = toml::from_str::<toml::Table>(text).is_ok();
    SOUND.count_if(settings.problems.is_empty());
    SET.count_if(!settings.origins.is_empty());
    PROBLEMS.count_if(is_toml && !settings.problems.is_empty());
    DAMAGED.count_if(!is_toml);
    assert!(is_toml || !settings.problems.is_empty(), "a damaged file is told");
    if settings.origins.is_empty() {
        assert_eq!(settings.config, Config::default());
    }
    assert_eq!(read(&[text, text]).config, settings.config, "a second reading changes nothing");
    check_later_file(text, &settings);
    check_runtime_is_found(text);
    check_shown(&settings.config);
}

/// What a later file says counts, whatever the earlier ones were.
fn check_later_file(text: &str, settings: &Settings) {
    let both = read(&[text, "strict = true\nlog = \"\"\n"]);
    let expected = Config { strict: true, log: "".into(), ..settings.config.clone() };
    assert_eq!(both.config, expected);
}

/// `state` and `kill` must reach the runtime, whatever stands below its line.
fn check_runtime_is_found(text: &str) {
    if text.contains("runtimes") || text.contains('\\') {
        return;
    }
    let with_runtime = format!("runtimes = ['/opt/x/crun']\n{text}");
    let settings = read(&[&with_runtime]);
    assert_eq!(settings.config.runtimes, ["/opt/x/crun"]);
    SALVAGED.count_if(toml::from_str::<toml::Table>(&with_runtime).is_err());
}

/// What is shown can be read back.
fn check_shown(config: &Config) {
    let shown: Vec<String> = SETTINGS.iter().map(|setting| format!("{} = {}", setting.key, (setting.show)(config))).collect();
    let again = read(&[&shown.join("\n")]);
    assert_eq!(again.problems, [], "{shown:?}");
    for setting in SETTINGS {
        assert_eq!((setting.show)(&again.config), (setting.show)(config), "{}", setting.key);
    }
}
