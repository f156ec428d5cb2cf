//! Which document a call is about: option by position by runtime (engines.md, section 8.1).

use crate::node::{Node, RUNTIMES};
use serde_json::Value;
use std::fs;

/// Every place a call can mean, as the document's path below the node's directory. The working directory is `cwd`.
const PLACES: [&str; 7] =
    ["A/config.json", "B/config.json", "cwd/config.json", "cwd/B/config.json", "cwd/=B/config.json", "cwd/undle/config.json", "cwd/other.json"];
const NONE: &str = "-";
/// Every runtime reads the row alike.
const CWD: [&str; 3] = ["cwd/config.json"; 3];
const B: [&str; 3] = ["B/config.json"; 3];
const NOBODY: [&str; 3] = [NONE; 3];

/// Words (`/B` is an absolute path of the node), and the document that runc, crun and youki mean.
const TABLE: &[(&str, [&str; 3])] = &[
    // The option's spellings.
    ("create --bundle /B c1", B),
    ("create --bundle=/B c1", B),
    ("create -b /B c1", B),
    ("create -b/B c1", [NONE, "B/config.json", "B/config.json"]),
    ("create -b=B c1", ["cwd/B/config.json", "cwd/=B/config.json", "cwd/B/config.json"]),
    ("create -bundle /B c1", ["B/config.json", NONE, NONE]),
    ("create -bundle c1", [NONE, "cwd/undle/config.json", "cwd/undle/config.json"]),
    ("create -bundle=/B c1", ["B/config.json", NONE, NONE]),
    ("create --bun /B c1", [NONE, "B/config.json", NONE]),
    ("create --b=/B c1", ["B/config.json", "B/config.json", NONE]),
    ("create --BUNDLE /B c1", NOBODY),
    ("create ---bundle /B c1", NOBODY),
    // Its position.
    ("create c1 --bundle /B", ["B/config.json", NONE, "B/config.json"]),
    ("create c1 -b /B", ["B/config.json", NONE, "B/config.json"]),
    ("create c1 --bundle=/B --pid-file=P", ["B/config.json", NONE, "B/config.json"]),
    ("create --pid-file P --bundle /B --console-socket S c1", B),
    ("create --bundle /B --no-new-keyring c1", B),
    ("create --bundle /B -- c1", B),
    ("create -- c1 --bundle /B", NOBODY),
    ("--bundle /B create c1", NOBODY),
    ("-b /B create c1", NOBODY),
    ("-- create --bundle /B c1", ["B/config.json", "B/config.json", NONE]),
    ("--debug --root /r --log-format=json create --bundle /B c1", B),
    ("--root create create --bundle /B c1", B),
    ("--systemd-cgroup run --bundle /B c1", B),
    ("run -d --keep -b /B c1", B),
    ("run --detach --no-subreaper --bundle /B c1", B),
    ("run -db /B c1", [NONE, "B/config.json", NONE]),
    ("restore --image-path I --work-path W --bundle /B c1", ["B/config.json", "B/config.json", NONE]),
    // More than one.
    ("create --bundle /A --bundle /B c1", ["B/config.json", "B/config.json", NONE]),
    ("create -b /A -b=/B c1", ["B/config.json", NONE, NONE]),
    ("create -b /A --bundle /B c1", [NONE, "B/config.json", NONE]),
    ("create --bundle /A c1 --bundle /B", ["B/config.json", NONE, NONE]),
    // The default, and relative paths.
    ("create c1", CWD),
    ("run c1", CWD),
    ("restore c1", ["cwd/config.json", "cwd/config.json", NONE]),
    ("create --bundle . c1", CWD),
    ("create --bundle ../B c1", B),
    ("create --bundle B c1", ["cwd/B/config.json"; 3]),
    ("create --bundle B/ c1", ["cwd/B/config.json"; 3]),
    ("create --bundle /A/../B c1", B),
    ("create --bundle '' c1", ["cwd/config.json", NONE, NONE]),
    ("create --bundle= c1", ["cwd/config.json", NONE, NONE]),
    // crun's name of the document.
    ("create -f other.json c1", [NONE, "cwd/other.json", NONE]),
    ("create -f other.json --bundle /B c1", [NONE, "cwd/other.json", NONE]),
    ("create --config=../B/config.json c1", [NONE, "B/config.json", NONE]),
    ("create --config /B/config.json --bundle /A c1", [NONE, "B/config.json", NONE]),
    ("create --config config.json --bundle /B c1", [NONE, "B/config.json", NONE]),
    ("run -fother.json c1", [NONE, "cwd/other.json", NONE]),
    // Values that look like options, and options that look like values.
    ("create --pid-file -b --bundle=/B c1", ["B/config.json", "B/config.json", NONE]),
    ("create --pid-file --bundle c1", ["cwd/config.json", "cwd/config.json", NONE]),
    ("create --pid-file=--bundle c1", CWD),
    ("create --bundle --pid-file c1", NOBODY),
    ("create --no-pivot c1 --bundle /B", [NONE, NONE, "B/config.json"]),
    ("create --no-pivot c1 --bundle=/B", [NONE, NONE, "B/config.json"]),
    ("create --no-pivot --bundle /B c1", B),
    ("create --no-pivot=true --bundle /B c1", ["B/config.json", NONE, NONE]),
    ("--log-level debug create --bundle /B c1", [NONE, "B/config.json", "B/config.json"]),
    // What the runtime answers itself.
    ("create --bundle /B", NOBODY),
    ("create --bundle /B c1 c2", NOBODY),
    ("create --bundle /B --help c1", NOBODY),
    ("create --bundle /B -h c1", NOBODY),
    ("create --bundle /B --no-such-option c1", NOBODY),
    ("create --no-such-option --bundle /B c1", NOBODY),
    ("--no-such-option create --bundle /B c1", NOBODY),
    ("--version create --bundle /B c1", NOBODY),
    ("create --bundle /B --root R c1", NOBODY),
    ("Create --bundle /B c1", NOBODY),
    ("state --bundle /B c1", NOBODY),
    ("spec --bundle /B", NOBODY),
    ("exec c1 create --bundle /B c1", NOBODY),
];

fn node(runtime: &'static str) -> Node {
    let node = Node::with(runtime);
    for place in PLACES {
        let path = node.path(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, node.pinning()).unwrap();
    }
    node
}

/// The documents that were changed; all others are put back to check that they were not touched.
fn changed(node: &Node) -> Vec<&'static str> {
    let is_changed = |place: &&'static str| {
        let text = fs::read_to_string(node.path(place)).unwrap();
        assert!(text == node.pinning() || text == node.mended(), "{place}: {text}");
        text == node.mended()
    };
    let changed: Vec<_> = PLACES.iter().copied().filter(|place| is_changed(place)).collect();
    changed.iter().for_each(|place| fs::write(node.path(place), node.pinning()).unwrap());
    changed
}

fn argv(node: &Node, line: &str) -> Vec<String> {
    let word = |word: &str| match word {
        "''" => String::new(),
        word => word.replace("/A", &node.text("A")).replace("./B", "@").replace("/B", &node.text("B")).replace('@', "./B"),
    };
    line.split(' ').map(word).collect()
}

#[test]
fn the_document_the_runtime_will_read_is_the_one_that_is_changed() {
    for (column, runtime) in RUNTIMES.into_iter().enumerate() {
        let node = node(runtime);
        for (line, expected) in TABLE {
            let argv = argv(&node, line);
            if runtime == "youki" && line.starts_with("restore") {
                continue; // it has none: `restoring.rs`
            }
            node.assert_passes_through(node.guard(&argv).cwd(node.path("cwd")));
            let expected: Vec<&str> = Some(expected[column]).filter(|place| *place != NONE).into_iter().collect();
            assert_eq!(changed(&node), expected, "{runtime} {line}");
        }
    }
}

#[test]
fn every_place_of_the_table_is_somebodys() {
    for place in PLACES.iter().filter(|place| !place.starts_with('A')) {
        assert!(TABLE.iter().any(|(_, expected)| expected.contains(place)), "{place}");
    }
}

#[test]
fn a_runtime_of_unknown_flavour_is_never_interpreted() {
    let node = node("runc");
    fs::rename(node.path("bin/runc"), node.path("bin/kata-runtime")).unwrap();
    node.all_settings(format!("runtimes = ['{}']\nprotected_roots = ['{}']\nlog = ''", node.text("bin/kata-runtime"), node.text("protected")));
    let call = node.guard(argv(&node, "create --bundle /B c1")).expecting(node.path("bin/kata-runtime"));
    assert_eq!(call.run().reached().argv()[1], b"create");
    assert_eq!(changed(&node), [""; 0]);
}

#[test]
fn the_flavour_of_the_settings_counts_more_than_the_name() {
    let node = node("runc");
    node.settings("flavour = 'crun'");
    node.guard(argv(&node, "create -b/B c1")).run().reached();
    assert_eq!(changed(&node), ["B/config.json"]);
}

#[test]
fn a_link_is_read_as_what_it_leads_to() {
    let node = node("runc");
    fs::remove_file(node.path("bin/runc")).unwrap();
    std::os::unix::fs::symlink("crun", node.path("bin/runc")).unwrap();
    node.guard(argv(&node, "create -b/B c1")).run().reached();
    assert_eq!(changed(&node), ["B/config.json"]);
}

/// The recorded creates, runs and restores, with a bundle of the node in the place of the engine's.
#[test]
fn every_recorded_create_and_restore_changes_its_bundle() {
    let recorded = include_str!("../fixtures/argv.jsonl");
    let nodes = ["runc", "crun"].map(|runtime| (runtime, node(runtime)));
    let mut seen = 0;
    for call in recorded.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let (runtime, command) = (call["runtime"].as_str().unwrap(), call["sub"].as_str().unwrap_or_default());
        if !["create", "run", "restore"].contains(&command) {
            continue;
        }
        let mut argv: Vec<String> = call["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect();
        let (name, node) = nodes.iter().find(|(name, _)| runtime.starts_with(name)).unwrap();
        let bundle = argv.iter().position(|word| word == "--bundle").unwrap() + 1;
        argv[bundle] = node.text("B");
        // The engine's own folders are no business of a test's.
        for option in ["--work-path", "--log"] {
            if let Some(at) = argv.iter().position(|word| word == option) {
                argv[at + 1] = node.text("scratch/made/by/the/guard");
            }
        }
        let outcome = node.guard([""; 0]).argv(&argv).run();
        // crun refuses the word (engines.md, section 8.4).
        argv.retain(|word| *name != "crun" || word != "-no-subreaper");
        assert_eq!(outcome.reached().argv().len(), argv.len());
        assert_eq!(changed(node), ["B/config.json"], "{argv:?}");
        seen += 1;
    }
    assert!(seen >= 25, "{seen} calls are recorded");
}
