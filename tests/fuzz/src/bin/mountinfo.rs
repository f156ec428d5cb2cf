//! The text of a mount table → entries, lines, the tree of them. Bytes: a table, or (first byte odd) choices of which one is composed.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use runc_guard::mountinfo::line::{ByDevice, Line, Tree, lines};
use runc_guard::mountinfo::{holder, is_mounted_below, parse, place, places_below};
use runc_guard_fuzz::mount_table::{Row, escaped, is_in, row};
use runc_guard_fuzz::reached::{Reached, report_at_exit};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

static ROWS: Reached = Reached::new("several-rows");
static ESCAPED: Reached = Reached::new("escaped");
static NESTED: Reached = Reached::new("nested");
static TORN: Reached = Reached::new("cycles");
static PLACES: &[&Reached] = &[&ROWS, &ESCAPED, &NESTED, &TORN];

fuzz_target!(init: report_at_exit(PLACES), |data: &[u8]| {
    match data.split_first() {
        Some((kind, rest)) if kind % 2 == 1 => check(&composed(&mut Unstructured::new(rest)).unwrap_or_default()),
        Some((_, table)) => check(table),
        None => {}
    }
});

/// Few ids and names, so that mounts meet; parents may form cycles, as in a table torn while it was read.
fn composed(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut table = Vec::new();
    for id in 1..=choices.int_in_range(0..=12_u8)? {
        let id = if choices.ratio(1, 16)? { 1 } else { id };
        let parent = choices.int_in_range(0..=12_u8)?;
        let mut path = String::new();
        for _ in 0..choices.int_in_range(0..=3_u8)? {
            path += choices.choose(&["/a", "/b c", "/ab", "/\\", "/\t\n", "/\\040", "/\u{e9}"])?;
        }
        let path = if path.is_empty() { "/" } else { &path };
        let tags = choices.choose(&["", "shared:1 ", "master:2 ", "shared:3 master:1 propagate_from:4 ", "unbindable ", "shared:x "])?;
        let root = choices.choose(&["/", "/r", "/r/s", "net:[4026531840]"])?;
        table.extend(format!("{id} {parent} 8:{} {root} ", id % 3).bytes().chain(escaped(path.as_bytes())));
        table.extend(format!(" rw,relatime {tags}- ext4 /dev/x rw\n").bytes());
    }
    Ok(table)
}

fn check(table: &[u8]) {
    let rows: Vec<Row> = table.split(|byte| *byte == b'\n').filter_map(row).collect();
    let lines = lines(table);
    assert_eq!(lines.iter().map(as_row).collect::<Vec<_>>(), rows);
    ROWS.count_if(rows.len() > 1);
    ESCAPED.count_if(rows.iter().any(|row| escaped(&row.mountpoint) != row.mountpoint));
    check_front_end(&rows);
    check_tree(&rows, &lines);
    // Whatever a mountpoint is called: the kernel writes it so that it is read as it is.
    let written = [b"1 0 8:1 / ", escaped(table).as_slice(), b" rw - t s"].concat();
    let again = runc_guard::mountinfo::line::lines(&written);
    assert_eq!(again[0].mountpoint, table);
}

fn as_row(line: &Line<'_>) -> Row {
    Row {
        id: line.id,
        parent: line.parent,
        device: line.device,
        root: line.fs_root.to_vec(),
        mountpoint: line.mountpoint.to_vec(),
        read_only: line.read_only,
        shared: line.shared,
        master: line.master,
        unbindable: line.unbindable,
        fs_type: line.fs_type.to_vec(),
        source: line.source.to_vec(),
    }
}

/// The other parser, on the rows that both read.
fn check_front_end(rows: &[Row]) {
    let text: Vec<u8> = rows.iter().flat_map(written).collect();
    let entries = parse(&text);
    assert_eq!(entries.len(), rows.len());
    for (entry, row) in entries.iter().zip(rows) {
        assert_eq!((entry.device, entry.shared), (row.device, row.shared.is_some()));
    }
    for path in rows.iter().map(|row| &row.mountpoint).filter(|path| path.starts_with(b"/")) {
        let at = Path::new(OsStr::from_bytes(path));
        let held = rows.iter().filter(|row| is_in(path, &row.mountpoint)).max_by_key(|row| row.mountpoint.len());
        assert_eq!(holder(&entries, at).map(|entry| (entry.device, entry.shared)), held.map(|row| (row.device, row.shared.is_some())));
        assert_eq!(place(&entries, at).map(|place| place.device), held.map(|row| row.device));
        let below: Vec<&Row> = rows.iter().filter(|row| row.mountpoint != *path && is_in(&row.mountpoint, path)).collect();
        NESTED.count_if(!below.is_empty());
        let clean = !path.ends_with(b"/") || path == b"/";
        if clean && !rows.iter().any(|row| row.mountpoint.len() > 1 && row.mountpoint.ends_with(b"/")) {
            assert_eq!(is_mounted_below(&entries, at), !below.is_empty());
            let on: Vec<(u32, u32)> = below.iter().map(|row| row.device).filter(|device| device.1 < 2).collect();
            assert_eq!(places_below(&entries, at, &[(8, 0), (8, 1)]).len(), on.iter().filter(|device| device.0 == 8).count());
        }
    }
}

fn written(row: &Row) -> Vec<u8> {
    let shared = row.shared.map_or(String::new(), |group| format!("shared:{group} "));
    let head = format!("{} {} {}:{} ", row.id, row.parent, row.device.0, row.device.1);
    [head.as_bytes(), &escaped(&row.root), b" ", &escaped(&row.mountpoint), b" rw ", shared.as_bytes(), b"- t s\n"].concat()
}

fn check_tree(rows: &[Row], lines: &[Line<'_>]) {
    let tree = Tree::of(lines);
    let parent = |row: &Row| rows.iter().rev().find(|other| other.id == row.parent).filter(|other| other.id != row.id);
    for (line, row) in lines.iter().zip(rows) {
        assert_eq!(tree.parent(line).map(as_row).as_ref(), parent(row));
        assert_eq!(tree.place_of_mountpoint(line).is_some(), parent(row).is_some_and(|parent| is_in(&row.mountpoint, &parent.mountpoint)));
        let wanted: Vec<&Row> = rows.iter().filter(|low| climbs_to(low, row.id, &parent)).collect();
        assert_eq!(tree.on_or_below(line).map(as_row).collect::<Vec<_>>().iter().collect::<Vec<_>>(), wanted);
        let held = rows.iter().filter(|other| is_in(&row.mountpoint, &other.mountpoint)).max_by_key(|other| other.mountpoint.len());
        assert_eq!(tree.holder(line.path()).map(as_row).as_ref(), held);
        let on = rows.iter().filter(|other| other.device == row.device).count();
        assert_eq!(ByDevice::of(lines).on(line.device).count(), on);
    }
}

/// Whether a way up from `row` meets the mount `id`; a way that comes back to where it was ends.
fn climbs_to<'r>(row: &'r Row, id: u32, parent: &dyn Fn(&Row) -> Option<&'r Row>) -> bool {
    let (mut at, mut met) = (Some(row), HashSet::new());
    while let Some(row) = at {
        if row.id == id {
            return true;
        }
        if !met.insert(std::ptr::from_ref(row)) {
            TORN.count();
            return false;
        }
        at = parent(row);
    }
    false
}
