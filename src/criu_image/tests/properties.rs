//! Whatever the bytes are: an answer, and one that holds what the module promises.

use super::*;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::HashSet;

/// What a caller relies on.
fn is_safe_to_walk(mounts: &[MountRecord]) -> Result<(), TestCaseError> {
    let find = |id: u32| mounts.iter().find(|mount| mount.id == id);
    let is_clean = |path: &Path| {
        let parts: Vec<&[u8]> = path.as_os_str().as_bytes().split(|byte| *byte == b'/').skip(1).collect();
        path.is_absolute() && (parts == [b""] || parts.iter().all(|part| ![&b""[..], b".", b".."].contains(part)))
    };
    prop_assert!(mounts.len() <= MOST_MOUNTS);
    prop_assert_eq!(mounts.iter().map(|mount| mount.id).collect::<HashSet<_>>().len(), mounts.len());
    let roots: Vec<&Path> = mounts.iter().filter(|mount| find(mount.parent).is_none()).map(|root| root.mountpoint.as_path()).collect();
    prop_assert_eq!(roots, [Path::new("/")]);
    for mount in mounts {
        prop_assert!(is_clean(&mount.mountpoint), "{:?}", mount);
        prop_assert!(is_clean(&mount.root) || mount.root == Path::new(&format!("root-of-mount-{}", mount.id)), "{:?}", mount);
        for path in [Some(&mount.root), Some(&mount.mountpoint), mount.external_key.as_ref()].into_iter().flatten() {
            prop_assert!(path.as_os_str().len() <= MOST_PATH_BYTES && !path.as_os_str().as_bytes().contains(&0));
        }
        let (mut steps, mut at) = (0, mount);
        while let Some(parent) = find(at.parent) {
            prop_assert!(at.mountpoint.starts_with(&parent.mountpoint) && at.mountpoint.components().count() <= MOST_PATH_COMPONENTS + 1);
            prop_assert!(steps < mounts.len(), "a cycle");
            (steps, at) = (steps + 1, parent);
        }
    }
    Ok(())
}

fn answers(bytes: &[u8]) -> Result<(), TestCaseError> {
    let _ = (root_pid(bytes), mount_namespace(bytes));
    mounts(bytes).map_or(Ok(()), |mounts| is_safe_to_walk(&mounts))
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), 1_usize..9).prop_map(|(at, count)| Damage::Delete(at, count)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: Vec<Damage>) -> Vec<u8> {
    for damage in damages {
        match damage {
            _ if bytes.is_empty() => {}
            Damage::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Damage::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more);
            }
            Damage::Delete(at, count) => {
                let at = at.index(bytes.len());
                bytes.drain(at..bytes.len().min(at + count));
            }
        }
    }
    bytes
}

/// Trees and things that are nearly trees: each mount lies on one before it, a step further, unless one of its fields is made up.
fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let step = || prop::sample::select(vec!["", "/a", "/a", "/b/c", "/ab"]);
    let made_up = prop_oneof![
        16 => Just(Vec::new()),
        1 => (2_u64..5, 0_u64..9).prop_map(|(field, value)| number(field, value)),
        1 => prop::sample::select(vec!["a", "/..", "/a//b", "/a/../b", "", "/a"]).prop_map(|path| text(7, path)),
        1 => prop::sample::select(vec!["a", "/..", "/a/../b", "", "/a"]).prop_map(|path| text(6, path)),
        1 => (0_u64..2, prop::option::of(Just("/key"))).prop_map(|(old, key)| [number(13, old), key.map_or(Vec::new(), |key| text(18, key))].concat()),
    ];
    prop::collection::vec((any::<Index>(), step(), made_up), 0..8).prop_map(|mounts| {
        let (mut paths, mut records) = (vec![String::new()], vec![root_mount()]);
        for (parent, step, made_up) in mounts {
            let parent = parent.index(paths.len());
            let path = format!("{}{step}", paths[parent]);
            let at = if path.is_empty() { "/" } else { &path };
            let (id, parent) = (u32::try_from(paths.len() + 1).unwrap(), u32::try_from(parent + 1).unwrap());
            records.push([mount(id, parent, at), made_up].concat());
            paths.push(path);
        }
        records
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        answers(&bytes)?;
        for magic in [PSTREE_MAGIC, IDS_MAGIC, MOUNTS_MAGIC] {
            let framed = [&magic.to_le_bytes(), bytes.as_slice()].concat();
            answers(&framed)?;
            answers(&file(&[COMMON_MAGIC, magic], std::slice::from_ref(&bytes)))?;
        }
    }

    #[test]
    fn a_damaged_image_gets_an_answer(which in 0_usize..4, damages in prop::collection::vec(damage(), 1..6)) {
        answers(&damaged([MOUNTS, CRUN_MOUNTS, PSTREE, IDS][which].to_vec(), damages))?;
    }

    #[test]
    fn what_is_nearly_a_tree_gets_an_answer(records in records(), damages in prop::collection::vec(damage(), 0..2)) {
        answers(&image(&records))?;
        answers(&damaged(image(&records), damages))?;
    }
}

/// Else the properties above would hold of a decoder that refuses everything, or of one that refuses nothing.
#[test]
fn some_generated_images_are_fine_and_some_are_not() {
    let mut runner = TestRunner::deterministic();
    let (trees, damages) = (records(), damage());
    let trees = (0..500).filter(|_| mounts(&image(&trees.new_tree(&mut runner).unwrap().current())).is_ok()).count();
    let hurt = (0..500).filter(|_| mounts(&damaged(MOUNTS.to_vec(), vec![damages.new_tree(&mut runner).unwrap().current()])).is_ok()).count();
    assert!((50..450).contains(&trees) && (50..450).contains(&hurt), "{trees} trees and {hurt} damaged images of 500 are read");
}
