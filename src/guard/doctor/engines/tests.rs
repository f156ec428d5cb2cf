use super::super::Level;
use super::*;

fn engine(engine: Engine, used: Result<Use, String>) -> EngineFacts {
    let program = Some(Path::new("/usr/bin").join(place(engine).program));
    EngineFacts { engine, program, settings: Vec::new(), changed: None, used, daemons: Vec::new() }
}

fn told(engines: Vec<EngineFacts>) -> Vec<(Level, String)> {
    let line = |finding: Finding| (finding.level, format!("{}: {}; {}", finding.subject, finding.text, finding.advice.unwrap_or_default()));
    findings(&Facts { engines, stand_ins: Vec::new() }).into_iter().map(line).collect()
}

fn daemon(started_seconds: u64) -> Daemon {
    let started = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(started_seconds));
    Daemon { name: "dockerd".to_owned(), pid: 7, started, has_other_mounts: Some(false) }
}

#[test]
fn each_use_is_told_with_what_to_do() {
    let told = told(vec![
        engine(Engine::Podman, Ok(Use::Default)),
        engine(Engine::Crio, Ok(Use::Named)),
        engine(Engine::Containerd, Ok(Use::No)),
        engine(Engine::Docker, Err("read /etc/docker/daemon.json: EACCES".to_owned())),
    ]);
    for ((level, text), (wanted, part)) in told.iter().zip([
        (Level::Ok, "engine podman: /usr/bin/podman: every container gets runc-guard"),
        (Level::Ok, "RuntimeClass, get runc-guard; for all of them run `runc-guard guard configure crio --set-default`"),
        (Level::Warning, "not told to use runc-guard; run `runc-guard guard configure containerd --set-default`"),
        (Level::Warning, "not to be told: read /etc/docker/daemon.json: EACCES"),
    ]) {
        assert!(*level == wanted && text.contains(part), "{part}: {level:?} {text}");
    }
}

#[test]
fn an_engine_is_found_by_its_program_its_daemon_or_its_settings() {
    let bare = |kind| EngineFacts { program: None, ..engine(kind, Ok(Use::Default)) };
    let with_settings = |kind| EngineFacts { settings: vec!["/etc/x".into()], ..bare(kind) };
    let none = told(vec![bare(Engine::Docker), with_settings(Engine::Podman)]);
    assert!(none.len() == 1 && none[0].1.contains("none found"), "{none:?}");
    let found = told(vec![with_settings(Engine::Containerd), EngineFacts { daemons: vec![daemon(1)], ..bare(Engine::Docker) }]);
    assert!(found.len() == 2 && found.iter().all(|(_, text)| text.contains("its program was not found")), "{found:?}");
}

#[test]
fn a_daemon_that_is_older_than_its_settings_is_a_warning() {
    let changed = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
    let docker = |used, started| EngineFacts { changed, daemons: vec![daemon(started)], ..engine(Engine::Docker, Ok(used)) };
    assert!(told(vec![docker(Use::Default, 1)])[1].1.contains("restart it"));
    assert_eq!(told(vec![docker(Use::Default, 1000)]).len(), 1, "started with them");
    assert_eq!(told(vec![docker(Use::No, 1)]).len(), 1, "they do not name us anyway");
    let apart = Daemon { has_other_mounts: Some(true), ..daemon(2000) };
    let told = told(vec![EngineFacts { daemons: vec![apart], ..docker(Use::Default, 1) }]);
    assert!(told.len() == 2 && told[1].1.contains("mounts of its own"), "{told:?}");
}

#[test]
fn in_place_of_runc_is_not_taken_for_configured() {
    let facts = Facts { engines: vec![engine(Engine::Containerd, Ok(Use::No))], stand_ins: vec!["/usr/local/bin/runc".into()] };
    let finding = &findings(&facts)[0];
    assert!(finding.level == Level::Warning && finding.text.contains("only if it takes its runtime from PATH (/usr/local/bin/runc)"), "{finding:?}");
}

#[test]
fn an_error_is_told_in_full_and_without_a_path_nothing_is_asked() {
    let ask = |_, program: &Path| if program == "/guard" { Ok(Use::Named) } else { Err(anyhow::anyhow!("EACCES").context("read /etc/x")) };
    assert_eq!(used(Engine::Docker, Some(Path::new("/guard")), ask), Ok(Use::Named));
    assert_eq!(used(Engine::Docker, Some(Path::new("/other")), ask), Err("read /etc/x: EACCES".to_owned()));
    assert_eq!(used(Engine::Docker, None, ask), Err("the path of runc-guard is not known".to_owned()));
}
