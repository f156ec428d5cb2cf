//! The bytes of CRIU's image files → mount records → the mountpoints that a restore will look for. Bytes: a file; or (first byte odd) choices of which
//! something nearly a mount table is composed.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use runc_guard::container_path::Tree;
use runc_guard::criu_image::{mount_namespace, mounts, root_pid};
use runc_guard::host::spelling::Spelling;
use runc_guard::restored_mounts::{self, Content};
use runc_guard::spec::Spec;
use runc_guard_fuzz::criu_image::{Field, check, is_clean, messages};
use runc_guard_fuzz::naive_paths::clean;
use runc_guard_fuzz::reached::{Reached, report_at_exit};
use std::path::{Component, Path, PathBuf};

static TABLES: Reached = Reached::new("tables");
static SEVERAL: Reached = Reached::new("several-mounts");
static EXTERNAL: Reached = Reached::new("external");
static ON_HOST: Reached = Reached::new("on-host");
static REFUSED: Reached = Reached::new("refused");
static PROCESS: Reached = Reached::new("process-files");
static PLACES: &[&Reached] = &[&TABLES, &SEVERAL, &EXTERNAL, &ON_HOST, &REFUSED, &PROCESS];

fuzz_target!(init: report_at_exit(PLACES), |data: &[u8]| {
    match data.split_first() {
        Some((kind, rest)) if kind % 2 == 1 => answer(&composed(&mut Unstructured::new(rest)).unwrap_or_default()),
        Some((_, file)) => answer(file),
        None => {}
    }
});

fn answer(file: &[u8]) {
    let number = |magic: u32, field: u64| match messages(file, magic)?.first()?.get(&field)? {
        Field::Number(number) => Some(u32::try_from(number & 0xffff_ffff).expect("32 bits")),
        Field::Bytes(_) => None,
    };
    for (found, wanted) in [(root_pid(file), number(0x5027_3030, 1)), (mount_namespace(file), number(0x5443_2030, 9))] {
        PROCESS.count_if(found.is_ok());
        // Of a file that is damaged behind its first record, one reader still takes the first.
        assert!(wanted.is_none() || found.ok() == wanted);
    }
    match mounts(file) {
        Err(_) => REFUSED.count(),
        Ok(records) => {
            TABLES.count();
            SEVERAL.count_if(records.len() > 2);
            EXTERNAL.count_if(records.iter().any(|record| record.external_key.is_some()));
            check(&records, file);
            check_places(&restored(&records), records.len());
        }
    }
}

const DOCUMENT: &str = r#"{"mounts":[{"destination":"/proc","type":"proc"},{"destination":"/a","source":"/s","options":["rbind"]},
    {"destination":"/a/b","source":"/t","options":["bind","ro"]},{"destination":"/key","source":"/u","options":["rbind"]},
    {"destination":"/sys/fs/cgroup","type":"cgroup"},{"destination":"/tmp","type":"tmpfs"}],"linux":{"maskedPaths":["/proc/keys"]}}"#;

fn restored(records: &[runc_guard::criu_image::MountRecord]) -> Vec<restored_mounts::RestoredMount> {
    let spec = Spec::parse(DOCUMENT.as_bytes()).expect("a sound document");
    let spelling = |mount: &runc_guard::spec::Mount<'_>| Spelling { mountpoint: PathBuf::from(clean(&mount.destination)), source: None };
    let spellings: Vec<Spelling> = spec.mounts.iter().map(spelling).collect();
    restored_mounts::of_image(records, &spec, &spellings)
}

/// An image names places below what config.json lists or the root file system, and nothing else.
fn check_places(restored: &[restored_mounts::RestoredMount], records: usize) {
    assert_eq!(restored.len() + 1, records, "every mount but the root");
    for mount in restored {
        assert!(is_clean(&mount.mountpoint), "{mount:?}");
        let bind_of = if let Content::BindOf(place) = &mount.content { Some(place) } else { None };
        for place in mount.place.iter().chain(bind_of) {
            assert!(place.below.components().all(|part| matches!(part, Component::Normal(_))), "{place:?} leads out of its tree");
            assert!(matches!(place.tree, Tree::Rootfs | Tree::Source(1..=3)), "{place:?} is in a tree that is no bind");
        }
        let Some(place) = &mount.place else { continue };
        ON_HOST.count();
        let kernel = ["proc", "sys", "dev"].iter().any(|name| place.below.starts_with(name) && place.below != Path::new(name));
        assert!(!(place.tree == Tree::Rootfs && kernel && !mount.listed), "{mount:?}");
        if mount.listed {
            let listed = ["/proc", "/a", "/a/b", "/key", "/sys/fs/cgroup", "/tmp"];
            assert!(listed.iter().any(|path| mount.mountpoint == Path::new(path)), "{mount:?}");
        }
    }
}

fn composed(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut file = [0x5456_4319_u32.to_le_bytes(), 0x5556_3928_u32.to_le_bytes()].concat();
    let mut paths = vec![String::new()];
    file.extend(record(&[(1, 0), (2, 1), (3, 8), (4, 0)], &[(6, b"/"), (7, b"/")]));
    for id in 2..choices.int_in_range(2..=12_u8)? {
        let parent = choices.choose_index(paths.len())?;
        let step = choices.choose(&["/a", "/b", "/key", "/proc", "", "/sys", "/dev/x", "/tmp", "/ab/c"])?;
        let path = format!("{}{step}", paths[parent]);
        let shown = if path.is_empty() { "/" } else { &path };
        let odd = choices.ratio(1, 24)?;
        let shown = if odd { *choices.choose(&["/..", "a", "/a//b", "", "/a/../b", "/\0"])? } else { shown };
        let root = *choices.choose(&["/", "/", "/x", "net:[1]", "/null", "/a"])?;
        let numbers = [(1, u64::from(choices.int_in_range(0..=6_u8)?)), (2, u64::from(id)), (3, u64::from(choices.int_in_range(7..=9_u8)?))];
        let parent = if choices.ratio(1, 32)? { u64::from(choices.int_in_range(0..=13_u8)?) } else { parent as u64 + 1 };
        let key = choices.choose(&["", "", "/a", "/key", "/dev/null", "CRIU:AUTOGENERATED", "/run/crun/.empty-directory", "/unknown", "../x"])?;
        let mut texts = vec![(6, root.as_bytes()), (7, shown.as_bytes()), (18, key.as_bytes())];
        texts.truncate(if key.is_empty() { 2 } else { 3 });
        let old = choices.ratio(1, 16)?;
        file.extend(record(&[&numbers[..], &[(4, parent), (13, u64::from(old))]].concat(), &texts));
        paths.push(path);
    }
    Ok(file)
}

/// Numbers below 128 and short texts need no more.
fn record(numbers: &[(u8, u64)], texts: &[(u8, &[u8])]) -> Vec<u8> {
    let mut body: Vec<u8> = Vec::new();
    for (field, number) in numbers {
        body.extend([field << 3, number.to_le_bytes()[0]]);
    }
    for (field, text) in texts {
        let key = u16::from(*field) << 3 | 2;
        body.extend(if key < 128 { vec![key.to_le_bytes()[0]] } else { vec![key.to_le_bytes()[0] | 0x80, 1] });
        body.push(u8::try_from(text.len()).expect("a short text"));
        body.extend(*text);
    }
    let size = u32::try_from(body.len()).expect("a short record");
    [size.to_le_bytes().as_slice(), &body].concat()
}
