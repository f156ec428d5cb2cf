//! CRI-O and podman: what is around the drop-in decides what is written into it.

use crate::node::Node;

const CRIO: &str = "crio.conf.d/10-runc-guard.conf";
/// As CRI-O's own packages have it.
const PACKAGED: &str = "[crio.runtime]\ndefault_runtime = \"crun\"\n\n[crio.runtime.runtimes.crun]\nruntime_path = \"/usr/libexec/crio/crun\"\nruntime_root = \"/run/crun\"\nmonitor_path = \"/usr/libexec/crio/conmon\"\nallowed_annotations = [\n    \"io.containers.trace-syscall\",\n]\n";

#[test]
fn the_runtime_of_crio_takes_over_what_the_default_one_has() {
    let node = Node::new();
    node.write("crio.conf.d/10-crio.conf", PACKAGED);
    let said = node.configure("crio", CRIO, &["--set-default"]);
    insta::assert_snapshot!("crio_drop_in", node.read(CRIO));
    assert!(said.contains("note: the default until now executes /usr/libexec/crio/crun"), "{said}");
    node.remove("crio", CRIO);
    assert!(!node.path(CRIO).exists() && node.path("crio.conf.d/10-crio.conf").exists());
}

#[test]
fn a_later_drop_in_with_another_default_makes_ours_useless() {
    let node = Node::new();
    node.write("crio.conf.d/99-nvidia.conf", "[crio.runtime]\ndefault_runtime = \"nvidia\"\n");
    let why = node.refused(&["crio", "--file", CRIO, "--set-default"]);
    assert!(why.contains("99-nvidia.conf, which is read later, says otherwise"), "{why}");
    node.configure("crio", CRIO, &[]);
}

#[test]
fn no_second_file_is_left_in_a_directory_of_which_crio_reads_every_file() {
    let node = Node::new();
    node.write("crio.conf.d/50-mine", PACKAGED);
    node.configure("crio", "crio.conf.d/50-mine", &[]);
    let entries = std::fs::read_dir(node.path("crio.conf.d")).unwrap().count();
    assert_eq!((entries, node.read("50-mine.before-runc-guard").as_str()), (1, PACKAGED));
    node.remove("crio", "crio.conf.d/50-mine");
    assert_eq!(node.read("crio.conf.d/50-mine"), PACKAGED);
}

const PODMAN: &str = "containers.conf.d/runc-guard.conf";

#[test]
fn podman_since_4_8_appends_to_its_lists() {
    for (version, line) in [
        ("5.4.2", "runtime_supports_json = [\"runc-guard\", { append = true }]"),
        ("4.8.0", "runtime_supports_json = [\"runc-guard\", { append = true }]"),
        ("4.3.1", "runtime_supports_json = [\"crun\", \"runc\", \"kata\", \"runsc\", \"youki\", \"krun\", \"runc-guard\"]"),
    ] {
        let node = Node::with_engine("podman", &format!("podman version {version}"));
        node.configure("podman", PODMAN, &[]);
        assert!(node.read(PODMAN).lines().any(|found| found == line), "{}", node.read(PODMAN));
        assert!(!node.read(PODMAN).contains("nocgroup") && !node.read(PODMAN).contains("runtime ="));
    }
}

#[test]
fn an_old_podman_gets_the_list_that_is_in_force_and_our_name() {
    let node = Node::with_engine("podman", "podman version 4.3.1");
    node.write("containers.conf", "[engine]\nruntime_supports_json = [\"crun\", \"mine\"]\n");
    node.configure("podman", PODMAN, &[]);
    assert!(node.read(PODMAN).contains("runtime_supports_json = [\"crun\", \"mine\", \"runc-guard\"]"), "{}", node.read(PODMAN));
}

#[test]
fn only_in_front_of_crun_podman_hears_of_no_cgroups() {
    let node = Node::with_engine("podman", "podman version 5.4.2");
    node.program("bin/crun", "");
    node.write("settings.toml", "runtimes = ['crun']\n");
    node.configure("podman", PODMAN, &["--set-default"]);
    insta::assert_snapshot!("podman_crun", node.read(PODMAN));
    // Another runtime behind the guard: the same command puts it right.
    node.write("settings.toml", "runtimes = ['runc']\n");
    node.configure("podman", PODMAN, &[]);
    assert!(!node.read(PODMAN).contains("nocgroup"), "{}", node.read(PODMAN));
}

#[test]
fn a_list_in_the_file_gets_our_name_before_its_attributes() {
    let node = Node::with_engine("podman", "podman version 5.4.2");
    let text = "[engine]\nruntime_supports_json = [\n  \"crun\", # fast\n  {append=true}\n]\n";
    node.write("containers.conf", text);
    node.configure("podman", "containers.conf", &[]);
    let list = node.read("containers.conf").split_whitespace().collect::<String>();
    assert!(list.contains("[\"crun\",#fast\"runc-guard\",{append=true}]") || list.contains("\"crun\",\"runc-guard\",#fast{append=true}]"), "{list}");
    node.write("containers.conf", &(node.read("containers.conf") + "# since\n"));
    node.remove("podman", "containers.conf");
    assert_eq!(node.read("containers.conf"), format!("{text}# since\n"));
}
