//! Which containers an operator means: by id, the beginning of an id, name or pid, or all.

use crate::namespaces::{self, Found, Namespace};
use crate::workload::{Kind, Node, Workload};
use anyhow::{Context, bail};
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

/// A mount namespace and who is in it.
pub struct Container {
    pub pid: i32,
    /// Of its mount namespace.
    pub inode: u64,
    pub workload: Workload,
}

impl Container {
    fn of(namespace: &Namespace, node: &Node) -> Option<Container> {
        let pid = namespace.pid.filter(|_| !namespace.is_ours)?;
        Some(Container { pid, inode: namespace.inode, workload: node.of_process(pid) })
    }

    /// As a person calls it.
    pub fn label(&self) -> String {
        let Workload { name, id, command, .. } = &self.workload;
        match (name.as_ref().or(id.as_ref()), command.as_str()) {
            (Some(name), _) => format!("{name} (pid {})", self.pid),
            (None, "") => format!("pid {}", self.pid),
            (None, command) => format!("{command} (pid {})", self.pid),
        }
    }

    /// Its mount namespace; `None` when it has ended.
    ///
    /// # Errors
    /// It is not known whether it has ended.
    pub fn open(&self) -> Result<Option<OwnedFd>, Errno> {
        namespaces::open(self.pid, self.inode)
    }

    fn is_called(&self, word: &str) -> bool {
        [&self.workload.id, &self.workload.name].into_iter().flatten().any(|known| known == word)
    }

    fn begins_with(&self, word: &str) -> bool {
        self.workload.kind == Kind::Container && self.workload.id.as_ref().is_some_and(|id| id.starts_with(word))
    }
}

/// All containers.
pub fn all(found: &Found) -> Vec<Container> {
    everybody(found).into_iter().filter(|container| container.workload.kind == Kind::Container).collect()
}

fn everybody(found: &Found) -> Vec<Container> {
    let node = Node::new();
    found.namespaces.iter().filter_map(|namespace| Container::of(namespace, &node)).collect()
}

/// Those that are meant by `words`, each once.
pub fn chosen(found: &Found, words: &[String]) -> anyhow::Result<Vec<Container>> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let everybody = everybody(found);
    let meant = words.iter().map(|word| one(&everybody, word)).collect::<anyhow::Result<Vec<usize>>>()?;
    Ok(everybody.into_iter().enumerate().filter(|(place, _)| meant.contains(place)).map(|(_, container)| container).collect())
}

/// Which of them a word means.
fn one(everybody: &[Container], word: &str) -> anyhow::Result<usize> {
    let matching = |matches: &dyn Fn(&Container) -> bool| -> Vec<usize> {
        everybody.iter().enumerate().filter(|(_, container)| matches(container)).map(|(place, _)| place).collect()
    };
    let called = matching(&|container| container.is_called(word));
    let of_pid = word.parse().ok().and_then(namespace_of);
    let places = match (called.as_slice(), of_pid) {
        ([], Some(inode)) => {
            let found = matching(&|container| container.inode == inode);
            if found.is_empty() {
                bail!("choose {word}: the process has the mount namespace of the host, and no mounts of its own");
            }
            found
        }
        ([], None) if !word.is_empty() => matching(&|container| container.begins_with(word)),
        _ => called,
    };
    match places.as_slice() {
        [place] => Ok(*place),
        [] => bail!("choose {word}: no running container has this id, name or pid; runc-guard guard audit lists them"),
        [first, second, ..] => {
            let (first, second) = (everybody[*first].label(), everybody[*second].label());
            bail!("choose {word}: it means several containers, {first} and {second} among them; write more of the id")
        }
    }
}

fn namespace_of(pid: i32) -> Option<u64> {
    let file = File::open(format!("/proc/{pid}/ns/mnt")).ok()?;
    file.metadata().ok().map(|metadata| metadata.ino())
}

/// Whether this process may do what heal and release do, and stands where it may.
///
/// # Errors
/// It may not: what is missing, and what to do.
pub fn ensure_able(verb: &str) -> anyhow::Result<()> {
    use caps::{CapSet, Capability};
    for capability in [Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_CHROOT, Capability::CAP_SYS_PTRACE] {
        if !caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false) {
            bail!("{verb}: {capability} is missing, without which no other mount namespace can be entered; run it as root of the host");
        }
    }
    let inode = |process: &str| std::fs::metadata(format!("/proc/{process}/ns/mnt")).map(|metadata| metadata.ino());
    let (ours, hosts) = (inode("self").context("look at our own mount namespace")?, inode("1").context("look at the mount namespace of pid 1")?);
    if ours != hosts {
        bail!("{verb}: this is not the host's mount namespace, which pid 1 has; run it by nsenter --target 1 --mount");
    }
    Ok(())
}
