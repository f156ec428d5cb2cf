//! What CRIU or the runtime stumbles over besides missing mountpoints; and that the rule can be switched off.

use crate::checkpoint_image::CheckpointImage;
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{Container, RESTORERS, mount, rbind, tmpfs};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// A container whose root file system it sees read-only.
fn with_a_read_only_root(runtime: &'static str) -> Container {
    let container = Container::of(runtime);
    container.document(&[tmpfs("/run")], r#","readonly":true"#, "");
    container.directory("bundle/rootfs/run");
    container.image(&CheckpointImage::new().tmpfs("/run"));
    container
}

#[test]
fn a_read_only_root_gets_the_tmp_that_criu_pivots_in() {
    for runtime in RESTORERS {
        let container = with_a_read_only_root(runtime);
        assert_eq!(container.made(), ["bundle/rootfs/tmp d 1777 0:0"]);
        assert_eq!(container.made(), [""; 0], "once");
    }
}

#[test]
fn a_writable_root_needs_none_and_what_is_there_stays() {
    let container = with_a_read_only_root("runc");
    container.document(&[tmpfs("/run")], r#","readonly":false"#, "");
    assert_eq!(container.made(), [""; 0]);
    for what in ["directory", "file", "symlink"] {
        let container = with_a_read_only_root("runc");
        let tmp = container.path("bundle/rootfs/tmp");
        match what {
            "directory" => fs::create_dir(&tmp).unwrap(),
            "file" => fs::write(&tmp, "").unwrap(),
            _ => symlink("nowhere", &tmp).unwrap(),
        }
        assert_eq!(container.made(), [""; 0], "{what}");
    }
}

#[test]
fn a_tmp_that_cannot_be_made_is_told_and_left_to_criu() {
    let container = with_a_read_only_root("runc");
    let mut mounts = PrivateMounts::new();
    mounts.read_only(container.path("bundle/rootfs"));
    assert_eq!(container.made(), [""; 0]);
    let notices = container.take_notices();
    assert!(notices.len() == 1 && notices[0].contains("/tmp") && notices[0].contains("EROFS"), "{notices:?}");
}

/// A restore after one that was killed, with `left` in the place of crun's directory; what stands there afterwards.
fn after_a_crash(runtime: &'static str, left: impl FnOnce(&Path)) -> (Container, bool) {
    let container = with_a_read_only_root(runtime);
    container.directory("bundle/rootfs/tmp");
    let stale = container.path("bundle/criu-root");
    left(&stale);
    container.assert_passes_through(container.restore());
    let is_there = stale.symlink_metadata().is_ok();
    (container, is_there)
}

#[test]
fn the_empty_directory_that_a_killed_crun_left_is_removed() {
    let (container, is_there) = after_a_crash("crun", |path| fs::create_dir(path).unwrap());
    assert!(!is_there);
    let line = container.take_notice();
    assert_eq!(line["changes"][0]["removed"], container.text("bundle/criu-root"), "{line}");
}

#[test]
fn what_is_no_empty_directory_of_crun_stays() {
    let with_something = |path: &Path| fs::create_dir_all(path.join("something")).unwrap();
    assert!(after_a_crash("crun", with_something).1, "not empty");
    assert!(after_a_crash("crun", |path| fs::write(path, "").unwrap()).1, "a file");
    assert!(after_a_crash("crun", |path| symlink("rootfs", path).unwrap()).1, "a symlink");
    assert!(after_a_crash("runc", |path| fs::create_dir(path).unwrap()).1, "runc does not use it");
}

#[test]
fn a_mount_in_the_place_of_cruns_directory_is_told_and_stays() {
    let container = with_a_read_only_root("crun");
    let mut mounts = PrivateMounts::new();
    let stale = container.directory("bundle/criu-root");
    mounts.tmpfs(&stale, "mode=711");
    let message = container.restore().run().refused();
    assert!(message.contains("EBUSY") && message.contains(stale.to_str().unwrap()), "{message}");
    assert_eq!(fs::metadata(&stale).unwrap().permissions().mode() & 0o7777, 0o711, "still mounted");
}

/// A root file system that is a read-only mount, with binds nested in a bind and in a bind that is not nested.
fn with_a_read_only_root_file_system(runtime: &'static str) -> (Container, PrivateMounts) {
    let container = Container::of(runtime);
    for at in ["bundle/rootfs/data", "bundle/rootfs/alone", "bundle/rootfs/t"] {
        container.directory(at);
    }
    let [data, lower, alone] = ["srv/data", "srv/lower", "srv/alone"].map(|name| container.directory(name));
    let mounts = [rbind("/data", data), mount("/data/lower", "bind", lower, &["bind"]), rbind("/alone", alone), tmpfs("/t"), tmpfs("/t/x")];
    container.mounts(&mounts);
    container.image(&CheckpointImage::new().external("/data").external("/data/lower").external("/alone").tmpfs("/t").tmpfs("/t/x"));
    let mut mounts = PrivateMounts::new();
    mounts.read_only(container.path("bundle/rootfs"));
    (container, mounts)
}

#[test]
fn in_a_read_only_root_file_system_the_runtime_makes_no_mountpoints_that_nobody_needs() {
    for runtime in RESTORERS {
        let (container, mounts) = with_a_read_only_root_file_system(runtime);
        let before = String::from_utf8(container.config_state().bytes).unwrap();
        container.assert_passes_through(container.restore());
        let marker = r#",{"destination":"/data","type":"tmpfs","source":"tmpfs"}],"linux""#;
        assert_eq!(String::from_utf8(container.config_state().bytes).unwrap(), before.replace(r#"],"linux""#, marker));
        assert!(container.path("srv/data/lower").is_dir());
        // Once.
        let marked = container.config_state();
        container.assert_passes_through(container.restore());
        assert_eq!(container.config_state(), marked);
        // The control: a writable one needs none.
        drop(mounts);
        container.config(&before);
        container.assert_passes_through(container.restore());
        assert_eq!(container.config_state().bytes, before.as_bytes());
    }
}

#[test]
fn a_rule_that_is_switched_off_does_nothing() {
    for runtime in RESTORERS {
        let (container, mounts) = with_a_read_only_root_file_system(runtime);
        drop(mounts);
        container.directory("bundle/criu-root");
        let document = container.path("bundle/config.json");
        let text = fs::read_to_string(&document).unwrap().replace(r#""path":"rootfs""#, r#""path":"rootfs","readonly":true"#);
        fs::write(&document, text).unwrap();
        container.settings("rules.restore-mountpoints.enabled = false");
        assert_eq!(container.made(), [""; 0]);
        assert!(!container.path("own.log").exists());
        // The control.
        container.settings("");
        container.restore().run().reached();
        assert!(container.path("bundle/rootfs/tmp").exists() && container.path("srv/data/lower").exists());
        assert_eq!(container.path("bundle/criu-root").exists(), runtime == "runc");
    }
}

#[test]
fn a_container_may_opt_out_where_the_settings_allow_it() {
    for (allowed, made) in [("['restore-mountpoints']", false), ("[]", true)] {
        let container = Container::of("runc");
        container.settings(&format!("allow_opt_out = {allowed}"));
        let annotations = r#","annotations":{"runc-guard/restore-mountpoints":"off"}"#;
        container.mounts(&[rbind("/data", container.directory("srv/data"))]);
        let document = fs::read_to_string(container.path("bundle/config.json")).unwrap();
        container.config(document.replacen(r#","mounts""#, &format!(r#"{annotations},"mounts""#), 1));
        container.image(&CheckpointImage::new().external("/data"));
        assert_eq!(!container.made().is_empty(), made, "{allowed}");
    }
}
