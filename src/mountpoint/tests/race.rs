//! Promise P6: never outside. One thread swaps a name on the way, as fast as it can, while another creates below that name. Naive ways must escape
//! in the same setting: else the test would show nothing. `hack/race-lab` runs it a million times.
//!
//! A plain bind does not carry the mounts below its source, so what lands in one has escaped. A recursive one does: there the mounted directory
//! itself is inside, and all else of the host is outside.

mod arena;
mod naive;
mod shapes;

use super::scratch::in_own_mounts;
use crate::kernel::staging;
use crate::mountpoint::{Base, NewInode};
use arena::Arena;
use nix::errno::Errno;
use shapes::{SHAPES, Shape, Swap};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// How the tree is taken that things are created in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Recursive,
    Plain,
    /// Plain, where no private copy of the mount can be had.
    PlainWithoutCopy,
}

/// How long each race lasts: at least so long, so many attempts, and until each outcome that is to be seen was seen so often.
#[derive(Clone, Copy)]
pub struct Effort {
    pub time: Duration,
    pub attempts: usize,
    pub often: usize,
}

#[derive(Debug, Default)]
struct Outcome {
    attempts: usize,
    created: usize,
    refused: usize,
    escaped: usize,
    flips: usize,
}

/// So many attempts lie between two looks at what was created, which also takes it away.
const ROUND: usize = 256;

/// What is to be seen may be long in coming on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

impl Outcome {
    fn add_round(&mut self, mut attempt: impl FnMut(usize) -> Option<bool>) {
        for number in 0..ROUND {
            match attempt(number) {
                Some(true) => self.created += 1,
                Some(false) => {}
                None => self.refused += 1,
            }
        }
        self.attempts += ROUND;
    }
}

/// Races until `is_enough`. `attempt` says whether something was created; `None`: it was refused.
fn race(
    shape: Shape,
    view: View,
    effort: Effort,
    is_enough: impl Fn(&Outcome) -> bool,
    mut attempt: impl FnMut(&Arena, &Path) -> Option<bool>,
) -> Outcome {
    let arena = Arena::new();
    let target_is_inside = shape.swap.is_of_mounts() && view == View::Recursive;
    shape.swap.stage(&arena);
    let honest = File::open(arena.lower()).ok();
    let mut outcome = Outcome::default();
    std::thread::scope(|scope| {
        // Also when an attempt panics.
        let _end = arena.ends_with_this();
        scope.spawn(|| {
            while !arena.is_over() {
                shape.swap.flip(&arena);
                arena.count_flip();
            }
        });
        let start = Instant::now();
        loop {
            outcome.add_round(|number| attempt(&arena, &(shape.below)(&arena, number)));
            outcome.flips = arena.flips();
            outcome.escaped += arena.take_escaped(target_is_inside);
            if let Some(directory) = &honest {
                arena::empty(directory);
            }
            let passed = start.elapsed();
            if is_enough(&outcome) && passed >= effort.time || passed > PATIENCE && outcome.attempts >= effort.attempts {
                break;
            }
        }
    });
    outcome.escaped += arena.take_escaped(target_is_inside);
    outcome
}

/// The errors that a changing name explains. Any other is a defect of the test or of the code.
const EXPLAINED: [&str; 4] = ["ELOOP", "EEXIST", "ENOTDIR", "EXDEV"];

fn attempt(base: &Base, below: &Path, inode: &NewInode, may_vanish: bool) -> Option<bool> {
    match base.create(below, inode) {
        Ok(created) => Some(created),
        Err(error) if EXPLAINED.iter().any(|errno| error.ends_with(errno)) || may_vanish && error.ends_with("ENOENT") => None,
        Err(error) => panic!("{error}"),
    }
}

/// What this crate does: nothing escapes, and what can be seen is seen.
fn guarded(shape: Shape, view: View, effort: Effort) -> usize {
    // Beneath a mount, or in one that belongs to the tree, there is nothing to refuse.
    let refuses = !shape.swap.is_of_mounts() || view == View::PlainWithoutCopy;
    let is_seen = |outcome: &Outcome| outcome.created >= effort.often && (!refuses || outcome.refused >= effort.often);
    let is_enough = |outcome: &Outcome| outcome.attempts >= effort.attempts && outcome.flips >= effort.often && is_seen(outcome);
    let may_vanish = matches!(shape.swap, Swap::MountedWhenMade);
    let race = || {
        let mut opened = (0_usize, None);
        race(shape, view, effort, is_enough, |arena, below| {
            // To let go of a private copy waits for the kernel (RCU), a hundred times as long as an attempt takes.
            if opened.0.is_multiple_of(ROUND) {
                opened.1 = Base::open(&arena.source(), view == View::Recursive).ok();
            }
            opened.0 += 1;
            attempt(opened.1.as_ref().unwrap(), below, &shape.inode, may_vanish)
        })
    };
    let outcome = if view == View::PlainWithoutCopy {
        let without = || {
            staging::refuse(&[libc::SYS_open_tree], Errno::EPERM);
            race()
        };
        std::thread::scope(|scope| scope.spawn(without).join().unwrap())
    } else {
        race()
    };
    report(shape, &format!("{view:?}"), &outcome);
    assert_eq!(outcome.escaped, 0, "{}: {outcome:?}", shape.name);
    assert!(is_enough(&outcome), "{}: the name changes, and each outcome is seen, often: {outcome:?}", shape.name);
    outcome.attempts
}

/// The naive ways in the same race: each escapes.
fn controlled(shape: Shape, effort: Effort) {
    for (name, way) in naive::WAYS {
        let effort = Effort { attempts: effort.attempts / 10, ..effort };
        let is_enough = |outcome: &Outcome| outcome.attempts >= effort.attempts && outcome.escaped > 0;
        let few = Effort { time: effort.time / 10, ..effort };
        let outcome = race(shape, View::Plain, few, is_enough, |arena, below| way(arena, below, &shape.inode));
        report(shape, name, &outcome);
        assert!(outcome.escaped > 0, "{}, {name}: the naive way escapes: {outcome:?}", shape.name);
    }
}

fn report(shape: Shape, way: &str, Outcome { attempts, created, refused, escaped, flips }: &Outcome) {
    println!("{:<32} {way:<26} {attempts:>8} {created:>8} {refused:>8} {escaped:>8} {flips:>8}", shape.name);
}

/// Every shape with every view, and the naive ways. In a mount namespace of the test's own.
pub fn never_outside(effort: Effort) {
    println!("{:<32} {:<26} {:>8} {:>8} {:>8} {:>8} {:>8}", "shape", "way", "attempts", "created", "refused", "escaped", "flips");
    let mut attempts = 0;
    for shape in SHAPES {
        let views: &[View] =
            if shape.swap.is_of_mounts() { &[View::Recursive, View::Plain, View::PlainWithoutCopy] } else { &[View::Recursive, View::Plain] };
        attempts += views.iter().map(|view| guarded(shape, *view, effort)).sum::<usize>();
        controlled(shape, effort);
    }
    println!("{attempts} attempts, 0 escaped; each naive way escaped from each shape");
}

#[test]
fn whatever_is_swapped_meanwhile_nothing_is_created_outside() {
    in_own_mounts(|| never_outside(Effort { time: Duration::from_millis(400), attempts: ROUND, often: 100 }));
}

/// How many pairs of shape and view there are.
const RACES: usize = 21;

#[test]
#[ignore = "takes minutes: hack/race-lab"]
fn race_lab() {
    let attempts: usize = std::env::var("RACE_LAB_ATTEMPTS").unwrap().parse().unwrap();
    in_own_mounts(|| never_outside(Effort { time: Duration::from_secs(1), attempts: attempts.div_ceil(RACES), often: 300 }));
}
