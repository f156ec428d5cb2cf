//! What holds for every engine's file alike.

use crate::node::Node;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Engine, file, and settings with comments, foreign entries and another default.
pub const FILES: [(&str, &str, &str); 7] = [
    (
        "containerd",
        "v1.toml",
        "# old\n[plugins.cri.containerd]\n  default_runtime_name = 'kata' # ours\n\n[plugins.cri.containerd.runtimes.kata]\nruntime_type = 'io.containerd.kata.v2'\n# end\n",
    ),
    (
        "containerd",
        "v2.toml",
        "version = 2\nroot = \"/data\" # elsewhere\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\ndefault_runtime_name = \"kata\"\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.kata]\nruntime_type = \"io.containerd.kata.v2\"\n\n[metrics]\n# none\n",
    ),
    (
        "containerd",
        "v3.toml",
        "version = 3\n\n[plugins]\n  [plugins.'io.containerd.cri.v1.runtime']\n    [plugins.'io.containerd.cri.v1.runtime'.containerd]\n      default_runtime_name = 'kata'\n      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]\n        runtime_type = 'io.containerd.kata.v2'\n\n[debug]\n  level = 'info'",
    ),
    (
        "crio",
        "crio.conf",
        "[crio]\nlog_dir = '/x'\n[crio.runtime]\ndefault_runtime = \"crun\"\n# two\n[crio.runtime.runtimes.crun]\nruntime_path = \"/usr/bin/crun\"\nmonitor_path = \"/usr/libexec/crio/conmon\"\n",
    ),
    (
        "podman",
        "containers.conf",
        "[containers]\npids_limit = 0\n[engine]\n# mine\nruntime = \"crun\"\nruntime_supports_json = [\"crun\"] # only\n[engine.runtimes]\ncrun = [\"/usr/bin/crun\",\n  \"/usr/local/bin/crun\"]\n[network]\n",
    ),
    (
        "docker",
        "daemon.json",
        "{\n\t\"log-level\": \"warn\",\n\t\"default-runtime\": \"kata\",\n\t\"runtimes\": {\n\t\t\"kata\": {\"runtimeType\": \"io.containerd.kata.v2\"}\n\t},\n\t\"hosts\": [ ]\n}\n",
    ),
    ("docker", "flat.json", "{\"data-root\":\"/x\",\"default-runtime\":\"crun\"}"),
];

fn node(file: &str) -> Node {
    Node::containerd(if file == "v3.toml" { "2.1.9" } else { "1.7.24" })
}

#[test]
fn another_default_stays_and_everything_else_too() {
    for (engine, file, text) in FILES {
        let node = node(file);
        node.write(file, text);
        let said = node.configure(engine, file, &[]);
        assert!(said.starts_with(&format!("edited NODE/{file} (as it was: NODE/{file}.before-runc-guard)\n")), "{said}");
        let edited = node.read(file);
        let kept = text.lines().filter(|line| edited.contains(line.trim_end())).count();
        let changed = usize::from(file == "containers.conf");
        assert!(file == "flat.json" || kept + changed == text.lines().count(), "every line is there: {edited}");
        assert!(edited.contains("NODE/guard") && node.read(&format!("{file}.before-runc-guard")) == text, "{edited}");
        assert!(!edited.contains("default_runtime_name = \"runc-guard\"") && !edited.contains("default-runtime\": \"runc-guard\""), "{edited}");
    }
}

#[test]
fn set_default_replaces_the_default_in_its_place() {
    for (engine, file, text) in FILES {
        let node = node(file);
        node.write(file, text);
        node.configure(engine, file, &["--set-default"]);
        let line = |text: &str| text.split([',', '\n']).find(|part| part.contains("default") || part.contains("runtime =")).map(str::to_owned);
        let (was, is) = (line(text).unwrap(), line(&node.read(file)).unwrap());
        let quoted = |name: &str, quote: char| format!("{quote}{name}{quote}");
        let expected = ["kata", "crun"]
            .iter()
            .fold(was, |line, name| line.replace(&quoted(name, '\''), "\"runc-guard\"").replace(&quoted(name, '"'), "\"runc-guard\""));
        assert_eq!(is.replace(' ', ""), expected.replace(['}', ' '], ""), "{engine} {file}");
        assert!(is.contains("runc-guard"));
    }
}

#[test]
fn the_second_run_changes_nothing_and_says_so() {
    for (engine, file, text) in FILES {
        let node = node(file);
        node.write(file, text);
        for more in [[].as_slice(), &["--set-default"]] {
            node.configure(engine, file, more);
            let before = node.files();
            assert!(node.configure(engine, file, more).starts_with(&format!("nothing to do: NODE/{file} already has runc-guard\n")));
            assert!(node.files() == before);
        }
        // A default that is ours stays without the word, too.
        let before = node.files();
        assert!(node.configure(engine, file, &[]).contains("nothing to do"));
        assert!(node.files() == before);
    }
}

#[test]
fn two_runs_make_the_same_file_as_one() {
    for (engine, file, text) in FILES {
        let (twice, once) = (node(file), node(file));
        twice.write(file, text);
        once.write(file, text);
        twice.configure(engine, file, &[]);
        twice.configure(engine, file, &["--set-default"]);
        once.configure(engine, file, &["--set-default"]);
        assert_eq!(twice.read(file), once.read(file));
    }
}

#[test]
fn a_dry_run_prints_a_diff_and_changes_nothing() {
    for (engine, file, text) in FILES {
        let node = node(file);
        node.write(file, text);
        let before = node.files();
        let guard = node.path("guard");
        let words = [engine, "--file", file, "--set-default", "--runtime-path", guard.to_str().unwrap()];
        let said = node.run(&[&words[..], &["--dry-run"]].concat());
        assert_eq!((said.status, said.stderr.as_str()), (Some(2), ""), "{said:?}");
        assert!(node.files() == before);
        insta::assert_snapshot!(format!("{engine}_{file}"), said.stdout);
        node.run(&words);
        let said = node.run(&[&words[..], &["--dry-run"]].concat());
        assert_eq!((said.status, said.stdout.lines().next()), (Some(0), Some(&*format!("nothing to do: NODE/{file} already has runc-guard"))));
    }
}

#[test]
fn a_new_file_is_made_and_removed_again() {
    for (engine, file) in [("containerd", "etc/config.toml"), ("crio", "etc/x.conf"), ("podman", "etc/x.conf"), ("docker", "etc/daemon.json")] {
        let node = Node::containerd("1.7.24");
        let before = node.files();
        let said = node.run(&[engine, "--file", file, "--dry-run"]);
        assert_eq!(said.status, Some(2));
        assert!(said.stdout.starts_with(&format!("--- /dev/null\n+++ NODE/{file}\n@@")), "{}", said.stdout);
        assert!(node.files() == before && !node.path("etc").exists());
        assert!(node.configure(engine, file, &["--set-default"]).starts_with(&format!("created NODE/{file}\n")));
        insta::assert_snapshot!(format!("new_{engine}"), node.read(file));
        assert_eq!(fs::metadata(node.path(file)).unwrap().mode() & 0o7777, 0o644);
        let said = node.run(&[engine, "--file", file, "--remove", "--dry-run"]);
        assert!(said.status == Some(2) && said.stdout.starts_with(&format!("--- NODE/{file}\n+++ /dev/null\n@@")), "{said:?}");
        assert!(node.remove(engine, file).starts_with(&format!("deleted NODE/{file}\n")));
        assert!(node.files() == before);
    }
}

#[test]
fn another_path_for_the_name_is_put_right() {
    for (engine, file, text) in FILES {
        let node = node(file);
        node.program("old", "");
        node.write(file, text);
        let old = node.path("old");
        assert_eq!(node.run(&[engine, "--file", file, "--runtime-path", old.to_str().unwrap()]).status, Some(0));
        assert!(node.read(file).contains("NODE/old"));
        node.configure(engine, file, &[]);
        assert!(node.read(file).contains("NODE/guard") && !node.read(file).contains("NODE/old"));
        node.remove(engine, file);
        assert_eq!(node.read(file), text);
    }
}

#[test]
fn mode_and_attributes_stay() {
    for (engine, file, text) in FILES {
        let node = node(file);
        node.write(file, text);
        fs::set_permissions(node.path(file), fs::Permissions::from_mode(0o640)).unwrap();
        let marked = xattr::set(node.path(file), "user.mark", b"1").is_ok();
        let inode = fs::metadata(node.path(file)).unwrap().ino();
        node.configure(engine, file, &[]);
        assert_eq!(fs::metadata(node.path(file)).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(xattr::get(node.path(file), "user.mark").ok().flatten().is_some(), marked);
        node.remove(engine, file);
        let restored = fs::metadata(node.path(file)).unwrap();
        assert_eq!((restored.mode() & 0o7777, restored.ino()), (0o640, inode), "the very file that it was");
    }
}

#[test]
fn it_says_what_to_do_next() {
    let expected = [("containerd", "containerd"), ("crio", "crio"), ("docker", "docker")];
    for (engine, service) in expected {
        let said = Node::containerd("2.1.9").configure(engine, "new", &[]);
        assert!(said.contains(&format!("now run: systemctl restart {service}\n")), "{said}");
        let has_class = said.contains("kind: RuntimeClass\nmetadata:\n  name: runc-guard\nhandler: runc-guard\n");
        assert_eq!(has_class, engine != "docker", "{said}");
        let said = Node::containerd("2.1.9").configure(engine, "new", &["--set-default"]);
        assert!(!said.contains("RuntimeClass"), "the default needs no class: {said}");
    }
    let said = Node::new().configure("podman", "new", &[]);
    assert!(!said.contains("systemctl") && said.contains("podman reads it at its next call"), "{said}");
}

#[test]
fn as_json_it_is_the_same() {
    let node = Node::new();
    node.write("crio.conf", "[crio]\n");
    let report = node.json(&["crio", "--file", "crio.conf", "--dry-run"]);
    assert_eq!((&report["engine"], &report["changed"], &report["dry_run"]), (&json!("crio"), &json!(true), &json!(true)));
    assert_eq!(report["files"][0]["change"], "edited");
    assert!(report["files"][0]["diff"].as_str().unwrap().contains("+[crio.runtime.runtimes.runc-guard]\n"));
    assert!(report["runtime_class"].as_str().unwrap().contains("handler: runc-guard"));
    assert_eq!(report["restart"], "systemctl restart crio");
    let report = node.json(&["crio", "--file", "crio.conf", "--remove"]);
    assert_eq!((&report["changed"], &report["files"][0]["change"], &report["restart"]), (&json!(false), &json!("none"), &json!(null)));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let node = Node::new();
    node.write("plain", "");
    for (words, why) in [
        (["docker", "--file", "x", "--runtime-path", "guard"].as_slice(), "engines need an absolute path"),
        (&["docker", "--file", "x", "--runtime-path", "/nonexistent"], "use /nonexistent as the runtime: ENOENT"),
        (&["docker", "--file", "x", "--runtime-path", "/etc"], "no executable file"),
    ] {
        let said = node.refused(words);
        assert!(said.contains(why), "{said}");
    }
    for words in [["docker", "--remove", "--set-default"].as_slice(), &["docker", "--remove", "--runtime-path", "/bin/true"], &["rkt"], &[]] {
        assert_eq!(node.run(words).status, Some(1), "{words:?}");
    }
}
