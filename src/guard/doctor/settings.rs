//! The settings: whether they can be read, who can write them, and what of the guard they switch off.

use super::Finding;
use crate::config::{Policy, Settings};
use crate::rules;
use std::path::PathBuf;

#[derive(Clone)]
pub struct Facts {
    problems: Vec<String>,
    /// Files that set something.
    files: Vec<PathBuf>,
    writable_by_others: Vec<PathBuf>,
    strict: bool,
    policy: Policy,
    disabled: Vec<&'static str>,
}

pub fn look(settings: &Settings) -> Facts {
    let mut files: Vec<PathBuf> = settings.origins.iter().map(|origin| origin.file.clone()).collect();
    files.sort();
    files.dedup();
    Facts {
        problems: settings.problems.iter().map(ToString::to_string).collect(),
        files,
        writable_by_others: settings.writable_by_others.clone(),
        strict: settings.config.strict,
        policy: settings.config.policy,
        disabled: rules::NAMES.into_iter().filter(|rule| !settings.config.rule(rule).enabled).collect(),
    }
}

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let problem = |problem: &String| Finding::problem("settings", format!("{problem} (create, run and restore fail until then)"));
    let mut findings: Vec<Finding> = facts.problems.iter().map(problem).collect();
    findings.extend(facts.writable_by_others.iter().map(|file| {
        let so = if facts.strict { "and with strict = true create, run and restore are refused" } else { "and with it choose what root executes" };
        let text = format!("others than root can write {}, {so}", file.display());
        Finding::problem("settings", text).advise(format!("run `chown root: {0}` and `chmod go-w {0}`", file.display()))
    }));
    if findings.is_empty() {
        let files: Vec<String> = facts.files.iter().map(|file| file.display().to_string()).collect();
        findings.push(Finding::ok("settings", if files.is_empty() { "none set, so the defaults".to_owned() } else { files.join(", ") }));
    }
    if facts.policy == Policy::Warn {
        let text = "policy = \"warn\": binds that pin mounts are told in the log and left as they are";
        findings.push(Finding::warning("settings", text).advise("set policy to \"rewrite\""));
    }
    findings.extend(facts.disabled.iter().map(|rule| Finding::warning("settings", format!("the rule {rule} is switched off"))));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use std::path::Path;

    fn levels(text: &str) -> Vec<(Level, String)> {
        let mut settings = Settings::default();
        settings.absorb(Path::new("/etc/runc-guard/config.toml"), text);
        findings(&look(&settings)).into_iter().map(|finding| (finding.level, finding.text)).collect()
    }

    #[test]
    fn the_files_read_are_named() {
        assert_eq!(levels(""), [(Level::Ok, "none set, so the defaults".to_owned())]);
        assert_eq!(levels("strict = true\nlog = ''"), [(Level::Ok, "/etc/runc-guard/config.toml".to_owned())]);
    }

    #[test]
    fn each_problem_is_told_and_no_ok() {
        let levels = levels("polcy = 1\nstrict = 'yes'");
        assert!(levels.len() == 2 && levels.iter().all(|(level, _)| *level == Level::Problem), "{levels:?}");
        assert!(levels[0].1.contains("config.toml, line 1: unknown key polcy"), "{levels:?}");
    }

    #[test]
    fn what_switches_the_guard_off_is_a_warning() {
        let levels = levels("policy = 'warn'\n[rules.may-detach-mounts]\nenabled = false");
        assert_eq!(levels.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [Level::Ok, Level::Warning, Level::Warning]);
        assert!(levels[2].1.contains("may-detach-mounts"), "{levels:?}");
    }

    #[test]
    fn writers_of_settings_are_a_problem_with_and_without_strict() {
        let mut settings = Settings::default();
        settings.writable_by_others.push("/etc/runc-guard/config.toml".into());
        let lax = findings(&look(&settings));
        settings.config.strict = true;
        let strict = findings(&look(&settings));
        assert!(lax[0].level == Level::Problem && strict[0].level == Level::Problem && strict[0].text.contains("refused"), "{lax:?} {strict:?}");
    }
}
