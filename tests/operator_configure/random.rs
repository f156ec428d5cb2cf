//! Any settings: what is added is taken out again to the byte, twice is once, and nobody else's entry is touched.

use crate::node::Node;
use proptest::prelude::*;

/// Foreign lines of TOML: blanks, comments, odd spellings, values over several lines.
fn filler() -> impl Strategy<Value = String> {
    let lines = [
        "",
        "# a comment",
        "   # one further in \t",
        "key%=1",
        "  key% = \"x # no comment\"  # one",
        "key% = [ 1,\n  2, # two\n]",
        "key% = '''\n[engine]\n'''",
        "key%.dotted = true",
        "\"quoted key%\" = { a = 1, b = [ ] }",
        "key% = 1979-05-27T07:32:00Z",
    ];
    prop::sample::select(lines.to_vec()).prop_map(str::to_owned)
}

/// Tables of the engine's, each at most once, between others.
fn toml(tables: &'static [&'static str], head: &'static str) -> impl Strategy<Value = String> {
    let foreign = ["[foreign]", "[foreign.\"sub table\"]", "  [ zeta . omega ]", "[[list]]", "[[list]]"];
    let all: Vec<&str> = tables.iter().copied().chain(foreign).collect();
    let count = all.len();
    let blocks = prop::sample::subsequence(all, 0..=count).prop_shuffle();
    let fillers = prop::collection::vec(prop::collection::vec(filler(), 0..4), count + 1);
    (blocks, fillers, any::<bool>()).prop_map(move |(blocks, fillers, ends)| {
        let mut text = head.to_owned();
        let mut number = 0;
        for (index, fill) in fillers.iter().enumerate().take(blocks.len() + 1) {
            if index > 0 {
                text += blocks[index - 1];
                text += "\n";
            }
            // A table of runtimes holds nothing but runtimes.
            let is_runtimes = index > 0 && blocks[index - 1].contains(".runtimes]");
            for line in fill.iter().filter(|_| !is_runtimes) {
                number += 1;
                text += &line.replace('%', &number.to_string());
                text += "\n";
            }
        }
        if ends { text } else { text.trim_end_matches('\n').to_owned() }
    })
}

fn json(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop::sample::select(vec!["null", "true", "-1.5e3", "\"\"", "\"a\\u0041/\\\"\"", "[]", "{}", "[1, 2,\n3]"]).prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let space = prop::sample::select(vec!["", " ", "\n  ", "\n\t", "\n\n"]);
    let member = prop_oneof![leaf, json(depth - 1)];
    let own = prop::sample::select(vec![
        "",
        "\"runtimes\"S:S{}",
        "\"runtimes\": {S\"kata\": {\"runtimeType\":\"x\"}S}",
        "\"default-runtime\"S: \"crun\"",
        "\"runtimes\":{\"crun\"S:{S\"path\"S:S\"/x\"}},S\"default-runtime\":\"crun\"",
    ]);
    let own = if depth == 2 { own.boxed() } else { Just("").boxed() };
    (prop::collection::vec(member, 0..4), space, own)
        .prop_map(|(members, space, own)| {
            let mut parts: Vec<String> = members.iter().enumerate().map(|(at, value)| format!("{space}\"m{at}\"{space}:{value}{space}")).collect();
            if !own.is_empty() {
                parts.insert(parts.len() / 2, own.replace('S', space));
            }
            format!("{{{}{space}}}", parts.join(","))
        })
        .boxed()
}

const CONTAINERD_2: &[&str] = &[
    "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\ndefault_runtime_name = \"runc\"",
    "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"",
    " [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n  SystemdCgroup = true",
    "[plugins.\"io.containerd.grpc.v1.cri\"]",
    "[plugins.\"io.containerd.internal.v1.opt\"]",
];
const CONTAINERD_3: &[&str] = &[
    "[plugins.'io.containerd.cri.v1.runtime'.containerd]\n   default_runtime_name = 'kata' # x",
    "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]",
    "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]\nruntime_type = 'io.containerd.kata.v2'",
    "[plugins]",
];
const CRIO: &[&str] =
    &["[crio]", "[crio.runtime]\ndefault_runtime = \"crun\"", "[crio.runtime.runtimes.crun]\nruntime_path = \"/c\"", "[crio.runtime.runtimes]"];
const PODMAN: &[&str] = &["[engine]\nruntime = 'crun'\nruntime_supports_json = [ 'crun' ]", "[engine.runtimes]\ncrun = ['/c']", "[containers]"];

/// Configures and removes: with nothing between, and with a line of the operator's on top.
fn goes_and_comes_back(engine: &str, text: &str, default: bool) -> Result<(), TestCaseError> {
    let node = Node::containerd(if engine == "containerd" && text.starts_with("version = 3") { "2.1.9" } else { "1.7.24" });
    node.write("settings", text);
    let before = node.files();
    let more: &[&str] = if default { &["--set-default"] } else { &[] };
    node.configure(engine, "settings", more);
    let configured = node.files();
    prop_assert!(node.read("settings").contains("NODE/guard"));
    prop_assert!(node.configure(engine, "settings", more).starts_with("nothing to do"));
    prop_assert!(node.files() == configured);
    let edited = node.read("settings");
    node.remove(engine, "settings");
    prop_assert!(node.files() == before, "{}", node.read("settings"));
    if engine == "docker" {
        return Ok(());
    }
    node.configure(engine, "settings", more);
    node.write("settings", &format!("# since\n{edited}"));
    node.remove(engine, "settings");
    let left = node.read("settings");
    let expected = format!("# since\n{text}");
    prop_assert_eq!(left.trim_end_matches('\n'), expected.trim_end_matches('\n'), "edited: {}", edited);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn containerd_2(text in toml(CONTAINERD_2, "version = 2\n"), default: bool) {
        goes_and_comes_back("containerd", &text, default)?;
    }

    #[test]
    fn containerd_3(text in toml(CONTAINERD_3, "version = 3\n"), default: bool) {
        goes_and_comes_back("containerd", &text, default)?;
    }

    #[test]
    fn crio(text in toml(CRIO, ""), default: bool) {
        goes_and_comes_back("crio", &text, default)?;
    }

    #[test]
    fn podman(text in toml(PODMAN, ""), default: bool) {
        goes_and_comes_back("podman", &text, default)?;
    }

    #[test]
    fn docker(text in json(2), default: bool) {
        goes_and_comes_back("docker", &text, default)?;
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}
