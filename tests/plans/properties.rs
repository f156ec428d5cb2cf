//! Properties over generated documents: any options, any white space, any foreign members.

use crate::lossless::without_propagation;
use crate::{plan, rewritten};
use proptest::prelude::*;
use runc_guard::config::Config;
use runc_guard::invocation::{Flavour, parse};
use runc_guard::propagation::is_propagation_word;
use serde_json::Value;
use std::path::Path;

fn option() -> impl Strategy<Value = String> {
    let words = [
        "rbind",
        "rbind",
        "bind",
        "ro",
        "rro",
        "nosuid",
        "RPRIVATE",
        "x=\\u0041",
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
        "runbindable",
        "rpriv\\u0061te",
    ];
    prop_oneof![9 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "[a-z=,/]{0,8}"]
}

fn mount(space: &'static str) -> impl Strategy<Value = String> {
    let source = prop::sample::select(vec!["/", "/var/lib/kubelet", "/var/lib/kubelet/pods/p/v", "/data", "/var/lib/docker2"]);
    let member = prop::sample::select(vec!["", "\"uidMappings\":null,", "\"x\\u0079\":[{\"mounts\":18446744073709551615}],"]);
    (source, prop::collection::vec(option(), 0..6), member).prop_map(move |(source, options, member)| {
        let options: Vec<String> = options.iter().map(|option| format!("\"{option}\"")).collect();
        let options = options.join(&format!(",{space}"));
        format!("{{{member}{space}\"destination\":{space}\"/d\",\"source\":\"{source}\",{space}\"options\":[{space}{options}{space}]}}")
    })
}

fn document() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", " ", "\n\t", "\r\n  "]).prop_flat_map(|space| {
        let linux = prop::sample::select(vec![
            "{}",
            "{ }",
            "null",
            "{\"rootfsPropagation\":null}",
            "{\"namespaces\":[],\"rootfsPropagation\":\"private\"}",
            "{\"rootfsPropagation\" : \"rshared\",\"seccomp\":{\"a\":[1e400]}}",
            "{\n\t\"seccomp\": null\n}",
        ]);
        (prop::collection::vec(mount(space), 0..8), linux).prop_map(move |(mounts, linux)| {
            format!("{space}{{\"ociVersion\":\"1.0.0\",{space}\"linux\":{linux},\"mounts\":[{}]{space}}}{space}", mounts.join(","))
        })
    })
}

fn flavour() -> impl Strategy<Value = Flavour> {
    prop::sample::select(vec![Flavour::Runc, Flavour::Crun, Flavour::Youki])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_pass_is_enough(text in document(), flavour in flavour()) {
        let after = rewritten(&text, flavour, &Config::default());
        prop_assert_eq!(plan(&after, flavour, &Config::default()).edits(), []);
    }

    #[test]
    fn nothing_but_propagation_changes(text in document(), flavour in flavour()) {
        let text = text.replace("1e400", "1e40");
        let after = rewritten(&text, flavour, &Config::default());
        prop_assert_eq!(without_propagation(&after), without_propagation(&text));
    }

    #[test]
    fn every_overlapping_recursive_bind_ends_with_one_right_word(text in document(), flavour in flavour()) {
        let text = text.replace("1e400", "1e40");
        let after: Value = serde_json::from_str(&rewritten(&text, flavour, &Config::default())).unwrap();
        for mount in after["mounts"].as_array().unwrap() {
            let source = Path::new(mount["source"].as_str().unwrap());
            let overlaps = source == Path::new("/") || source.starts_with("/var/lib/kubelet");
            let options: Vec<&str> = mount["options"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            if !overlaps || !options.contains(&"rbind") || options.contains(&"rro") {
                continue;
            }
            let words: Vec<&str> = options.iter().copied().filter(|option| is_propagation_word(option)).collect();
            prop_assert!(matches!(words.as_slice(), ["rslave" | "rshared" | "shared"]), "{:?}", options);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = runc_guard::spec::Spec::parse(&bytes);
    }

    #[test]
    fn a_damaged_document_is_read_or_refused(text in document(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = runc_guard::spec::Spec::parse(&bytes);
    }

    #[test]
    fn any_argv_is_read_and_never_changed(argv in prop::collection::vec(prop::collection::vec(1_u8.., 0..12), 0..8), flavour in flavour()) {
        let words: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        if let Some(call) = parse(flavour, &words) {
            prop_assert!(words.contains(&call.id.as_encoded_bytes()));
        }
    }
}
