//! What the checkpoint image tells beyond config.json, what it may ask for, and where it lies.

use crate::checkpoint_image::CheckpointImage;
use crate::restore_container::{Container, RESTORERS, mount, rbind, tmpfs};
use std::fs;

/// A bind that config.json lists, and below it a mount that it lists and one that the container's own process had made.
fn with_a_mount_of_the_process(options: &[&str]) -> Container {
    let container = Container::of("crun");
    container.mounts(&[mount("/data", "bind", container.directory("srv/data"), options), tmpfs("/data/listed")]);
    container.image(&CheckpointImage::new().external("/data").tmpfs("/data/listed").tmpfs("/data/of/the/process"));
    container
}

const LISTED: [&str; 2] = ["bundle/rootfs/data d 1755 0:0", "srv/data/listed d 1755 0:0"];

#[test]
fn mounts_of_the_containers_own_processes_are_known_by_the_image_only() {
    let container = with_a_mount_of_the_process(&["rbind"]);
    let of_the_process = ["srv/data/of d 1755 0:0", "srv/data/of/the d 1755 0:0", "srv/data/of/the/process d 1755 0:0"];
    assert_eq!(container.made(), [&LISTED[..], &of_the_process].concat());
    // The control: without the image nobody knows.
    let container = with_a_mount_of_the_process(&["rbind"]);
    fs::remove_dir_all(container.path("checkpoint")).unwrap();
    assert_eq!(container.made(), LISTED);
}

#[test]
fn without_an_image_the_log_says_what_could_not_be_seen() {
    let container = with_a_mount_of_the_process(&["rbind"]);
    fs::remove_dir_all(container.path("checkpoint")).unwrap();
    container.made();
    let line = container.take_notice();
    let [notice] = line["notices"].as_array().unwrap().as_slice() else { panic!("one notice: {line}") };
    let message = notice["msg"].as_str().unwrap();
    assert!(message.starts_with("read the checkpoint image: ") && message.contains("ENOENT"), "{message}");
    assert!(message.contains("config.json") && message.contains("own processes"), "{message}");
    assert_eq!((&notice["rule"], &line["level"]), (&"restore-mountpoints".into(), &"warning".into()));
    assert_eq!(line["changes"].as_array().unwrap().len(), 2, "{line}");
    // Also when there was nothing to do.
    container.made();
    assert_eq!(container.take_notices(), [message]);
}

#[test]
fn below_what_criu_restores_itself_nothing_is_made() {
    for with_image in [true, false] {
        let container = Container::of("runc");
        let upper = container.directory("srv/upper");
        container.mounts(&[tmpfs("/var"), rbind("/var/upper", &upper), tmpfs("/var/upper/in/it"), tmpfs("/var/other")]);
        if with_image {
            container.image(&CheckpointImage::new().tmpfs("/var").external("/var/upper").tmpfs("/var/upper/in/it").tmpfs("/var/other"));
        }
        // Not in the root file system below /var, but again in the source that lies on the tmpfs.
        assert_eq!(container.made(), ["bundle/rootfs/var d 0755 0:0", "srv/upper/in d 0755 0:0", "srv/upper/in/it d 0755 0:0"]);
    }
}

#[test]
fn binds_that_the_container_made_itself_lie_where_their_root_lies() {
    let container = Container::of("runc");
    let data = container.directory("srv/data");
    container.directory("srv/data/original");
    container.file("srv/data/file");
    container.file("bundle/rootfs/etc/original");
    container.mounts(&[rbind("/data", &data)]);
    let image = CheckpointImage::new().external("/data").bind_of("/data", "original", "/data/copy").bind_of("/data", "file", "/data/copied-file");
    // Of the root file system, onto the source; and something on the copied directory, which lies in its original.
    container.image(&image.bind_of("/", "etc/original", "/data/hosts").tmpfs("/data/copy/on/it"));
    let expected = [
        "bundle/rootfs/data d 0755 0:0",
        "srv/data/copied-file f 0644 0:0",
        "srv/data/copy d 0755 0:0",
        "srv/data/hosts f 0644 0:0",
        "srv/data/original/on d 0755 0:0",
        "srv/data/original/on/it d 0755 0:0",
    ];
    assert_eq!(container.made(), expected);
}

#[test]
fn a_bind_whose_root_is_gone_tells_no_kind_and_is_not_guessed() {
    let container = Container::of("runc");
    container.directory("bundle/rootfs/data");
    container.mounts(&[rbind("/data", container.directory("srv/data"))]);
    container.image(&CheckpointImage::new().external("/data").bind_of("/data", "gone", "/data/copy"));
    let message = container.refused();
    assert!(message.contains("/data/copy: a directory or a file is needed at ") && message.contains("(create it)"), "{message}");
    for made in ["a directory", "a file"] {
        let copy = container.path("srv/data/copy");
        let _ = if made == "a file" { fs::remove_dir(&copy).and_then(|()| fs::write(&copy, "")) } else { fs::create_dir(&copy) };
        assert_eq!(container.made(), [""; 0], "{made} will do");
    }
}

#[test]
fn an_image_alone_asks_for_nothing_when_the_settings_say_so() {
    let container = with_a_mount_of_the_process(&["rbind"]);
    container.settings("create_from_image = false");
    let message = container.refused();
    let place = container.text("srv/data/of/the/process");
    for part in ["/data/of/the/process: a directory is needed at ", &place, "only the image asks for it", "create_from_image"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("/data/listed"), "{message}");
    // Once somebody made it, the listed ones are created as ever.
    fs::create_dir_all(place).unwrap();
    assert_eq!(container.made(), LISTED);
}

#[test]
fn in_a_read_only_bind_an_image_alone_asks_for_nothing() {
    for options in [&["rbind", "ro"][..], &["bind", "rro"]] {
        let container = with_a_mount_of_the_process(options);
        let message = container.refused();
        assert!(message.contains("/data/of/the/process: ") && message.contains("only the image asks for it"), "{message}");
        assert!(!message.contains("/data/listed"), "{message}");
        fs::create_dir_all(container.path("srv/data/of/the/process")).unwrap();
        assert_eq!(container.made(), LISTED, "what config.json lists is created all the same");
    }
}

#[test]
fn in_proc_sys_and_dev_of_the_root_file_system_an_image_alone_asks_for_nothing() {
    let container = Container::of("runc");
    container.mounts(&[]);
    container.image(&CheckpointImage::new().tmpfs("/dev/forged").tmpfs("/proc/forged").tmpfs("/sys/a/b").tmpfs("/process"));
    assert_eq!(container.made(), ["bundle/rootfs/process d 0755 0:0"]);
    // A file over one of /proc, as lxcfs does, is in config.json; there is no /proc mount in this image that would hide it.
    container.mounts(&[rbind("/proc/uptime", container.file("srv/uptime"))]);
    container.image(&CheckpointImage::new().external("/proc/uptime"));
    assert_eq!(container.made(), ["bundle/rootfs/proc/uptime f 0644 0:0"]);
}

#[test]
fn an_external_mount_that_config_json_does_not_have_is_told() {
    let container = Container::of("runc");
    container.mounts(&[]);
    container.directory("bundle/rootfs/gone");
    container.image(&CheckpointImage::new().external("/gone"));
    assert_eq!(container.made(), [""; 0]);
    let notices = container.take_notices();
    assert!(notices.len() == 1 && notices[0].starts_with("/gone: ") && notices[0].contains("no mapping"), "{notices:?}");
    // With the bind in config.json there is nothing to tell.
    container.mounts(&[rbind("/gone", container.directory("srv/found"))]);
    container.made();
    assert!(!container.path("own.log").exists());
}

/// A container whose image is at `image`, below the node; what a restore with these words in `cwd` made of the mount that only an image knows.
#[track_caller]
fn made_with_image_at(runtime: &'static str, image: &str, cwd: &str, options: &[&str]) -> bool {
    let container = Container::of(runtime);
    container.mounts(&[]);
    CheckpointImage::new().tmpfs("/known-by-image").write(&container.path(image));
    let cwd = container.directory(cwd);
    let options: Vec<String> = options.iter().map(|word| word.replace("NODE", &container.text(""))).collect();
    container.guard(["restore"].into_iter().map(str::to_owned).chain(options).chain(["c1".to_owned()])).cwd(cwd).run().reached();
    container.path("bundle/rootfs/known-by-image").exists()
}

#[test]
fn the_image_is_looked_for_where_the_runtime_looks() {
    const BUNDLE: &str = "--bundle=NODE/bundle";
    // Where the image is, the working directory, the options, and whether runc and crun find it there.
    let table: [(&str, &str, &[&str], [bool; 2]); 11] = [
        ("cwd/checkpoint", "cwd", &[BUNDLE], [true, false]),
        ("bundle/checkpoint", "cwd", &[BUNDLE], [false, true]),
        ("bundle/checkpoint", "bundle", &[], [true, true]),
        ("cwd/image", "cwd", &[BUNDLE, "--image-path=image"], [true, false]),
        ("bundle/image", "cwd", &[BUNDLE, "--image-path", "image"], [false, true]),
        ("bundle/image", "cwd", &[BUNDLE, "--image-path", "../bundle/image"], [true, true]),
        ("image", "cwd", &[BUNDLE, "--image-path", "../image"], [true, true]),
        ("image", "bundle", &["--image-path", "../image"], [true, true]),
        ("image", "cwd", &[BUNDLE, "--image-path", "NODE/image"], [true, true]),
        ("image", "cwd", &["--image-path", "NODE/other", "--image-path", "NODE/image", BUNDLE], [true, true]),
        ("image", "cwd", &["--image-path", "NODE/image", "--image-path", "NODE/other", BUNDLE], [false, false]),
    ];
    for (image, cwd, options, found) in table {
        let made = RESTORERS.map(|runtime| made_with_image_at(runtime, image, cwd, options));
        assert_eq!(made, found, "{image} {options:?}");
    }
}
