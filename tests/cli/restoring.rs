//! At a restore the mountpoints that CRIU will look for come into being, as the runtime's own create would make them, and nothing else (P7). The
//! runtime starts as if there had been no guard.

use crate::call::Call;
use crate::checkpoint_image::CheckpointImage;
use crate::node::set_mode;
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{Container, RESTORERS, as_made_by, mount, rbind, tmpfs};
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/criu-image");

/// A directory from outside at /data, a tmpfs two levels below it, and a file bound next to that.
fn nested(runtime: &'static str) -> Container {
    let container = Container::of(runtime);
    let (data, hosts) = (container.directory("srv/data"), container.file("srv/hosts"));
    container.mounts(&[rbind("/data", data), tmpfs("/data/lower/directory"), rbind("/data/etc/hosts", hosts)]);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/lower/directory").external("/data/etc/hosts"));
    container
}

const NESTED: [&str; 5] = [
    "bundle/rootfs/data d 0755 0:0",
    "srv/data/etc d 0755 0:0",
    "srv/data/etc/hosts f 0644 0:0",
    "srv/data/lower d 0755 0:0",
    "srv/data/lower/directory d 0755 0:0",
];

fn with_umask(call: Call, mask: libc::mode_t) -> Call {
    // SAFETY: a plain call.
    call.in_child(move || {
        unsafe { libc::umask(mask) };
        Ok(())
    })
}

#[test]
fn missing_mountpoints_come_into_being_whatever_the_umask() {
    for runtime in RESTORERS {
        for mask in [0o022, 0o077, 0, 0o777] {
            let container = nested(runtime);
            assert_eq!(container.made_by(with_umask(container.restore(), mask)), as_made_by(runtime, &NESTED), "{runtime}, umask {mask:o}");
            let outcome = with_umask(container.restore(), mask).run();
            assert_eq!(outcome.reached().value("umask"), format!("{mask:o}"));
        }
    }
}

#[test]
fn without_the_guard_nothing_does() {
    let container = nested("runc");
    let before = container.tree();
    container.restore().program(container.runtime_path()).run().reached();
    assert_eq!(container.tree(), before);
}

#[test]
fn what_was_made_is_told_in_the_own_log() {
    let container = nested("crun");
    container.restore().run().reached();
    let line = container.take_notice();
    let changes = line["changes"].as_array().unwrap();
    let expected = |below: &str, kind, mode| serde_json::json!({"created": container.text(below), "kind": kind, "mode": mode, "owner": "0:0"});
    let made = [
        expected("bundle/rootfs/data", "directory", "1755"),
        expected("srv/data/lower/directory", "directory", "1755"),
        expected("srv/data/etc/hosts", "file", "0700"),
    ];
    for wanted in made {
        let told = |change: &&serde_json::Value| wanted.as_object().unwrap().iter().all(|(key, value)| change[key] == *value);
        let change = changes.iter().find(told).unwrap_or_else(|| panic!("{wanted}: {line}"));
        assert_eq!(change["rule"], "restore-mountpoints");
        assert!(change["why"].as_str().unwrap().contains("CRIU"), "{change}");
    }
    assert_eq!((changes.len(), &line["notices"], &line["level"]), (3, &serde_json::json!([]), &"info".into()), "{line}");
}

#[test]
fn the_container_of_issue_2748_as_criu_wrote_it() {
    for (runtime, image) in [("runc", FIXTURES.to_owned()), ("crun", format!("{FIXTURES}/crun-1.28"))] {
        let container = Container::of(runtime);
        let (test, file) = (container.directory("srv/test"), container.file("srv/file"));
        let others = [rbind("/run/file", file), rbind("/run/outer-cgroup", "/sys/fs/cgroup"), rbind("/etc/odd dir", container.directory("srv/odd"))];
        container.mounts(&[&[rbind("/test", test), tmpfs("/test/lower/directory")][..], &others].concat());
        let call = container.guard(["restore", "--bundle", &container.bundle(), "--image-path", &image, "c1"]);
        let made = container.made_by(call);
        let wanted = ["bundle/rootfs/test d 0755 0:0", "srv/test/lower d 0755 0:0", "srv/test/lower/directory d 0755 0:0"];
        for wanted in as_made_by(runtime, &wanted) {
            assert!(made.contains(&wanted), "{wanted}: {made:#?}");
        }
        let of_the_process = made.iter().filter(|made| made.starts_with("srv/test/made"));
        let expected: &[&str] = if runtime == "crun" { &["srv/test/made d 1755 0:0"] } else { &[] };
        assert_eq!(of_the_process.collect::<Vec<_>>(), expected, "the outer one of two that the process had made, in crun's image only");
        let in_kernel_trees = ["bundle/rootfs/proc/", "bundle/rootfs/dev/", "bundle/rootfs/sys/"];
        assert!(!made.iter().any(|made| in_kernel_trees.iter().any(|tree| made.starts_with(tree))), "{made:#?}");
    }
}

const USER_NAMESPACE: &str =
    r#","uidMappings":[{"containerID":0,"hostID":100000,"size":65536}],"gidMappings":[{"containerID":0,"hostID":200000,"size":65536}]"#;

/// In a user namespace: below a source of root's (which the mapped root could not write to), and below one of its own.
fn in_a_user_namespace(runtime: &'static str) -> Container {
    let container = Container::of(runtime);
    let (of_root, own) = (container.directory("srv/root"), container.directory("srv/own"));
    chown(&own, Some(100_000), Some(200_000)).unwrap();
    [&of_root, &own].iter().for_each(|path| set_mode(path, 0o755));
    let idmapped = r#"{"destination":"/m","type":"bind","source":"SOURCE","options":["bind"],"uidMappings":[{"containerID":7,"hostID":100000,"size":9}],"gidMappings":[{"containerID":8,"hostID":200000,"size":9}]}"#;
    let idmapped = idmapped.replace("SOURCE", container.directory("srv/mapped").to_str().unwrap());
    let mounts = [rbind("/r", of_root), rbind("/o", own), idmapped, tmpfs("/r/a/b"), tmpfs("/o/c"), tmpfs("/m/d")];
    container.document(&mounts, "", USER_NAMESPACE);
    container.image(&CheckpointImage::new().external("/r").external("/o").external("/m").tmpfs("/r/a/b").tmpfs("/o/c").tmpfs("/m/d"));
    container
}

#[test]
fn in_a_user_namespace_the_mapped_root_owns_them_and_on_idmapped_mounts_who_appears_as_it() {
    for runtime in RESTORERS {
        let expected = [
            "bundle/rootfs/m d 0755 100000:200000",
            "bundle/rootfs/o d 0755 100000:200000",
            "bundle/rootfs/r d 0755 100000:200000",
            "srv/mapped/d d 0755 7:8",
            "srv/own/c d 0755 100000:200000",
            "srv/root/a d 0755 100000:200000",
            "srv/root/a/b d 0755 100000:200000",
        ];
        assert_eq!(in_a_user_namespace(runtime).made(), as_made_by(runtime, &expected));
    }
}

#[test]
fn the_runtime_starts_as_its_caller_left_it_although_another_owner_was_acted_for() {
    let container = in_a_user_namespace("runc");
    let unusual = || {
        // SAFETY: plain calls; SIG_IGN is no function; a set of our own.
        unsafe {
            libc::umask(0o027);
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::prctl(libc::PR_CAPBSET_DROP, 12, 0, 0, 0);
        }
        Ok(())
    };
    let call = container.restore().cwd(container.path("srv/own")).in_child(unusual).with_fd(7, fs::File::open("/dev/zero").unwrap());
    let before = container.tree();
    let outcome = container.assert_passes_through(call);
    assert_eq!(container.tree().made_since(&before).len(), 7, "and it did act");
    let record = outcome.reached();
    assert_eq!((record.value("umask"), record.value("blocked"), record.value("status Uid")), ("27", "15", "0\t0\t0\t0"));
    assert!(record.value("ignored").split(' ').any(|signal| signal == "13"), "{record:?}");
    assert_eq!(u64::from_str_radix(record.value("status CapEff"), 16).unwrap() >> 12 & 1, 0, "without CAP_NET_ADMIN");
    assert!(record.open_fds().iter().any(|fd| fd.number == 7));
}

#[test]
fn nothing_is_written_when_all_is_there() {
    for runtime in RESTORERS {
        let container = nested(runtime);
        for directory in ["bundle/rootfs/data", "srv/data/lower/directory", "srv/data/etc"] {
            fs::create_dir_all(container.path(directory)).unwrap();
        }
        // Of another mode, another owner, with something in it: no business of ours.
        fs::write(container.path("srv/data/etc/hosts"), "127.0.0.1 localhost").unwrap();
        set_mode(&container.path("srv/data/etc/hosts"), 0o400);
        set_mode(&container.path("srv/data/lower"), 0o700);
        chown(container.path("srv/data/lower/directory"), Some(1234), Some(5678)).unwrap();
        let before = container.tree();
        container.assert_passes_through(container.restore());
        assert_eq!(container.tree(), before);
        assert!(!container.path("own.log").exists(), "nothing to tell");
    }
}

#[test]
fn a_second_restore_finds_all_of_it() {
    let container = nested("runc");
    assert_eq!(container.made(), NESTED);
    fs::remove_file(container.path("own.log")).unwrap();
    let before = container.tree();
    container.assert_passes_through(container.restore());
    assert_eq!(container.tree(), before);
    assert!(!container.path("own.log").exists());
}

#[test]
fn a_read_only_source_that_has_all_of_it_will_do() {
    let container = nested("runc");
    let mut mounts = PrivateMounts::new();
    for directory in ["bundle/rootfs/data", "srv/data/lower/directory", "srv/data/etc"] {
        fs::create_dir_all(container.path(directory)).unwrap();
    }
    fs::write(container.path("srv/data/etc/hosts"), "").unwrap();
    mounts.read_only(container.path("srv/data"));
    let before = container.tree();
    container.assert_passes_through(container.restore());
    assert_eq!(container.tree(), before);
    assert!(!container.path("own.log").exists());
    // The control: with one of them missing it is refused.
    drop(mounts);
    fs::remove_file(container.path("srv/data/etc/hosts")).unwrap();
    let mut mounts = PrivateMounts::new();
    mounts.read_only(container.path("srv/data"));
    assert!(container.restore().run().refused().contains("EROFS"));
}

#[test]
fn a_parent_that_is_mounted_later_hides_its_child() {
    for with_image in [true, false] {
        let container = Container::of("runc");
        let (data, child) = (container.directory("srv/data"), container.directory("srv/child"));
        container.mounts(&[rbind("/data/child", child), rbind("/data", data)]);
        if with_image {
            // The kernel's own tree: the child lies on the root file system.
            container.image(&CheckpointImage::new().external("/data/child").external("/data"));
        }
        assert_eq!(container.made(), ["bundle/rootfs/data d 0755 0:0", "bundle/rootfs/data/child d 0755 0:0"], "with an image: {with_image}");
    }
}

#[test]
fn destinations_through_symlinks_of_the_root_file_system_lie_where_they_lead() {
    // runc registers the resolved destination, old crun the one that is written.
    for key in ["/run/secrets", "/var/run/secrets"] {
        for target in ["../run", "/run", "./../run/."] {
            let container = Container::of("crun");
            container.directory("bundle/rootfs/run");
            container.directory("bundle/rootfs/var");
            symlink(target, container.path("bundle/rootfs/var/run")).unwrap();
            container.settings("rules.checkpointable-mounts.enabled = false");
            container.mounts(&[rbind("/var/run/secrets", container.directory("srv/secrets")), tmpfs("/var/run/secrets/token")]);
            container.image(&CheckpointImage::new().external_as("/run/secrets", key).tmpfs("/run/secrets/token"));
            assert_eq!(container.made(), ["bundle/rootfs/run/secrets d 1755 0:0", "srv/secrets/token d 1755 0:0"], "{key} {target}");
        }
    }
}

#[test]
fn several_levels_over_several_sources_in_any_order() {
    let container = Container::of("crun");
    let names = ["srv/a", "srv/b", "srv/c"].map(|name| container.directory(name));
    let mounts =
        [rbind("/1", &names[0]), rbind("/1/x/2", &names[1]), rbind("/1/x/2/y/3", &names[2]), rbind("/1/x/2/y/3/z/f", container.file("srv/f"))];
    container.mounts(&mounts);
    let image = CheckpointImage::new().external("/1").external("/1/x/2").external("/1/x/2/y/3").external("/1/x/2/y/3/z/f");
    container.image(&image);
    let expected = [
        "bundle/rootfs/1 d 0755 0:0",
        "srv/a/x d 0755 0:0",
        "srv/a/x/2 d 0755 0:0",
        "srv/b/y d 0755 0:0",
        "srv/b/y/3 d 0755 0:0",
        "srv/c/z d 0755 0:0",
        "srv/c/z/f f 0644 0:0",
    ];
    assert_eq!(container.made(), as_made_by("crun", &expected));
}

#[test]
fn a_device_or_a_socket_is_as_good_as_a_file_and_is_mounted_on_a_file() {
    let container = Container::of("runc");
    let socket = container.path("srv/socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    container.mounts(&[mount("/zero", "bind", Path::new("/dev/zero"), &["bind"]), rbind("/socket", &socket)]);
    container.image(&CheckpointImage::new().external("/zero").external("/socket"));
    assert_eq!(container.made(), ["bundle/rootfs/socket f 0644 0:0", "bundle/rootfs/zero f 0644 0:0"]);
}

#[test]
fn a_second_mount_at_one_place_lies_on_the_first() {
    for with_image in [true, false] {
        let container = Container::of("crun");
        let files = ["srv/1", "srv/2"].map(|name| rbind("/file", container.file(name)));
        let directories = ["srv/d1", "srv/d2"].map(|name| rbind("/directory", container.directory(name)));
        container.mounts(&[&files[..], &directories[..], &[tmpfs("/directory/x")]].concat());
        if with_image {
            let image = CheckpointImage::new().external("/file").external("/file").external("/directory").external("/directory");
            container.image(&image.tmpfs("/directory/x"));
        }
        let expected = ["bundle/rootfs/directory d 1755 0:0", "bundle/rootfs/file f 0700 0:0", "srv/d2/x d 1755 0:0"];
        assert_eq!(container.made(), expected, "with an image: {with_image}");
    }
}
