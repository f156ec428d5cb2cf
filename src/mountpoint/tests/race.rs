//! Promise P6: never outside. One thread changes a name on the way between what is honest and a symlink that leads out, as fast as it can, while
//! another creates below that name. The naive way, by path, must escape in the same setting: else the test would show nothing.

use super::scratch::{DIRECTORY, FILE, Tree, create, in_own_mounts, tmpfs};
use crate::kernel::staging;
use crate::mountpoint::{Base, Kind, NewInode};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a symlink at the name leads to, and what is created.
#[derive(Clone, Copy)]
struct Shape {
    target: fn(&Tree) -> PathBuf,
    /// Below the changing name, for each attempt; empty: the name itself.
    below: fn(usize) -> String,
    inode: NewInode,
    /// What the name is when it is no symlink: a directory, or nothing.
    is_directory: bool,
}

const ABSOLUTE: Shape = Shape { target: Tree::outside, below: |n| format!("lower/d{n}"), inode: DIRECTORY, is_directory: true };
const RELATIVE: Shape = Shape { target: |_| "../outside".into(), below: |n| format!("lower/d{n}/deep"), ..ABSOLUTE };
/// Through a symlink that leads nowhere yet, a file is what gets created on the host.
const DANGLING: Shape = Shape { target: |_| "../outside/made".into(), below: |_| "lower".into(), inode: FILE, is_directory: false };

#[derive(Debug, Default)]
struct Outcome {
    created: usize,
    refused: usize,
    escaped: usize,
}

/// Swaps `lower` and `spare` until told to stop.
fn flip(tree: &Tree, is_directory: bool, stop: &AtomicBool) -> usize {
    let (lower, spare) = (tree.path("lower"), tree.path("spare"));
    let rename = |from: &Path, to: &Path, flags| renameat2(AT_FDCWD, from, AT_FDCWD, to, flags).unwrap();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        if is_directory {
            rename(&lower, &spare, RenameFlags::RENAME_EXCHANGE);
        } else {
            // Replaces what was created.
            rename(&spare, &lower, RenameFlags::empty());
            rename(&lower, &spare, RenameFlags::empty());
            // Leave the name free for a moment, else next to nothing is created.
            (0..300).for_each(|_| std::hint::spin_loop());
        }
        count += 1;
    }
    count
}

/// Attempts for `time`, and if need be longer, until `enough` or until something escaped; the name changes all the while. `attempt` says whether
/// something was created.
fn race(shape: Shape, time: Duration, enough: impl Fn(&Outcome) -> bool, attempt: impl Fn(&Tree, &str) -> Option<bool>) -> Outcome {
    let tree = Tree::new();
    // In memory: what a disk does must not take turns with the two.
    tmpfs(&tree.source(), "");
    tmpfs(&tree.outside(), "");
    if shape.is_directory {
        tree.make_dirs("lower");
    }
    symlink((shape.target)(&tree), tree.path("spare")).unwrap();
    let mut outcome = Outcome::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flipper = scope.spawn(|| flip(&tree, shape.is_directory, &stop));
        let start = Instant::now();
        for number in 0.. {
            let passed = start.elapsed();
            outcome.escaped = if passed > time { tree.names_outside() } else { 0 };
            if passed > time && (outcome.escaped > 0 || enough(&outcome) || passed > 20 * time) {
                break;
            }
            match attempt(&tree, &(shape.below)(number)) {
                Some(true) => outcome.created += 1,
                Some(false) => {}
                None => outcome.refused += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(flipper.join().unwrap() > 1000, "the name changed all the time");
    });
    outcome.escaped = tree.names_outside();
    for at in [tree.source(), tree.outside()] {
        staging::unmount(&at).unwrap();
    }
    outcome
}

/// The errors that a changing name explains. Any other is a defect of the test or of the code.
const EXPLAINED: [&str; 4] = ["ELOOP", "EEXIST", "ENOTDIR", "EXDEV"];

fn attempt(tree: &Tree, recursive: bool, below: &str, inode: NewInode) -> Option<bool> {
    match create(&Base::open(&tree.source(), recursive).unwrap(), below, inode) {
        Ok(created) => Some(created),
        Err(error) if EXPLAINED.iter().any(|errno| error.ends_with(errno)) => None,
        Err(error) => panic!("{error}"),
    }
}

fn attempt_by_path(tree: &Tree, below: &str, inode: NewInode) -> Option<bool> {
    let path = tree.path(below);
    let made = if inode.kind == Kind::Directory { fs::create_dir_all(path) } else { fs::File::create(path).map(drop) };
    made.ok().map(|()| true)
}

/// Every shape for `time` by each kind of base, until both outcomes were seen `often`, and as long by path. In a mount namespace of the test's own.
pub fn never_outside(time: Duration, often: usize) {
    for shape in [ABSOLUTE, RELATIVE, DANGLING] {
        let name = (shape.below)(0);
        for recursive in [false, true] {
            let enough = |outcome: &Outcome| outcome.created >= often && outcome.refused >= often;
            let outcome = race(shape, time, enough, |tree, below| attempt(tree, recursive, below, shape.inode));
            println!("{name} recursive={recursive}: {outcome:?}");
            assert_eq!(outcome.escaped, 0, "{outcome:?}");
            assert!(enough(&outcome), "both outcomes are seen often: {outcome:?}");
        }
        let control = race(shape, time, |_| false, |tree, below| attempt_by_path(tree, below, shape.inode));
        println!("{name} by path: {control:?}");
        assert!(control.escaped > 0, "the race is lost by path: {control:?}");
    }
}

#[test]
fn whatever_is_renamed_meanwhile_nothing_is_created_outside() {
    in_own_mounts(|| never_outside(Duration::from_millis(1700), 300));
}
