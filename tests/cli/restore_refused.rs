//! What stands in the way of a restore is said before CRIU starts: all of it in one error, with what a person needs to mend it. Nothing is touched
//! then (P10).

use crate::checkpoint_image::CheckpointImage;
use crate::node::names;
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{Container, mount, rbind, tmpfs};
use crate::told::told;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A source at /data in which a tmpfs is mounted at `mountpoint`, a file at /data/file, and what the host has there.
fn obstructed(mountpoint: &str, obstacle: impl Fn(&Path)) -> Container {
    let container = Container::of("runc");
    let data = container.directory("srv/data");
    container.mounts(&[rbind("/data", &data), tmpfs(mountpoint), rbind("/data/file", container.file("srv/file"))]);
    container.image(&CheckpointImage::new().external("/data").tmpfs(mountpoint).external("/data/file"));
    obstacle(&data);
    container
}

/// The parts of one item: container path, what is needed, host path, what is there, what to do.
#[track_caller]
fn assert_names(message: &str, parts: [&str; 5]) {
    let [mountpoint, needed, path, there, cure] = parts;
    let item = format!("{mountpoint}: {needed} is needed at {path}, {there} ({cure})");
    assert!(message.contains(&item), "{item}: {message}");
}

#[test]
fn something_of_the_wrong_kind() {
    let container = obstructed("/data/directory", |data| fs::write(data.join("directory"), "precious").unwrap());
    let path = container.text("srv/data/directory");
    let cure = "move it away, or bind another source";
    let message = container.refused();
    assert_names(&message, ["/data/directory", "a directory", &path, "where a file is", cure]);
    assert!(!message.contains("/data/file"), "that one could be created: {message}");
    let container = obstructed("/data/x", |data| fs::create_dir(data.join("file")).unwrap());
    let path = container.text("srv/data/file");
    assert_names(&container.refused(), ["/data/file", "a file", &path, "where a directory is", cure]);
}

#[test]
fn something_else_than_a_directory_on_the_way() {
    let container = obstructed("/data/on/the/way", |data| fs::write(data.join("on"), "precious").unwrap());
    let there = format!("and {} is no directory", container.text("srv/data/on"));
    assert_names(&container.refused(), ["/data/on/the/way", "a directory", &container.text("srv/data/on/the/way"), &there, "move it away"]);
}

#[test]
fn a_symlink_at_the_end_or_on_the_way() {
    for (mountpoint, target) in [("/data/link", "elsewhere"), ("/data/link", "nowhere"), ("/data/link/below", "elsewhere"), ("/data/link/below", "/")]
    {
        let container = obstructed(mountpoint, |data| {
            fs::create_dir(data.join("elsewhere")).unwrap();
            symlink(target, data.join("link")).unwrap();
        });
        let there = format!("and {} is a symlink", container.text("srv/data/link"));
        let path = container.path("srv").join(&mountpoint[1..]);
        let message = container.refused();
        assert_names(&message, [mountpoint, "a directory", path.to_str().unwrap(), &there, "put the thing itself there"]);
    }
}

#[test]
fn a_place_on_a_read_only_file_system() {
    let container = obstructed("/data/directory", |_| ());
    let mut mounts = PrivateMounts::new();
    mounts.read_only(container.path("srv/data"));
    let message = container.restore().run().refused();
    for (mountpoint, needed) in [("/data/directory", "a directory"), ("/data/file", "a file")] {
        let path = container.path("srv").join(&mountpoint[1..]);
        assert!(message.contains(&format!("{mountpoint}: {needed} is needed at {}, where nothing is", path.display())), "{message}");
    }
    assert!(message.contains("EROFS") && message.contains("make that writable"), "{message}");
}

#[test]
fn a_place_on_a_read_only_file_system_is_told_in_words_that_engines_do_not_misread() {
    let container = obstructed("/data/directory", |_| ());
    let mut mounts = PrivateMounts::new();
    mounts.read_only(container.path("srv/data"));
    container.refused();
}

#[test]
fn a_place_in_the_kernels_own_trees() {
    for (source, below) in [("/proc", "forged"), ("/sys", "kernel/forged"), ("/dev", "runc-guard-forged")] {
        let container = Container::of("runc");
        container.directory("bundle/rootfs/host");
        let mountpoint = format!("/host/{below}");
        container.mounts(&[rbind("/host", source), tmpfs(&mountpoint)]);
        container.image(&CheckpointImage::new().external("/host").tmpfs(&mountpoint));
        let message = container.refused();
        assert_names(
            &message,
            [&mountpoint, "a directory", &format!("{source}/{below}"), "where nothing is", "nothing is created in /proc, /sys and /dev"],
        );
        assert!(!Path::new(source).join(below).exists());
    }
}

#[test]
fn sources_that_are_missing_or_lead_nowhere_or_cannot_be_reached() {
    let container = Container::of("runc");
    ["a", "b", "c"].iter().for_each(|at| drop(container.directory(&format!("bundle/rootfs/{at}"))));
    symlink("nowhere", container.path("srv/dangling")).unwrap();
    container.file("srv/file");
    let [gone, dangling, behind] = ["srv/gone", "srv/dangling", "srv/file/behind"].map(|name| container.text(name));
    container.mounts(&[rbind("/a", &gone), rbind("/b", &dangling), rbind("/c", &behind)]);
    container.image(&CheckpointImage::new().external("/a").external("/b").external("/c"));
    let message = container.refused();
    for item in [
        format!("/a: its bind source {gone} is missing: ENOENT (create it"),
        format!("/b: its bind source {dangling} is a symlink that leads nowhere (create what it should lead to)"),
        format!("/c: its bind source {behind} cannot be looked at: ENOTDIR (correct the path"),
    ] {
        assert!(message.contains(&item), "{item}: {message}");
    }
}

/// Many things at once, and things that could be created.
fn with_everything_wrong() -> Container {
    let container = Container::of("runc");
    let (data, other) = (container.directory("srv/data"), container.directory("srv/other"));
    fs::write(data.join("wrong"), "").unwrap();
    symlink("/", data.join("link")).unwrap();
    let mounts = ["/data/wrong", "/data/link/x", "/data/fine", "/other/fine"].map(tmpfs);
    let binds = [rbind("/data", data), rbind("/other", other), rbind("/gone", container.path("srv/gone"))];
    container.document(&[&binds[..], &mounts].concat(), r#","readonly":true"#, "");
    let image = CheckpointImage::new().external("/data").external("/other").external("/gone").tmpfs("/data/wrong").tmpfs("/data/link/x");
    container.image(&image.tmpfs("/data/fine").tmpfs("/other/fine"));
    container
}

#[test]
fn all_that_is_wrong_is_in_one_message_and_nothing_is_created() {
    let container = with_everything_wrong();
    let message = container.refused();
    for item in ["/data/wrong: ", "/data/link/x: ", "/gone: its bind source "] {
        assert_eq!(message.matches(item).count(), 1, "{item}: {message}");
    }
    assert!(!message.contains("fine"), "{message}");
    assert!(!container.path("own.log").exists(), "no change was made");
    // The control: without what is wrong the rest is created.
    fs::remove_file(container.path("srv/data/wrong")).unwrap();
    fs::remove_file(container.path("srv/data/link")).unwrap();
    container.directory("srv/gone");
    assert_eq!(container.made().len(), 9, "three mountpoints of the root, five in the sources, /tmp");
}

#[test]
fn a_bind_whose_source_is_missing_is_one_item() {
    // Its mountpoint, too, is missing; it will be of the source's kind, and created, once the source is there.
    let message = with_everything_wrong().refused();
    assert_eq!(message.matches("/gone: ").count(), 1, "{message}");
}

#[test]
fn an_edit_of_the_document_is_no_exception() {
    let container = with_everything_wrong();
    let text = String::from_utf8(container.config_state().bytes).unwrap();
    container.config(text.replace("\"/other/fine\"", "\"/other/./fine\"").replace("\"/gone\"", "\"/gone/\""));
    container.refused();
    container.settings("rules.restore-mountpoints.on_error = 'pass'");
    container.restore().run().reached();
    assert_ne!(String::from_utf8(container.config_state().bytes).unwrap(), text, "the control");
}

#[test]
fn with_on_error_pass_the_rest_is_done_and_each_obstacle_is_a_notice() {
    let container = with_everything_wrong();
    let message = container.refused();
    container.settings("rules.restore-mountpoints.on_error = 'pass'");
    assert_eq!(container.made().len(), 5, "two mountpoints of the root, two in the sources, /tmp");
    let notices = container.take_notices();
    assert!(notices.len() >= 3, "{notices:?}");
    for notice in notices {
        assert!(message.contains(&notice), "{notice}: {message}");
    }
}

#[test]
fn the_rules_own_setting_counts_and_the_general_one_does_not_reach_it() {
    for (settings, refused) in [
        ("", true),
        ("on_error = 'pass'", true),
        ("on_error = 'fail'\n[rules.restore-mountpoints]\non_error = 'pass'", false),
        ("[rules.restore-mountpoints]\nenabled = false", false),
    ] {
        let container = with_everything_wrong();
        container.settings(settings);
        let outcome = container.restore().run();
        assert_eq!(outcome.record.is_none(), refused, "{settings}: {outcome:?}");
    }
}

#[test]
fn a_file_system_without_room_says_so() {
    let container = Container::of("crun");
    let mut mounts = PrivateMounts::new();
    container.directory("bundle/rootfs/data");
    let data = container.directory("srv/data");
    // Its root and two more.
    mounts.tmpfs(&data, "nr_inodes=3,mode=755");
    container.mounts(&[rbind("/data", &data), tmpfs("/data/a"), tmpfs("/data/b/c"), tmpfs("/data/d")]);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/a").tmpfs("/data/b/c").tmpfs("/data/d"));
    let (bundle, image) = (container.bundle(), container.text("checkpoint"));
    let message = told(&container, &["restore", "--bundle", &bundle, "--image-path", &image, "c1"], |call| call);
    for path in ["srv/data/b/c", "srv/data/d"] {
        assert!(message.contains(&container.text(path)), "{path}: {message}");
    }
    assert_eq!(message.matches("ENOSPC").count(), 2, "{message}");
    // With room it goes on from there.
    drop(mounts);
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs(&data, "nr_inodes=5,mode=755");
    container.restore().run().reached();
    assert_eq!(names(&data), ["a", "b", "d"]);
}

#[test]
fn a_source_that_the_caller_may_not_write_to_says_so() {
    let container = obstructed("/data/directory", |data| {
        std::os::unix::fs::chown(data, Some(1234), Some(1234)).unwrap();
        crate::node::set_mode(data, 0o755);
    });
    container.directory("bundle/rootfs/data");
    let before = container.tree();
    let message = container.restore().in_child(crate::surroundings::drop_all_capabilities).run().refused();
    assert_eq!(message.matches("EACCES").count(), 2, "{message}");
    assert_eq!(container.tree(), before);
}

#[test]
fn a_path_cannot_forge_lines() {
    let container = Container::of("runc");
    let evil = "/data/a\n{\"level\":\"error\"}\u{1b}[2J\u{2028}\u{85}";
    container.directory("bundle/rootfs/data");
    let data = container.directory("srv/data");
    container.mounts(&[mount("/data", "bind", &data, &["rbind"]), tmpfs(evil)]);
    container.image(&CheckpointImage::new().external("/data").tmpfs(evil).tmpfs(&format!("{evil}/x")));
    fs::write(data.join(&evil["/data/".len()..]), "").unwrap();
    // `told` reads it as a person, podman and containerd do.
    let message = container.refused();
    assert!(message.contains(r"/data/a\n{"), "{message}");
    container.settings("rules.restore-mountpoints.on_error = 'pass'");
    container.restore().run().reached();
    assert_eq!(container.take_notices().len(), 1);
}
