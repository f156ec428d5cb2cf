//! `--remove` gives back what was there: the bytes, or, where somebody has edited the file since, all but our entries.

use crate::every_engine::FILES;
use crate::node::Node;

fn node(file: &str) -> Node {
    Node::containerd(if file == "v3.toml" { "2.1.9" } else { "1.7.24" })
}

#[test]
fn the_very_bytes_come_back() {
    for (engine, file, text) in FILES {
        for more in [[].as_slice(), &["--set-default"]] {
            let node = node(file);
            node.write(file, text);
            let before = node.files();
            node.configure(engine, file, more);
            assert!(node.files() != before);
            assert!(node.remove(engine, file).starts_with(&format!("restored NODE/{file}\n")));
            assert!(node.files() == before, "{engine} {file}");
        }
    }
}

#[test]
fn what_is_not_there_is_not_removed() {
    for (engine, file, text) in FILES {
        let node = node(file);
        let before = node.files();
        assert!(node.remove(engine, file).starts_with(&format!("nothing to do: NODE/{file} does not name runc-guard\n")));
        assert!(node.files() == before);
        node.write(file, text);
        let before = node.files();
        assert!(node.remove(engine, file).contains("does not name runc-guard"));
        assert!(node.files() == before);
    }
}

#[test]
fn what_the_operator_wrote_since_stays() {
    for (engine, file, text) in FILES.iter().filter(|(engine, ..)| *engine != "docker") {
        let node = node(file);
        node.write(file, text);
        node.configure(engine, file, &["--set-default"]);
        // Above everything, and where our tables are, too.
        let edited = node.read(file).replacen('[', "# above\n[", 1);
        let edited = edited.replace("\n[plugins.cri.containerd.runtimes.runc-guard]", "\n# about it\n[plugins.cri.containerd.runtimes.runc-guard]");
        node.write(file, &edited);
        assert!(node.remove(engine, file).starts_with(&format!("edited NODE/{file}\n")));
        let left = node.read(file);
        assert_eq!(left.replace("# above\n", "").replace("\n\n# about it", "").trim_end(), text.trim_end(), "{engine} {file}");
        assert!(left.contains("# above") && (*file != "v1.toml" || left.contains("# about it")), "{left}");
        assert!(!node.path(&format!("{file}.before-runc-guard")).exists(), "the copy is of no more use");
    }
}

#[test]
fn json_that_was_edited_since_keeps_its_order() {
    for (engine, file, text) in FILES.iter().filter(|(engine, ..)| *engine == "docker") {
        let node = node(file);
        node.write(file, text);
        node.configure(engine, file, &["--set-default"]);
        node.write(file, &node.read(file).replacen('{', "{\"debug\": true,", 1));
        node.remove(engine, file);
        let left = node.read(file).replacen("\"debug\": true,", "", 1);
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(plain(&left), plain(text));
    }
}

#[test]
fn the_operators_own_default_stays() {
    let node = Node::new();
    node.write("crio.conf", "[crio.runtime]\ndefault_runtime = \"crun\"\n");
    node.configure("crio", "crio.conf", &["--set-default"]);
    node.write("crio.conf", &node.read("crio.conf").replace("\"runc-guard\"", "\"kata\""));
    node.remove("crio", "crio.conf");
    assert_eq!(node.read("crio.conf"), "[crio.runtime]\ndefault_runtime = \"kata\"\n");
}

#[test]
fn without_a_copy_only_our_entries_go() {
    let node = Node::new();
    let text = "[engine]\nruntime = \"runc-guard\"\nruntime_supports_json = [\"crun\", \"runc-guard\"]\n\n[engine.runtimes]\nrunc-guard = [\"/x\"] # mine\ncrun = [\"/y\"]\n";
    node.write("c.conf", text);
    node.remove("podman", "c.conf");
    assert_eq!(node.read("c.conf"), "[engine]\nruntime_supports_json = [\"crun\"]\n\n[engine.runtimes]\ncrun = [\"/y\"]\n");
    node.write("d.json", r#"{"runtimes": {"runc-guard": {"path": "/x"}}, "default-runtime": "runc-guard"}"#);
    assert!(node.remove("docker", "d.json").starts_with("deleted NODE/d.json"), "nothing else was in it");
    // Only the default bears the name: dockerd would not start.
    node.write("d.json", r#"{"debug": true, "default-runtime": "runc-guard"}"#);
    node.remove("docker", "d.json");
    assert_eq!(node.read("d.json").split_whitespace().collect::<String>(), r#"{"debug":true}"#);
}

#[test]
fn a_file_made_by_us_and_edited_since_loses_only_ours() {
    let node = Node::new();
    node.configure("podman", "c.conf", &["--set-default"]);
    node.write("c.conf", &format!("# mine\n[network]\ndefault_subnet = \"10.0.0.0/8\"\n{}", node.read("c.conf")));
    node.remove("podman", "c.conf");
    assert_eq!(node.read("c.conf"), "# mine\n[network]\ndefault_subnet = \"10.0.0.0/8\"\n");
}

#[test]
fn the_copy_is_of_the_file_without_us() {
    let node = Node::new();
    node.write("crio.conf", "# first\n[crio]\n");
    node.configure("crio", "crio.conf", &[]);
    let copy = "crio.conf.before-runc-guard";
    node.configure("crio", "crio.conf", &["--set-default"]);
    assert_eq!(node.read(copy), "# first\n[crio]\n", "a second run leaves the copy alone");
    // Somebody puts a new file there, without us: that is what has to come back.
    node.write("crio.conf", "# second\n[crio]\n");
    node.configure("crio", "crio.conf", &[]);
    assert_eq!(node.read(copy), "# second\n[crio]\n");
    node.remove("crio", "crio.conf");
    assert_eq!(node.read("crio.conf"), "# second\n[crio]\n");
}
