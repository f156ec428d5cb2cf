use super::*;
use crate::criu_image;

/// The container of the fixture: SRC bound at /test, and what the usual config.json has besides.
const CONFIG: &str = r#"{"mounts":[
    {"destination":"/proc","type":"proc","source":"proc"},
    {"destination":"/dev","type":"tmpfs","source":"tmpfs"},
    {"destination":"/test","type":"bind","source":"/src","options":["rbind"]},
    {"destination":"/test/lower/directory","type":"tmpfs","source":"tmpfs"}]}"#;

fn spellings(spec: &Spec<'_>) -> Vec<Spelling> {
    let spelling = |mount: &crate::spec::Mount<'_>| Spelling {
        mountpoint: paths::lexical(Path::new("/"), Path::new(&*mount.destination)),
        source: mount.source.as_deref().map(PathBuf::from),
    };
    spec.mounts.iter().map(spelling).collect()
}

/// `MOUNTPOINT TREE:BELOW` of each mount whose mountpoint is the host's.
fn on_the_host(mounts: &[RestoredMount]) -> Vec<String> {
    let line = |mount: &RestoredMount| {
        let place = mount.place.as_ref()?;
        Some(format!("{} {:?}:{}", mount.mountpoint.display(), place.tree, place.below.display()))
    };
    let mut lines: Vec<String> = mounts.iter().filter_map(line).collect();
    lines.sort();
    lines
}

fn of_records(config: &str, records: &[MountRecord]) -> Vec<RestoredMount> {
    let spec = Spec::parse(config.as_bytes()).unwrap();
    of_image(records, &spec, &spellings(&spec))
}

#[test]
fn the_fixture_needs_what_its_description_says() {
    let image = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/criu-image/mountpoints-12.img")).unwrap();
    let mounts = of_records(CONFIG, &criu_image::mounts(&image).unwrap());
    let expected =
        ["/dev Rootfs:dev", "/proc Rootfs:proc", "/sys Rootfs:sys", "/test Rootfs:test", "/test/lower/directory Source(2):lower/directory"];
    assert_eq!(on_the_host(&mounts), expected);
    assert_eq!(mounts.len(), 13, "all but the root");
    let masks = mounts.iter().filter(|mount| mount.content == Content::MaskFile).count();
    assert_eq!((masks, mounts.iter().filter(|mount| mount.unmapped).count()), (2, 0));
}

#[test]
fn without_an_image_the_configured_mounts_are_known() {
    let spec = Spec::parse(CONFIG.as_bytes()).unwrap();
    let mounts = of_config(&spec, &spellings(&spec));
    assert_eq!(
        on_the_host(&mounts),
        ["/dev Rootfs:dev", "/proc Rootfs:proc", "/test Rootfs:test", "/test/lower/directory Source(2):lower/directory"]
    );
}

fn record(id: u32, parent: u32, device: u32, root: &str, mountpoint: &str, key: Option<&str>) -> MountRecord {
    let file_system = if device == 1 { 0 } else { TMPFS };
    let (root, mountpoint) = (PathBuf::from(root), PathBuf::from(mountpoint));
    MountRecord { id, parent, file_system, device, root, mountpoint, external_key: key.map(PathBuf::from) }
}

#[test]
fn binds_made_by_the_container_lead_to_their_host_directories() {
    let records = [
        // On the bind of a part of /test, newest first as in a real image.
        record(9, 8, 7, "/", "/bound/x/y", None),
        record(8, 1, 1, "/src/sub", "/bound", None),
        record(7, 6, 7, "/", "/self/deep", None),
        record(6, 1, 1, "/root/opt", "/self", None),
        record(5, 4, 1, "/elsewhere/file", "/tmp/file", None),
        record(4, 1, 5, "/", "/tmp", None),
        record(3, 2, 6, "/", "/test/made", None),
        record(2, 1, 1, "/src", "/test", Some("/test")),
        record(1, 0, 1, "/root", "/", None),
    ];
    let mounts = of_records(CONFIG, &records);
    let expected = [
        "/bound Rootfs:bound",
        "/bound/x/y Source(2):sub/x/y",
        "/self Rootfs:self",
        "/self/deep Rootfs:opt/deep",
        "/test Rootfs:test",
        "/test/made Source(2):made",
        "/tmp Rootfs:tmp",
    ];
    assert_eq!(on_the_host(&mounts), expected);
    let content = |at: &str| mounts.iter().find(|mount| mount.mountpoint == Path::new(at)).unwrap().content.clone();
    assert_eq!(content("/bound"), Content::BindOf(Place { tree: Tree::Source(2), below: PathBuf::from("sub") }));
    assert_eq!(content("/tmp/file"), Content::PartOfDumped);
    assert!(!mounts.iter().find(|mount| mount.mountpoint == Path::new("/test/made")).unwrap().listed, "only the image knows it");
}

#[test]
fn keys_that_nobody_maps_are_told() {
    let config = r#"{"mounts":[{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup"},
        {"destination":"a/../rel/","source":"/src","options":["bind"]}],"linux":{"maskedPaths":["/etc/secret"]}}"#;
    let key = |id, key: &str| record(id, 1, 1, "/x", &format!("/at{id}"), Some(key));
    let keys = [key(2, "/gone"), key(3, "/rel"), key(4, "a/../rel/"), key(5, "/sys/fs/cgroup/memory"), key(6, "/etc/secret"), key(7, "/dev/null")];
    let records: Vec<MountRecord> = keys.into_iter().chain([record(1, 0, 1, "/", "/", None)]).collect();
    let unmapped: Vec<PathBuf> = of_records(config, &records).into_iter().filter(|mount| mount.unmapped).map(|mount| mount.mountpoint).collect();
    assert_eq!(unmapped, [PathBuf::from("/at2")]);
}

#[test]
fn nothing_is_wanted_below_what_criu_dumps_or_in_the_kernels_trees() {
    let records = [
        record(1, 0, 1, "/", "/", None),
        record(2, 1, 5, "/", "/run", None),
        record(3, 2, 1, "/src", "/run/in", Some("/test")),
        record(4, 3, 6, "/", "/run/in/side", None),
        record(5, 1, 6, "/", "/sys/kernel/forged", None),
        record(6, 1, 6, "/", "/proc", None),
    ];
    assert_eq!(on_the_host(&of_records(CONFIG, &records)), ["/proc Rootfs:proc", "/run Rootfs:run", "/run/in/side Source(2):side"]);
}

#[test]
fn a_child_listed_before_its_parent_is_hidden_by_it() {
    let config =
        r#"{"mounts":[{"destination":"/a/b","source":"/child","options":["bind"]},{"destination":"/a","source":"/parent","options":["bind"]}]}"#;
    let spec = Spec::parse(config.as_bytes()).unwrap();
    assert_eq!(on_the_host(&of_config(&spec, &spellings(&spec))), ["/a Rootfs:a", "/a/b Rootfs:a/b"]);
}
