//! What is to be done with each mount of a container: pure, from the two mount tables.

use super::counterpart::{Counterpart, Host, path_through};
use crate::host::Root;
use crate::mountinfo::Place;
use crate::mountinfo::line::{Line, Propagation, Tree};
use crate::paths::{self, Relation};

/// What the operator wants.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Their places are filled in from the host's table.
    pub roots: Vec<Root>,
    /// Also binds that overlap no protected root.
    pub all_binds: bool,
    /// Also recursively read-only ones.
    pub force_rro: bool,
}

/// What becomes of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It becomes a slave of this peer group of the host.
    Heal { group: u32 },
    /// It is as it should be.
    Right(&'static str),
    /// It is private, and nothing would be gained, or something lost.
    Keep(&'static str),
    /// It pins, or may, and this cannot be mended so.
    Impossible(String),
}

/// One mount of the container that is in question.
pub struct Entry<'t, 'a> {
    pub line: &'t Line<'a>,
    /// Where the host sees what it shows, if it still does.
    pub source: Option<std::path::PathBuf>,
    pub verdict: Verdict,
}

/// What a mount lies in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surroundings {
    /// No bind that is in question.
    None,
    /// A bind that is healed with everything that came along with it.
    Healed,
    /// A bind that is left alone, with everything that came along with it.
    LeftAlone,
}

/// Kernel file systems at the top of a bind are the runtime's set-up.
const SET_UP: [&[u8]; 8] = [b"proc", b"sysfs", b"cgroup", b"cgroup2", b"mqueue", b"devpts", b"devtmpfs", b"securityfs"];

/// The mounts of one container, compared with the host's.
pub struct Comparison<'t, 'a, 'h> {
    host: &'h Host<'h, 'h>,
    tree: Tree<'t, 'a>,
    wish: Wish,
}

impl<'t, 'a, 'h> Comparison<'t, 'a, 'h> {
    pub fn new(host: &'h Host<'h, 'h>, lines: &'t [Line<'a>], wish: &Wish) -> Comparison<'t, 'a, 'h> {
        let mut wish = wish.clone();
        for root in &mut wish.roots {
            root.place = host.tree.holder(&root.path).and_then(|holder| {
                let rest = root.path.strip_prefix(holder.path()).ok()?;
                Some(Place { device: holder.device, path: holder.root().join(rest) })
            });
        }
        Comparison { host, tree: Tree::of(lines), wish }
    }

    /// Parents before what is mounted on them: from the top of a bind unmounts reach everything below.
    pub fn entries(&self) -> Vec<Entry<'t, 'a>> {
        let mut entries = Vec::new();
        // A table that was torn while it was read has lines without a way from the root; they are not looked at.
        let roots = self.tree.lines.iter().filter(|line| self.tree.parent(line).is_none());
        let mut pending: Vec<(&'t Line<'a>, Surroundings)> = roots.map(|line| (line, Surroundings::None)).collect();
        while let Some((line, around)) = pending.pop() {
            let (within, entry) = self.look(line, around);
            entries.extend(entry);
            pending.extend(self.children(line).map(|child| (child, within)));
        }
        entries
    }

    fn children(&self, line: &Line<'_>) -> impl Iterator<Item = &'t Line<'a>> {
        let id = line.id;
        self.tree.lines.iter().rev().filter(move |child| child.parent == id && child.id != id)
    }

    /// What it is to the mounts on it, and what becomes of itself.
    fn look(&self, line: &'t Line<'a>, around: Surroundings) -> (Surroundings, Option<Entry<'t, 'a>>) {
        let within = around == Surroundings::Healed;
        let is_rootfs = line.path() == std::path::Path::new("/");
        if is_rootfs || (!within && SET_UP.contains(&&*line.fs_type)) {
            return (Surroundings::None, None);
        }
        let Some(counterpart) = self.host.counterpart(&self.tree, line) else {
            let in_question = within || (line.device.0 != 0 && line.propagation() == Propagation::Private);
            let entry = Entry { line, source: None, verdict: without_counterpart(line, self.tree.parent(line)) };
            return (around, in_question.then_some(entry));
        };
        if around == Surroundings::LeftAlone && self.is_in_place(line, &counterpart) {
            return (around, None);
        }
        if !within && !self.wish.all_binds && !self.overlaps(line) {
            return (Surroundings::None, None);
        }
        let reason_to_leave = if within { None } else { self.reason_to_leave(line, &counterpart) };
        let verdict = reason_to_leave.map_or_else(|| self.verdict(line, &counterpart), Verdict::Keep);
        let around = if reason_to_leave.is_some() { Surroundings::LeftAlone } else { Surroundings::Healed };
        (around, Some(Entry { line, source: Some(counterpart.path), verdict }))
    }

    fn verdict(&self, line: &Line<'_>, counterpart: &Counterpart<'_, '_>) -> Verdict {
        match (line.propagation(), counterpart.line.shared) {
            (Propagation::Slave, _) => Verdict::Right("it is a slave already"),
            (Propagation::Shared | Propagation::SharedSlave, _) if self.is_known_group(line) => Verdict::Right("it is shared with the host"),
            (Propagation::Shared | Propagation::SharedSlave, _) => {
                let why = "it is shared, but with no mount of the host, so no unmount of the host reaches it; start the container again with rslave";
                Verdict::Impossible(why.to_owned())
            }
            // As automounts are on any node; nothing that matters is below it.
            (Propagation::Private | Propagation::Unbindable, Some(_)) if self.is_covered(line) && self.relations(line).is_empty() => {
                Verdict::Keep("another mount covers it, so no path leads to it; it overlaps no protected root")
            }
            (Propagation::Private | Propagation::Unbindable, Some(group)) => Verdict::Heal { group },
            (Propagation::Private | Propagation::Unbindable, None) => {
                let path = counterpart.line.path().display();
                Verdict::Impossible(format!("the host's mount {path} is not shared, so it has no slaves; mount --make-shared it and heal again"))
            }
        }
    }

    fn is_covered(&self, line: &Line<'_>) -> bool {
        self.tree.holder(line.path()).is_some_and(|seen| seen.id != line.id)
    }

    fn is_known_group(&self, line: &Line<'_>) -> bool {
        let known = |group: Option<u32>| group.is_some() && self.host.tree.lines.iter().any(|host| host.shared == group);
        known(line.shared) || known(line.master)
    }

    /// How what the mount shows overlaps the protected roots, on any of the host's ways to it.
    fn relations(&self, line: &Line<'_>) -> Vec<Relation> {
        let by_identity = |root: &Root| {
            let place = root.place.as_ref().filter(|place| place.device == line.device)?;
            paths::overlap(line.root(), &place.path)
        };
        let ways: Vec<_> = self.host.showing(line).map(|host| path_through(host, line)).collect();
        let by_path = |root: &Root| ways.iter().filter_map(|path| paths::overlap(path, &root.path)).collect::<Vec<_>>();
        self.wish.roots.iter().flat_map(|root| by_path(root).into_iter().chain(by_identity(root))).collect()
    }

    fn overlaps(&self, line: &'t Line<'a>) -> bool {
        let copy_overlaps = |copy: &Line<'_>| {
            let counterpart = self.host.counterpart(&self.tree, copy);
            counterpart.is_some_and(|counterpart| self.is_in_place(copy, &counterpart) && !self.relations(copy).is_empty())
        };
        !self.relations(line).is_empty() || self.below(line).any(copy_overlaps)
    }

    /// A copy that came along with the bind, not a bind of its own.
    fn is_in_place(&self, line: &Line<'_>, counterpart: &Counterpart<'_, '_>) -> bool {
        self.tree.place_of_mountpoint(line) == self.host.tree.place_of_mountpoint(counterpart.line)
    }

    fn below(&self, line: &'t Line<'a>) -> impl Iterator<Item = &'t Line<'a>> {
        self.tree.on_or_below(line).filter(|below| below.id != line.id)
    }

    /// What the rule `slave-protected-binds` leaves alone is left alone here too.
    fn reason_to_leave(&self, line: &'t Line<'a>, counterpart: &Counterpart<'_, '_>) -> Option<&'static str> {
        if line.master.is_some() || self.is_known_group(line) {
            return None;
        }
        let nested: Vec<&Line<'_>> = self.below(line).collect();
        let is_mountpoint = counterpart.line.fs_root == line.fs_root && self.host.tree.parent(counterpart.line).is_some();
        let only_inside = self.relations(line).iter().all(|relation| *relation == Relation::Inside);
        if nested.is_empty() && is_mountpoint && only_inside {
            return Some(
                "its source is itself the mountpoint, with nothing mounted below it: a slave would not see its unmount; release it afterwards",
            );
        }
        if !line.read_only || counterpart.line.read_only || self.wish.force_rro {
            return None;
        }
        if nested.is_empty() {
            return Some("it is read-only and nothing is mounted below it: it pins nothing, and a slave would show later mounts writable");
        }
        let is_writable = |copy: &&&Line<'_>| self.host.counterpart(&self.tree, copy).is_some_and(|counterpart| !counterpart.line.read_only);
        (nested.iter().all(|copy| copy.read_only) && nested.iter().any(|copy| is_writable(&copy)))
            .then_some("it is recursively read-only, and a slave would show later mounts writable; set force_rro to heal it all the same")
    }
}

/// Nobody can tell the container's own mount from one that the host had: only on a device is it sure to be the host's.
fn without_counterpart(line: &Line<'_>, parent: Option<&Line<'_>>) -> Verdict {
    let is_below_private = parent.is_some_and(|parent| parent.master.is_none() && parent.shared.is_none());
    match line.propagation() {
        Propagation::Slave | Propagation::SharedSlave => Verdict::Right("it is a slave already"),
        Propagation::Shared => Verdict::Keep("it is the container's own, and shared"),
        Propagation::Private | Propagation::Unbindable if line.device.0 != 0 => {
            let (major, minor) = line.device;
            Verdict::Impossible(format!("the host has no mount of its file system {major}:{minor} any more; detach it with runc-guard guard release"))
        }
        Propagation::Private | Propagation::Unbindable if is_below_private => {
            let why = "the host has no mount of its file system: if it is not the container's own, detach it with runc-guard guard release";
            Verdict::Impossible(why.to_owned())
        }
        Propagation::Private | Propagation::Unbindable => {
            Verdict::Keep("the host has no mount of its file system: the container's own, or from before the bind was a slave")
        }
    }
}

#[cfg(test)]
mod tests;
