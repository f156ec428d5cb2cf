//! What somebody would put into an image that CRIU never wrote.

use super::*;

#[test]
fn a_cut_file_is_refused_unless_whole_records_make_a_whole_tree() {
    for end in 0..MOUNTS.len() {
        assert!(mounts(&MOUNTS[..end]).is_err(), "the root comes last: nothing shorter than {} bytes is whole: {end}", MOUNTS.len());
    }
    let mut records: Vec<Vec<u8>> = records(MOUNTS, MOUNTS_MAGIC).unwrap().map(|record| record.unwrap().to_vec()).collect();
    records.reverse();
    let parents_first = image(&records);
    let mut ends = vec![8];
    ends.extend(records.iter().scan(8, |end, record| {
        *end += 4 + record.len();
        Some(*end)
    }));
    assert_eq!(ends.last(), Some(&parents_first.len()));
    for end in 0..=parents_first.len() {
        match (mounts(&parents_first[..end]), ends.iter().position(|whole| *whole == end)) {
            (Ok(mounts), Some(count)) => assert_eq!(mounts.len(), count),
            (Err(why), None | Some(0)) => assert!(why.0.starts_with("ends within") || end == 8, "{end}: {why}"),
            (outcome, whole) => panic!("{end}: {whole:?}: {outcome:?}"),
        }
    }
}

#[test]
fn a_record_has_a_size_that_can_be() {
    let with_options = |bytes: usize| [root_mount(), text(9, vec![b'x'; bytes])].concat();
    let overhead = with_options(MOST_RECORD_BYTES).len() - MOST_RECORD_BYTES;
    assert_eq!(mounts(&image(&[with_options(MOST_RECORD_BYTES - overhead)])).unwrap().len(), 1);
    assert_eq!(why_not(&[with_options(MOST_RECORD_BYTES - overhead + 1)]), "has a record 1 of 1048577 bytes, more than 1048576");
    let huge = [image(&[root_mount()]), u32::MAX.to_le_bytes().to_vec()].concat();
    assert_eq!(mounts(&huge).unwrap_err().to_string(), "has a record 2 of 4294967295 bytes, more than 1048576");
    let cut = [image(&[root_mount()]), 5_u32.to_le_bytes().to_vec(), vec![0; 4]].concat();
    assert_eq!(mounts(&cut).unwrap_err().to_string(), "ends within record 2");
    assert_eq!(records(&cut, MOUNTS_MAGIC).unwrap().take(9).count(), 2, "nothing comes after an error");
}

/// A chain in which every mount lies on the one before it, at one deep path: the most that the checks can be made to work.
fn chain(length: u32) -> Vec<Vec<u8>> {
    let deep = "/d".repeat(MOST_PATH_COMPONENTS);
    (2..=length).map(|id| mount(id, id - 1, &deep)).rev().chain([mount(1, 0, "/")]).collect()
}

#[test]
fn there_are_as_many_mounts_as_can_be() {
    let most = u32::try_from(MOST_MOUNTS).unwrap();
    assert_eq!(mounts(&image(&chain(most))).unwrap().len(), MOST_MOUNTS);
    assert_eq!(why_not(&chain(most + 1)), "has more than 16384 mounts");
}

#[test]
fn mountpoints_are_spelled_as_the_kernel_does() {
    let why = |mountpoint: &[u8]| why_not(&[root_mount(), mount(2, 1, mountpoint)]);
    let cases: [(&[u8], &str); 14] = [
        (b"", "is not absolute"),
        (b"a", "is not absolute"),
        (b"./a", "is not absolute"),
        (b"//", "has an empty component"),
        (b"/a/", "has an empty component"),
        (b"/a//b", "has an empty component"),
        (b"/a//deleted", "has an empty component"),
        (b"/.", "has a component `.` or `..`"),
        (b"/./a", "has a component `.` or `..`"),
        (b"/..", "has a component `.` or `..`"),
        (b"/a/../b", "has a component `.` or `..`"),
        (b"/a/..", "has a component `.` or `..`"),
        (b"/a\0b", "has a NUL byte"),
        (b"\0", "is not absolute"),
    ];
    for (mountpoint, expected) in cases {
        assert_eq!(why(mountpoint), format!("has a mount 2 whose mountpoint {expected}"), "{mountpoint:?}");
    }
    for fine in [&b"/..."[..], b"/.a/..b/c..", b"/ ", b"/\xff\n"] {
        assert_eq!(mounts(&image(&[root_mount(), mount(2, 1, fine)])).unwrap()[1].mountpoint.as_os_str().as_bytes(), fine);
    }
}

#[test]
fn paths_have_an_end() {
    let is_fine = |more: Vec<u8>| mounts(&image(&[root_mount(), [mount(2, 1, "/a"), more].concat()])).is_ok();
    let why = |more: Vec<u8>| why_not(&[root_mount(), [mount(2, 1, "/a"), more].concat()]);
    for (field, name) in [(6, "root"), (7, "mountpoint"), (18, "ext_key")] {
        let long = |length: usize| text(field, format!("/{}", "a".repeat(length - 1)));
        assert!(is_fine(long(MOST_PATH_BYTES)), "{name}");
        assert_eq!(why(long(MOST_PATH_BYTES + 1)), format!("has a mount 2 whose {name} is longer than PATH_MAX"));
        assert_eq!(why(text(field, "/a\0")), format!("has a mount 2 whose {name} has a NUL byte"));
    }
    assert!(is_fine(text(7, "/a".repeat(MOST_PATH_COMPONENTS))));
    assert_eq!(why(text(7, "/a".repeat(MOST_PATH_COMPONENTS + 1))), "has a mount 2 whose mountpoint has too many components");
    assert_eq!(why([number(13, 1), text(6, "a\0b")].concat()), "has a mount 2 whose root has a NUL byte", "the key of an old image");
}

#[test]
fn a_root_that_cannot_be_walked_becomes_a_name_of_its_own() {
    let deep = "/a".repeat(MOST_PATH_COMPONENTS + 1);
    for root in ["", "net:[4026531840]", "/..", "/../../x", "/a/../../etc", "../x", "/a//deleted", "//", ".", &deep] {
        let odd = |id: u32, at: &str| [mount(id, 1, at), text(6, root)].concat();
        let mounts = mounts(&image(&[root_mount(), odd(2, "/a"), odd(3, "/b")])).unwrap();
        assert_eq!(mounts[1].root, Path::new("root-of-mount-2"), "{root}");
        assert!(!mounts[2].root.starts_with(&mounts[1].root), "{root}: neither lies below the other");
        assert!(!mounts[2].root.starts_with("/"), "{root}: nor below a path");
    }
}

#[test]
fn mounts_are_one_tree() {
    let cases: [(&[Vec<u8>], &str); 9] = [
        (&[root_mount(), mount(2, 1, "/a"), mount(2, 1, "/b")], "has two mounts 2"),
        (&[root_mount(), mount(2, 98, "/")], "has two root mounts, 1 and 2"),
        (&[mount(1, 2, "/"), mount(2, 1, "/")], "has no root mount"),
        (&[mount(1, 1, "/")], "has no root mount"),
        (&[mount(2, 1, "/a")], "has a root mount 2 that does not lie at `/`"),
        (&[root_mount(), mount(2, 3, "/a"), mount(3, 2, "/a")], "has mounts whose parents form a cycle"),
        (&[root_mount(), mount(2, 2, "/a"), mount(3, 2, "/a/b")], "has mounts whose parents form a cycle"),
        (&[root_mount(), mount(2, 1, "/a"), mount(3, 2, "/ab")], "has a mount 3 that does not lie below its parent 2"),
        (&[root_mount(), mount(2, 1, "/a/b"), mount(3, 2, "/a")], "has a mount 3 that does not lie below its parent 2"),
    ];
    for (records, expected) in cases {
        assert_eq!(why_not(records), expected);
        let reversed: Vec<Vec<u8>> = records.iter().cloned().rev().collect();
        assert!(mounts(&image(&reversed)).is_err(), "in any order");
    }
    let stacked = [mount(3, 2, "/a"), mount(4, 3, "/a/b"), mount(2, 1, "/a"), root_mount(), mount(5, 1, "/")];
    assert_eq!(mounts(&image(&stacked)).unwrap().len(), 5, "control: stacks of mounts on one mountpoint");
    let wide = [number(2, (1 << 32) + 1), number(4, 1)].concat();
    assert_eq!(why_not(&[root_mount(), [mount(2, 1, "/a"), wide].concat()]), "has two mounts 1", "ids are compared as CRIU reads them");
}
