//! Path algebra against lists of names: overlap, lexical cleaning, and paths in a container with mounts and symlinks.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use runc_guard::container_path::{Covers, Tree, resolve};
use runc_guard::paths::{Relation, lexical, overlap};
use runc_guard_fuzz::naive_paths::{clean, is_in, names};
use runc_guard_fuzz::reached::{Reached, report_at_exit};
use std::path::{Path, PathBuf};

static OVERLAPS: Reached = Reached::new("overlaps");
static FOLLOWED: Reached = Reached::new("followed-links");
static UNDER_MOUNTS: Reached = Reached::new("under-mounts");
static ENDLESS: Reached = Reached::new("endless-links");
static PLACES: &[&Reached] = &[&OVERLAPS, &FOLLOWED, &UNDER_MOUNTS, &ENDLESS];

fuzz_target!(init: report_at_exit(PLACES), |data: &[u8]| {
    let _ = check(&mut Unstructured::new(data));
});

/// Few names, so that paths meet.
fn path(choices: &mut Unstructured<'_>) -> Result<String> {
    let mut path = String::new();
    for _ in 0..choices.int_in_range(0..=6_u8)? {
        path += choices.choose(&["/", "/a", "/b", "/ab", "/..", "/.", "a", "..", "/a/b", "/\u{e9}", "//a/"])?;
    }
    Ok(path)
}

fn check(choices: &mut Unstructured<'_>) -> Result<()> {
    let (one, other) = (path(choices)?, path(choices)?);
    check_overlap(&clean(&one), &clean(&other));
    let joined = if other.starts_with('/') { other.clone() } else { format!("{one}/{other}") };
    assert_eq!(lexical(Path::new(&one), Path::new(&other)), Path::new(&clean(&joined)), "{one:?} and {other:?}");
    let mounts = choices.int_in_range(0..=4_u8)?;
    let mounts: Vec<(String, Tree)> = (0..mounts).map(|index| Ok((clean(&path(choices)?), tree(choices, index)?))).collect::<Result<_>>()?;
    let links = choices.int_in_range(0..=4_u8)?;
    let links: Vec<(Tree, String, String)> =
        (0..links).map(|_| Ok((tree(choices, 0)?, clean(&path(choices)?), path(choices)?))).collect::<Result<_>>()?;
    check_resolve(&one, &mounts, &links);
    Ok(())
}

fn tree(choices: &mut Unstructured<'_>, index: u8) -> Result<Tree> {
    Ok([Tree::Rootfs, Tree::Source(usize::from(index)), Tree::Fresh, Tree::Source(1)][choices.int_in_range(0..=3_usize)?])
}

fn check_overlap(one: &str, other: &str) {
    let wanted = match (is_in(one, other), is_in(other, one)) {
        (true, true) => Some(Relation::Is),
        (false, true) => Some(Relation::Contains),
        (true, false) => Some(Relation::Inside),
        (false, false) => None,
    };
    assert_eq!(overlap(Path::new(one), Path::new(other)), wanted, "{one} and {other}");
    OVERLAPS.count_if(wanted.is_some());
}

fn check_resolve(path: &str, mounts: &[(String, Tree)], links: &[(Tree, String, String)]) {
    let mut covers = Covers::default();
    mounts.iter().for_each(|(at, tree)| covers.add(PathBuf::from(at), *tree));
    let target = |tree: Tree, below: &str| links.iter().find(|(of, at, _)| *of == tree && *at == below).map(|(.., target)| target.clone());
    let read_link = |tree, below: &Path| target(tree, &clean(below.to_str().expect("text"))).map(PathBuf::from);
    let found = resolve(Path::new(path), &covers, read_link);
    let wanted = walked(path, mounts, &target);
    assert_eq!(found.as_deref(), wanted.as_deref().map(Path::new), "{path:?} with {mounts:?} and {links:?}");
    ENDLESS.count_if(wanted.is_none());
    if let Some(found) = found {
        let (tree, below) = covers.seen_at(&found);
        let (naive, rest) = seen(&names(found.to_str().expect("text")), mounts);
        assert_eq!((tree, clean(below.to_str().expect("text"))), (naive, rest));
        UNDER_MOUNTS.count_if(tree != Tree::Rootfs);
    }
}

/// The last mount made on or above the place is the one seen: it lies over whatever was there.
fn seen(place: &[&str], mounts: &[(String, Tree)]) -> (Tree, String) {
    let above = mounts.iter().rev().find(|(at, _)| place.starts_with(&names(at)));
    above.map_or((Tree::Rootfs, format!("/{}", place.join("/"))), |(at, tree)| (*tree, format!("/{}", place[names(at).len()..].join("/"))))
}

/// As namei(7) goes: one name, then what it leads to. The path itself is cleaned by text first, as the runtimes do with a destination.
fn walked(path: &str, mounts: &[(String, Tree)], target: &dyn Fn(Tree, &str) -> Option<String>) -> Option<String> {
    let mut at: Vec<String> = Vec::new();
    let mut todo: Vec<String> = names(path).into_iter().rev().map(str::to_owned).collect();
    let mut followed = 0;
    while let Some(name) = todo.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                at.pop();
                continue;
            }
            _ => at.push(name),
        }
        let place: Vec<&str> = at.iter().map(String::as_str).collect();
        let (tree, below) = seen(&place, mounts);
        let is_mountpoint = mounts.iter().any(|(mountpoint, _)| names(mountpoint) == place);
        let Some(link) = target(tree, &below).filter(|_| !is_mountpoint && tree != Tree::Fresh) else { continue };
        followed += 1;
        FOLLOWED.count();
        if followed > 40 {
            return None;
        }
        at.pop();
        if link.starts_with('/') {
            at.clear();
        }
        todo.extend(link.split('/').rev().map(str::to_owned));
    }
    Some(format!("/{}", at.join("/")))
}
