use super::*;
use std::os::unix::ffi::OsStrExt;

mod hostile;
mod properties;

const PSTREE: &[u8] = include_bytes!("../../tests/fixtures/criu-image/pstree.img");
const IDS: &[u8] = include_bytes!("../../tests/fixtures/criu-image/ids-1.img");
const MOUNTS: &[u8] = include_bytes!("../../tests/fixtures/criu-image/mountpoints-12.img");
const CRUN_PSTREE: &[u8] = include_bytes!("../../tests/fixtures/criu-image/crun-1.28/pstree.img");
const CRUN_IDS: &[u8] = include_bytes!("../../tests/fixtures/criu-image/crun-1.28/ids-1.img");
const CRUN_MOUNTS: &[u8] = include_bytes!("../../tests/fixtures/criu-image/crun-1.28/mountpoints-12.img");

// --- an encoder that shares nothing with the decoder: protobuf by its definition ---

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(0x80 | u8::try_from(value & 0x7f).unwrap());
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn text(field: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// What CRIU requires of a mount. A field that is written again after it replaces the first.
fn mount(id: u32, parent: u32, mountpoint: impl AsRef<[u8]>) -> Vec<u8> {
    let numbers = [number(1, 5), number(2, id.into()), number(3, 52), number(4, parent.into()), number(5, 0)].concat();
    [numbers, text(6, "/"), text(7, mountpoint), text(8, "tmpfs"), text(9, "")].concat()
}

fn root_mount() -> Vec<u8> {
    mount(1, 99, "/")
}

fn file(magics: &[u32], records: &[Vec<u8>]) -> Vec<u8> {
    let head = magics.iter().flat_map(|magic| magic.to_le_bytes());
    let framed = |record: &Vec<u8>| [&u32::try_from(record.len()).unwrap().to_le_bytes(), record.as_slice()].concat();
    head.chain(records.iter().flat_map(framed)).collect()
}

fn image(records: &[Vec<u8>]) -> Vec<u8> {
    file(&[COMMON_MAGIC, MOUNTS_MAGIC], records)
}

fn why_not(records: &[Vec<u8>]) -> String {
    mounts(&image(records)).unwrap_err().to_string()
}

fn rows(image: &[u8]) -> Vec<String> {
    let row = |mount: &MountRecord| {
        let key = mount.external_key.as_ref().map_or("-".into(), |key| key.to_string_lossy());
        let (id, parent, root) = (mount.id, mount.parent, mount.root.display());
        format!("{id} {parent} {} {} {} {key} {root}", mount.file_system, mount.device, mount.mountpoint.display())
    };
    mounts(image).unwrap().iter().map(row).collect()
}

#[test]
fn reads_an_image_of_runc() {
    assert_eq!((root_pid(PSTREE), mount_namespace(IDS)), (Ok(1), Ok(12)));
    let expected = [
        "86 141 5 55 /proc/timer_list /dev/null /null",
        "85 141 5 55 /proc/keys /dev/null /null",
        "84 141 1 54 /proc/sys - /sys",
        "83 141 1 54 /proc/bus - /bus",
        "189 188 5 60 /test/lower/directory - /",
        "188 140 5 52 /test /test /",
        "187 186 23 38 /sys/fs/cgroup - /",
        "186 140 2 22 /sys - /",
        "185 171 14 53 /dev/mqueue - /",
        "184 171 5 58 /dev/shm - /",
        "172 171 6 57 /dev/pts - /",
        "171 140 5 55 /dev - /",
        "141 140 1 54 /proc - /",
        "140 78 0 266338304 / - /var/lib/containers/bundle/ctr-2748-0001/rootfs",
    ];
    assert_eq!(rows(MOUNTS), expected);
}

#[test]
fn reads_an_image_of_crun_with_what_only_a_kernel_comes_up_with() {
    assert_eq!((root_pid(CRUN_PSTREE), mount_namespace(CRUN_IDS)), (Ok(1), Ok(12)));
    let rows = rows(CRUN_MOUNTS);
    assert_eq!(rows.len(), 22);
    let expected = [
        "135 133 5 71 /test/made/a\u{fffd}b - /",
        "133 190 5 65 /test/made - /",
        "198 189 17 53 /sys/firmware /run/crun/.empty-directory /var/lib/ct/crun/state/.empty-directory",
        "196 184 3 6 /proc/keys /proc/keys /null",
        "194 160 5 63 /etc/odd dir /etc/odd dir /lower",
        "193 160 12 34 /run/outer-cgroup /run/outer-cgroup root-of-mount-193",
        "192 160 17 53 /run/file /run/file /var/lib/ct/crun/file.d/f",
        "191 190 5 70 /test/lower/directory - /",
        "190 160 5 63 /test /test /",
        "160 134 17 53 / - /var/lib/ct/crun/rootfs",
    ];
    assert_eq!(expected.into_iter().find(|row| !rows.contains(&(*row).to_owned())), None, "{rows:#?}");
    let made = mounts(CRUN_MOUNTS).unwrap().into_iter().find(|mount| mount.id == 135).unwrap();
    assert_eq!(made.mountpoint.as_os_str().as_bytes(), b"/test/made/a\xffb");
}

#[test]
fn reads_every_framing() {
    let expected = mounts(MOUNTS).unwrap();
    assert_eq!(mounts(&MOUNTS[4..]).unwrap(), expected, "the first format has no common magic");
    assert_eq!(mounts(&[&SERVICE_MAGIC.to_le_bytes(), &MOUNTS[4..]].concat()).unwrap(), expected);
    assert_eq!(root_pid(&PSTREE[4..]), Ok(1));
    let why = |file: &[u8]| mounts(file).unwrap_err().to_string();
    assert_eq!(why(PSTREE), "begins with the magic 0x50273030 and not 0x55563928");
    assert_eq!(why(&[&MOUNTS[..4], MOUNTS].concat()), "begins with the magic 0x54564319 and not 0x55563928");
    assert_eq!(why(&MOUNTS[8..]), "begins with the magic 0x00000057 and not 0x55563928");
    assert_eq!(why(b""), "ends within its magic");
    assert_eq!(why(&MOUNTS[..7]), "ends within its magic");
    assert_eq!(root_pid(&PSTREE[..8]).unwrap_err().to_string(), "has no record");
    assert_eq!(why(&MOUNTS[..8]), "has no root mount");
}

#[test]
fn the_first_record_names_the_process_and_its_namespace() {
    let processes = |records: &[Vec<u8>]| root_pid(&file(&[COMMON_MAGIC, PSTREE_MAGIC], records));
    assert_eq!(processes(&[[number(1, 4711), number(2, 0)].concat(), number(1, 1)]), Ok(4711));
    assert_eq!(processes(&[number(1, 7), vec![0xff]]), Ok(7), "later records are not needed");
    assert_eq!(processes(&[number(2, 0)]).unwrap_err().to_string(), "has a record 1 without pid");
    let ids = |record: Vec<u8>| mount_namespace(&file(&[COMMON_MAGIC, IDS_MAGIC], &[record]));
    assert_eq!(ids([number(8, 3), number(9, 300)].concat()), Ok(300));
    assert_eq!(ids(number(8, 3)).unwrap_err().to_string(), "has a record 1 without mnt_ns_id");
}

#[test]
fn unknown_fields_are_skipped_and_known_ones_have_their_type() {
    let eight_bytes = [varint(70 << 3 | 1), vec![0xff; 8]].concat();
    let four_bytes = [varint(71 << 3 | 5), vec![0xff; 4]].concat();
    let group = [varint(72 << 3 | 3), number(1, 1), varint(72 << 3 | 4)].concat();
    let unknown = [number(73, u64::MAX), text(74, "\0/.."), eight_bytes, four_bytes, group].concat();
    let plain = mounts(&image(&[root_mount()])).unwrap();
    assert_eq!(mounts(&image(&[[unknown.clone(), root_mount(), unknown].concat()])).unwrap(), plain);
    for wrong in [number(7, 1), text(2, "1"), varint(70 << 3 | 7), [varint(70 << 3 | 2), varint(1)].concat(), vec![0xff; 11]] {
        let why = why_not(&[[root_mount(), wrong].concat()]);
        assert!(why.starts_with("has a record 1 that is no message of its kind: "), "{why}");
    }
}

#[test]
fn a_mount_has_what_criu_requires() {
    let fields = [(1, "fstype"), (2, "mnt_id"), (3, "root_dev"), (4, "parent_mnt_id"), (6, "root"), (7, "mountpoint")];
    let field = |tag: u64| if tag < 6 { number(tag, 1) } else { text(tag, "/") };
    for (left_out, name) in fields {
        let record = fields.into_iter().filter(|(tag, _)| *tag != left_out).flat_map(|(tag, _)| field(tag)).collect();
        assert_eq!(why_not(&[root_mount(), record]), format!("has a record 2 without {name}"));
    }
}

#[test]
fn the_key_of_an_external_mount_is_kept_as_given() {
    let key = |more: Vec<u8>| mounts(&image(&[root_mount(), [mount(2, 1, "/a"), more].concat()])).unwrap().remove(1);
    for given in ["/dev/null", "relative", "/a/../b//c/", "", "CRIU:AUTOGENERATED"] {
        let record = key(text(18, given));
        assert_eq!(record.external_key.unwrap().as_os_str(), given);
        assert_eq!(record.root, Path::new("/"));
    }
    assert_eq!(key(Vec::new()).external_key, None);
    assert_eq!(key(number(13, 0)).external_key, None);
    let old = key([number(13, 1), text(6, "/key")].concat());
    assert_eq!(old.external_key.as_deref(), Some(Path::new("/key")));
    assert_eq!(old.root, Path::new("root-of-mount-2"), "the key is no path of the file system");
    let both = key([number(13, 1), text(6, "/root"), text(18, "/key")].concat());
    assert_eq!((both.external_key.as_deref(), both.root.as_path()), (Some(Path::new("/key")), Path::new("/root")));
}
