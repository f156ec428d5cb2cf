//! Who is root inside: the id mappings of the container's user namespace and of single (idmapped) mounts.

use super::{Mount, RawMappings, Spec};
use crate::mountpoint::Owner;
use serde::Deserialize;
use serde_json::value::RawValue;

/// One range of `uidMappings` or `gidMappings`: `size` ids from `container` on are those from `host` on (runtime-spec, config-linux.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct IdMapping {
    #[serde(rename = "containerID")]
    pub container: u32,
    #[serde(rename = "hostID")]
    pub host: u32,
    pub size: u32,
}

impl Spec<'_> {
    /// The ids of the container's root on the host: 0 without a user namespace, and where its mappings say nothing of root.
    #[must_use]
    pub fn root_owner(&self) -> Owner {
        let host_id = |raw| to_host(&mappings(raw), 0).unwrap_or(0);
        Owner { uid: host_id(self.ids.uids), gid: host_id(self.ids.gids) }
    }

    /// Who must own a file in the source of `mount` so that the container sees it as root's. On an idmapped mount that is not the container's
    /// root but whom the mount shows as such: `containerID` of its mappings is the id in the source, `hostID` the id it appears as.
    #[must_use]
    pub fn root_owner_in(&self, mount: &Mount<'_>) -> Owner {
        let root = self.root_owner();
        let Some(mappings) = self.mappings_of_mount(mount) else { return root };
        let [uids, gids] = mappings;
        Owner { uid: to_container(&uids, root.uid).unwrap_or(root.uid), gid: to_container(&gids, root.gid).unwrap_or(root.gid) }
    }

    /// `None`: the mount is not idmapped.
    fn mappings_of_mount(&self, mount: &Mount<'_>) -> Option<[Vec<IdMapping>; 2]> {
        let RawMappings { uids, gids } = mount.raw.ids;
        if uids.is_some() || gids.is_some() {
            return Some([mappings(uids), mappings(gids)]);
        }
        let word = mount.options.iter().map(|option| &*option.text).find(|word| is_idmap_word(word))?;
        match word.split_once('=') {
            // crun's own form, `idmap=uids=0-1000-1;gids=0-1000-1`.
            Some((_, spelt)) => Some(["uids", "gids"].map(|ids| spelt_mappings(spelt, ids))),
            None => Some([mappings(self.ids.uids), mappings(self.ids.gids)]),
        }
    }
}

fn is_idmap_word(word: &str) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    name == "idmap" || name == "ridmap"
}

/// What cannot be read maps nothing; the runtime will say so itself.
fn mappings(raw: Option<&RawValue>) -> Vec<IdMapping> {
    raw.and_then(|raw| serde_json::from_str::<Option<Vec<IdMapping>>>(raw.get()).ok().flatten()).unwrap_or_default()
}

/// crun(1): `uids=FILE-SYSTEM-ID-MOUNT-ID-SIZE#…;gids=…`.
fn spelt_mappings(spelt: &str, ids: &str) -> Vec<IdMapping> {
    let part = spelt.split(';').find_map(|part| part.strip_prefix(ids)?.strip_prefix('='));
    let range = |range: &str| {
        let mut numbers = range.split('-').map(str::parse);
        Some(IdMapping { container: numbers.next()?.ok()?, host: numbers.next()?.ok()?, size: numbers.next()?.ok()? })
    };
    part.into_iter().flat_map(|part| part.split('#')).filter_map(range).collect()
}

fn to_host(mappings: &[IdMapping], id: u32) -> Option<u32> {
    let range = mappings.iter().find(|range| range.container <= id && id - range.container < range.size)?;
    range.host.checked_add(id - range.container)
}

fn to_container(mappings: &[IdMapping], id: u32) -> Option<u32> {
    let range = mappings.iter().find(|range| range.host <= id && id - range.host < range.size)?;
    range.container.checked_add(id - range.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(mount: &str, linux: &str) -> ((u32, u32), (u32, u32)) {
        let text = format!(r#"{{"mounts":[{{"destination":"/d","source":"/s"{mount}}}],"linux":{linux}}}"#);
        let spec = Spec::parse(text.as_bytes()).unwrap();
        let pair = |owner: Owner| (owner.uid, owner.gid);
        (pair(spec.root_owner()), pair(spec.root_owner_in(&spec.mounts[0])))
    }

    const USER_NAMESPACE: &str =
        r#"{"uidMappings":[{"containerID":0,"hostID":100000,"size":65536}],"gidMappings":[{"containerID":0,"hostID":200000,"size":65536}]}"#;

    #[test]
    fn without_mappings_root_is_root() {
        assert_eq!(owners("", "{}"), ((0, 0), (0, 0)));
        assert_eq!(owners("", r#"{"uidMappings":null,"gidMappings":"odd"}"#), ((0, 0), (0, 0)));
        assert_eq!(owners("", r#"{"uidMappings":[{"containerID":5,"hostID":100000,"size":10}]}"#), ((0, 0), (0, 0)), "says nothing of root");
    }

    #[test]
    fn in_a_user_namespace_root_is_the_mapped_one() {
        assert_eq!(owners("", USER_NAMESPACE), ((100_000, 200_000), (100_000, 200_000)));
    }

    #[test]
    fn on_an_idmapped_mount_it_is_whom_the_mount_shows_as_root() {
        let mapped = r#","uidMappings":[{"containerID":1000,"hostID":0,"size":1}],"gidMappings":[{"containerID":7,"hostID":0,"size":1}]"#;
        assert_eq!(owners(mapped, "{}"), ((0, 0), (1000, 7)));
        let mapped = r#","options":["rbind","idmap"]"#;
        assert_eq!(owners(mapped, USER_NAMESPACE), ((100_000, 200_000), (0, 0)), "the namespace's own mapping");
        let mapped = r#","options":["bind","ridmap=uids=500-100000-10#0-1-1;gids=600-200000-10"]"#;
        assert_eq!(owners(mapped, USER_NAMESPACE), ((100_000, 200_000), (500, 600)));
        let mapped = r#","uidMappings":[{"containerID":4294967295,"hostID":0,"size":4294967295}],"gidMappings":[]"#;
        assert_eq!(owners(mapped, "{}").1, (u32::MAX, 0), "no overflow, and an id that maps nowhere stays");
    }
}
