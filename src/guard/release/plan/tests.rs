use super::*;
use crate::mountinfo::line::lines;

const HOST: &str = "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n21 20 7:1 / /still rw shared:2 - ext4 /dev/loop1 rw\n";

/// /host is a private copy; the volume 7:0 is gone on the host, and the container has mounted things inside and on top.
const CONTAINER: &str = "90 80 0:60 / / rw - overlay overlay rw\n\
    93 90 8:1 / /host rw - ext4 /dev/sda1 rw\n\
    94 93 7:0 / /host/vol rw - ext4 /dev/loop0 rw\n\
    95 94 0:70 / /host/vol/in rw - tmpfs in rw\n\
    96 95 0:71 / /host/vol/in/deep rw - tmpfs deep rw\n\
    97 94 0:72 / /host/vol rw - tmpfs above rw\n\
    98 93 7:1 / /host/still rw - ext4 /dev/loop1 rw\n\
    99 93 0:73 / /host/beside rw - tmpfs beside rw\n";

fn copies_in(container: &str, target: &Target, force: bool) -> Vec<Copy> {
    let (host, container) = (lines(HOST.as_bytes()), lines(container.as_bytes()));
    copies(&Host::of(&host, Vec::new()), &Tree::of(&container), target, force)
}

fn device(minor: u32) -> Target {
    Target::of_device((7, minor), format!("/dev/loop{minor}").into())
}

fn ids(copy: &Copy) -> Vec<u32> {
    copy.doomed.iter().map(|doomed| doomed.id).collect()
}

#[test]
fn a_stale_copy_goes_with_what_is_in_it_the_deepest_first() {
    let found = copies_in(CONTAINER, &device(0), false);
    assert_eq!(found.len(), 1);
    assert_eq!((ids(&found[0]), &found[0].refusal), (vec![96, 95, 97, 94], &None));
    assert_eq!(found[0].mountpoint, Some(Place { device: (8, 1), path: "/vol".into() }));
}

#[test]
fn a_copy_that_the_host_still_has_stays_except_by_force() {
    let found = copies_in(CONTAINER, &device(1), false);
    assert!(found[0].refusal.as_ref().unwrap().contains("the host still has it mounted at /still"));
    assert_eq!(copies_in(CONTAINER, &device(1), true)[0].refusal, None);
    let inside = CONTAINER.replace("0:70 / /host/vol/in rw - tmpfs", "7:1 / /host/vol/in rw - ext4");
    assert!(copies_in(&inside, &device(0), false)[0].refusal.is_some(), "one in it that the host still has");
}

#[test]
fn a_copy_in_a_copy_goes_with_it() {
    let twice = CONTAINER.replace("0:70 / /host/vol/in", "7:0 /in /host/vol/in");
    let found = copies_in(&twice, &device(0), false);
    assert_eq!(found.iter().map(|copy| copy.id).collect::<Vec<_>>(), [94]);
    let inner_first: Vec<&str> = twice.lines().collect();
    let inner_first = [inner_first[0], inner_first[1], inner_first[3], inner_first[2]].join("\n");
    assert_eq!(copies_in(&inner_first, &device(0), false).iter().map(|copy| copy.id).collect::<Vec<_>>(), [94], "in any order");
}

#[test]
fn the_host_and_the_root_file_system_are_out_of_reach() {
    for tag in ["shared:1", "shared:1 master:9"] {
        let shared = CONTAINER.replace("/host rw -", &format!("/host rw {tag} -"));
        assert!(copies_in(&shared, &device(0), true)[0].refusal.as_ref().unwrap().contains("would reach the host's mount /"), "{tag}");
    }
    let slave = CONTAINER.replace("/host rw -", "/host rw master:1 -");
    assert_eq!(copies_in(&slave, &device(0), false)[0].refusal, None, "a slave hands nothing up");
    let rootfs = CONTAINER.replace("0:60 / / rw - overlay", "7:0 / / rw - ext4");
    assert!(copies_in(&rootfs, &device(0), true)[0].refusal.as_ref().unwrap().contains("root file system"));
}
