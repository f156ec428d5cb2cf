//! The sources of binds at a restore: missing ones are created where the operator allows it, as podman makes a new volume, and mounts of the host
//! below a source count as the container sees them.

use crate::checkpoint_image::CheckpointImage;
use crate::node::{names, set_mode};
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{Container, mount, rbind, tmpfs};
use std::fs;
use std::os::unix::fs::{chown, symlink};

/// A container whose sources below `srv/volumes` may be created, with the settings `more`.
fn allowing(more: &str) -> Container {
    let container = Container::of("runc");
    container.directory("srv/volumes");
    container.settings(&format!("create_sources = ['{}']\n{more}", container.text("srv/volumes")));
    container
}

/// With one bind whose source `volumes/NAME` is missing.
fn lacking(name: &str, more: &str) -> Container {
    let container = allowing(more);
    container.mounts(&[rbind("/data", container.path("srv/volumes").join(name))]);
    container.image(&CheckpointImage::new().external("/data"));
    container
}

#[test]
fn a_missing_source_is_like_what_the_root_file_system_has_at_its_mountpoint() {
    let container = lacking("a/b", "");
    let below = container.directory("bundle/rootfs/data");
    chown(&below, Some(1234), Some(5678)).unwrap();
    set_mode(&below, 0o1770);
    assert_eq!(container.made(), ["srv/volumes/a d 0755 1234:5678", "srv/volumes/a/b d 1770 1234:5678"]);
    let container = lacking("f", "");
    let below = container.file("bundle/rootfs/data");
    chown(&below, Some(0), Some(42)).unwrap();
    // Nobody becomes somebody else by a file that the guard made.
    set_mode(&below, 0o6640);
    assert_eq!(container.made(), ["srv/volumes/f f 0640 0:42"]);
}

#[test]
fn owner_and_mode_are_as_set() {
    for (kind, made) in [("d", "d 0700 7:8"), ("f", "f 0700 7:8")] {
        let container = lacking("x", "create_sources_owner = '7:8'\ncreate_sources_mode = '0700'");
        let _ = if kind == "d" { container.directory("bundle/rootfs/data") } else { container.file("bundle/rootfs/data") };
        assert_eq!(container.made(), [format!("srv/volumes/x {made}")]);
    }
}

#[test]
fn the_log_tells_of_a_created_source() {
    let container = lacking("x", "");
    container.directory("bundle/rootfs/data");
    container.made();
    let line = container.take_notice();
    let change = &line["changes"][0];
    let told = ["rule", "created", "kind", "mode", "owner"].map(|member| change[member].as_str().unwrap());
    assert_eq!(told, ["restore-mountpoints", &container.text("srv/volumes/x"), "directory", "0755", "0:0"]);
    assert!(change["why"].as_str().unwrap().contains("create_sources"), "{change}");
}

#[test]
fn a_missing_source_that_something_is_mounted_in_is_a_directory_with_that_mountpoint() {
    let namespace = r#","uidMappings":[{"containerID":0,"hostID":100000,"size":9}],"gidMappings":[{"containerID":0,"hostID":100000,"size":9}]"#;
    let container = allowing("");
    container.document(&[rbind("/data", container.path("srv/volumes/v")), tmpfs("/data/in/it")], "", namespace);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/in/it").tmpfs("/data/own"));
    let expected = [
        "bundle/rootfs/data d 0755 100000:100000",
        "srv/volumes/v d 0755 100000:100000",
        "srv/volumes/v/in d 0755 100000:100000",
        "srv/volumes/v/in/it d 0755 100000:100000",
        "srv/volumes/v/own d 0755 100000:100000",
    ];
    assert_eq!(container.made(), expected);
}

#[test]
fn one_source_of_two_binds_is_created_once() {
    let container = allowing("");
    let source = container.path("srv/volumes/v");
    container.mounts(&[rbind("/a", &source), rbind("/b", &source)]);
    ["bundle/rootfs/a", "bundle/rootfs/b"].iter().for_each(|at| drop(container.directory(at)));
    container.image(&CheckpointImage::new().external("/a").external("/b"));
    assert_eq!(container.made(), ["srv/volumes/v d 0755 0:0"]);
    let line = container.take_notice();
    assert_eq!(line["changes"].as_array().unwrap().len(), 1, "{line}");
}

#[test]
fn a_source_of_unknown_kind_is_not_guessed() {
    let container = lacking("x", "");
    let message = container.refused();
    assert!(message.contains("/data: its bind source ") && message.contains("nothing tells whether it was a directory or a file"), "{message}");
}

#[test]
fn elsewhere_no_source_is_created() {
    let container = allowing("");
    container.directory("bundle/rootfs/data");
    container.image(&CheckpointImage::new().external("/data"));
    // The second is the allowed directory by its first letters only, the third leads out of it, the fourth is relative to the bundle.
    for source in ["srv/elsewhere", "srv/volumes-old", "srv/volumes/../out", "bundle/../srv/volumes/../../srv/out"] {
        container.mounts(&[rbind("/data", container.path(source))]);
        let message = container.refused();
        assert!(message.contains("is missing: ENOENT") && message.contains("create_sources"), "{message}");
    }
    // The allowed directory itself.
    fs::remove_dir(container.path("srv/volumes")).unwrap();
    container.mounts(&[rbind("/data", container.path("srv/volumes"))]);
    assert!(container.refused().contains("is missing: ENOENT"));
}

#[test]
fn a_relative_source_is_the_bundles() {
    let container = allowing("");
    container.directory("bundle/rootfs/data");
    container.mounts(&[rbind("/data", "../srv/volumes/./x/../v")]);
    container.image(&CheckpointImage::new().external("/data"));
    assert_eq!(container.made(), ["srv/volumes/v d 0755 0:0"]);
}

#[test]
fn a_symlink_in_the_allowed_directory_leads_nowhere() {
    let container = lacking("link/x", "");
    container.directory("bundle/rootfs/data");
    let outside = container.directory("outside");
    symlink(&outside, container.path("srv/volumes/link")).unwrap();
    let message = container.restore().run().refused();
    // Where it really leads is not allowed.
    assert!(message.contains("is missing: ENOENT") && message.contains(&container.text("outside/x")), "{message}");
    assert_eq!(names(&outside), [""; 0]);
    // The control: with a directory in its place it is created.
    fs::remove_file(container.path("srv/volumes/link")).unwrap();
    container.directory("srv/volumes/link");
    assert_eq!(container.made(), ["srv/volumes/link/x d 0755 0:0"]);
}

#[test]
fn missing_sources_are_left_to_the_runtime_when_the_settings_say_so() {
    let container = Container::of("runc");
    container.settings("rules.restore-mountpoints.on_error = 'pass'");
    container.directory("bundle/rootfs/data");
    container.directory("bundle/rootfs/other");
    container.mounts(&[
        rbind("/data", container.path("srv/gone")),
        tmpfs("/data/x"),
        rbind("/other", container.directory("srv/other")),
        tmpfs("/other/x"),
    ]);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/x").external("/other").tmpfs("/other/x"));
    assert_eq!(container.made(), ["srv/other/x d 0755 0:0"], "the rest is done");
    let notices = container.take_notices();
    assert!(notices.len() == 1 && notices[0].contains(&container.text("srv/gone")), "{notices:?}");
}

/// A source with a tmpfs of the host on `mnt`, bound with `options`; what came into being in the source and in the tmpfs.
fn made_with_a_submount(options: &[&str], image: Option<CheckpointImage>) -> (Vec<String>, Vec<String>) {
    let container = Container::of("crun");
    let mut mounts = PrivateMounts::new();
    container.directory("bundle/rootfs/data");
    let submount = container.directory("srv/data/mnt");
    container.mounts(&[mount("/data", "bind", container.path("srv/data"), options), tmpfs("/data/mnt/x")]);
    if let Some(image) = image {
        container.image(&image);
    }
    mounts.tmpfs(&submount, "mode=755");
    container.restore().run().reached();
    let inside = names(&submount);
    drop(mounts);
    (names(&submount), inside)
}

#[test]
fn beneath_a_mount_of_the_host_that_the_image_does_not_have() {
    let (x, nothing) = (vec!["x".to_owned()], Vec::<String>::new());
    // CRIU takes the source without the mounts below it, however it is bound (integration/restore_submounts.bats).
    for options in [["bind"], ["rbind"]] {
        for image in [None, Some(CheckpointImage::new().external("/data").tmpfs("/data/mnt/x"))] {
            let with_image = image.is_some();
            assert_eq!(made_with_a_submount(&options, image), (x.clone(), nothing.clone()), "{options:?}, with an image: {with_image}");
        }
    }
}

#[test]
fn inside_a_mount_of_the_host_that_criu_will_take_from_the_host_again() {
    let image = CheckpointImage::new().external("/data").external_as("/data/mnt", "CRIU:AUTOGENERATED").tmpfs("/data/mnt/x");
    assert_eq!(made_with_a_submount(&["rbind"], Some(image)), (Vec::new(), vec!["x".to_owned()]));
}

#[test]
fn what_is_there_beneath_or_inside_a_mount_of_the_host_counts_as_the_container_sees_it() {
    let container = Container::of("crun");
    let mut mounts = PrivateMounts::new();
    container.directory("bundle/rootfs/data");
    let submount = container.directory("srv/data/mnt");
    container.mounts(&[mount("/data", "bind", container.path("srv/data"), &["bind"]), tmpfs("/data/mnt/x")]);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/mnt/x"));
    mounts.tmpfs(&submount, "mode=755");
    // Inside the mount, which the container does not have: of no use to it, of the wrong kind, and no obstacle.
    fs::write(submount.join("x"), "").unwrap();
    container.restore().run().reached();
    drop(mounts);
    assert!(submount.join("x").is_dir());
}

#[test]
fn without_the_right_to_look_beneath_a_mount_of_the_host_it_is_refused() {
    let container = Container::of("crun");
    let mut mounts = PrivateMounts::new();
    container.directory("bundle/rootfs/data");
    let submount = container.directory("srv/data/mnt");
    container.mounts(&[mount("/data", "bind", container.path("srv/data"), &["bind"]), tmpfs("/data/mnt/x"), tmpfs("/data/y")]);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/mnt/x").tmpfs("/data/y"));
    mounts.tmpfs(&submount, "mode=755");
    let message = container.restore().in_child(crate::surroundings::drop_all_capabilities).run().refused();
    assert!(message.contains("/data/mnt/x: ") && message.contains("beneath") && message.contains("CAP_SYS_ADMIN"), "{message}");
    assert!(!message.contains("/data/y"), "{message}");
    assert_eq!((names(&submount), names(&container.path("srv/data"))), (Vec::new(), vec!["mnt".to_owned()]));
}
