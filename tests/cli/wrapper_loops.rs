//! A runtime that is the guard itself, or leads back to it: one error, by the name of whoever is meant, and no storm (P11).

use crate::call::Outcome;
use crate::node::{GUARD, Node, copy_program, install_script};
use crate::private_mounts::PrivateMounts;
use crate::told::told;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

/// Of CPU time, which a loaded machine does not stretch. Half of it is used up on purpose: who executes himself without end is found by that.
const LONGEST: Duration = Duration::from_millis(100);

fn runtimes(node: &Node, names: &[&str]) {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{}'", node.text(name))).collect();
    node.all_settings(format!("runtimes = [{}]\nprotected_roots = []\nlog = ''", quoted.join(",")));
}

#[track_caller]
fn assert_one_error_at_once(outcome: &Outcome, part: &str) {
    let message = outcome.refused();
    assert!(message.contains(part), "{part}: {message}");
    // A debug build starts five times as slowly.
    let most = if cfg!(debug_assertions) { LONGEST * 2 } else { LONGEST };
    assert!(outcome.cpu < most, "{:?}", outcome.cpu);
    println!("{part}: {:?} of CPU time, {:?} in all", outcome.cpu, outcome.took);
}

#[test]
fn by_whatever_name_the_guard_is_never_its_own_runtime() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    copy_program(Path::new(GUARD), &node.path("guard"));
    fs::hard_link(node.path("guard"), node.path("hard")).unwrap();
    symlink("guard", node.path("soft")).unwrap();
    fs::write(node.path("runc"), "").unwrap();
    fs::create_dir(node.path("directory")).unwrap();
    fs::hard_link(node.path("guard"), node.path("directory/runc")).unwrap();
    mounts.bind_to(node.path("guard"), node.path("runc"));
    mounts.read_only(node.path("directory"));
    for name in ["guard", "hard", "soft", "runc", "directory/runc"] {
        for program in ["guard", "hard", "soft", "runc", "directory/runc"] {
            runtimes(&node, &[name]);
            for command in ["create", "state"] {
                let outcome = node.guard([command, "c1"]).program(node.path(program)).run();
                assert_one_error_at_once(&outcome, &format!("{}: runc-guard itself", node.text(name)));
            }
        }
    }
}

/// A copy is another file, and nothing tells it from a runtime but that it comes back.
#[test]
fn copies_that_start_each_other_are_found_out() {
    for copies in 1..=4 {
        let node = Node::new();
        let names: Vec<String> = (0..copies).map(|number| format!("{number}/runc")).collect();
        for name in &names {
            fs::create_dir(node.path(name).parent().unwrap()).unwrap();
            copy_program(Path::new(GUARD), &node.path(name));
        }
        runtimes(&node, &names.iter().map(String::as_str).collect::<Vec<_>>());
        for command in ["create", "state"] {
            for program in [GUARD.into(), node.path(&names[0])] {
                let outcome = node.guard([command, "c1"]).program(program).run();
                assert_one_error_at_once(&outcome, "find the real runtime: none of the candidates can be used");
            }
        }
    }
}

#[test]
fn the_runtime_behind_a_copy_is_reached() {
    let node = Node::new();
    fs::create_dir(node.path("copy")).unwrap();
    copy_program(Path::new(GUARD), &node.path("copy/runc"));
    runtimes(&node, &["copy/runc", "bin/runc"]);
    let outcome = node.guard(["state", "c1"]).run();
    let record = outcome.record.as_ref().unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!(record.argv()[1..], [b"state".to_vec(), b"c1".to_vec()]);
    assert!(outcome.cpu < LONGEST * 2, "{:?}", outcome.cpu);
}

/// Scripts in every kind of circle, each of which notes its start.
#[test]
fn scripts_that_lead_back_are_started_once_each() {
    let shells = ["exec GUARD \"$@\"", "GUARD \"$@\"", "exec env GUARD \"$@\"", "exec sh -c 'exec GUARD \"$@\"' sh \"$@\""];
    for line in shells {
        for names in [&["w/runc"][..], &["w/runc", "v/crun"], &["w/a", "v/b", "u/c"]] {
            let node = Node::new();
            for name in names {
                fs::create_dir_all(node.path(name).parent().unwrap()).unwrap();
                let line = line.replace("GUARD", GUARD);
                install_script(&node.path(name), format!("#!/bin/sh\necho {name} >>'{}'\n{line}\n", node.text("started")));
            }
            runtimes(&node, names);
            for command in ["create", "state"] {
                let message = told(&node, &[command, "c1"], |call| call);
                assert!(message.contains("leads back to runc-guard"), "{message}");
                let started = fs::read_to_string(node.path("started")).unwrap();
                assert_eq!(started.lines().collect::<Vec<_>>(), names, "{line}");
                fs::remove_file(node.path("started")).unwrap();
            }
        }
    }
}
