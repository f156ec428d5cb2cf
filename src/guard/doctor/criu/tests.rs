use super::super::Level;
use super::*;

fn said(success: bool, text: &str) -> Answer {
    Answer::Said { success, text: text.to_owned() }
}

fn facts() -> Facts {
    Facts {
        criu: Some(("/usr/sbin/criu".into(), Said::Checked(said(true, "Version: 4.1.1\n"), said(true, "Warn x\nLooks good.\n")))),
        is_root: true,
        runtime: Some((Flavour::Crun, "crun version 1.21\n+SYSTEMD +CRIU +YAJL".to_owned())),
        library: Some("/usr/lib/x86_64-linux-gnu/libcriu.so.2".into()),
        dumps_slaves: None,
    }
}

fn with(said: Said) -> Facts {
    Facts { criu: Some(("/usr/sbin/criu".into(), said)), ..facts() }
}

#[track_caller]
fn assert_told(facts: &Facts, level: Level, part: &str) {
    let told = findings(facts);
    assert!(told.iter().any(|finding| finding.level == level && finding.text.contains(part)), "{part}: {told:?}");
}

#[test]
fn a_working_criu_is_ok() {
    let told = findings(&facts());
    assert!(told.iter().all(|finding| finding.level == Level::Ok), "{told:?}");
    assert_eq!((told[0].text.as_str(), told[1].text.as_str()), ("/usr/sbin/criu, version 4.1.1", "Looks good."));
    assert!(told[2].advice.as_ref().unwrap().contains("`external mnt[]:ms`"), "{told:?}");
    assert_told(&Facts { dumps_slaves: Some("/etc/criu/default.conf".into()), ..facts() }, Level::Ok, "can be dumped");
}

#[test]
fn what_makes_a_restore_impossible_is_a_warning() {
    assert_told(&Facts { criu: None, ..facts() }, Level::Warning, "no checkpoint and no restore");
    assert_told(&with(Said::Version(said(true, "Version: 3.14\nGitID: v3.14"))), Level::Warning, "crun needs 3.15");
    assert_told(&with(Said::Version(Answer::Silent { seconds: 5 })), Level::Warning, "gives no answer in 5 s");
    assert_told(&with(Said::Version(said(true, "garbage"))), Level::Warning, "names no version: \"garbage\"");
    let check = said(false, "Error (criu/kerndat.c): x\nCRIU needs CAP_SYS_ADMIN\n");
    assert_told(&with(Said::Checked(said(true, "Version: 4.1.1"), check)), Level::Warning, "fails: CRIU needs CAP_SYS_ADMIN");
    let silent = Said::Checked(said(true, "Version: 4.1.1"), Answer::Silent { seconds: 10 });
    assert_told(&with(silent), Level::Warning, "gives no answer in 10 s");
    assert_told(&Facts { runtime: Some((Flavour::Youki, String::new())), ..facts() }, Level::Warning, "youki has no restore");
    assert_told(&Facts { library: None, ..facts() }, Level::Warning, "crun needs libcriu.so.2");
    assert_told(&Facts { runtime: Some((Flavour::Crun, "crun version 1\n+YAJL".to_owned())), ..facts() }, Level::Warning, "without CRIU");
}

#[test]
fn runc_needs_neither_the_library_nor_a_newer_criu() {
    let runc = Some((Flavour::Runc, "runc version 1.1.15".to_owned()));
    let told = findings(&Facts { runtime: runc, library: None, ..with(Said::Checked(said(true, "Version: 3.14"), said(true, "Looks good."))) });
    assert!(told.iter().all(|finding| finding.level == Level::Ok), "{told:?}");
}

#[test]
fn what_others_can_change_is_not_executed_and_what_only_root_can_ask_is_not_guessed() {
    assert_told(&with(Said::NotAsked("/opt/criu".into())), Level::Problem, "others than root can change /opt/criu");
    let told = findings(&Facts { is_root: false, ..with(Said::Version(said(true, "Version: 4.1.1"))) });
    assert!(told[1].level == Level::Warning && told[1].text == "only root can ask it", "{told:?}");
}

#[test]
fn versions_are_compared_as_numbers() {
    for (text, version) in
        [("Version: 4.1.1", Some((4, 1))), ("x\nVersion: 3.17\n", Some((3, 17))), ("Version: 4", Some((4, 0))), ("4.1", None), ("Version: x", None)]
    {
        assert_eq!(number(text), version, "{text}");
    }
}

#[test]
fn the_line_for_slaves_is_read_as_criu_reads_it() {
    for (text, allows) in [
        ("external mnt[]:ms", true),
        ("# x\n  external\tmnt[]:ms # why\n", true),
        ("external=mnt[]:ms", true),
        ("external \"mnt[]:ms\"", true),
        ("#external mnt[]:ms", false),
        ("external mnt[]:m", false),
        ("external mnt[/x]:y\n", false),
        ("", false),
    ] {
        assert_eq!(allows_slaves(text), allows, "{text}");
    }
}
