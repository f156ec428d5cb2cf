//! Odd places to restore in (P14): closed standard descriptors, no capabilities, no /proc, a bundle that cannot be written, a document that nobody
//! can read for sure, another restore at the same time.

use crate::checkpoint_image::CheckpointImage;
use crate::node::names;
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{Container, RESTORERS, as_made_by, rbind, tmpfs};
use crate::surroundings::drop_all_capabilities;
use std::fs;

/// A container whose source lacks one directory.
pub fn lacking_one(runtime: &'static str) -> Container {
    let container = Container::of(runtime);
    container.directory("bundle/rootfs/data");
    container.mounts(&[rbind("/data", container.directory("srv/data")), tmpfs("/data/x")]);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/x"));
    container
}

pub const ONE: [&str; 1] = ["srv/data/x d 0755 0:0"];

#[test]
fn with_closed_standard_descriptors() {
    for closed in [&[0][..], &[1], &[2], &[0, 1, 2]] {
        let container = lacking_one("runc");
        assert_eq!(container.made_by(container.restore().closed(closed)), ONE, "{closed:?}");
    }
}

#[test]
fn without_capabilities() {
    for runtime in RESTORERS {
        let container = lacking_one(runtime);
        assert_eq!(container.made_by(container.restore().in_child(drop_all_capabilities)), as_made_by(runtime, &ONE));
    }
}

#[test]
fn without_the_right_to_act_for_another_owner_it_says_so() {
    let container = lacking_one("runc");
    let namespace = r#","uidMappings":[{"containerID":0,"hostID":100000,"size":9}],"gidMappings":[{"containerID":0,"hostID":100000,"size":9}]"#;
    container.document(&[rbind("/data", container.path("srv/data")), tmpfs("/data/x")], "", namespace);
    let before = container.tree();
    let message = container.restore().in_child(drop_all_capabilities).run().refused();
    assert!(message.contains("EPERM") && message.contains(&container.text("srv/data/x")), "{message}");
    assert_eq!(container.tree(), before, "not by root, where the container's root would not own it");
}

#[test]
fn without_proc_it_says_that_it_could_not_look_and_leaves_the_rest_to_the_runtime() {
    let container = lacking_one("crun");
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs("/proc", "");
    assert_eq!(container.made(), [""; 0]);
    let notices = container.take_notices();
    assert!(notices.iter().any(|notice| notice.contains(&container.text("srv/data")) && notice.contains("/data/x is not prepared")), "{notices:?}");
    drop(mounts);
    assert_eq!(container.made(), as_made_by("crun", &ONE), "the control");
}

#[test]
fn without_an_environment() {
    let container = lacking_one("runc");
    let settings = fs::read(container.path("config.toml")).unwrap();
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs("/etc", "mode=755");
    fs::create_dir("/etc/runc-guard").unwrap();
    fs::write("/etc/runc-guard/config.toml", settings).unwrap();
    assert_eq!(container.made_by(container.restore().without_environment()), ONE);
}

#[test]
fn a_bundle_that_cannot_be_written_keeps_no_mountpoint_from_being_made() {
    let container = lacking_one("crun");
    // Would be spelt otherwise, if it could.
    container.mounts(&[rbind("/data/", container.path("srv/data")), tmpfs("/data/x")]);
    let mut mounts = PrivateMounts::new();
    mounts.read_only(container.path("bundle"));
    assert_eq!(container.made(), as_made_by("crun", &ONE));
    let notices = container.take_notices();
    assert!(notices.len() == 1 && notices[0].starts_with("replace ") && notices[0].contains("EROFS"), "{notices:?}");
}

#[test]
fn a_document_that_is_not_understood_is_left_alone_with_all_that_it_names() {
    let container = lacking_one("runc");
    let text = String::from_utf8(container.config_state().bytes).unwrap();
    for torn in [text.replace("mounts", "Mounts"), text[..text.len() / 2].to_owned(), String::new()] {
        container.config(&torn);
        assert_eq!(container.made(), [""; 0]);
        let notices = container.take_notices();
        assert!(notices.len() == 1 && notices[0].starts_with("understand "), "{notices:?}");
    }
    container.settings("strict = true");
    assert!(container.refused().contains("understand "));
    fs::remove_file(container.path("bundle/config.json")).unwrap();
    container.settings("");
    assert_eq!(container.made(), [""; 0]);
    container.config(text);
    assert_eq!(container.made(), ONE, "the control");
}

#[test]
fn two_containers_that_share_a_source_are_restored_at_once() {
    let containers = RESTORERS.map(Container::of);
    let shared = containers[0].directory("srv/shared");
    let places = || (0..100).map(|number| format!("/data/{number}/x"));
    for container in &containers {
        container.directory("bundle/rootfs/data");
        let mounts: Vec<String> = std::iter::once(rbind("/data", &shared)).chain(places().map(|at| tmpfs(&at))).collect();
        container.mounts(&mounts);
        container.image(&CheckpointImage::new().external("/data").tmpfs_each("/data", places()));
    }
    for round in 0..10 {
        let running = [containers[0].restore().start(), containers[1].restore().start()];
        for (call, container) in running.into_iter().zip(&containers) {
            call.wait().reached();
            let log = container.own_log();
            assert!(log.iter().all(|line| line["notices"].as_array().unwrap().is_empty()), "round {round}: {log:?}");
        }
        assert_eq!(names(&shared).len(), 100, "round {round}");
        fs::remove_dir_all(&shared).unwrap();
        fs::create_dir(&shared).unwrap();
    }
    let made = containers.map(|container| container.own_log().len());
    assert!(made.iter().all(|lines| *lines > 0), "both made some: {made:?}");
}
