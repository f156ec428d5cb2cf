//! What a checkpoint or a restore would stumble over is spelt as the kernel will see it, already at create: destinations and sources of binds, and
//! nothing else of the document.

use crate::node::{Node, set_mode};
use crate::restore_container::{Container, RESTORERS, mount, rbind, tmpfs};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

/// A document of unusual spelling, with `mounts` in it. It lacks what another rule could change.
fn document(mounts: &[String]) -> String {
    let mounts = mounts.join(" ,\n\t");
    format!(
        "{{ \"ociVersion\" : \"1.0.2\",\n \"x\": [1e3, \"\\u00e9/./\"],\r\n\t\"root\":{{\"path\":\"rootfs\"}} , \"mounts\" : [\n{mounts} ],\n\"linux\":{{}}}}\n"
    )
}

fn text(node: &Node) -> String {
    String::from_utf8(node.config_state().bytes).unwrap()
}

const COMMANDS: [&str; 3] = ["create", "run", "restore"];

/// Runs `command` over `mounts`, and again; the mounts afterwards.
#[track_caller]
fn assert_spelt(container: &Container, command: &str, mounts: &[String], expected: &[String]) {
    container.config(document(mounts));
    let before = container.config_state();
    let call = || container.guard([command, "--bundle", &container.bundle(), "c1"]);
    container.assert_passes_through(call());
    let after = container.config_state();
    assert_eq!(text(container), document(expected), "{command}");
    if mounts == expected {
        assert_eq!(after, before, "{command}: nothing is written");
    }
    container.assert_passes_through(call());
    assert_eq!(container.config_state(), after, "{command}: a second run writes nothing");
}

/// With every command and both runtimes: a bind of an empty directory at `destination` is spelt `expected`, after what `prepare` did and behind
/// the mounts that it gives back.
#[track_caller]
fn assert_destination(destination: &str, expected: &str, prepare: impl Fn(&Container) -> Vec<String>) {
    for runtime in RESTORERS {
        for command in COMMANDS {
            let container = Container::of(runtime);
            // Of no concern here, and it would refuse some of these.
            container.settings("rules.restore-mountpoints.enabled = false");
            let earlier = prepare(&container);
            let source = container.directory("srv/source");
            let mounts = |at: &str| [&earlier[..], &[rbind(at, &source), tmpfs("/last/./one/")]].concat();
            assert_spelt(&container, command, &mounts(destination), &mounts(expected));
        }
    }
}

fn link(container: &Container, at: &str, target: impl AsRef<OsStr>) {
    fs::create_dir_all(container.path(at).parent().unwrap()).unwrap();
    symlink(target.as_ref(), container.path(at)).unwrap();
}

#[test]
fn odd_spellings_of_a_destination() {
    let nothing = |_: &Container| Vec::new();
    for odd in
        ["/data/x/", "//data/x", "/data//x", "/./data/x", "/data/x/.", "/other/../data/x", "/../data/x", "data/x", "./data/x///", "/data/y/../x"]
    {
        assert_destination(odd, "/data/x", nothing);
    }
    for plain in ["/data/x", "/", "/...", "/data/..x", "/é \u{1f600}"] {
        assert_destination(plain, plain, nothing);
    }
}

#[test]
fn destinations_through_symlinks_of_the_root_file_system() {
    let table = [
        ("/var/run/secrets/x", "/run", "/run/secrets/x"),
        ("/var/run/secrets", "../run", "/run/secrets"),
        ("/var/run", "/run", "/run"),
        ("/var/run/", "../run/.", "/run"),
        // As the container sees it: not above its root.
        ("/var/run/x", "../../../../etc", "/etc/x"),
        ("/var/run/x", "missing/yet", "/var/missing/yet/x"),
        // After a symlink `..` is the parent of what it leads to, but runtimes clean destinations first.
        ("/var/run/../x", "/deep/er", "/var/x"),
    ];
    for (destination, target, expected) in table {
        assert_destination(destination, expected, |container| {
            link(container, "bundle/rootfs/var/run", target);
            Vec::new()
        });
    }
    assert_destination("/a/b/c", "/z/c", |container| {
        link(container, "bundle/rootfs/a", "/l1");
        link(container, "bundle/rootfs/l1", "l2");
        link(container, "bundle/rootfs/l2/b", "/z");
        Vec::new()
    });
}

#[test]
fn symlinks_that_lead_round_in_a_circle_are_left_to_the_runtime() {
    assert_destination("/round/x", "/round/x", |container| {
        link(container, "bundle/rootfs/round", "about");
        link(container, "bundle/rootfs/about", "/round");
        Vec::new()
    });
}

#[test]
fn symlinks_inside_the_source_of_an_earlier_bind() {
    let with_data = |target: &'static str| {
        move |container: &Container| {
            link(container, "srv/data/current", target);
            vec![rbind("/data", container.path("srv/data"))]
        }
    };
    assert_destination("/data/current/conf", "/data/releases/7/conf", with_data("releases/7"));
    assert_destination("/data/current", "/data/releases", with_data("./releases/"));
    assert_destination("/data/current/x", "/etc/x", with_data("/etc"));
    assert_destination("/data/current/x", "/etc/x", with_data("../../etc"));
}

#[test]
fn what_an_earlier_mount_hides_leads_nowhere() {
    assert_destination("/var/run/x", "/var/run/x", |container| {
        link(container, "bundle/rootfs/var/run", "/run");
        vec![tmpfs("/var")]
    });
    assert_destination("/var/run/x", "/var/run/x", |container| {
        link(container, "bundle/rootfs/var/run", "/run");
        vec![rbind("/var", container.directory("srv/var"))]
    });
    // The tmpfs lies on the directory that the symlink leads to, and what is below is the tmpfs's.
    assert_destination("/var/run/x", "/run/x", |container| {
        link(container, "bundle/rootfs/var/run", "/run");
        vec![tmpfs("/run")]
    });
}

/// With every command and both runtimes: a bind with this source, where NODE is the node's path.
#[track_caller]
fn assert_source(source: &str, expected: &str, prepare: impl Fn(&Container)) {
    for runtime in RESTORERS {
        for command in COMMANDS {
            let container = Container::of(runtime);
            container.settings("rules.restore-mountpoints.enabled = false");
            container.directory("srv/real");
            prepare(&container);
            let mounts = |source: &str| {
                let source = source.replace("NODE", container.text("").trim_end_matches('/'));
                [rbind("/data", &source), mount("/t", "tmpfs", &source, &["nosuid"])]
            };
            let expected = [&mounts(expected)[..1], &mounts(source)[1..]].concat();
            assert_spelt(&container, command, &mounts(source), &expected);
        }
    }
}

#[test]
fn relative_and_symlinked_sources_of_binds_only() {
    let link_to = |target: &'static str| move |container: &Container| link(container, "srv/link", target.replace("NODE", &container.text("")));
    assert_source("../srv/real", "NODE/srv/real", |_| ());
    assert_source("rootfs/proc", "NODE/bundle/rootfs/proc", |_| ());
    assert_source(".", "NODE/bundle", |_| ());
    assert_source("NODE/srv/link", "NODE/srv/real", link_to("real"));
    assert_source("NODE/srv/link/inner", "NODE/srv/real/inner", |container| {
        link_to("NODE/srv/real")(container);
        container.directory("srv/real/inner");
    });
    assert_source("../srv/link", "NODE/srv/real", link_to("../srv/./real/"));
    assert_source("NODE/srv/link/../real", "NODE/srv/real", link_to("real"));
    assert_source("NODE/srv/link", "NODE/srv/file", |container| {
        link_to("file")(container);
        container.file("srv/file");
    });
}

#[test]
fn sources_that_are_real_or_cannot_be_named_are_left_alone() {
    let same = |source: &str, prepare: &dyn Fn(&Container)| assert_source(source, source, prepare);
    same("NODE/srv/real", &|_| ());
    // The kernel takes these, and so does CRIU.
    same("NODE/srv/real/", &|_| ());
    same("NODE//srv/./real", &|_| ());
    same("NODE/srv/missing", &|_| ());
    same("../srv/missing", &|_| ());
    same("NODE/srv/link", &|container| link(container, "srv/link", "missing"));
    same("NODE/srv/link", &|container| link(container, "srv/link", "link"));
    same("NODE/srv/link", &|container| {
        fs::create_dir(container.path("srv").join(OsStr::from_bytes(b"n\xffn"))).unwrap();
        link(container, "srv/link", OsStr::from_bytes(b"n\xffn"));
    });
    same("/proc/self/mounts", &|_| ());
    same("/proc/thread-self/fd/0", &|_| ());
}

#[test]
fn a_directory_below_proc_is_left_alone_also_beside_a_bind_that_is_not() {
    for command in COMMANDS {
        let container = Container::of("crun");
        container.settings("rules.restore-mountpoints.enabled = false");
        let source = container.directory("srv/source");
        let mounts = |odd: &str| [rbind("/data", "/proc/self/cwd"), rbind(odd, &source)];
        assert_spelt(&container, command, &mounts("/odd/"), &mounts("/odd"));
    }
}

#[test]
fn a_symlink_into_proc_is_not_nailed_to_one_process() {
    // As /etc/mtab and /dev/fd are: the name of this process's own directory means nothing to the next one.
    assert_source("NODE/srv/link", "NODE/srv/link", |container| link(container, "srv/link", "/proc/self/mounts"));
    assert_source("NODE/srv/link/net", "NODE/srv/link/net", |container| link(container, "srv/link", "/proc/self"));
}

#[test]
fn destinations_that_are_no_text_are_left_alone() {
    assert_destination("/link/x/", "/link/x/", |container| {
        link(container, "bundle/rootfs/link", OsStr::from_bytes(b"n\xffn"));
        Vec::new()
    });
}

#[test]
fn where_the_symlink_itself_is_meant_it_stays() {
    let container = Container::of("crun");
    container.settings("rules.restore-mountpoints.enabled = false");
    link(&container, "bundle/rootfs/link", "/target");
    link(&container, "srv/link", "real");
    let (written, real) = (container.path("srv/link"), container.directory("srv/real"));
    let bind = |word: &str, at: &str, source: &std::path::Path| mount(at, "bind", source, &["bind", word]);
    for (word, at, source) in
        [("nosuid", "/target", &real), ("src-nofollow", "/target", &written), ("dest-nofollow", "/link", &real), ("copy-symlink", "/link", &written)]
    {
        assert_spelt(&container, "create", &[bind(word, "/link", &written)], &[bind(word, at, source)]);
    }
}

#[test]
fn paths_are_written_as_json() {
    for odd in ["a\"b", "a\\b", "a\nb", "a\u{1b}b", "a\u{7f}\u{2028}b", "é\u{1f600}"] {
        assert_destination(&format!("/link/{odd}"), &format!("/t/{odd}"), |container| {
            link(container, "bundle/rootfs/link", "t");
            Vec::new()
        });
    }
    // What is escaped without need stays as it is as long as the path does.
    let container = Container::of("runc");
    for (escaped, after) in [(r#""\/d\u0061ta""#, r#""\/d\u0061ta""#), (r#""\/d\u0061ta\/""#, r#""/data""#), (r#""/d\u0061ta/\u002e""#, r#""/data""#)]
    {
        let mounts = |literal: &str| [rbind("/PLACE", container.directory("srv/source")).replace(r#""/PLACE""#, literal)];
        container.directory("bundle/rootfs/data");
        assert_spelt(&container, "create", &mounts(escaped), &mounts(after));
    }
}

#[test]
fn the_log_tells_each_spelling_before_and_after() {
    let container = Container::of("crun");
    container.mounts(&[rbind("/data/", "../srv")]);
    container.create().run().reached();
    let line = container.take_notice();
    let told = |index: usize| ["rule", "mount", "field", "before", "after"].map(|member| line["changes"][index][member].as_str().unwrap().to_owned());
    assert_eq!(told(0), ["checkpointable-mounts", "/data/", "destination", "/data/", "/data"]);
    assert_eq!(told(1), ["checkpointable-mounts", "/data/", "source", "../srv", &container.text("srv")]);
    assert_eq!(line["changes"].as_array().unwrap().len(), 2, "{line}");
}

#[test]
fn the_rule_can_be_switched_off_and_youki_gets_nothing() {
    for (runtime, settings) in
        [("crun", "rules.checkpointable-mounts.enabled = false"), ("runc", "rules.checkpointable-mounts.enabled = false"), ("youki", "")]
    {
        let container = Container::of(runtime);
        container.settings(settings);
        container.mounts(&[rbind("/data/./", container.path("bundle/../srv"))]);
        let before = container.config_state();
        COMMANDS[..2].iter().for_each(|command| drop(container.guard([command, "--bundle", &container.bundle(), "c1"]).run()));
        assert_eq!(container.config_state(), before, "{runtime} {settings}");
    }
}

#[test]
fn it_is_the_document_that_the_call_names() {
    let container = Container::of("crun");
    link(&container, "elsewhere", "bundle");
    set_mode(&container.path("bundle/config.json"), 0o600);
    let source = container.directory("srv/source");
    for (words, cwd) in [(&["create", "c1"][..], "bundle"), (&["create", "--bundle", "../elsewhere", "c1"], "empty"), (&["run", "c1"], "elsewhere")] {
        container.config(document(&[rbind("/data/", "../srv/source")]));
        container.guard(words).cwd(container.path(cwd)).run().reached();
        assert_eq!(text(&container), document(&[rbind("/data", &source)]), "{words:?}");
        assert_eq!(container.config_state().mode & 0o7777, 0o600);
    }
}
