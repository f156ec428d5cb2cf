//! The real runtime: the first usable candidate, never the guard itself, and one error when there is none (P11).

use crate::call::Call;
use crate::node::{GUARD, Node, copy_program, install_fake_runtime, install_script};
use crate::private_mounts::PrivateMounts;
use crate::told::told;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Candidates that cannot be used, and what the error says of each.
const UNUSABLE: [(&str, &str); 9] = [
    ("missing", "ENOENT"),
    ("dangling", "ENOENT"),
    ("circle", "ELOOP"),
    ("bin/runc/x", "ENOTDIR"),
    ("plain", "EACCES"),
    ("bundle", "no regular file"),
    ("guard-link", "runc-guard itself"),
    ("guard-link-link", "runc-guard itself"),
    ("guard-hard-link", "runc-guard itself"),
];

fn node() -> Node {
    let node = Node::new();
    symlink("nowhere", node.path("dangling")).unwrap();
    symlink("circle", node.path("circle")).unwrap();
    fs::write(node.path("plain"), "#!/bin/sh\n").unwrap();
    copy_program(Path::new(GUARD), &node.path("guard"));
    symlink("guard", node.path("guard-link")).unwrap();
    symlink("guard-link", node.path("guard-link-link")).unwrap();
    fs::hard_link(node.path("guard"), node.path("guard-hard-link")).unwrap();
    node
}

fn runtimes(node: &Node, names: &[impl std::fmt::Display]) {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    node.all_settings(format!("runtimes = [{}]\nprotected_roots = ['{}']\nlog = ''", quoted.join(","), node.text("protected")));
}

#[test]
fn every_unusable_candidate_is_named_in_one_error() {
    let node = node();
    let own = ["guard", "guard-link", "guard-hard-link"];
    for (name, why) in UNUSABLE {
        runtimes(&node, &[&node.text(name)]);
        for words in [["create", "c1"], ["state", "c1"]] {
            let message = told(&node, &words, |call| call.program(node.path("guard")));
            assert!(message.contains(&format!("{}: {why}", node.text(name))), "{message}");
        }
    }
    // Executed by each of its names.
    runtimes(&node, &own.map(|name| node.text(name)));
    for name in own {
        let message = told(&node, &["state", "c1"], |call| call.program(node.path(name)));
        assert_eq!(message.matches("runc-guard itself").count(), 3, "{message}");
    }
}

#[test]
fn settings_that_could_not_be_read_are_named_where_no_runtime_is_found() {
    let node = node();
    node.all_settings("runtimes = ['/nowhere/runc'\n");
    for words in [["create", "c1"], ["state", "c1"]] {
        let message = told(&node, &words, |mut call| {
            call.environment.retain(|entry| !entry.starts_with(b"PATH="));
            call.environment.push(format!("PATH={}", node.text("empty")).into_bytes());
            call
        });
        let settings = message.find("read settings").unwrap_or(usize::MAX);
        assert!(message.find("find the real runtime").is_some_and(|runtime| settings < runtime), "{message}");
    }
}

#[test]
fn the_next_candidate_is_taken_instead() {
    let node = node();
    for (name, _) in UNUSABLE {
        runtimes(&node, &[node.text(name), "no-such-runtime-in-path".to_owned(), node.text("bin/runc")]);
        let outcome = node.guard(["create", "--bundle", &node.bundle(), "c1"]).program(node.path("guard")).run();
        outcome.reached();
    }
}

#[test]
fn a_name_that_path_does_not_hold_is_an_error() {
    let node = node();
    runtimes(&node, &["no-such-runtime", "no-other"]);
    let message = told(&node, &["create", "c1"], |call| call);
    assert!(message.contains("no-such-runtime: not in PATH") && message.contains("no-other: not in PATH"), "{message}");
}

#[test]
fn the_guard_in_path_is_skipped_for_the_real_runtime_behind_it() {
    let node = node();
    fs::create_dir(node.path("first")).unwrap();
    runtimes(&node, &["runc"]);
    let path = format!("PATH=relative:.:{}:/nonexistent:{}", node.text("first"), node.text("bin"));
    for place in ["guard", "guard-hard-link", "guard-link"] {
        let _ = fs::remove_file(node.path("first/runc"));
        symlink(node.path(place), node.path("first/runc")).unwrap();
        let mut call = node.guard(["state", "c1"]).program(node.path("first/runc"));
        call.environment[1] = path.clone().into_bytes();
        node.assert_passes_through(call);
    }
}

#[test]
fn what_cannot_be_executed_is_skipped_in_path() {
    let node = node();
    runtimes(&node, &["runc"]);
    fs::create_dir_all(node.path("directory/runc")).unwrap();
    for (directory, target) in [("a", "../plain"), ("b", "nowhere"), ("c", "runc"), ("d", "../guard")] {
        fs::create_dir(node.path(directory)).unwrap();
        symlink(target, node.path(directory).join("runc")).unwrap();
    }
    let mut call = node.guard(["state", "c1"]).program(node.path("guard"));
    let path = ["directory", "a", "b", "c", "d", "plain", "missing", "bin"].map(|name| node.text(name)).join(":");
    call.environment[1] = format!("PATH={path}").into_bytes();
    node.assert_passes_through(call);
}

#[test]
fn a_relative_entry_of_path_does_not_search_the_working_directory() {
    let node = node();
    fs::create_dir(node.path("empty/here")).unwrap();
    install_fake_runtime(&node.path("empty/here/runc"));
    install_fake_runtime(&node.path("empty/runc"));
    runtimes(&node, &["runc"]);
    for relative in [".", "here", "./here", "", "../empty"] {
        let mut call = node.guard(["state", "c1"]);
        call.environment[1] = format!("PATH={relative}:{}", node.text("bin")).into_bytes();
        call.run().reached();
        call.environment[1] = format!("PATH={relative}:/nonexistent").into_bytes();
        assert!(call.run().refused().contains("runc: not in PATH"), "{relative}");
    }
}

#[test]
fn a_relative_entry_of_path_does_not_search_the_root_directory() {
    let node = node();
    runtimes(&node, &["runc"]);
    let mut call = node.guard(["state", "c1"]);
    call.environment[1] = format!("PATH={}", node.text("bin").trim_start_matches('/')).into_bytes();
    assert!(call.run().refused().contains("runc: not in PATH"));
}

#[test]
fn without_path_the_usual_directories_are_searched() {
    let node = node();
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs("/usr/local/sbin", "size=64m");
    install_fake_runtime(Path::new("/usr/local/sbin/runc"));
    runtimes(&node, &["runc"]);
    let call = |path: &[&str]| {
        let call = node.guard(["state", "c1"]).without_environment().env(node.settings_variable());
        path.iter().fold(call, Call::env).expecting("/usr/local/sbin/runc")
    };
    call(&[]).run().reached();
    call(&["PATH="]).run().reached();
}

#[test]
fn what_the_kernel_cannot_execute_is_one_error() {
    let node = node();
    let files: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "ENOEXEC"),
        ("text", b"echo no interpreter\n", "ENOEXEC"),
        ("torn-elf", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0", "ENOEXEC"),
        ("no-interpreter", b"#!/nonexistent/sh\n", "ENOENT"),
        ("interpreter-is-a-directory", b"#!/tmp\n", "EACCES"),
    ];
    for (name, bytes, errno) in files {
        fs::create_dir_all(node.path(name)).unwrap();
        let path = node.path(name).join("runc");
        install_script(&path, bytes);
        runtimes(&node, &[path.to_str().unwrap()]);
        for words in [["create", "c1"], ["state", "c1"]] {
            let message = told(&node, &words, |call| call);
            assert!(message.contains(&format!("execute {}: {errno}", path.display())), "{message}");
        }
    }
}

/// `names` are scripts, each of which starts the guard again and leaves a line in `started`.
fn wrappers(node: &Node, names: &[&str]) {
    for name in names {
        fs::create_dir_all(node.path(name).parent().unwrap()).unwrap();
        install_script(&node.path(name), format!("#!/bin/sh\necho {name} >> '{}'\nexec '{GUARD}' \"$@\"\n", node.text("started")));
    }
}

#[test]
fn a_loop_of_wrappers_is_one_error_and_no_storm() {
    for names in [&["w/runc"][..], &["w/runc", "v/runc"], &["w/other", "v/runc"], &["w/other", "v/another", "u/runc", "t/crun"]] {
        let node = node();
        wrappers(&node, names);
        runtimes(&node, &names.iter().map(|name| node.text(name)).collect::<Vec<_>>());
        for words in [["create", "c1"], ["state", "c1"]] {
            let message = told(&node, &words, |call| call);
            assert!(message.contains("leads back to runc-guard"), "{message}");
            let started = fs::read_to_string(node.path("started")).unwrap();
            assert_eq!(started.lines().collect::<Vec<_>>(), names, "each is started once");
            fs::remove_file(node.path("started")).unwrap();
        }
    }
}

#[test]
fn a_wrapper_that_leads_to_the_real_runtime_in_the_end_is_followed() {
    let node = node();
    wrappers(&node, &["w/runc"]);
    runtimes(&node, &[&node.text("w/runc"), &node.text("bin/runc")]);
    node.create().run().reached();
    assert_eq!(fs::read_to_string(node.path("started")).unwrap(), "w/runc\n");
    assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended());
}

#[test]
fn two_copies_of_the_guard_do_not_start_each_other_for_ever() {
    let node = node();
    for place in ["a", "b"] {
        fs::create_dir(node.path(place)).unwrap();
        copy_program(Path::new(GUARD), &node.path(place).join("runc"));
    }
    runtimes(&node, &[&node.text("a/runc"), &node.text("b/runc")]);
    let message = told(&node, &["state", "c1"], |call| call.program(node.path("a/runc")));
    assert!(message.contains("find the real runtime"), "{message}");
}

#[test]
fn a_wrapper_that_starts_a_second_container_call_is_no_loop() {
    let node = node();
    fs::create_dir(node.path("w")).unwrap();
    install_script(&node.path("w/my-runtime"), format!("#!/bin/sh\nexec '{}' \"$@\"\n", node.text("bin/runc")));
    runtimes(&node, &[&node.text("w/my-runtime")]);
    let outcome = node.guard(["exec", "c1", "sh"]).run();
    assert_eq!(outcome.reached().argv()[1..], [b"exec".to_vec(), b"c1".to_vec(), b"sh".to_vec()]);
}
