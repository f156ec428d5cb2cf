//! Files that cannot be understood, or not written: left alone, with an error that says where and what to do.

use crate::node::Node;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;

fn refused(engine: &str, text: &[u8], why: &str) {
    let node = Node::containerd("1.7.24");
    fs::write(node.path("settings"), text).unwrap();
    for more in [[].as_slice(), &["--dry-run"], &["--remove"]] {
        let said = node.refused(&[&[engine, "--file", "settings"], more].concat());
        assert!(said.contains("understand NODE/settings") && said.contains("left as it is") && said.contains(why), "{engine} {more:?}: {said}");
    }
}

#[test]
fn broken_toml() {
    for engine in ["containerd", "crio", "podman"] {
        refused(engine, b"version = 2\n[plugins\n", "line 2, column 9: ");
        refused(engine, b"a = 1\na = 2\n", "line 2, column 1: duplicate key");
        refused(engine, b"# \xff\n", "line 1: invalid UTF-8");
    }
}

#[test]
fn broken_json() {
    refused("docker", b"{\n  \"debug\": true,\n}\n", "line 3, column 1: key must be a string (dockerd knows neither comments nor trailing commas)");
    refused("docker", b"{\n  // mine\n  \"debug\": true\n}\n", "line 2, column 3: ");
    refused("docker", b"{\"debug\": tru}", "line 1, column 14: ");
    refused("docker", b"[]", "it is no JSON object");
    refused("docker", b"{\"a\": \"\xff\"}", "line 1: invalid UTF-8");
    refused("docker", b"\xef\xbb\xbf{}", "line 1, column 1: ");
    refused("docker", b"{\"runtimes\": {}, \"runtimes\": {}}", "runtimes is there twice");
}

#[test]
fn wrong_types() {
    refused("containerd", b"version = 2\nplugins = 3\n", "line 2, column 1: plugins is no table");
    refused("containerd", b"version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd]\nruntimes = 3\n", "line 3, column 1: runtimes is no table");
    refused(
        "containerd",
        b"version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd]\ndefault_runtime_name = 3\n",
        "line 3, column 1: default_runtime_name is no string",
    );
    refused(
        "containerd",
        b"version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes]\nrunc-guard = ''\n",
        "line 3, column 1: runc-guard is no table",
    );
    refused("containerd", b"imports = 3\n", "line 1, column 1: imports is no list");
    refused("crio", b"[crio]\nruntime = 3\n", "line 2, column 1: runtime is no table");
    refused("crio", b"[crio.runtime]\nruntimes = [1]\n", "line 2, column 1: runtimes is no table");
    refused("podman", b"engine = 1\n", "line 1, column 1: engine is no table");
    refused("podman", b"[engine.runtimes]\nx = 'y'\n", "line 2, column 1: x is no list of paths");
    refused("podman", b"[engine]\nruntime_supports_json = 'crun'\n", "line 2, column 1: runtime_supports_json is no list of names");
    refused("docker", b"{\"runtimes\": 3}", "runtimes is no object but 3");
    refused("docker", b"{\"runtimes\": {\"x\": \"/y\"}}", "x is no object but \"/y\"");
    refused("docker", b"{\"default-runtime\": null}", "default-runtime is no string but null");
}

#[test]
fn what_an_edit_would_change_elsewhere() {
    let node = Node::new();
    for text in ["[crio]\r\nlog_dir = '/x'\r\n", "\u{feff}[crio]\n", "[crio.runtime]\n['crio'.api]\n"] {
        node.write("crio.conf", text);
        let why = node.refused(&["crio", "--file", "crio.conf"]);
        assert!(why.contains("CR LF line ends, a byte order mark or a name that is quoted in two ways"), "{why}");
    }
}

#[test]
fn a_symlink_is_refused_with_its_target() {
    let node = Node::new();
    node.write("real.json", "{}");
    symlink("real.json", node.path("daemon.json")).unwrap();
    for more in [[].as_slice(), &["--remove"]] {
        let why = node.refused(&[&["docker", "--file", "daemon.json"], more].concat());
        assert!(why.contains("it is a symlink to real.json; name the file that is meant with --file"), "{why}");
    }
    symlink("nowhere", node.path("dangling.json")).unwrap();
    assert!(node.refused(&["docker", "--file", "dangling.json"]).contains("symlink to nowhere"));
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let node = Node::containerd("2.1.9");
    fs::create_dir(node.path("directory")).unwrap();
    let status = std::process::Command::new("mkfifo").arg(node.path("fifo")).status().unwrap();
    assert!(status.success());
    for engine in ["containerd", "crio", "podman", "docker"] {
        for file in ["directory", "fifo", "/dev/zero"] {
            let why = node.refused(&[engine, "--file", file]);
            assert!(why.contains("it is no regular file"), "{why}");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let node = Node::new();
    node.write("etc/daemon.json", "{}\n");
    let mut command = node.command(&["docker", "--file", "etc/daemon.json", "--runtime-path", "/bin/true"]);
    if fs::metadata(node.path("")).unwrap().uid() == 0 {
        // Root may write everywhere: as somebody else, who has to reach the program, too.
        // By another process: a descriptor of ours that is open for writing could be inherited by another test's fork, and the program is busy then.
        assert!(
            std::process::Command::new("cp").arg("--preserve=mode").arg(command.get_program()).arg(node.path("program")).status().unwrap().success()
        );
        let mut nobody = std::process::Command::new(node.path("program"));
        nobody.args(command.get_args()).current_dir(node.path("")).env("PATH", "/nonexistent").uid(65534).gid(65534);
        command = nobody;
    }
    let mode = |mode| ["", "etc"].map(|name| fs::set_permissions(node.path(name), fs::Permissions::from_mode(mode)).unwrap());
    mode(0o555);
    let said = node.said(&command.output().unwrap());
    mode(0o755);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.contains("create a temporary file beside NODE/etc/daemon.json: EACCES"), "{said:?}");
    assert_eq!((node.read("etc/daemon.json").as_str(), fs::read_dir(node.path("etc")).unwrap().count()), ("{}\n", 1));
}

#[test]
fn a_copy_that_is_none_is_not_taken() {
    let node = Node::new();
    node.write("daemon.json", "{}\n");
    node.configure("docker", "daemon.json", &[]);
    fs::remove_file(node.path("daemon.json.before-runc-guard")).unwrap();
    symlink("settings.toml", node.path("daemon.json.before-runc-guard")).unwrap();
    assert!(node.refused(&["docker", "--file", "daemon.json", "--remove"]).contains("it is a symlink"));
}
