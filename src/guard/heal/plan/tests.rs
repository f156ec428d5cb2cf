use super::*;
use crate::mountinfo::line::lines;
use std::path::Path;

/// `/` and its disk; volumes below the protected root; the root itself once more by an alias of its own peer group; a private mount.
const HOST: &str = "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
    21 20 0:20 / /proc rw shared:2 - proc proc rw\n\
    22 20 7:0 / /var/lib/engine/vol rw shared:3 - ext4 /dev/loop0 rw\n\
    23 22 7:1 / /var/lib/engine/vol/inner rw shared:4 - ext4 /dev/loop1 rw\n\
    24 20 8:1 /var/lib/engine /mnt/alias rw shared:5 - ext4 /dev/sda1 rw\n\
    25 20 0:50 / /var/lib/engine/own rw - tmpfs own rw\n\
    26 20 8:3 / /srv rw shared:6 - ext4 /dev/sda3 rw\n\
    27 20 0:60 / /var/lib/engine/rootfs rw shared:7 - overlay overlay rw\n";

const ROOTFS: &str = "90 80 0:60 / / rw - overlay overlay rw\n\
    91 90 0:99 / /proc rw - proc proc rw\n\
    92 90 0:98 / /dev rw - tmpfs tmpfs rw\n";

fn verdicts_with(host: &str, container: &str, wish: &Wish) -> Vec<(String, Verdict)> {
    let (host_lines, container) = (lines(host.as_bytes()), [ROOTFS, container].concat());
    let (host, container) = (Host::of(&host_lines, wish.roots.iter().map(|root| root.path.clone()).collect()), lines(container.as_bytes()));
    let entries = Comparison::new(&host, &container, wish).entries();
    entries.into_iter().map(|entry| (entry.line.path().display().to_string(), entry.verdict)).collect()
}

fn wish() -> Wish {
    Wish { roots: vec![Root { path: "/var/lib/engine".into(), place: None }], ..Wish::default() }
}

fn verdicts(container: &str) -> Vec<(String, Verdict)> {
    verdicts_with(HOST, container, &wish())
}

/// Path and group of what is to be healed; the first word of what else is said.
fn short(verdicts: &[(String, Verdict)]) -> String {
    let one = |(path, verdict): &(String, Verdict)| match verdict {
        Verdict::Heal { group } => format!("{path}={group}"),
        Verdict::Right(_) => format!("{path} right"),
        Verdict::Keep(_) => format!("{path} keep"),
        Verdict::Impossible(_) => format!("{path} impossible"),
    };
    verdicts.iter().map(one).collect::<Vec<_>>().join(" ")
}

const WHOLE_HOST: &str = "95 94 7:1 / /host/var/lib/engine/vol/inner rw - ext4 /dev/loop1 rw\n\
    93 90 8:1 / /host rw - ext4 /dev/sda1 rw\n\
    94 93 7:0 / /host/var/lib/engine/vol rw - ext4 /dev/loop0 rw\n\
    96 93 0:20 / /host/proc rw - proc proc rw\n";

#[test]
fn copies_become_slaves_parents_first_and_nothing_else_is_spoken_of() {
    let found = short(&verdicts(WHOLE_HOST));
    assert_eq!(found, "/host=1 /host/var/lib/engine/vol=3 /host/var/lib/engine/vol/inner=4 /host/proc=2", "whatever the order of the table");
    assert_eq!(short(&verdicts("93 90 8:1 /etc /etc/host rw - ext4 /dev/sda1 rw\n94 90 0:20 / /sys/p rw - proc proc rw\n")), "");
}

#[test]
fn what_another_mount_covers_is_left_unless_it_matters() {
    let covered = format!("{WHOLE_HOST}97 96 0:20 / /host/proc rw - proc proc rw\n");
    let found = short(&verdicts(&covered));
    assert_eq!(found, "/host=1 /host/var/lib/engine/vol=3 /host/var/lib/engine/vol/inner=4 /host/proc keep /host/proc=2");
    let in_a_root = format!("{WHOLE_HOST}97 94 8:3 / /host/var/lib/engine/vol rw - ext4 /dev/sda3 rw\n");
    assert!(short(&verdicts(&in_a_root)).contains("/host/var/lib/engine/vol=3"), "its path is tried, and that it leads elsewhere is told");
}

#[test]
fn other_binds_are_healed_on_demand() {
    let container = "93 90 8:3 /data /data rw - ext4 /dev/sda3 rw\n";
    assert_eq!(short(&verdicts(container)), "");
    assert_eq!(short(&verdicts_with(HOST, container, &Wish { all_binds: true, ..wish() })), "/data=6");
}

#[test]
fn of_two_mounts_of_the_same_files_the_one_with_the_same_children_counts() {
    let volume = "94 93 7:0 / /engine/vol rw - ext4 /dev/loop0 rw\n";
    let bind = "93 90 8:1 /var/lib/engine /engine rw - ext4 /dev/sda1 rw\n";
    assert_eq!(short(&verdicts(&[bind, volume].concat())), "/engine=1 /engine/vol=3", "the host unmounts the volume below /");
    assert_eq!(short(&verdicts(bind)), "/engine=1", "without children: the one by which one comes to the root");
    let covered = HOST.replace("/mnt/alias rw", "/var/lib/engine rw");
    assert_eq!(short(&verdicts_with(&covered, bind, &wish())), "/engine=5", "the root is bound on itself");
    let elsewhere = HOST.replace("22 20 7:0 / /var/lib/engine/vol ", "22 24 7:0 / /mnt/alias/vol ");
    assert_eq!(short(&verdicts_with(&elsewhere, &[bind, volume].concat(), &wish())), "/engine=5 /engine/vol=3");
}

#[test]
fn a_copy_in_place_is_of_the_mount_in_that_place() {
    // The same file system mounted a second time, by itself.
    let host = [HOST, "28 20 7:0 / /var/lib/engine/again rw shared:8 - ext4 /dev/loop0 rw\n"].concat();
    let container = "93 90 8:1 / /host rw - ext4 /dev/sda1 rw\n\
        94 93 7:0 / /host/var/lib/engine/vol rw - ext4 /dev/loop0 rw\n\
        95 93 7:0 / /host/var/lib/engine/again rw - ext4 /dev/loop0 rw\n";
    assert_eq!(short(&verdicts_with(&host, container, &wish())), "/host=1 /host/var/lib/engine/vol=3 /host/var/lib/engine/again=8");
}

#[test]
fn what_cannot_be_healed_is_said() {
    let container = "93 90 8:1 / /host rw - ext4 /dev/sda1 rw\n\
        94 93 0:50 / /host/var/lib/engine/own rw - tmpfs own rw\n\
        95 93 7:9 / /host/var/lib/engine/gone rw - ext4 /dev/loop9 rw\n\
        96 90 7:8 / /data rw - ext4 /dev/loop8 rw\n\
        97 90 8:1 /var/lib/engine/x /x rw shared:77 - ext4 /dev/sda1 rw\n";
    let found = verdicts(container);
    let impossible = "/host=1 /host/var/lib/engine/own impossible /host/var/lib/engine/gone impossible /data impossible /x impossible";
    assert_eq!(short(&found), impossible);
    for (index, part) in [(1, "/var/lib/engine/own is not shared"), (2, "7:9 any more"), (3, "guard release"), (4, "no mount of the host")] {
        assert!(matches!(&found[index].1, Verdict::Impossible(why) if why.contains(part)), "{:?}", found[index]);
    }
}

#[test]
fn a_mount_that_the_host_has_not_may_be_the_containers_own() {
    let own = "94 93 0:80 / /host/own rw - tmpfs own rw\n";
    assert_eq!(short(&verdicts(&["93 90 8:1 / /host rw - ext4 /dev/sda1 rw\n", own].concat())), "/host=1 /host/own impossible");
    assert_eq!(short(&verdicts(&["93 90 8:1 / /host rw master:1 - ext4 /dev/sda1 rw\n", own].concat())), "/host right /host/own keep");
    assert_eq!(short(&verdicts("93 90 0:80 / /tmp rw - tmpfs own rw\n")), "", "in no bind that is in question");
}

#[test]
fn what_is_right_stays() {
    let container = "93 90 8:1 / /host rw master:1 - ext4 /dev/sda1 rw\n\
        94 93 7:0 / /host/var/lib/engine/vol rw shared:3 - ext4 /dev/loop0 rw\n\
        95 93 7:1 / /host/in rw shared:70 master:4 - ext4 /dev/loop1 rw\n";
    assert_eq!(short(&verdicts(container)), "/host right /host/var/lib/engine/vol right /host/in right");
    let unbindable = "93 90 8:1 / /host rw unbindable - ext4 /dev/sda1 rw\n";
    assert_eq!(short(&verdicts(unbindable)), "/host=1");
}

#[test]
fn a_mountpoint_itself_gains_nothing_unless_something_is_mounted_below_it() {
    let volume = "93 90 7:0 / /data rw - ext4 /dev/loop0 rw\n";
    assert_eq!(short(&verdicts(volume)), "/data keep");
    assert_eq!(short(&verdicts(&[volume, "94 93 7:1 / /data/inner rw - ext4 /dev/loop1 rw\n"].concat())), "/data=3 /data/inner=4");
    let whole_root = Wish { roots: vec![Root { path: "/var/lib/engine/vol".into(), place: None }], ..Wish::default() };
    assert_eq!(short(&verdicts_with(HOST, volume, &whole_root)), "/data=3", "the root itself: later mounts are below it");
}

#[test]
fn recursively_read_only_is_a_promise() {
    let read_only = WHOLE_HOST.replace(" rw - ", " ro - ");
    assert_eq!(short(&verdicts(&read_only)), "/host keep");
    assert_eq!(short(&verdicts_with(HOST, &read_only, &Wish { force_rro: true, ..wish() })).matches('=').count(), 4);
    let top_only = WHOLE_HOST.replace("/host rw - ", "/host ro - ");
    assert_eq!(short(&verdicts(&top_only)).matches('=').count(), 4, "what is mounted below is writable: no promise");
    assert_eq!(short(&verdicts("93 90 8:1 / /host ro - ext4 /dev/sda1 rw\n")), "/host keep", "it pins nothing");
}

#[test]
fn a_bind_that_carries_a_root_along_is_of_interest() {
    let roots = vec![Root { path: "/srv/engine".into(), place: None }];
    let host = "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
        21 20 8:3 / /srv rw shared:2 - ext4 /dev/sda3 rw\n\
        22 20 8:3 /engine /opt/alias rw shared:2 - ext4 /dev/sda3 rw\n";
    let container = "93 90 8:1 /opt /opt rw - ext4 /dev/sda1 rw\n94 93 8:3 /engine /opt/alias rw - ext4 /dev/sda3 rw\n";
    assert_eq!(short(&verdicts_with(host, container, &Wish { roots, ..Wish::default() })), "/opt=1 /opt/alias=2");
}

#[test]
fn any_table_is_survived() {
    for container in ["93 94 8:1 / /a rw - ext4 x\n94 93 8:1 / /b rw - ext4 x\n", "93 93 8:1 / /a rw - ext4 x\n", "1 2 3:4 . relative rw - x\n"] {
        let _ = verdicts(container);
        let _ = verdicts_with(container, container, &wish());
    }
    let entries = verdicts_with("", WHOLE_HOST, &wish());
    assert!(entries.iter().all(|(path, _)| Path::new(path).starts_with("/host")), "{entries:?}");
}
