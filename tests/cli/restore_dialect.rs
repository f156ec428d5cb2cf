//! The engine's spelling of a restore in front of a runtime that does not take it: runc's `-no-subreaper` and a work path without parents in front
//! of crun, and any restore at all in front of youki.

use crate::checkpoint_image::CheckpointImage;
use crate::node::{Node, names};
use crate::restore_container::Container;
use crate::told::told;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A container of which nothing is missing, and the words of containerd for its restore (go-runc).
fn restored_by_containerd(runtime: &'static str, work: &str) -> (Container, Vec<String>) {
    let container = Container::of(runtime);
    container.mounts(&[]);
    container.image(&CheckpointImage::new());
    let (image, bundle) = (container.text("checkpoint"), container.bundle());
    let words = ["restore", "--image-path", &image, "--work-path", work, "--detach", "--pid-file", "P", "--no-pivot", "-no-subreaper", "--bundle"];
    let words = ["runc-guard", "--root", "/run/R", "--log-format", "json"].into_iter().chain(words).chain([bundle.as_str(), "c1"]);
    let words = words.filter(|word| runtime == "runc" || *word != "--no-pivot").map(str::to_owned).collect();
    (container, words)
}

fn without(words: &[String], left_out: &str) -> Vec<String> {
    words.iter().filter(|word| *word != left_out).cloned().collect()
}

#[test]
fn the_engines_spelling_is_one_that_crun_takes() {
    let (container, words) = restored_by_containerd("crun", "/tmp");
    let call = || container.restore().argv(&words);
    container.assert_passes_through_as(call(), &without(&words, "-no-subreaper"));
    assert_eq!(container.take_notice()["changes"][0]["dropped"], serde_json::json!(["-no-subreaper"]));
    // Twice is dropped twice.
    let twice: Vec<String> = words.iter().flat_map(|word| if word == "-no-subreaper" { vec![word.clone(); 2] } else { vec![word.clone()] }).collect();
    container.assert_passes_through_as(container.restore().argv(&twice), &without(&words, "-no-subreaper"));
    container.settings("rules.restore-dialect.enabled = false");
    container.assert_passes_through(call());
    let (container, words) = restored_by_containerd("runc", "/tmp");
    container.assert_passes_through(container.restore().argv(&words));
}

#[test]
fn a_word_that_only_looks_like_it_stays() {
    for words in [
        &["--pid-file", "-no-subreaper", "c1"][..],
        &["--pid-file=-no-subreaper", "c1"],
        &["c1", "-no-subreaper"],
        &["--", "-no-subreaper"],
        &["--no-subreaper", "c1"],
        &["-no-subreaperx", "c1"],
    ] {
        let (container, _) = restored_by_containerd("crun", "/tmp");
        let bundle = container.bundle();
        let words = ["runc-guard", "restore", "--bundle", &bundle].into_iter().chain(words.iter().copied());
        container.assert_passes_through(container.restore().argv(words));
    }
    // Nor in any other command.
    for command in ["create", "run", "checkpoint", "exec"] {
        let container = Container::of("crun");
        container.assert_passes_through(container.guard([command, "-no-subreaper", "--bundle", &container.bundle(), "c1"]));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn cruns_work_path_is_made_with_its_parents() {
    let (container, words) = restored_by_containerd("crun", "NODE/work/of/criu");
    let words: Vec<String> = words.iter().map(|word| word.replace("NODE", &container.text(""))).collect();
    container.assert_passes_through_as(container.restore().argv(&words), &without(&words, "-no-subreaper"));
    for made in ["work", "work/of", "work/of/criu"] {
        assert_eq!(mode(&container.path(made)), 0o700, "{made}");
    }
    let line = container.take_notice();
    assert_eq!(line["changes"][1]["created"], format!("{}/work/of/criu", container.text("")), "{line}");
    // There already: nothing to do, whatever its mode.
    fs::set_permissions(container.path("work"), fs::Permissions::from_mode(0o750)).unwrap();
    container.assert_passes_through_as(container.restore().argv(&words), &without(&words, "-no-subreaper"));
    assert_eq!(mode(&container.path("work")), 0o750);
}

#[test]
fn a_relative_work_path_is_the_bundles_for_crun() {
    let (container, words) = restored_by_containerd("crun", "work/path");
    container.restore().argv(&words).run().reached();
    assert_eq!((names(&container.path("bundle/work")), names(&container.path("empty"))), (vec!["path".to_owned()], Vec::new()));
}

#[test]
fn nobody_else_gets_a_work_path() {
    let made = |runtime, settings: &str, words: &[&str]| {
        let (container, _) = restored_by_containerd(runtime, "-");
        container.settings(settings);
        let call = container.restore_with(&[words, &["--work-path", &container.text("work/path")]].concat());
        call.run().reached();
        container.path("work").exists()
    };
    assert!(made("crun", "", &[]), "the control");
    assert!(!made("runc", "", &[]), "runc makes it itself");
    assert!(!made("crun", "rules.restore-dialect.enabled = false", &[]));
}

#[test]
fn a_work_path_that_cannot_be_made_is_told() {
    let (container, _) = restored_by_containerd("crun", "-");
    let file = container.file("srv/file");
    let call = || container.restore_with(&["--work-path", file.join("work").to_str().unwrap()]);
    call().run().reached();
    let notices = container.take_notices();
    assert!(notices.len() == 1 && notices[0].contains("ENOTDIR") && notices[0].contains("srv/file/work"), "{notices:?}");
    container.settings("rules.restore-dialect.on_error = 'fail'");
    assert!(call().run().refused().contains("ENOTDIR"));
}

#[test]
fn in_front_of_youki_a_restore_is_one_error() {
    let node = Node::with("youki");
    for words in [&["restore", "--bundle", "B", "c1"][..], &["restore", "c1"], &["restore", "--image-path=I", "--detach", "c1"]] {
        let message = told(&node, words, |call| call);
        assert!(message.contains("youki") && message.contains("restore") && message.contains("runtimes"), "{message}");
    }
    // The control, and a checkpoint, which youki has.
    node.assert_passes_through(node.guard(["checkpoint", "c1"]));
    Node::with("runc").guard(["restore", "c1"]).run().reached();
}

#[test]
fn in_front_of_youki_a_restore_is_left_to_it_when_the_settings_say_so() {
    for settings in ["rules.restore-mountpoints.on_error = 'pass'", "rules.restore-mountpoints.enabled = false"] {
        let node = Node::with("youki");
        node.settings(settings);
        let outcome = node.guard(["restore", "--bundle", &node.bundle(), "c1"]).run();
        assert!(outcome.record.is_some(), "{settings}: {outcome:?}");
    }
}

/// A container of crun with a masked directory, whose empty directory the image knows by the name `key`, restored with another state root.
fn masked_under(key: &str) -> (Container, Vec<String>) {
    let (container, words) = restored_by_containerd("crun", "/tmp");
    container.document(&[], "", r#","maskedPaths":["/proc/keys", "/proc/acpi"]"#);
    container.image(&CheckpointImage::new().external_as("/proc/acpi", key));
    (container, words)
}

#[test]
fn cruns_two_names_for_its_empty_directory_agree() {
    let place = tempfile::tempdir().unwrap();
    let key = place.path().join(".empty-directory");
    let (container, words) = masked_under(key.to_str().unwrap());
    let document = || fs::read_to_string(container.path("bundle/config.json")).unwrap();
    let before = document();
    let call = || container.restore().argv(&words);
    let dropped = without(&words, "-no-subreaper");
    // crun registers only what it finds.
    container.assert_passes_through_as(call(), &dropped);
    let notices = container.take_notices();
    assert!(notices.len() == 1 && notices[0].contains(".empty-directory") && notices[0].contains("make that directory"), "{notices:?}");
    assert!(!key.exists(), "nothing is made for an image's word");
    fs::create_dir(&key).unwrap();
    container.assert_passes_through_as(call(), &dropped);
    let masked = format!(r#""/proc/acpi","{}"]"#, key.display());
    assert_eq!(document(), before.replace(r#""/proc/acpi"]"#, &masked));
    // Twice is once.
    let after = document();
    container.assert_passes_through_as(call(), &dropped);
    assert_eq!(document(), after);
}

#[test]
fn an_empty_directory_that_crun_finds_itself_is_left_to_it() {
    let unchanged = |key: &str, edit: &dyn Fn(&Container)| {
        let (container, words) = masked_under(key);
        edit(&container);
        let before = container.config_state();
        container.restore().argv(&words).run().reached();
        assert_eq!(container.config_state(), before, "{key}");
    };
    unchanged("/run/R/.empty-directory", &|_| {});
    unchanged("/etc", &|_| {});
    let place = tempfile::tempdir().unwrap();
    let key = place.path().join(".empty-directory");
    fs::create_dir(&key).unwrap();
    let key = key.to_str().unwrap();
    unchanged(key, &|container| container.settings("rules.restore-dialect.enabled = false"));
    unchanged(key, &|container| container.document(&[], "", r#","maskedPaths":["/proc/keys"]"#));
}

#[test]
fn the_work_path_of_cruns_checkpoint_is_made() {
    let made = |runtime, settings: &str, words: &[&str]| {
        let node = Node::with(runtime);
        node.settings(settings);
        let work = node.text("work/path");
        let absent = node.text("no/work/path");
        node.assert_passes_through(node.guard(["checkpoint", "--work-path", &absent, "c1"]));
        assert!(!node.path("no").exists(), "{runtime}: crun's own error is the right one");
        fs::create_dir(node.path("work")).unwrap();
        let words = [words, &["checkpoint", "--image-path", "I", "--work-path", &work, "--leave-running", "c1"]].concat();
        node.assert_passes_through(node.guard(words));
        assert!(node.own_log().iter().all(|line| line["changes"][0]["created"] == work.as_str() && line["command"] == "checkpoint"));
        node.path("work/path").is_dir() && mode(&node.path("work/path")) == 0o700
    };
    assert!(made("crun", "", &["--root", "R"]));
    assert!(!made("runc", "", &[]), "runc makes it itself");
    assert!(!made("crun", "rules.restore-dialect.enabled = false", &[]));
    assert!(!made("crun", "polcy = 1", &[]), "broken settings do not stop a checkpoint");
}
