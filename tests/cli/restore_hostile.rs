//! The tree of a source and of the root file system is the workload's, the image may be a stranger's: nothing outside is created, nothing hangs
//! (P6, P8).

use crate::checkpoint_image::CheckpointImage;
use crate::node::names;
use crate::private_mounts::PrivateMounts;
use crate::restore_container::{Container, mount, rbind, tmpfs};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// From start to end of a debug build on a busy machine.
const LONGEST: Duration = Duration::from_secs(5);

/// A container with a source at /data and, on the host, a directory that is none of its business.
fn with_a_source() -> (Container, PathBuf) {
    let container = Container::of("runc");
    container.directory("bundle/rootfs/data");
    container.mounts(&[rbind("/data", container.directory("srv/data"))]);
    let outside = container.directory("outside");
    (container, outside)
}

/// Symlinks that lead from a directory three levels below the node to its `outside`, or nowhere; in the place of NODE stands the node's path.
const LINKS: [&str; 9] = [
    "NODE/outside",
    "../../../outside",
    "../../../../../../../../../../NODE/outside",
    "NODE/outside/new",
    "../../../outside/new/and/newer",
    "/proc/self/root/NODE/outside",
    "/proc/1/root/NODE/outside",
    "/proc/self/cwd/../outside",
    "NODE/bundle/../outside/.",
];

/// Plants the link in `tree` and lets an image ask for a mountpoint at it or below it.
fn assert_contained(tree: &str, mountpoint: &str, target: &str) {
    let (container, outside) = with_a_source();
    let at = if tree == "srv/data" { format!("/data{mountpoint}") } else { mountpoint.to_owned() };
    let link = container.directory(&format!("{tree}/deep")).join("link");
    symlink(target.replace("NODE", &container.text("")), &link).unwrap();
    let text = String::from_utf8(container.config_state().bytes).unwrap();
    container.image(&CheckpointImage::new().external("/data").tmpfs(&at));
    let message = container.refused();
    assert!(message.contains(&format!("{at}: ")) && message.contains(&format!("{} is a symlink", link.display())), "{message}");
    // Whoever insists gets a notice instead; the same without an image, where the destination is read as the container would.
    container.settings("rules.restore-mountpoints.on_error = 'pass'");
    container.restore().run().reached();
    fs::remove_dir_all(container.path("checkpoint")).unwrap();
    container.config(text.replace(r#"],"linux""#, &format!(r#",{}],"linux""#, tmpfs(&at))));
    container.restore().run().reached();
    assert_eq!(names(&outside), [""; 0], "{tree} {mountpoint} {target}");
}

#[test]
fn symlinks_in_a_source_or_in_the_root_file_system_lead_nowhere() {
    for tree in ["srv/data", "bundle/rootfs"] {
        for mountpoint in ["/deep/link", "/deep/link/x", "/deep/link/x/y"] {
            LINKS.iter().for_each(|target| assert_contained(tree, mountpoint, target));
        }
    }
}

#[test]
fn those_symlinks_would_lead_outside() {
    for target in LINKS.iter().filter(|target| !target.contains("/1/") && !target.contains("cwd")) {
        let (container, outside) = with_a_source();
        let link = container.directory("srv/data/deep").join("link");
        symlink(target.replace("NODE", &container.text("")), &link).unwrap();
        let followed = fs::create_dir_all(fs::read_link(&link).map(|to| link.with_file_name(to)).unwrap().join("x"));
        assert!(followed.is_ok() && !names(&outside).is_empty(), "the control: {target}");
    }
}

#[test]
fn magic_links_of_a_bound_proc_lead_nowhere() {
    let (container, outside) = with_a_source();
    container.mounts(&[rbind("/data", "/proc")]);
    for magic in ["self/root", "1/root", "self/cwd", "1/cwd", "thread-self/root"] {
        container.image(&CheckpointImage::new().external("/data").tmpfs(&format!("/data/{magic}{}/x", outside.display())));
        assert!(container.refused().contains(" is a symlink"), "{magic}");
        assert_eq!(names(&outside), [""; 0], "{magic}");
    }
}

#[test]
fn a_fifo_is_not_waited_for() {
    let (container, _) = with_a_source();
    for fifo in ["srv/data/fifo", "bundle/rootfs/fifo"] {
        mkfifo(&container.path(fifo), Mode::S_IRWXU).unwrap();
    }
    container.mounts(&[rbind("/data", container.path("srv/data")), rbind("/data/fifo", container.file("srv/file")), tmpfs("/fifo")]);
    // `refused` and `told` set the time limit. A file may be mounted on a FIFO, which is no directory, and a FIFO is no way to anywhere.
    let image = CheckpointImage::new().external("/data").external("/data/fifo");
    for (mountpoint, place) in [("/fifo", "bundle/rootfs/fifo"), ("/fifo/x", "bundle/rootfs/fifo"), ("/data/fifo/x/y", "srv/data/fifo")] {
        container.image(&image.clone().tmpfs(mountpoint));
        // Below the file at /data/fifo its own source counts, which is one.
        let message = if mountpoint.starts_with("/data") { container.restore().run().refused() } else { container.refused() };
        assert!(message.contains(mountpoint) && !message.contains("/data/fifo: "), "{place}: {message}");
    }
    container.image(&image);
    assert_eq!(container.made(), [""; 0]);
    // As the source of a bind.
    container.mounts(&[rbind("/fifo", container.path("srv/data/fifo"))]);
    container.image(&CheckpointImage::new().external("/fifo"));
    assert_eq!(container.made(), [""; 0]);
}

/// A restore whose image is spoilt: by config.json alone, with one notice, in time.
#[track_caller]
fn assert_falls_back(case: &str, why: &str, spoil: impl FnOnce(&Path)) {
    let (container, outside) = with_a_source();
    container.mounts(&[rbind("/data", container.path("srv/data")), tmpfs("/data/listed")]);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/listed").tmpfs("/data/unlisted"));
    spoil(&container.path("checkpoint"));
    let outcome = container.restore().run();
    outcome.reached();
    assert!(outcome.took < LONGEST, "{case}: {:?}", outcome.took);
    let notices = container.take_notices();
    let is_that = |notice: &String| notice.starts_with("read the checkpoint image: ") && notice.contains(why);
    assert!(notices.len() == 1 && is_that(&notices[0]), "{case}: {why}: {notices:?}");
    assert_eq!((names(&container.path("srv/data")), names(&outside)), (vec!["listed".to_owned()], Vec::new()), "{case}");
}

const TABLE: &str = "mountpoints-12.img";

#[test]
fn spoilt_images_are_noticed_and_survived() {
    let replace = |bytes: Vec<u8>| move |image: &Path| fs::write(image.join(TABLE), bytes).unwrap();
    let good = CheckpointImage::new().external("/data").tmpfs("/data/unlisted").table();
    assert_falls_back("empty", "ends within its magic", replace(Vec::new()));
    assert_falls_back(
        "garbage",
        "begins with the magic",
        replace((0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()),
    );
    assert_falls_back("another file's magic", "begins with the magic", |image| fs::rename(image.join("pstree.img"), image.join(TABLE)).unwrap());
    assert_falls_back("text", "begins with the magic", replace(b"#!/bin/sh\n".repeat(1000)));
    assert_falls_back("every mount twice", "two mounts", replace([&good[..], &good[8..]].concat()));
    assert_falls_back("no root", "no root mount", replace([&good[..8], &good[8..].repeat(0)].concat()));
    assert_falls_back("a record of 4 GiB", "of 4294967295 bytes", replace([&good[..8], &u32::MAX.to_le_bytes(), &[0; 64]].concat()));
    for cut in (1..good.len()).step_by(7) {
        // The end of a record is the end of a whole file, by CRIU's format; a lost parent is noticed then.
        assert_falls_back(&format!("cut to {cut} bytes"), TABLE, replace(good[..cut].to_vec()));
    }
}

#[test]
fn images_that_ask_for_places_by_odd_names_are_noticed() {
    let deep = format!("/{}x", "x/".repeat(128));
    let long = format!("/{}", "x".repeat(4096));
    for (at, why) in [
        ("/data/../../outside/x", "a component `.` or `..`"),
        ("/data/./x", "a component `.` or `..`"),
        ("/data/..", "a component `.` or `..`"),
        ("/data//x", "an empty component"),
        ("/data/x/", "an empty component"),
        ("/data/x\0y", "a NUL byte"),
        (&deep, "too many components"),
        (&long, "longer than PATH_MAX"),
    ] {
        let table = CheckpointImage::new().external("/data").tmpfs(at).table();
        assert_falls_back(at, why, |image| fs::write(image.join(TABLE), table).unwrap());
    }
}

#[test]
fn images_of_odd_files_are_noticed_and_never_waited_for() {
    let table = |image: &Path| image.join(TABLE);
    assert_falls_back("a FIFO", "is no regular file", |image| {
        fs::remove_file(table(image)).unwrap();
        mkfifo(&table(image), Mode::S_IRWXU).unwrap();
    });
    assert_falls_back("a symlink", "is a symlink", |image| {
        fs::rename(table(image), image.join("elsewhere")).unwrap();
        symlink("elsewhere", table(image)).unwrap();
    });
    assert_falls_back("a device", "is no regular file", |image| {
        fs::remove_file(table(image)).unwrap();
        // As /dev/zero.
        mknod(&table(image), SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).unwrap();
    });
    assert_falls_back("a directory", "is no regular file", |image| {
        fs::remove_file(table(image)).unwrap();
        fs::create_dir(table(image)).unwrap();
    });
    assert_falls_back("100 MB", "at most", |image| fs::OpenOptions::new().write(true).open(table(image)).unwrap().set_len(100_000_000).unwrap());
    assert_falls_back("no directory", "ENOTDIR", |image| {
        fs::remove_dir_all(image).unwrap();
        mkfifo(image, Mode::S_IRWXU).unwrap();
    });
}

#[test]
fn a_process_table_that_cannot_be_read_does_not_hide_the_only_mount_table() {
    for name in ["pstree.img", "ids-1.img"] {
        let (container, _) = with_a_source();
        container.image(&CheckpointImage::new().external("/data").tmpfs("/data/unlisted"));
        let file = container.path("checkpoint").join(name);
        fs::remove_file(&file).unwrap();
        mkfifo(&file, Mode::S_IRWXU).unwrap();
        assert_eq!(container.made(), ["srv/data/unlisted d 0755 0:0"], "{name}");
    }
}

/// An image with `count` mounts at /data/0, /data/1 …, each with `end` after it.
fn many(count: usize, end: &str) -> CheckpointImage {
    CheckpointImage::new().external("/data").tmpfs_each("/data", (0..count).map(|number| format!("/data/{number}{end}")))
}

#[test]
fn more_mounts_than_any_container_has_are_noticed() {
    let table = many(16_384, "").table();
    assert_falls_back("16 386 records", "more than 16384 mounts", |image| fs::write(image.join(TABLE), table).unwrap());
}

/// What a restore from `image` made in the source, which lies in memory: some disks take seconds to take it away again.
/// A machine that was too busy for the guard's ten seconds is asked again.
#[track_caller]
fn number_made(image: &CheckpointImage) -> (usize, Vec<String>) {
    let was_busy = |notices: &[String]| notices.iter().any(|notice| notice.contains("no end after"));
    (0..5).map(|_| number_made_once(image)).find(|(_, notices)| !was_busy(notices)).expect("it ends in time")
}

#[track_caller]
fn number_made_once(image: &CheckpointImage) -> (usize, Vec<String>) {
    let (container, _) = with_a_source();
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs(container.path("srv/data"), "mode=755");
    container.image(image);
    let before = container.tree();
    container.restore().run().reached();
    (container.tree().made_since(&before).len(), container.take_notices())
}

#[test]
fn no_image_gets_more_than_4096_inodes() {
    for (count, end, expected) in [(5000, "", 4096), (5000, "/x", 4096), (60, &*"/x".repeat(99), 4000)] {
        let (made, notices) = number_made(&many(count, end));
        assert_eq!(made, expected, "{count} mounts {end}");
        assert!(notices.len() == 1 && notices[0].contains("more than 4096"), "{notices:?}");
    }
    // The control: so many are made.
    assert_eq!(number_made(&many(4096, "")), (4096, Vec::new()));
}

/// Sources for reading and for writing, and an image that config.json's own layout does not have.
fn forged(image: &CheckpointImage) -> Container {
    let container = Container::of("crun");
    ["bundle/rootfs/ro", "bundle/rootfs/rw"].iter().for_each(|at| drop(container.directory(at)));
    let (ro, rw) = (container.directory("srv/ro"), container.directory("srv/rw"));
    container.mounts(&[mount("/ro", "bind", ro, &["rbind", "ro"]), rbind("/rw", rw), tmpfs("/rw/listed")]);
    container.directory("srv/ro/inner");
    container.image(image);
    container.settings("rules.restore-mountpoints.on_error = 'pass'");
    container.restore().run().reached();
    container
}

#[test]
fn a_read_only_source_is_not_reached_through_a_bind_of_the_containers_own() {
    let image = CheckpointImage::new().external("/ro").external("/rw").bind_of("/ro", "inner", "/rw/way").tmpfs("/rw/way/x").tmpfs("/rw/y");
    let container = forged(&image);
    assert_eq!(names(&container.path("srv/ro/inner")), [""; 0]);
    assert_eq!(names(&container.path("srv/rw")), ["way", "y"], "the control");
}

#[test]
fn a_read_only_source_is_not_reached_under_the_name_of_a_listed_mount() {
    // The image says that the read-only source is mounted where config.json has the writable one, with the mountpoint that config.json lists there.
    let image = CheckpointImage::new().external_as("/rw", "/ro").tmpfs("/rw/listed");
    let container = forged(&image);
    assert_eq!(names(&container.path("srv/ro")), ["inner"]);
}
