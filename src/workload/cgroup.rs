//! The text of `/proc/P/cgroup` (cgroups(7)): which container or unit of systemd a path names. Every engine has its own spelling, one for
//! cgroups that it makes itself and one for those that systemd makes.

/// A container, by the part of a path that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    pub id: &'a str,
    /// `None`: the spelling is that of several engines.
    pub engine: Option<&'static str>,
}

/// The different paths of a process, systemd's own hierarchy first. `/`, where nobody has put it anywhere, is none.
#[must_use]
pub fn paths(text: &str) -> Vec<&str> {
    // A line is `ID:CONTROLLERS:PATH`; the path may have colons.
    let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let of_systemd = lines().filter(|(controllers, _)| matches!(*controllers, "" | "name=systemd"));
    let mut paths: Vec<&str> = Vec::new();
    for (_, path) in of_systemd.chain(lines()).filter(|(_, path)| components(path).next().is_some()) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// A cgroup outside ours is shown with leading `..` in a cgroup namespace.
fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !matches!(*component, "" | "." | ".."))
}

/// The containers that the paths name, the outermost first; each once.
#[must_use]
pub fn containers<'a>(paths: &[&'a str]) -> Vec<Named<'a>> {
    let mut found: Vec<Named<'a>> = Vec::new();
    for path in paths {
        let mut above = "";
        for component in components(path) {
            if let Some(named) = named(above, component).filter(|named| found.iter().all(|known| known.id != named.id)) {
                found.push(named);
            }
            above = component;
        }
    }
    found
}

/// Prefixes before an id of 64 hexadecimal digits. `libpod-conmon-ID` and `crio-conmon-ID`, the monitors', have none after the prefix.
const PREFIXES: [(&str, &str); 7] = [
    ("docker-", "docker"),
    ("libpod-", "podman"),
    ("libpod-payload-", "podman"),
    ("crio-", "cri-o"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("cri-containerd:", "containerd"),
];

/// What the name of one cgroup says; `above` is the one that holds it.
fn named<'a>(above: &str, component: &'a str) -> Option<Named<'a>> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    for (prefix, engine) in PREFIXES {
        if let Some(id) = name.strip_prefix(prefix).filter(|id| is_engines_id(id)) {
            return Some(Named { id, engine: Some(engine) });
        }
    }
    // containerd without a slice of its own: kubepods-burstable-podUID.slice:cri-containerd:ID
    if let Some((_, id)) = name.rsplit_once(":cri-containerd:").filter(|(_, id)| is_engines_id(id)) {
        return Some(Named { id, engine: Some("containerd") });
    }
    if let Some(id) = name.strip_prefix("lxc.payload.") {
        return Some(Named { id, engine: Some("lxc") });
    }
    if is_buildahs_id(name) {
        return Some(Named { id: name, engine: Some("buildah") });
    }
    let engine = match above {
        "docker" => Some("docker"),
        "k8s.io" => Some("containerd"),
        "buildkit" => return Some(Named { id: name, engine: Some("buildkit") }),
        _ => None,
    };
    is_engines_id(name).then_some(Named { id: name, engine })
}

/// As docker, podman, containerd's and CRI-O's CRI make them.
fn is_engines_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `buildah-buildah4139192498`.
fn is_buildahs_id(name: &str) -> bool {
    name.strip_prefix("buildah-buildah").is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The innermost unit of systemd, also of a user's own systemd. A scope (a login session) is none.
#[must_use]
pub fn service<'a>(paths: &[&'a str]) -> Option<&'a str> {
    let is_service = |component: &&str| component.strip_suffix(".service").is_some_and(|name| !name.is_empty());
    paths.iter().find_map(|path| components(path).filter(is_service).last())
}

/// The cgroup itself and all above it, the deepest first, each in one spelling; the root is none.
pub fn lineage(path: &str) -> impl Iterator<Item = String> {
    let spelt: String = components(path).flat_map(|component| ["/", component]).collect();
    let above = |path: &String| Some(path[..path.rfind('/')?].to_owned());
    std::iter::successors(Some(spelt), above).take_while(|path| !path.is_empty())
}

/// The cgroup that a path of a mounted hierarchy is, as `/proc/P/cgroup` spells it. `hierarchy` is empty for the one of cgroup v2.
#[must_use]
pub fn of_mounted<'p>(hierarchy: &str, path: &'p str) -> Option<&'p str> {
    let below = path.strip_prefix("/sys/fs/cgroup")?;
    let v2_beside_v1 = "/unified";
    if hierarchy.is_empty() {
        return Some(below.strip_prefix(v2_beside_v1).filter(|rest| rest.starts_with('/')).unwrap_or(below));
    }
    let rest = below.strip_prefix('/')?;
    rest.find('/').map(|at| &rest[at..])
}

#[cfg(test)]
mod tests;
