//! `guard plan restore` from outside: what it tells of each mount and source, its exit status, and that it changes nothing.

mod incomplete;
mod node;

use node::{FIXTURE, GUARD, Node, SPEC, assert_line, mount};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

#[test]
fn each_mount_is_restored_or_exists_or_will_be_created() {
    let node = Node::new();
    let (status, text) = node.plan(&[]);
    assert_eq!(status, Some(2), "something would be changed");
    let (rootfs, test) = (node.text("bundle/rootfs"), node.text("srv/test"));
    assert_line(&text, &format!("mount   /proc: directory {rootfs}/proc: exists"));
    assert_line(&text, &format!("mount   /test: directory {rootfs}/test: exists, external as /test"));
    assert_line(&text, &format!("mount   /test/lower/directory: directory {test}/lower/directory: will be created"));
    assert_line(&text, "mount   /dev/pts: restored by CRIU");
    assert_line(&text, &format!("source  /test: {test}: directory"));
    assert_line(&text, &format!("        {test}/lower/directory: directory, mode 0755, owner 0:0"));
    assert_line(&text, &format!("something would be changed for {} (runc)", node.text("bundle")));
    assert_eq!(text.lines().filter(|line| line.starts_with("mount   ")).count(), 13, "all of the image but its root: {text}");
}

#[test]
fn as_json_it_is_the_same() {
    let node = Node::new();
    let (status, report) = node.json();
    assert_eq!((status, &report["flavour"], &report["image_problem"]), (Some(2), &json!("runc"), &Value::Null));
    assert_eq!((&report["bundle"], &report["image"]), (&json!(node.text("bundle")), &json!(FIXTURE)));
    let lower = mount(&report, "/test/lower/directory");
    let place = node.text("srv/test/lower/directory");
    let expected = json!({"mountpoint": "/test/lower/directory", "kind": "directory", "host_path": place, "state": "create", "why": null, "external_key": null, "unmapped": false});
    assert_eq!(*lower, expected);
    let test = mount(&report, "/test");
    assert_eq!((&test["state"], &test["external_key"]), (&json!("exists"), &json!("/test")));
    let pts = mount(&report, "/dev/pts");
    assert_eq!((&pts["state"], &pts["host_path"]), (&json!("restored"), &Value::Null));
    let masked = mount(&report, "/proc/keys");
    assert_eq!((&masked["state"], &masked["kind"], &masked["unmapped"]), (&json!("restored"), &json!("file"), &json!(false)));
    assert_eq!(report["sources"], json!([{"destination": "/test", "source": node.text("srv/test"), "is": "directory"}]));
    let steps = report["steps"].as_array().unwrap();
    assert!(steps.len() == 1 && steps[0]["action"] == "create" && steps[0]["created"] == place.as_str(), "{report:#}");
}

#[test]
fn what_it_says_is_what_a_restore_does() {
    let node = Node::new();
    let (_, report) = node.json();
    let status = Command::new(GUARD)
        .args(["restore", "--bundle", &node.text("bundle"), "--image-path", FIXTURE, "c1"])
        .env("RUNC_GUARD_CONFIG", node.path("settings.toml"))
        .status();
    assert!(status.unwrap().success());
    for mount in report["mounts"].as_array().unwrap() {
        let Some(path) = mount["host_path"].as_str() else { continue };
        assert!(Path::new(path).is_dir(), "{mount}");
    }
    assert!(node.path("srv/test/lower/directory").is_dir());
    let (status, text) = node.plan(&[]);
    assert_eq!(status, Some(0), "{text}");
    assert_line(&text, &format!("nothing to do for {} (runc)", node.text("bundle")));
}

#[test]
fn what_is_impossible_is_said_with_the_reason() {
    for reason in ["is a symlink", "is no directory", "where a file is"] {
        let node = Node::new();
        let lower = node.path("srv/test/lower");
        match reason {
            "is a symlink" => symlink("/", lower).unwrap(),
            "is no directory" => fs::write(lower, "").unwrap(),
            _ => fs::create_dir(&lower).and_then(|()| fs::write(lower.join("directory"), "")).unwrap(),
        }
        let (status, report) = node.json();
        let lower = mount(&report, "/test/lower/directory");
        assert_eq!((status, &lower["state"]), (Some(2), &json!("impossible")), "{reason}");
        assert!(lower["why"].as_str().unwrap().contains(reason), "{reason}: {lower}");
        let (_, text) = node.plan(&[]);
        assert!(text.contains("directory: impossible") && text.contains("refuse  ") && text.contains(reason), "{text}");
        assert_line(&text, &format!("the restore would be refused for {} (runc)", node.text("bundle")));
        // Told, and left to CRIU.
        node.set("rules.restore-mountpoints.on_error = 'pass'");
        let (status, report) = node.json();
        assert_eq!((status, &mount(&report, "/test/lower/directory")["state"]), (Some(0), &json!("impossible")), "{reason}");
    }
}

#[test]
fn a_missing_source_is_said_and_what_would_lie_in_it() {
    let node = Node::new();
    fs::remove_dir(node.path("srv/test")).unwrap();
    let (status, report) = node.json();
    assert_eq!((status, &report["sources"][0]["is"]), (Some(2), &json!("missing")));
    let lower = mount(&report, "/test/lower/directory");
    assert_eq!((&lower["state"], lower["why"].as_str().unwrap().contains("missing")), (&json!("impossible"), true), "{lower}");
    assert!(node.plan(&[]).1.contains("refuse  /test: its bind source "));
    // With the operator's leave both are created.
    node.set(&format!("create_sources = ['{}']", node.text("srv")));
    let (status, report) = node.json();
    assert_eq!((status, &mount(&report, "/test/lower/directory")["state"]), (Some(2), &json!("create")));
    let created = report["steps"].as_array().unwrap().iter().map(|step| step["created"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(created, [node.text("srv/test"), node.text("srv/test/lower/directory")]);
}

#[test]
fn every_kind_of_source_is_named() {
    let node = Node::new();
    symlink("nowhere", node.path("srv/dangling")).unwrap();
    fs::write(node.path("srv/file"), "").unwrap();
    let bind = |name: &str| format!(r#"{{"destination":"/{name}","type":"bind","source":"NODE/srv/{name}","options":["bind"]}}"#);
    node.spec(&format!(r#"{{"root":{{"path":"rootfs"}},"mounts":[{}]}}"#, ["test", "file", "gone", "dangling", "file/x"].map(bind).join(",")));
    let (_, report) = node.json();
    let is: Vec<&str> = report["sources"].as_array().unwrap().iter().map(|source| source["is"].as_str().unwrap()).collect();
    assert_eq!(is, ["directory", "file", "missing", "dangling symlink", "ENOTDIR"]);
}

#[test]
fn a_key_that_config_json_does_not_have_is_said() {
    let node = Node::new();
    node.spec(&SPEC.replace(r#""/test""#, r#""/elsewhere""#));
    fs::create_dir(node.path("bundle/rootfs/elsewhere")).unwrap();
    let (status, report) = node.json();
    let test = mount(&report, "/test");
    assert_eq!((&test["unmapped"], &test["external_key"]), (&json!(true), &json!("/test")), "{test}");
    assert_eq!(status, Some(0), "told, not refused");
    assert!(node.plan(&[]).1.contains("notice  /test: the image has it as an external mount"));
}

#[test]
fn bundle_and_image_have_the_runtimes_defaults() {
    for (flavour, image) in [("runc", "cwd/checkpoint"), ("crun", "bundle/checkpoint")] {
        let node = Node::new();
        node.set("");
        let settings = fs::read_to_string(node.path("settings.toml")).unwrap();
        fs::write(node.path("settings.toml"), settings.replace("'runc'", &format!("'{flavour}'"))).unwrap();
        fs::create_dir_all(node.path(image).parent().unwrap()).unwrap();
        fs::create_dir_all(node.path("cwd")).unwrap();
        let found = |node: &Node| {
            let mut command = node.command(&["--bundle", "../bundle", "--json"]);
            command.current_dir(node.path("cwd"));
            serde_json::from_slice::<Value>(&node.run(command).stdout).unwrap()["image_problem"].is_null()
        };
        assert!(!found(&node), "{flavour}: the control");
        symlink(FIXTURE, node.path(image)).unwrap();
        assert!(found(&node), "{flavour}");
        let mut command = node.command(&["--image-path", FIXTURE, "--json"]);
        command.current_dir(node.path("bundle"));
        let report: Value = serde_json::from_slice(&node.run(command).stdout).unwrap();
        assert_eq!(report["mounts"].as_array().unwrap().len(), 13, "{flavour}: the bundle is the working directory");
    }
}

#[test]
fn what_cannot_be_planned_is_one_error_and_status_1() {
    let node = Node::new();
    let failure = |words: &[&str]| {
        let output = node.run(node.command(words));
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(1), ""), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let bundle = node.text("bundle");
    assert!(failure(&["--bundle", &bundle, "--bogus"]).contains("--bogus"));
    node.spec(&SPEC.replace("mounts", "Mounts"));
    assert!(failure(&["--bundle", &bundle]).contains("understand "));
    node.spec(SPEC);
    node.set("rules.restore-mountpoints.enabled = false\nrules.restore-dialect.enabled = false");
    assert!(failure(&["--bundle", &bundle]).contains("switched off"));
    node.set("polcy = 1");
    assert!(failure(&["--bundle", &bundle]).contains("unknown key polcy"));
}
