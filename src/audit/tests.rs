use super::*;
use crate::mountinfo::line::lines;

const HOST: &str = "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
    21 20 7:0 / /var/lib/kubelet/pods/a/vol rw shared:2 - ext4 /dev/loop0 rw\n\
    22 20 0:31 / /sys rw shared:3 - sysfs sysfs rw\n\
    23 20 7:1 / /srv/data rw shared:4 - ext4 /dev/loop1 rw\n\
    24 20 0:60 / /run/c/rootfs rw shared:5 - overlay overlay rw\n\
    25 20 8:9 / /private rw - ext4 /dev/sdb1 rw\n";

/// What every container has: a root of its own, /proc, /dev, and the host's sysfs.
const ROOTFS: &str = "90 80 0:60 / / rw - overlay overlay rw\n\
    91 90 0:70 / /proc rw - proc proc rw\n\
    92 90 0:31 / /sys ro - sysfs sysfs rw\n\
    93 90 0:71 / /dev rw - tmpfs tmpfs rw\n";

fn audit(container: &str, meaning: &Meaning) -> Vec<Finding> {
    let (host, container) = (HOST.as_bytes(), [ROOTFS, container].concat());
    let (host, container) = (lines(host), lines(container.as_bytes()));
    let roots = [PathBuf::from("/var/lib/kubelet"), PathBuf::from("/private/root")];
    findings(&Host::of(Tree::of(&host), &roots), &Tree::of(&container), meaning)
}

fn bind(destination: &str, source: &str, words: &[&str]) -> Meaning {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    let intent = Intent { destination: destination.into(), source: source.into(), propagation_words: words };
    Meaning { binds: vec![intent], rootfs_propagation: Some("rslave".to_owned()), ..Meaning::default() }
}

fn pinned(findings: &[Finding]) -> Vec<(String, bool, Cause)> {
    let pins = findings.iter().flat_map(|finding| &finding.pinned);
    pins.map(|pin| (pin.path.display().to_string(), pin.gone, pin.why)).collect()
}

fn pin(path: &str, gone: bool, why: Cause) -> (String, bool, Cause) {
    (path.to_owned(), gone, why)
}

const PRIVATE_ROOT: &str = "100 90 8:1 / /host rw - ext4 /dev/sda1 rw\n\
    101 100 7:0 / /host/var/lib/kubelet/pods/a/vol rw - ext4 /dev/loop0 rw\n\
    102 100 7:1 / /host/srv/data rw - ext4 /dev/loop1 rw\n";

#[test]
fn a_private_bind_pins_what_lies_in_the_roots() {
    let found = audit(PRIVATE_ROOT, &bind("/host", "/", &["rprivate"]));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].source.as_path(), found[0].root.as_path()), (Path::new("/"), Path::new("/var/lib/kubelet")));
    assert_eq!((found[0].propagation, found[0].without_effect), (Propagation::Private, None));
    assert_eq!(pinned(&found), [pin("/host/var/lib/kubelet/pods/a/vol", false, Cause::Private)], "/srv/data is in no root");
}

#[test]
fn a_copy_whose_host_mount_is_gone_is_pinned_now() {
    let gone = format!("{PRIVATE_ROOT}103 100 7:7 / /host/var/lib/kubelet/pods/old/vol rw - ext4 /dev/loop7 rw\n");
    let found = audit(&gone, &Meaning::default());
    assert_eq!(pinned(&found)[1], pin("/host/var/lib/kubelet/pods/old/vol", true, Cause::Private), "config.json is not needed for that");
}

#[test]
fn slaves_and_peers_are_clean() {
    for tag in ["master:1", "shared:9 master:1", "shared:1"] {
        let found = audit(&PRIVATE_ROOT.replace("/host rw -", &format!("/host rw {tag} -")), &bind("/host", "/", &["rslave"]));
        assert_eq!((pinned(&found), found[0].without_effect), (vec![], None), "{tag}");
    }
    let stranger = audit(&PRIVATE_ROOT.replace("/host rw -", "/host rw shared:77 -"), &bind("/host", "/", &["rshared"]));
    assert_eq!(pinned(&stranger).len(), 1, "a peer group that the host is not in");
}

#[test]
fn a_mount_of_the_containers_own_keeps_a_slave_copy() {
    let inside = "100 90 8:1 / /host rw master:1 - ext4 /dev/sda1 rw\n\
        101 100 7:7 / /host/var/lib/kubelet/x rw master:9 - ext4 /dev/loop7 rw\n\
        102 101 0:99 / /host/var/lib/kubelet/x/own rw - tmpfs tmpfs rw\n";
    let found = audit(inside, &bind("/host", "/", &["rslave"]));
    assert_eq!(pinned(&found), [pin("/host/var/lib/kubelet/x", true, Cause::MountedInside)]);
}

#[test]
fn a_source_that_is_the_mountpoint_pins_when_the_host_has_it_no_longer() {
    let bound = |device: &str| format!("100 90 {device} / /data rw master:2 - ext4 /dev/loop rw\n");
    let meaning = bind("/data", "/var/lib/kubelet/pods/a/vol", &["rslave"]);
    assert_eq!(pinned(&audit(&bound("7:0"), &meaning)), []);
    assert_eq!(pinned(&audit(&bound("7:7"), &meaning)), [pin("/data", true, Cause::SourceIsMountpoint)]);
}

#[test]
fn why_an_rslave_has_no_effect() {
    let trap = |meaning: &Meaning| audit(PRIVATE_ROOT, meaning)[0].without_effect;
    let meant = bind("/host", "/", &["rslave"]);
    let with = |value: Option<&str>, is_crun| Meaning { rootfs_propagation: value.map(str::to_owned), is_crun, ..meant.clone() };
    assert_eq!(trap(&bind("/host", "/", &["rslave", "rprivate"])), Some(Trap::SeveralWords));
    assert_eq!(trap(&with(Some("rprivate"), false)), Some(Trap::RootfsPropagationPrivate));
    assert_eq!(trap(&with(None, true)), Some(Trap::RootfsPropagationUnsetInCrun));
    assert_eq!(trap(&with(None, false)), Some(Trap::Unknown));
    assert_eq!(trap(&Meaning { rootfs: Some("/srv/bundle/rootfs".into()), ..meant.clone() }), Some(Trap::RootfsOnTheSameMount));
    assert_eq!(trap(&Meaning { rootfs: Some("/run/c/rootfs".into()), ..meant }), Some(Trap::Unknown));
    let private = "100 90 8:9 /root /p rw - ext4 /dev/sdb1 rw\n";
    assert_eq!(audit(private, &bind("/p", "/private/root", &["rslave"]))[0].without_effect, Some(Trap::HostMountPrivate));
}

#[test]
fn what_overlaps_no_root_is_no_finding() {
    assert_eq!(audit("100 90 7:1 / /data rw - ext4 /dev/loop1 rw\n", &bind("/data", "/srv/data", &["rprivate"])), []);
    assert_eq!(audit("", &Meaning::default()), []);
}
