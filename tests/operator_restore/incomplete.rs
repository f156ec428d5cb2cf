//! The same before the bundle is complete, and for somebody who may not look at all of it.

use crate::node::{FIXTURE, GUARD, Node, SPEC, mount};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

#[test]
fn without_config_json_the_image_alone_is_shown() {
    let node = Node::new();
    fs::remove_file(node.path("bundle/config.json")).unwrap();
    let (status, text) = node.plan(&[]);
    assert!(text.starts_with(&format!("read {}/config.json: ENOENT; only the image is shown\n", node.text("bundle"))), "{text}");
    assert!(text.contains("mount   /test: ") && text.contains("external as /test"), "{text}");
    assert_eq!(status, Some(0), "nothing could be done: {text}");
    let (_, report) = node.json();
    assert_eq!((report["mounts"].as_array().unwrap().len(), &report["sources"]), (13, &json!([])));
    // With a document it is one of what is told here: nothing.
    node.spec(SPEC);
    assert!(!node.plan(&[]).1.contains("only the image is shown"));
}

#[test]
fn without_config_json_the_json_says_so_too() {
    let node = Node::new();
    fs::remove_file(node.path("bundle/config.json")).unwrap();
    let (_, report) = node.json();
    assert!(report.to_string().contains("config.json: ENOENT"), "{report:#}");
}

#[test]
fn without_config_json_nothing_is_said_of_what_it_has() {
    let node = Node::new();
    fs::remove_file(node.path("bundle/config.json")).unwrap();
    let (_, text) = node.plan(&[]);
    assert!(!text.contains("config.json has no bind there"), "{text}");
    // Nor is anybody told to make by hand what a restore will make once the document is there.
    fs::remove_dir(node.path("bundle/rootfs/test")).unwrap();
    let (_, text) = node.plan(&[]);
    assert!(!text.contains("would be refused"), "{text}");
}

#[test]
fn what_lies_in_a_bind_of_unknown_source_is_not_what_criu_restores() {
    let node = Node::new();
    fs::remove_file(node.path("bundle/config.json")).unwrap();
    for spec in [None, Some(SPEC.replace(r#""/test""#, r#""/elsewhere""#))] {
        if let Some(spec) = spec {
            node.spec(&spec);
            fs::create_dir(node.path("bundle/rootfs/elsewhere")).unwrap();
        }
        let (_, report) = node.json();
        assert_eq!(mount(&report, "/dev/shm")["state"], "restored", "the control");
        assert_ne!(mount(&report, "/test/lower/directory")["state"], "restored", "{report:#}");
    }
}

#[test]
fn without_a_root_file_system_the_sources_are_shown_all_the_same() {
    let node = Node::new();
    fs::remove_dir_all(node.path("bundle/rootfs")).unwrap();
    let (status, report) = node.json();
    assert_eq!(status, Some(2));
    assert_eq!(mount(&report, "/test/lower/directory")["state"], "create");
    let test = mount(&report, "/test");
    assert_eq!((&test["state"], test["why"].is_string()), (&json!("impossible"), true), "{test}");
    assert!(node.plan(&[]).1.contains("rootfs: ENOENT"));
}

#[test]
fn without_an_image_config_json_alone_counts_and_that_is_said() {
    let node = Node::new();
    for image in ["nowhere", "srv", "settings.toml"] {
        let output = node.run(node.command(&["--bundle", &node.text("bundle"), "--image-path", &node.text(image), "--json"]));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(2), "{image}");
        assert!(report["image_problem"].as_str().is_some_and(|why| !why.is_empty()), "{image}: {report:#}");
        let mountpoints: Vec<&Value> = report["mounts"].as_array().unwrap().iter().map(|mount| &mount["mountpoint"]).collect();
        assert_eq!(mountpoints, ["/proc", "/test", "/test/lower/directory"], "{image}");
        assert_eq!(mount(&report, "/test/lower/directory")["state"], "create");
    }
    let output = node.run(node.command(&["--bundle", &node.text("bundle"), "--image-path", &node.text("nowhere")]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("notice  read the checkpoint image: ") && text.contains("config.json"), "{text}");
}

/// As somebody who may do nothing but read.
fn unprivileged(mut command: Command) -> Command {
    command.uid(65_534).gid(65_534);
    command
}

#[test]
fn nobody_may_ask_too() {
    let node = Node::new();
    for path in ["", "srv", "srv/test", "bundle", "bundle/rootfs"] {
        fs::set_permissions(node.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    // Where the program and the image can be read by anybody.
    let (program, image) = (node.path("runc-guard"), node.path("image"));
    fs::create_dir(&image).unwrap();
    for file in ["pstree.img", "ids-1.img", "mountpoints-12.img"] {
        fs::copy(Path::new(FIXTURE).join(file), image.join(file)).unwrap();
        fs::set_permissions(image.join(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    // By another process: a descriptor of ours that is open for writing could be inherited by another test's fork, and the program is busy then.
    assert!(std::process::Command::new("cp").arg("--preserve=mode").arg(GUARD).arg(&program).status().unwrap().success());
    let ask = || {
        let mut command = Command::new(&program);
        let words = ["guard", "plan", "restore", "--json", "--bundle", &node.text("bundle"), "--image-path", image.to_str().unwrap()];
        command.args(words).env("RUNC_GUARD_CONFIG", node.path("settings.toml")).current_dir("/");
        let output = node.run(unprivileged(command));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (status, report) = ask();
    assert_eq!((status, &report["image_problem"]), (Some(2), &Value::Null));
    assert_eq!(mount(&report, "/test/lower/directory")["state"], "create");
    // What may not be looked at is said, and the rest goes on.
    fs::set_permissions(node.path("srv/test"), fs::Permissions::from_mode(0o700)).unwrap();
    let (_, report) = ask();
    let lower = mount(&report, "/test/lower/directory");
    assert_eq!((&lower["state"], lower["why"].as_str().unwrap().contains("EACCES")), (&json!("impossible"), true), "{lower}");
    fs::set_permissions(image.join("mountpoints-12.img"), fs::Permissions::from_mode(0o600)).unwrap();
    let (_, report) = ask();
    assert!(report["image_problem"].as_str().unwrap().contains("EACCES"), "{report:#}");
}
