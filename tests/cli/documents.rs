//! What is not understood is not touched, and never stops a container (P5).

use crate::node::{Node, names};
use std::fs;

/// Documents that runtimes read in different ways, or not at all, made from one that would be rewritten.
pub fn not_understood(good: &str) -> Vec<(&'static str, Vec<u8>)> {
    [no_json(good), wrong_keys(good), wrong_types(good)].concat()
}

/// `good` with `to` for its only `from`.
fn swapped(good: &str, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(good.matches(from).count(), 1, "{from}");
    good.replace(from, to).into_bytes()
}

const OPTIONS: &str = r#""options":["rbind","rprivate"]"#;

fn no_json(good: &str) -> Vec<(&'static str, Vec<u8>)> {
    let swap = |from: &str, to: &str| swapped(good, from, to);
    vec![
        ("empty", vec![]),
        ("white space", b" \n\t ".to_vec()),
        ("no JSON", b"ociVersion = 1".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("a string", b"\"{}\"".to_vec()),
        ("BOM", [b"\xef\xbb\xbf", good.as_bytes()].concat()),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("NUL behind", [good.as_bytes(), b"\0"].concat()),
        ("text behind", [good.as_bytes(), b"x"].concat()),
        ("second document", [good.as_bytes(), b"\n", good.as_bytes()].concat()),
        ("comment", swap("{\"ociVersion\"", "{/* */\"ociVersion\"")),
        ("trailing comma", swap("\"linux\":{", "\"linux\":{},\"x\":{,")),
        ("invalid UTF-8 in a value", [b"{\"x\":\"\xff\",", &good.as_bytes()[1..]].concat()),
        ("overlong UTF-8 in a name", [b"{\"\xc1\xad\":1,", &good.as_bytes()[1..]].concat()),
        ("raw control character", swap("1.0.2", "1.0\n.2")),
    ]
}

fn wrong_keys(good: &str) -> Vec<(&'static str, Vec<u8>)> {
    let swap = |from: &str, to: &str| swapped(good, from, to);
    let mounts = &good[good.find(r#""mounts":"#).unwrap()..good.find(r#","linux""#).unwrap()];
    let twice = |second: &str| swap(mounts, &format!("{mounts},{}", mounts.replace("mounts", second)));
    vec![
        ("mounts twice", twice("mounts")),
        ("mounts and MOUNTS", twice("MOUNTS")),
        ("mounts and long s", twice("mount\u{17f}")),
        ("mounts and escaped long s", twice("mount\\u017f")),
        ("Mounts", swap("\"mounts\"", "\"Mounts\"")),
        ("mounts with a long s", swap("\"mounts\"", "\"mount\u{17f}\"")),
        ("mounts with an escaped long s", swap("\"mounts\"", "\"mount\\u017f\"")),
        ("mounts twice, one escaped", twice("\\u006dounts")),
        ("Linux", swap("\"linux\"", "\"Linux\"")),
        ("LINUX", swap("\"linux\"", "\"LINUX\"")),
        ("root twice", swap("\"root\":", "\"root\":{\"path\":\"/\"},\"root\":")),
        ("options twice", swap(OPTIONS, &format!("{OPTIONS},{OPTIONS}"))),
        ("Options", swap("\"options\"", "\"Options\"")),
        ("source twice", swap("\"source\":", "\"source\":\"/\",\"source\":")),
        ("Source", swap("\"source\"", "\"Source\"")),
        ("destination twice", swap("\"destination\":", "\"destination\":\"/x\",\"destination\":")),
        ("type twice", swap("\"type\":\"bind\"", "\"type\":\"bind\",\"type\":\"none\"")),
        ("rootfsPropagation twice", swap("\"linux\":{", "\"linux\":{\"rootfsPropagation\":\"slave\",\"rootfsPropagation\":\"private\",")),
        ("rootfspropagation", swap("\"linux\":{", "\"linux\":{\"rootfspropagation\":\"slave\",")),
    ]
}

fn wrong_types(good: &str) -> Vec<(&'static str, Vec<u8>)> {
    let swap = |from: &str, to: &str| swapped(good, from, to);
    vec![
        ("rootfsPropagation a number", swap("\"linux\":{", "\"linux\":{\"rootfsPropagation\":1,")),
        ("mounts an object", swap("\"mounts\":[", "\"mounts\":{},\"x\":[")),
        ("mounts a string", swap("\"mounts\":[", "\"mounts\":\"[]\",\"x\":[")),
        ("a mount null", swap("\"mounts\":[", "\"mounts\":[null,")),
        ("a mount a string", swap("\"mounts\":[", "\"mounts\":[\"/\",")),
        ("options a string", swap(OPTIONS, "\"options\":\"rbind\"")),
        ("an option null", swap("\"rbind\",", "\"rbind\",null,")),
        ("an option a number", swap("\"rbind\",", "\"rbind\",7,")),
        ("a lone surrogate", swap("\"rbind\",", "\"rbind\",\"\\ud800\",")),
        ("source a number", swap("\"source\":", "\"source\":7,\"x\":")),
        ("linux a list", swap("\"linux\":{", "\"linux\":[],\"x\":{")),
    ]
}

#[track_caller]
fn assert_left_alone(node: &Node, case: &str) {
    let before = node.config_state();
    let outcome = node.create().run();
    outcome.reached();
    assert_eq!(node.config_state(), before, "{case}");
    assert_eq!(names(&node.path("bundle")), ["config.json", "rootfs"], "{case}");
    assert_one_notice(node, case);
}

/// One line in our own log with one notice, which says that the document stays as it is.
#[track_caller]
pub fn assert_one_notice(node: &Node, case: &str) {
    let line = node.take_notice();
    let notices = line["notices"].as_array().unwrap();
    assert_eq!((notices.len(), line["changes"].as_array().unwrap().len()), (1, 0), "{case}: {line}");
    let said = notices[0]["msg"].as_str().unwrap();
    assert!(said.starts_with("understand ") && said.ends_with("; left as it is") && said.len() < 500, "{case}: {line}");
    assert_eq!((&line["level"], &line["command"], &line["id"]), (&"warning".into(), &"create".into(), &"c1".into()), "{case}");
}

#[test]
fn documents_that_are_read_in_two_ways_are_left_alone() {
    for runtime in crate::node::RUNTIMES {
        let node = Node::with(runtime);
        for (case, bytes) in not_understood(&node.pinning()) {
            node.config(bytes);
            assert_left_alone(&node, case);
        }
    }
}

#[test]
fn strict_settings_refuse_them() {
    let node = Node::new();
    node.settings("strict = true");
    for (case, bytes) in not_understood(&node.pinning()) {
        node.config(bytes);
        let before = node.config_state();
        let message = node.create().run().refused();
        assert!(message.contains("understand ") && message.contains("/config.json: "), "{case}: {message}");
        assert_eq!(node.config_state(), before, "{case}");
    }
    assert!(!node.path("own.log").exists(), "an error is not logged a second time");
}

#[test]
fn every_torn_document_is_left_alone() {
    let node = Node::new();
    let whole = node.pinning();
    for length in 0..whole.len() {
        node.config(&whole[..length]);
        assert_left_alone(&node, &format!("the first {length} bytes"));
    }
}

#[test]
fn documents_with_nothing_to_change_are_passed_on_in_silence() {
    let node = Node::new();
    let good = node.pinning();
    let options = r#""options":["rbind","rprivate"]"#;
    let harmless = [
        "{}".to_owned(),
        node.harmless(),
        good.replace(r#""mounts":["#, r#""mounts":null,"x":["#),
        good.replace(options, r#""options":null"#),
        good.replace(options, r#""Opt":1"#),
        good.replace("rbind", "bind"),
        good.replace("rprivate", "rshared"),
        good.replace("\"mounts\"", "\"mountz\"").replace("\"linux\"", "\"linu\u{17f}\""),
        format!(" \n{}\r\n\t ", node.harmless()),
    ];
    for text in harmless {
        node.config(&text);
        let before = node.config_state();
        node.create().run().reached();
        assert_eq!(node.config_state(), before, "{text}");
        assert!(!node.path("own.log").exists(), "{text}: {:?}", node.own_log());
    }
}

/// Valid documents in unusual dress: rewritten, and nothing but the spans that change.
#[test]
fn unusual_documents_are_rewritten_in_place() {
    let node = Node::new();
    let dress: [(&str, &str); 7] = [
        ("\"mounts\"", "\"\\u006dounts\""),
        ("\"rbind\"", "\"\\u0072bind\""),
        ("\"ociVersion\"", "\"x\":1e400,\"y\":-0.0,\"z\":123456789012345678901234567890,\"ociVersion\""),
        ("\"ociVersion\"", "\"same\":1,\"same\":2,\"ociVersion\""),
        ("\"1.0.2\"", "\"\u{2028}\\ud83d\\ude00\\u0000\""),
        ("\"mounts\":[", " \"mounts\"\r\n:\t[ "),
        ("\"type\":\"bind\"", "\"uidMappings\":[{\"hostID\":1}],\"x\":{\"options\":[\"rprivate\"]}"),
    ];
    for (from, to) in dress {
        node.config(node.pinning().replace(from, to));
        node.create().run().reached();
        assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended().replace(from, to));
    }
    node.config(format!("\n{}\n\n", node.pinning()));
    node.create().run().reached();
    assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), format!("\n{}\n\n", node.mended()));
}

#[test]
fn depth_is_no_danger() {
    let depth = 4_000_000;
    let node = Node::new();
    let deep = |open: &str, close: &str| format!("{{\"x\":{}1{},", open.repeat(depth), close.repeat(depth));
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        node.config(node.pinning().replacen('{', &deep(open, close), 1));
        node.create().run().reached();
        assert!(node.config_state().bytes == node.mended().replacen('{', &deep(open, close), 1).as_bytes(), "rewritten: {open}");
    }
    fs::remove_file(node.path("own.log")).unwrap();
    for (case, from, to) in [
        ("options", "\"options\":[", format!("\"options\":[{}{},", "[".repeat(depth), "]".repeat(depth))),
        ("mounts", "\"mounts\":[", format!("\"mounts\":[{}{},", "[".repeat(depth), "]".repeat(depth))),
        ("unclosed", "\"mounts\":[", format!("\"x\":{},\"mounts\":[", "[".repeat(depth))),
    ] {
        node.config(node.pinning().replace(from, &to));
        assert_left_alone(&node, case);
    }
}

#[test]
fn size_is_no_danger() {
    let node = Node::new();
    let annotations: Vec<String> = (0..100).map(|index| format!("\"k{index}\":\"{}\"", "x".repeat(1 << 20))).collect();
    let large = |text: String| text.replacen('{', &format!("{{\"annotations\":{{{}}},", annotations.join(",")), 1);
    node.config(large(node.pinning()));
    node.create().run().reached();
    assert!(node.config_state().bytes == large(node.mended()).as_bytes(), "100 MB are rewritten");
}

#[test]
fn a_document_beyond_all_measure_is_left_alone() {
    let node = Node::new();
    let file = fs::OpenOptions::new().write(true).open(node.path("bundle/config.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    let about = file.metadata().unwrap();
    node.create().run().reached();
    let now = fs::metadata(node.path("bundle/config.json")).unwrap();
    assert_eq!((now.len(), now.modified().unwrap()), (about.len(), about.modified().unwrap()));
    assert_one_notice(&node, "1 TiB");
}

#[test]
fn ten_thousand_mounts_are_rewritten() {
    let node = Node::new();
    let many = |text: String| {
        let (start, end) = (text.find("[{\"dest").unwrap() + 1, text.find("}],\"linux\"").unwrap() + 1);
        let mounts: Vec<String> = (0..10_000).map(|index| text[start..end].replace("/host", &format!("/host/{index}"))).collect();
        format!("{}{}{}", &text[..start], mounts.join(","), &text[end..])
    };
    node.config(many(node.pinning()));
    node.create().run().reached();
    assert!(node.config_state().bytes == many(node.mended()).as_bytes(), "all are rewritten");
    assert_eq!(node.take_notice()["changes"].as_array().unwrap().len(), 10_001);
}
