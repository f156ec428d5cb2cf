use super::super::Level;
use super::*;

fn said(text: &str) -> Answer {
    Answer::Said { success: true, text: text.to_owned() }
}

fn found() -> Found {
    Found {
        path: "/usr/bin/runc".into(),
        flavour: Flavour::Runc,
        named: Flavour::Runc,
        is_script: false,
        replaceable_by: None,
        is_strict: false,
        refused: vec!["/usr/local/bin/runc: runc-guard itself".to_owned()],
        version: Some(said("runc version 1.1.15+ds1\ncommit: x\nspec: 1.0.2\n")),
    }
}

fn told(found: Found) -> Vec<(Level, String)> {
    let line = |finding: Finding| (finding.level, format!("{}; {}", finding.text, finding.advice.unwrap_or_default()));
    findings(&Facts { found: Ok(found), stand_ins: Vec::new() }).into_iter().map(line).collect()
}

#[track_caller]
fn assert_told(found: Found, level: Level, part: &str) {
    let told = told(found);
    assert!(told.iter().any(|(of, text)| *of == level && text.contains(part)), "{part}: {told:?}");
}

#[test]
fn a_runtime_that_is_what_its_name_says_is_ok() {
    assert_eq!(told(found()), [(Level::Ok, "/usr/bin/runc, runc 1.1.15+ds1; ".to_owned())]);
}

#[test]
fn what_cannot_work_is_a_problem() {
    let with = |version| Found { version: Some(version), ..found() };
    assert_told(with(Answer::Silent { seconds: 5 }), Level::Problem, "gives no answer in 5 s");
    assert_told(with(Answer::NotStarted("ENOENT".to_owned())), Level::Problem, "cannot be started: ENOENT");
    assert_told(with(Answer::Said { success: false, text: "a\nlibseccomp.so.2: not found\n\n".to_owned() }), Level::Problem, "fails: libseccomp");
    let none = Facts { found: Err("runc-guard: find the real runtime: none".to_owned()), stand_ins: vec!["/usr/local/bin/runc".into()] };
    let told = findings(&none);
    assert!(told[0].level == Level::Problem && told[0].text == "find the real runtime: none", "{told:?}");
    assert!(told[1].level == Level::Ok && told[1].text.contains("in place of the runtime"), "{told:?}");
}

#[test]
fn a_runtime_that_is_not_what_it_is_taken_for_is_a_problem() {
    assert_told(
        Found { version: Some(said("crun version 1.21\n")), ..found() },
        Level::Problem,
        "says it is crun 1.21: its calls are misread; set flavour to \"crun\"",
    );
    assert_told(Found { version: Some(said("hello\n")), ..found() }, Level::Warning, "names no runtime: \"hello\"");
    assert_told(Found { version: Some(said("")), ..found() }, Level::Warning, "names no runtime: \"\"");
}

#[test]
fn a_wrapper_is_named_with_what_is_at_its_end() {
    let wrapper = Found { path: "/usr/bin/nvidia-container-runtime".into(), named: Flavour::Unknown, ..found() };
    let version = said("NVIDIA Container Runtime version 1.14.3\ncommit: x\nspec: 1.1.0\n\nrunc version 1.1.9\n");
    let configured = Found { version: Some(version.clone()), ..wrapper };
    assert_told(
        configured,
        Level::Ok,
        "another wrapper in the chain: /usr/bin/nvidia-container-runtime (no runtime's name); at its end is runc 1.1.9",
    );
    let wrapper = Found { named: Flavour::Unknown, flavour: Flavour::Unknown, version: Some(version), ..found() };
    assert_told(wrapper, Level::Problem, "nothing is mended; set flavour to \"runc\"");
    let mute = Found { named: Flavour::Unknown, flavour: Flavour::Unknown, version: Some(said("1.0")), ..found() };
    assert_told(mute, Level::Problem, "set flavour to \"runc\" or \"crun\", whichever it leads to");
    assert_told(Found { is_script: true, ..found() }, Level::Ok, "another wrapper in the chain: /usr/bin/runc (a script); at its end is runc 1.1.15");
    assert_told(Found { is_script: true, version: Some(said("?")), ..found() }, Level::Ok, "what is at its end is not known");
}

#[test]
fn what_others_can_change_is_not_executed() {
    let open = Found { replaceable_by: Some("/opt".into()), version: None, ..found() };
    assert_told(open, Level::Problem, "others than root can change /opt");
    let open = Found { replaceable_by: Some("/opt".into()), version: None, is_strict: true, ..found() };
    assert_told(open, Level::Warning, "not asked for its version");
}

#[test]
fn a_candidate_that_was_passed_over_for_no_usual_reason_is_told() {
    let refused = vec!["/a/runc: EACCES".to_owned(), "runc: not in PATH".to_owned(), "/b/runc: runc-guard itself".to_owned()];
    assert_told(Found { refused, ..found() }, Level::Warning, "passed over: /a/runc: EACCES; ");
}

#[test]
fn the_end_of_a_chain_is_the_first_line_of_a_runtime() {
    for (text, end) in [
        ("runc version 1.3.6", Some((Flavour::Runc, "1.3.6"))),
        ("crun version 1.28\ncommit: y", Some((Flavour::Crun, "1.28"))),
        ("youki version: 0.5.7", Some((Flavour::Youki, "0.5.7"))),
        ("wrapper 3\n runc version 1", Some((Flavour::Runc, "1"))),
        ("runc version ", None),
        ("runc", None),
        ("myrunc version 1", None),
        ("", None),
    ] {
        assert_eq!(end_of_chain(text), end.map(|(flavour, number)| (flavour, number.to_owned())), "{text}");
    }
}
