use super::super::engine::{Engine, Use};
use super::use_in;
use std::fs;
use std::path::Path;

/// How the settings `text` of a file `name`, with other files beside it, name a guard that is there.
fn used(engine: Engine, files: &[(&str, &str)]) -> Use {
    let node = tempfile::tempdir().unwrap();
    let guard = node.path().join("guard");
    fs::write(&guard, "").unwrap();
    for (name, text) in files {
        let path = node.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("GUARD", guard.to_str().unwrap()).replace("NODE", node.path().to_str().unwrap())).unwrap();
    }
    use_in(engine, Some(&node.path().join(files[0].0)), &guard).unwrap()
}

#[test]
fn an_absent_file_names_nothing() {
    for engine in [Engine::Crio, Engine::Podman, Engine::Docker, Engine::Containerd] {
        assert_eq!(use_in(engine, Some(Path::new("/nonexistent/x")), Path::new("/bin/true")).unwrap(), Use::No);
    }
}

#[test]
fn the_guard_is_known_by_its_path_and_not_by_a_name() {
    assert_eq!(used(Engine::Docker, &[("d.json", r#"{"runtimes": {"x": {"path": "GUARD"}}}"#)]), Use::Named);
    assert_eq!(used(Engine::Docker, &[("d.json", r#"{"runtimes": {"x": {"path": "GUARD"}}, "default-runtime": "x"}"#)]), Use::Default);
    assert_eq!(used(Engine::Docker, &[("d.json", r#"{"runtimes": {"runc-guard": {"path": "/bin/true"}}}"#)]), Use::No);
    assert_eq!(used(Engine::Podman, &[("c.conf", "[engine]\nruntime = 'GUARD'\n")]), Use::Default);
}

#[test]
fn containerds_own_runc_may_be_the_guard() {
    let text = "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc.options]\nBinaryName = 'GUARD'\n";
    assert_eq!(used(Engine::Containerd, &[("c.toml", text)]), Use::Default);
    let other_default = format!("{text}[plugins.'io.containerd.grpc.v1.cri'.containerd]\ndefault_runtime_name = 'kata'\n");
    assert_eq!(used(Engine::Containerd, &[("c.toml", &other_default)]), Use::Named);
}

#[test]
fn imports_and_drop_ins_are_read_in_the_engines_order() {
    let main = "version = 3\nimports = ['NODE/conf.d/*.toml']\n";
    let named = "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.g.options]\nBinaryName = 'GUARD'\n";
    let default = "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\ndefault_runtime_name = 'g'\n";
    assert_eq!(used(Engine::Containerd, &[("c.toml", main), ("conf.d/a.toml", named)]), Use::Named);
    assert_eq!(used(Engine::Containerd, &[("c.toml", main), ("conf.d/a.toml", named), ("conf.d/b.toml", default)]), Use::Default);
    assert_eq!(used(Engine::Containerd, &[("c.toml", main), ("conf.d/a.txt", named)]), Use::No, "not imported");
    let crio = "[crio.runtime]\ndefault_runtime = 'g'\n[crio.runtime.runtimes.g]\nruntime_path = 'GUARD'\n";
    let other = "[crio.runtime]\ndefault_runtime = 'crun'\n";
    assert_eq!(used(Engine::Crio, &[("crio.conf", ""), ("crio.conf.d/10-a", crio)]), Use::Default);
    assert_eq!(used(Engine::Crio, &[("crio.conf", ""), ("crio.conf.d/10-a", crio), ("crio.conf.d/20-b", other)]), Use::Named);
}

#[test]
fn containerd_1_takes_an_import_in_place_of_all() {
    let plugin = "[plugins.'io.containerd.grpc.v1.cri'.containerd";
    let main = format!("version = 2\nimports = ['NODE/x.toml']\n{plugin}.runtimes.g.options]\nBinaryName = 'GUARD'\n");
    assert_eq!(used(Engine::Containerd, &[("c.toml", &main), ("x.toml", "version = 2\n")]), Use::Named);
    let replaced = format!("version = 2\n{plugin}.runtimes.runc]\nruntime_type = 'x'\n");
    assert_eq!(used(Engine::Containerd, &[("c.toml", &main), ("x.toml", &replaced)]), Use::No);
}

#[test]
fn what_cannot_be_understood_is_an_error() {
    let node = tempfile::tempdir().unwrap();
    let file = node.path().join("daemon.json");
    fs::write(&file, "{").unwrap();
    let error = use_in(Engine::Docker, Some(&file), Path::new("/bin/true")).unwrap_err();
    assert!(format!("{error:#}").contains("daemon.json (it is left as it is): line 1"), "{error:#}");
}
