use super::*;
use crate::config::Config;
use crate::host::HostView;
use crate::host::spelling::Spelling;
use crate::invocation::{Command, Flavour};
use crate::restored_mounts::{Content, Place, RestoredMount};
use crate::spec::{Spec, splice};
use nix::errno::Errno;

const CONFIG: &str = r#"{"root":{"path":"rootfs","readonly":true},"mounts":[
    {"destination":"/data","type":"bind","source":"/srv/data","options":["rbind"]},
    {"destination":"/data/sub","type":"bind","source":"/srv/sub","options":["bind","ro"]},
    {"destination":"/proc","type":"proc"},{"destination":"/sys","type":"sysfs"}],
    "linux":{"uidMappings":[{"containerID":0,"hostID":7,"size":9}],"gidMappings":[{"containerID":0,"hostID":8,"size":9}]}}"#;

fn bind_source(path: &str, state: SourceState, read_only: bool) -> BindSource {
    BindSource { path: PathBuf::from(path), state, read_only }
}

fn view() -> RestoreView {
    let directory = SourceState::Is(Kind::Directory);
    RestoreView {
        image_problem: None,
        mounts: Vec::new(),
        sources: vec![Some(bind_source("/srv/data", directory.clone(), false)), Some(bind_source("/srv/sub", directory, true))],
        rootfs: PathBuf::from("/b/rootfs"),
        rootfs_is_missing: false,
        rootfs_is_read_only: false,
        tmp: None,
        stale_criu_root: None,
        lost_masks: Vec::new(),
        missing_work_directory: None,
        create_sources: Vec::new(),
    }
}

fn wanted(mountpoint: &str, tree: Tree, below: &str, kind: Option<Kind>, found: Found) -> WantedMount {
    let place = Place { tree, below: PathBuf::from(below), inside_mounts: false };
    let root = match tree {
        Tree::Rootfs => "/b/rootfs",
        Tree::Source(0) => "/srv/data",
        _ => "/srv/sub",
    };
    let mount = RestoredMount {
        mountpoint: PathBuf::from(mountpoint),
        place: Some(place),
        content: Content::Dumped,
        listed: false,
        unmapped: false,
        on_unmapped: false,
    };
    WantedMount { mount, kind, site: Some((Path::new(root).join(below), found)) }
}

const MISSING: Found = Found::Missing { components: 1, read_only: false };

fn one(found: Found) -> RestoreView {
    RestoreView { mounts: vec![wanted("/data/x", Tree::Source(0), "x", Some(Kind::Directory), found)], ..view() }
}

fn steps_with(config: &Config, view: RestoreView, command: Command) -> Vec<Step> {
    steps_before(Flavour::Crun, config, view, command)
}

fn steps_before(flavour: Flavour, config: &Config, view: RestoreView, command: Command) -> Vec<Step> {
    let spec = Spec::parse(CONFIG.as_bytes()).unwrap();
    let spellings = ["/data", "/data/sub", "/proc", "/sys"].map(|at| Spelling { mountpoint: PathBuf::from(at), source: None });
    let host = HostView { restore: Some(view), spellings: spellings.to_vec(), ..HostView::default() };
    steps(&Facts { command, flavour, config, spec: &spec, foreign_words: &[], host: &host })
}

fn steps_of(view: RestoreView) -> Vec<Step> {
    steps_with(&Config::default(), view, Command::Restore)
}

fn refusals(view: RestoreView) -> Vec<String> {
    steps_of(view).into_iter().filter(|step| step.action == Action::Refuse).map(|step| step.why).collect()
}

fn creation(step: &Step) -> Option<&Creation> {
    if let Action::Create { creation, .. } = &step.action { Some(creation) } else { None }
}

#[test]
fn what_is_missing_is_created_for_the_containers_root() {
    let steps = steps_of(one(MISSING));
    let [step] = steps.as_slice() else { panic!("one step: {steps:?}") };
    let made = creation(step).unwrap();
    assert_eq!((made.base.as_path(), made.below.as_path(), made.recursive), (Path::new("/srv/data"), Path::new("x"), false));
    assert_eq!((made.kind, made.owner), (Kind::Directory, Owner { uid: 7, gid: 8 }));
}

#[test]
fn modes_are_those_of_the_runtimes_own_create() {
    let modes = |flavour, place: &str, kind| {
        let mounts = vec![wanted(&format!("/{place}"), Tree::Rootfs, place, Some(kind), MISSING)];
        let steps = steps_before(flavour, &Config::default(), RestoreView { mounts, ..view() }, Command::Restore);
        let made = creation(&steps[0]).unwrap();
        (made.mode, made.parent_mode)
    };
    for directory in ["d", "proc", "sys"] {
        assert_eq!(modes(Flavour::Runc, directory, Kind::Directory), (0o755, 0o755));
    }
    assert_eq!(modes(Flavour::Runc, "f", Kind::File), (0o644, 0o755));
    assert_eq!(modes(Flavour::Crun, "d", Kind::Directory), (0o1755, 0o1755));
    assert_eq!(modes(Flavour::Crun, "f", Kind::File), (0o700, 0o755));
    for directory in ["proc", "sys"] {
        assert_eq!(modes(Flavour::Crun, directory, Kind::Directory), (0o755, 0o755));
    }
}

#[test]
fn what_is_there_is_left_alone_and_other_commands_want_nothing() {
    assert_eq!(steps_of(one(Found::Is(Kind::Directory))), []);
    assert_eq!(steps_with(&Config::default(), one(MISSING), Command::Create), []);
    assert_eq!(steps_with(&Config::default(), one(MISSING), Command::Run), []);
}

#[test]
fn a_place_wanted_twice_is_created_once() {
    let twice = one(MISSING).mounts[0].clone();
    assert_eq!(steps_of(RestoreView { mounts: vec![twice.clone(), twice], ..view() }).len(), 1);
}

#[test]
fn each_obstacle_is_named_with_both_paths_what_is_there_and_what_to_do() {
    let cases = [
        (Found::Is(Kind::File), "where a file is (move it away, or bind another source)"),
        (Found::Symlink(PathBuf::from("x")), "and /srv/data/x is a symlink (put the thing itself there)"),
        (Found::NotADirectory(PathBuf::from("p")), "and /srv/data/p is no directory (move it away)"),
        (
            Found::Missing { components: 1, read_only: true },
            "where nothing is and nothing can be made: EROFS (create it there, or make that writable)",
        ),
        (Found::OtherMount(PathBuf::from("m")), "beneath what is mounted at /srv/data/m (unmount that, or run with CAP_SYS_ADMIN)"),
    ];
    for (found, end) in cases {
        assert_eq!(refusals(one(found)), [format!("/data/x: a directory is needed at /srv/data/x, {end}")]);
    }
    assert!(refusals(one(Found::Unreadable(PathBuf::from("x"), Errno::EACCES))).is_empty(), "what cannot be seen is not refused");
}

#[test]
fn an_unknown_kind_is_no_reason_to_guess() {
    let unknown = |found| RestoreView { mounts: vec![wanted("/data/x", Tree::Source(0), "x", None, found)], ..view() };
    assert!(steps_of(unknown(Found::Is(Kind::File))).is_empty());
    assert_eq!(refusals(unknown(MISSING)).len(), 1);
}

#[test]
fn an_image_alone_may_not_ask_for_everything() {
    let read_only = RestoreView { mounts: vec![wanted("/data/sub/x", Tree::Source(1), "x", Some(Kind::File), MISSING)], ..view() };
    assert!(refusals(read_only.clone())[0].contains("only the image asks for it, and the bind is read-only"));
    let mut listed = read_only;
    listed.mounts[0].mount.listed = true;
    assert_eq!(refusals(listed), [] as [String; 0], "config.json asks for it, too");
    let mut distrusting = Config::default();
    distrusting.restore.create_from_image = false;
    let refused = steps_with(&distrusting, one(MISSING), Command::Restore);
    assert!(refused[0].action == Action::Refuse && refused[0].why.contains("create_from_image"));
    let kernel = RestoreView { sources: vec![Some(bind_source("/dev", SourceState::Is(Kind::Directory), false)), None], ..one(MISSING) };
    let kernel = RestoreView { mounts: vec![WantedMount { site: Some((PathBuf::from("/dev/x"), MISSING)), ..kernel.mounts[0].clone() }], ..kernel };
    assert!(refusals(kernel)[0].contains("nothing is created in /proc, /sys and /dev"));
}

#[test]
fn a_restore_wants_a_bounded_number_of_inodes() {
    let many = |count: usize| (0..count).map(|n| wanted(&format!("/data/{n}"), Tree::Source(0), &n.to_string(), Some(Kind::Directory), MISSING));
    assert!(steps_of(RestoreView { mounts: many(4096).collect(), ..view() }).iter().all(|step| creation(step).is_some()));
    let steps = steps_of(RestoreView { mounts: many(5000).collect(), ..view() });
    assert_eq!(steps.iter().filter(|step| creation(step).is_some()).count(), 4096);
    assert_eq!(steps.last().map(|step| step.action == Action::Notice), Some(true));
}

#[test]
fn on_error_pass_leaves_the_obstacles_to_criu() {
    let mut config = Config::default();
    let index = crate::rules::NAMES.iter().position(|name| *name == NAME).unwrap();
    assert_eq!(config.rules[index].on_error, Some(OnError::Fail), "the default");
    config.rules[index].on_error = Some(OnError::Pass);
    let steps = steps_with(&config, one(Found::Is(Kind::File)), Command::Restore);
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].action, Action::Notice);
}

fn without_sources(allowed: &str, kind: Option<Kind>, like: Option<(Owner, u32)>) -> RestoreView {
    let missing = SourceState::Missing { kind, like };
    let below = wanted("/data/x", Tree::Source(0), "x", Some(Kind::Directory), MISSING);
    RestoreView {
        sources: vec![Some(bind_source("/srv/data", missing.clone(), false)), Some(bind_source("/srv/sub", missing, false))],
        mounts: vec![below],
        create_sources: vec![PathBuf::from(allowed)],
        ..view()
    }
}

#[test]
fn all_missing_sources_are_named_and_nothing_is_wanted_in_them() {
    let refused = refusals(without_sources("/elsewhere", None, None));
    assert_eq!(refused.len(), 2);
    assert!(refused[0].starts_with("/data: its bind source /srv/data is missing: ENOENT (create it"));
    assert!(refused[1].starts_with("/data/sub: its bind source /srv/sub is missing: ENOENT"));
}

#[test]
fn allowed_sources_are_created_after_what_they_were() {
    let mut config = Config::default();
    let like = Some((Owner { uid: 1, gid: 2 }, 0o640));
    let files = || without_sources("/srv", Some(Kind::File), like);
    let steps = steps_with(&config, files(), Command::Restore);
    let made: Vec<_> = steps.iter().filter_map(creation).map(|made| (made.base.join(&made.below), made.kind, made.mode, made.owner.uid)).collect();
    let at = |path: &str| PathBuf::from(path);
    assert_eq!(made[..2], [(at("/srv/data"), Kind::File, 0o640, 1), (at("/srv/sub"), Kind::File, 0o640, 1)]);

    let steps = steps_with(&config, without_sources("/srv/data/..", None, None), Command::Restore);
    assert!(steps.iter().all(|step| creation(step).is_none()), "another directory is allowed");
    let mut directories = without_sources("/srv", Some(Kind::Directory), None);
    directories.sources[1] = Some(bind_source("/srv/sub", SourceState::Missing { kind: None, like: None }, false));
    let steps = steps_with(&config, directories, Command::Restore);
    let made: Vec<_> = steps.iter().filter_map(creation).map(|made| (made.base.join(&made.below), made.kind, made.mode, made.owner.uid)).collect();
    assert_eq!(made, [(at("/srv/data"), Kind::Directory, 0o755, 7), (at("/srv/data/x"), Kind::Directory, 0o1755, 7)]);
    assert!(steps.iter().any(|step| step.why.contains("nothing tells whether it was a directory or a file")), "/srv/sub");

    config.restore.create_sources_owner = Some(Owner { uid: 3, gid: 4 });
    config.restore.create_sources_mode = Some(0o700);
    let steps = steps_with(&config, files(), Command::Restore);
    assert_eq!(creation(&steps[0]).map(|made| (made.owner.uid, made.mode)), Some((3, 0o700)));
}

#[test]
fn a_read_only_root_gets_its_tmp() {
    let steps = steps_of(RestoreView { tmp: Some(MISSING), ..view() });
    let made = creation(&steps[0]).unwrap();
    assert_eq!((made.below.as_path(), made.mode, made.optional), (Path::new("tmp"), 0o1777, true));
    assert!(steps_of(RestoreView { tmp: Some(Found::Is(Kind::Directory)), ..view() }).is_empty());
}

#[test]
fn a_read_only_root_file_system_is_marked_once() {
    let steps = steps_of(RestoreView { rootfs_is_read_only: true, ..view() });
    let Action::EditSpec { edits, .. } = &steps[0].action else { panic!("an edit: {steps:?}") };
    let after = splice(CONFIG, edits).concat();
    let mounts: serde_json::Value = serde_json::from_str(&after).unwrap();
    assert_eq!(mounts["mounts"][4], serde_json::json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs"}));
    assert_eq!(mounts["mounts"].as_array().map(Vec::len), Some(5), "only the bind that holds another");
}
