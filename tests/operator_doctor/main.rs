//! `guard doctor` from outside: each kind of defect, made really, and the same node without it.

mod child_processes;
mod node;

use node::{GUARD, Node, RUNC, told};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

fn mode(path: impl AsRef<std::path::Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_healthy_node_has_a_line_for_each_thing_and_no_problem() {
    let node = Node::new();
    node.program("podman", "exit 1");
    let told = node.doctor();
    told.is_well_formed();
    assert_eq!(told.status, Some(0), "{}", told.text);
    told.says(&format!("ok       settings: {}", node.text("settings.toml")));
    told.says(&format!("ok       log: {}, not yet written", node.text("log")));
    told.says(&format!("ok       runtime: {}, runc 1.3.6", node.text("bin/runc")));
    told.says(&format!("ok       criu: {}, version 4.1.1", node.text("bin/criu")));
    told.says("ok       criu check: Looks good.");
    told.says("ok       kernel: Linux ");
    for subject in ["engine podman: ", "root ", "selinux: ", "cgroups: ", "capabilities: "] {
        assert!(told.text.contains(subject), "{subject}: {}", told.text);
    }
}

#[test]
fn as_json_it_is_the_same() {
    let node = Node::new();
    node.program("runc", "exit 1");
    let (told, json) = (node.doctor(), node.json());
    let findings = json["findings"].as_array().unwrap();
    assert_eq!(findings.len(), told.text.lines().count() - 1);
    for (finding, line) in findings.iter().zip(told.text.lines()) {
        let [level, subject, text] = ["level", "subject", "text"].map(|key| finding[key].as_str().unwrap());
        assert!(line.starts_with(level) && line.contains(&format!(" {subject}: {text}")), "{finding} {line}");
    }
    assert_eq!((&json["status"], &json["problems"]), (&json!("problem"), &json!(1)));
    assert_eq!(node.command().arg("--json").status().unwrap().code(), Some(2));
}

#[test]
fn a_missing_runtime_is_a_problem() {
    let node = Node::new();
    node.settings("runtimes = ['nosuch', '/nonexistent/runc']");
    let told = node.doctor();
    told.is_well_formed();
    told.says(
        "problem  runtime: find the real runtime: none of the candidates can be used (nosuch: not in PATH; /nonexistent/runc: ENOENT); name one",
    );
    told.says("ok       criu check: Looks good.");
}

#[test]
fn broken_settings_are_a_problem_and_all_else_is_still_said() {
    let node = Node::new();
    let healthy = node.doctor().text.lines().count();
    node.settings("polcy = 'warn'\nstrict = 'yes'");
    let told = node.doctor();
    told.is_well_formed();
    assert_eq!(told.text.lines().count(), healthy + 1, "two problems for one ok: {}", told.text);
    told.says(&format!("problem  settings: read settings {}, line 3: unknown key polcy", node.text("settings.toml")));
    fs::write(node.path("settings.toml"), b"\xff[").unwrap();
    node.doctor().says("problem  settings: read settings ");
    fs::remove_file(node.path("settings.toml")).unwrap();
    node.doctor().says("problem  settings: read settings ");
}

#[test]
fn a_wrapper_is_told_with_what_is_at_its_end() {
    let node = Node::new();
    node.program("wrapper", &format!("echo wrapper 3; exec {} \"$@\"", node.text("bin/runc")));
    let wrapper = node.text("bin/wrapper");
    node.settings("runtimes = ['wrapper']");
    let told = node.doctor();
    told.is_well_formed();
    told.says(&format!("problem  runtime: {wrapper} is of unknown flavour"));
    assert!(told.text.contains("nothing is mended; set flavour to \"runc\"\n"), "{}", told.text);
    // With that advice followed it is well, and the wrapper is still told.
    node.settings("runtimes = ['wrapper']\nflavour = 'runc'");
    let told = node.doctor();
    assert_eq!(told.status, Some(0), "{}", told.text);
    told.says(&format!("ok       runtime: {wrapper}, runc 1.3.6"));
    told.says(&format!("ok       runtime: another wrapper in the chain: {wrapper} (a script); at its end is runc 1.3.6"));
    node.settings("runtimes = ['wrapper']\nflavour = 'crun'");
    node.doctor().says(&format!("problem  runtime: {wrapper} is taken for crun, but says it is runc 1.3.6"));
}

#[test]
fn a_wrapper_that_leads_back_to_us_is_a_problem() {
    let node = Node::new();
    node.program("runc", &format!("exec {GUARD} \"$@\""));
    // By its path: by its name the next one in PATH would be taken, and be right.
    node.settings(&format!("runtimes = ['{}']", node.text("bin/runc")));
    let told = node.doctor();
    told.is_well_formed();
    assert!(told.text.lines().any(|line| line.starts_with("problem  runtime: ") && line.contains("leads back to runc-guard")), "{}", told.text);
    let inside = told_with_chain(&Node::new());
    inside.says("warning  environment: RUNC_GUARD_CHAIN is set here");
}

fn told_with_chain(node: &Node) -> node::Told {
    told(node.command().env("RUNC_GUARD_CHAIN", "1:2"))
}

#[test]
fn in_place_of_runc_by_symlink_or_hard_link_the_real_one_is_found_behind() {
    let node = Node::new();
    node.doctor().says_not("in place of the runtime");
    fs::create_dir(node.path("first")).unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", node.text("first"), node.text("bin"));
    symlink(GUARD, node.path("first/runc")).unwrap();
    let by_symlink = told(node.command().env("PATH", &path));
    // A hard link may need another file system: the guard itself is then copied there, and called by its other name.
    fs::remove_file(node.path("first/runc")).unwrap();
    copy_guard(&node, "first/guard");
    fs::hard_link(node.path("first/guard"), node.path("first/runc")).unwrap();
    let by_hard_link = told(
        Command::new(node.path("first/guard")).args(["guard", "doctor"]).env("PATH", &path).env("RUNC_GUARD_CONFIG", node.path("settings.toml")),
    );
    for told in [by_symlink, by_hard_link] {
        assert_eq!(told.status, Some(0), "{}", told.text);
        told.says(&format!("ok       runtime: {}, runc 1.3.6", node.text("bin/runc")));
        told.says(&format!("ok       runtime: {} is runc-guard, in place of the runtime of that name", node.text("first/runc")));
    }
}

fn copy_guard(node: &Node, to: &str) {
    assert!(Command::new("cp").arg(GUARD).arg(node.path(to)).status().unwrap().success());
}

#[test]
fn what_others_can_write_is_a_problem_and_not_executed() {
    for program in ["runc", "criu"] {
        let node = Node::new();
        let mark = node.path("executed");
        node.program(program, &format!("touch {}; {RUNC}", mark.display()));
        mode(node.path("bin").join(program), 0o757);
        let told = node.doctor();
        told.is_well_formed();
        assert!(told.text.contains(&format!("others than root can change {}", node.text(&format!("bin/{program}")))), "{}", told.text);
        assert_eq!((told.status, mark.exists()), (Some(2), false), "{program}");
        mode(node.path("bin").join(program), 0o755);
        node.doctor().says_not("others than root");
        assert!(mark.exists(), "the control: {program} is executed");
    }
    let node = Node::new();
    mode(node.path("bin"), 0o777);
    node.doctor().says(&format!("problem  runtime: others than root can change {}, ", node.text("bin")));
    mode(node.path("bin"), 0o755);
    mode(node.path("settings.toml"), 0o666);
    node.doctor().says(&format!("problem  settings: others than root can write {}", node.text("settings.toml")));
}

#[test]
fn the_guard_itself_is_looked_at() {
    let node = Node::new();
    copy_guard(&node, "guard");
    let doctor = || told(Command::new(node.path("guard")).args(["guard", "doctor"]).env("RUNC_GUARD_CONFIG", node.path("settings.toml")));
    mode(node.path("guard"), 0o755);
    doctor().says(&format!("ok       runc-guard: {}, version ", node.text("guard")));
    mode(node.path("guard"), 0o757);
    doctor().says(&format!("problem  runc-guard: {}, version", node.text("guard")));
    mode(node.path("guard"), 0o6755);
    doctor().says("problem  runc-guard: is setuid or setgid");
}

#[test]
fn in_an_empty_environment_and_as_an_ordinary_user_it_says_what_it_can() {
    let node = Node::new();
    told(Command::new(GUARD).args(["guard", "doctor"]).env_clear()).is_well_formed();
    copy_guard(&node, "guard");
    mode(node.path("guard"), 0o755);
    let mut command = Command::new(node.path("guard"));
    command
        .args(["guard", "doctor"])
        .env_clear()
        .env("RUNC_GUARD_CONFIG", node.path("settings.toml"))
        .env("PATH", node.path("bin"))
        .uid(65534)
        .gid(65534);
    let told = told(&mut command);
    told.is_well_formed();
    told.says("warning  capabilities: started as user 65534: some things cannot be told; run it as root");
    told.says("warning  criu check: only root can ask it");
    told.says("warning  kernel open_tree: not to be found out");
    told.says("ok       runtime: ");
}

#[test]
fn a_hostile_path_stays_on_its_line() {
    let node = Node::new();
    node.settings("extra_protected_roots = [\"/no\\u001b[2Jsuch\\nproblem  root: forged\"]");
    let told = node.doctor();
    told.is_well_formed();
    assert!(!told.text.contains('\u{1b}') && told.text.contains(r"root /no\u{1b}[2Jsuch\nproblem  root: forged: does not exist"), "{}", told.text);
    assert!(node.json()["findings"].as_array().unwrap().iter().any(|finding| finding["subject"] == "root /no\u{1b}[2Jsuch\nproblem  root: forged"));
}

#[test]
fn a_log_without_a_directory_is_a_warning() {
    let node = Node::new();
    node.settings("");
    fs::write(node.path("log"), "x").unwrap();
    node.doctor().says(&format!("ok       log: {}, 1 kB", node.text("log")));
    fs::write(node.path("settings.toml"), "log = '/nonexistent/log'").unwrap();
    let told = node.doctor();
    told.says("warning  log: /nonexistent/log: its directory does not exist");
    assert_eq!(told.status, Some(0), "no container fails for it");
}
