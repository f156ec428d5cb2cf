//! containerd: versions of its settings, what our runtime takes over, drop-ins.

use crate::node::Node;

const RUNC_V3: &str = "version = 3\nimports = ['conf.d/*.toml']\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\nruntime_type = 'io.containerd.runc.v2'\nbase_runtime_spec = '/etc/spec.json'\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = true # as the kubelet\nBinaryName = '/usr/bin/runc'\n";

#[test]
fn the_runtime_takes_over_the_options_of_the_default_one() {
    let node = Node::containerd("2.1.9");
    node.write("config.toml", &RUNC_V3.replace("imports = ['conf.d/*.toml']\n", ""));
    node.configure("containerd", "config.toml", &[]);
    insta::assert_snapshot!("options_taken_over", node.read("config.toml"));
}

#[test]
fn a_default_of_another_kind_is_no_model() {
    let node = Node::containerd("2.1.9");
    let kata = "[plugins.'io.containerd.cri.v1.runtime'.containerd]\ndefault_runtime_name = 'kata'\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]\nruntime_type = 'io.containerd.kata.v2'\nprivileged_without_host_devices = true\n";
    node.write("config.toml", &(RUNC_V3.replace("imports = ['conf.d/*.toml']\n", "") + kata));
    node.configure("containerd", "config.toml", &[]);
    let text = node.read("config.toml");
    assert!(text.matches("privileged_without_host_devices").count() == 1 && text.matches("SystemdCgroup = true").count() == 2, "runc is: {text}");
}

#[test]
fn where_a_directory_is_imported_a_drop_in_is_made() {
    let node = Node::containerd("2.1.9");
    node.write("config.toml", RUNC_V3);
    let before = node.files();
    let said = node.configure("containerd", "config.toml", &["--set-default"]);
    assert!(said.starts_with("created NODE/conf.d/99-runc-guard.toml\n"), "{said}");
    assert_eq!(node.read("config.toml"), RUNC_V3);
    insta::assert_snapshot!("drop_in", node.read("conf.d/99-runc-guard.toml"));
    assert!(node.configure("containerd", "config.toml", &[]).contains("nothing to do"));
    assert!(node.remove("containerd", "config.toml").starts_with("deleted NODE/conf.d/99-runc-guard.toml\n"));
    assert!(node.files() == before);
}

#[test]
fn an_entry_in_the_main_file_is_not_doubled_by_a_drop_in() {
    let node = Node::containerd("2.1.9");
    node.write("config.toml", &RUNC_V3.replace("imports = ['conf.d/*.toml']\n", ""));
    node.configure("containerd", "config.toml", &[]);
    node.write("config.toml", &node.read("config.toml").replace("version = 3\n", "version = 3\nimports = ['conf.d/*.toml']\n"));
    let said = node.configure("containerd", "config.toml", &["--set-default"]);
    assert!(said.starts_with("edited NODE/config.toml") && !node.path("conf.d").exists(), "{said}");
    node.remove("containerd", "config.toml");
    assert_eq!(node.read("config.toml"), RUNC_V3);
}

#[test]
fn a_default_set_later_makes_the_edit_useless() {
    let node = Node::containerd("2.1.9");
    node.write("config.toml", RUNC_V3);
    node.write("conf.d/zz.toml", "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\ndefault_runtime_name = 'nvidia'\n");
    let why = node.refused(&["containerd", "--file", "config.toml", "--set-default"]);
    assert!(why.contains("conf.d/zz.toml, which is read later, says otherwise"), "{why}");
    node.configure("containerd", "config.toml", &[]);
}

#[test]
fn version_2_with_containerd_1_is_edited_in_place_and_keeps_runc() {
    let node = Node::containerd("1.7.24");
    node.write("config.toml", "version = 2\nimports = ['/nonexistent/*.toml']\n");
    node.configure("containerd", "config.toml", &["--set-default"]);
    let text = node.read("config.toml");
    assert!(text.contains(".containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n"), "1.x drops its built-in one: {text}");
    assert!(text.starts_with("version = 2\nimports"));
}

#[test]
fn what_containerd_1_would_replace_by_an_import_is_refused() {
    let import = "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd]\ndefault_runtime_name = 'x'\n";
    for (version, refused) in [("1.7.24", true), ("2.1.9", false)] {
        let node = Node::containerd(version);
        node.write("config.toml", "version = 2\nimports = ['more.toml']\n");
        node.write("more.toml", import);
        if refused {
            let why = node.refused(&["containerd", "--file", "config.toml"]);
            assert!(why.contains("more.toml, which is read later") && why.contains("--file"), "{why}");
        } else {
            node.configure("containerd", "config.toml", &[]);
        }
    }
}

#[test]
fn the_version_of_a_new_file_is_the_installed_containerds() {
    for (installed, version) in [("1.6.20", 2), ("1.7.24", 2), ("v2.0.5", 3), ("2.1.9", 3)] {
        let node = Node::containerd(installed);
        node.configure("containerd", "config.toml", &[]);
        assert!(node.read("config.toml").starts_with(&format!("version = {version}\n")));
    }
    let why = Node::new().refused(&["containerd", "--file", "config.toml"]);
    assert!(why.contains("containerd is not in PATH to tell the version"), "{why}");
}

#[test]
fn unknown_versions_are_left_alone() {
    let node = Node::containerd("2.1.9");
    for (text, why) in [
        ("version = 5\n", "settings of version 5 are not known"),
        ("version = 'two'\n", "line 1, column 1: version is no number"),
        ("disabled_plugins = ['cri']\n", "run `containerd config migrate` first"),
    ] {
        node.write("config.toml", text);
        let said = node.refused(&["containerd", "--file", "config.toml"]);
        assert!(said.contains(why) && said.contains("config.toml"), "{said}");
    }
}

#[test]
fn version_4_has_the_tables_of_version_3() {
    let node = Node::containerd("2.3.1");
    node.write("config.toml", "version = 4\n");
    node.configure("containerd", "config.toml", &[]);
    assert!(node.read("config.toml").contains("[plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.runc-guard]"));
}

#[test]
fn a_default_without_a_name_is_moved_first() {
    let node = Node::containerd("1.7.24");
    node.write(
        "config.toml",
        "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.default_runtime]\nruntime_type = 'io.containerd.runc.v2'\n",
    );
    let why = node.refused(&["containerd", "--file", "config.toml", "--set-default"]);
    assert!(why.contains("takes the table default_runtime before any default_runtime_name"), "{why}");
    node.configure("containerd", "config.toml", &[]);
}

#[test]
fn the_operator_is_told_what_he_may_not_expect() {
    let node = Node::containerd("2.1.9");
    node.write("k3s.toml", &format!("# File generated by k3s. DO NOT EDIT. Use config.toml.tmpl instead.\n{RUNC_V3}").replace("imports", "#imports"));
    let said = node.configure("containerd", "k3s.toml", &[]);
    assert!(said.contains("note: NODE/k3s.toml says that it is generated"), "{said}");
    node.write("docker.toml", "version = 2\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n");
    let said = node.configure("containerd", "docker.toml", &[]);
    assert!(said.contains("note: the CRI plugin is disabled"), "{said}");
    let nvidia = RUNC_V3.replace("runc", "nvidia").replace(".nvidia.v2", ".runc.v2").replace("imports", "#imports");
    let default = "[plugins.'io.containerd.cri.v1.runtime'.containerd]\ndefault_runtime_name = 'nvidia'\n";
    node.write("nvidia.toml", &(nvidia + default));
    let said = node.configure("containerd", "nvidia.toml", &["--set-default"]);
    assert!(said.contains("note: the default until now executes /usr/bin/nvidia; runc-guard executes what its own setting"), "{said}");
}

#[test]
fn every_way_to_write_a_table_is_edited_and_given_back() {
    let plugin = "\"io.containerd.cri.v1.runtime\"";
    for body in [
        format!("plugins.{plugin}.containerd.default_runtime_name = \"runc\"\n"),
        format!("plugins = {{ {plugin} = {{ containerd = {{ runtimes = {{ runc = {{ runtime_type = \"io.containerd.runc.v2\" }} }} }} }} }}\n"),
        format!("[plugins.{plugin}]\ncontainerd.runtimes.runc.runtime_type = \"io.containerd.runc.v2\"\n"),
        format!("[plugins.{plugin}.containerd]\nruntimes = {{}}\n"),
        format!("[plugins.{plugin}.containerd.runtimes]\nrunc.options.SystemdCgroup = true\n[x]\n"),
        "# nothing but a comment\n".to_owned(),
        String::new(),
    ] {
        let node = Node::containerd("2.1.9");
        let text = format!("version = 3\n{body}");
        node.write("config.toml", &text);
        node.configure("containerd", "config.toml", &["--set-default"]);
        node.write("config.toml", &format!("# since\n{}", node.read("config.toml")));
        node.remove("containerd", "config.toml");
        assert_eq!(node.read("config.toml"), format!("# since\n{text}"));
    }
}

#[test]
fn a_main_file_that_is_a_symlink_is_read_where_a_drop_in_is_written() {
    let node = Node::containerd("2.1.9");
    node.write("real.toml", &RUNC_V3.replace("conf.d", "NODE/conf.d"));
    std::os::unix::fs::symlink("real.toml", node.path("config.toml")).unwrap();
    let before = node.files();
    node.configure("containerd", "config.toml", &[]);
    assert!(node.path("conf.d/99-runc-guard.toml").exists());
    node.remove("containerd", "config.toml");
    assert!(node.files() == before);
}
