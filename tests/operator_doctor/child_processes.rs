//! Programs that hang, fail, say nonsense or never stop saying it.

use crate::node::{CRIU, Node, RUNC};
use std::fs;
use std::path::Path;

/// What a process that has ended leaves: nothing, or an entry until it is reaped.
fn has_ended(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.starts_with(" Z"))
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what}");
}

#[test]
fn a_hanging_program_is_ended_with_what_it_started() {
    let node = Node::new();
    let pids = node.text("pids");
    let hang = format!("sleep 1000 & echo $$ $! >>{pids}; wait");
    node.program("runc", &hang);
    node.program("criu", &format!("case $1 in check) {hang} ;; *) {CRIU} ;; esac"));
    let told = node.doctor();
    told.is_well_formed();
    told.says(&format!("problem  runtime: `{} --version` gives no answer in 5 s; install", node.text("bin/runc")));
    told.says("warning  criu check: gives no answer in 10 s");
    told.says("ok       criu: ");
    told.says("ok       kernel: ");
    let pids = fs::read_to_string(pids).unwrap();
    assert_eq!(pids.split_whitespace().count(), 4, "two scripts and what they started: {pids}");
    for pid in pids.split_whitespace() {
        wait_until("killed", || has_ended(pid));
    }
}

#[test]
fn a_program_that_ends_but_leaves_its_output_open_is_not_waited_for() {
    let node = Node::new();
    node.program("runc", &format!("{RUNC}; sleep 1000 & echo $! >{}", node.text("pid")));
    let told = node.doctor();
    told.says("problem  runtime: ");
    let pid = fs::read_to_string(node.path("pid")).unwrap();
    wait_until("killed", || has_ended(pid.trim()));
    node.program("runc", &format!("{RUNC}; sleep 1000 >/dev/null 2>&1 & echo $! >{}", node.text("pid")));
    node.doctor().says(&format!("ok       runtime: {}, runc 1.3.6", node.text("bin/runc")));
    // It may go on: it holds nobody up. The test ends it.
    let pid = fs::read_to_string(node.path("pid")).unwrap();
    assert!(std::process::Command::new("kill").arg(pid.trim()).status().unwrap().success());
}

#[test]
fn engines_that_hang_hold_nothing_up() {
    let node = Node::new();
    for engine in ["containerd", "podman", "dockerd", "crio"] {
        node.program(engine, &format!("echo $$ >>{}; exec sleep 1000", node.text("pids")));
    }
    let told = node.doctor();
    told.is_well_formed();
    for engine in ["containerd", "podman", "docker", "crio"] {
        told.says(&format!("warning  engine {engine}: "));
    }
    told.says("ok       kernel: ");
    // Whoever asks an engine may have to leave it.
    for pid in fs::read_to_string(node.path("pids")).unwrap_or_default().split_whitespace() {
        let _ = std::process::Command::new("kill").arg(pid).status();
    }
}

#[test]
fn a_failing_program_is_told_with_its_last_line() {
    let node = Node::new();
    node.program("runc", "echo one; echo libseccomp.so.2: not there >&2; exit 127");
    node.program("criu", "case $1 in check) echo Error: no; exit 1 ;; *) echo Version: 4.1.1 ;; esac");
    let told = node.doctor();
    told.is_well_formed();
    told.says(&format!("problem  runtime: `{} --version` fails: libseccomp.so.2: not there; install", node.text("bin/runc")));
    told.says("warning  criu check: fails: Error: no; ");
    fs::write(node.path("bin/none"), "#!/nonexistent/interpreter\n").unwrap();
    fs::set_permissions(node.path("bin/none"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    node.settings("runtimes = ['none']");
    node.doctor().says(&format!("problem  runtime: `{} --version` cannot be started: ENOENT", node.text("bin/none")));
}

#[test]
fn nonsense_stays_on_one_short_line() {
    let node = Node::new();
    for (script, shown) in [
        (r"printf '\033[2Jforged\nproblem  runtime: x\n'", r#"names no runtime: "\u{1b}[2Jforged""#),
        (r"printf 'a\000b\377\n'", r#"names no runtime: "a\0b"#),
        ("head -c 100000 /dev/zero | tr '\\000' a", "aaaa…"),
        ("exec yes", "fails: "),
        ("true", r#"names no runtime: """#),
    ] {
        node.program("runc", script);
        let told = node.doctor();
        told.is_well_formed();
        let line = told.text.lines().find(|line| line.contains("runtime: /") || line.contains("runtime: `")).unwrap();
        assert!(line.contains(shown) && line.len() < 500 && !line.contains('\u{1b}'), "{script}: {line}");
    }
    node.program("runc", RUNC);
    node.program("criu", "echo Version: garbage");
    node.doctor().says(&format!("warning  criu: `{} --version` names no version: \"Version: garbage\"", node.text("bin/criu")));
    node.program("criu", "echo Version: 3.0; echo Looks good.");
    node.program("runc", "echo crun version 1.21; echo +CRIU");
    node.settings("flavour = 'crun'");
    node.doctor().says(&format!("warning  criu: {}, version 3.0: crun needs 3.15; install a newer one", node.text("bin/criu")));
}
