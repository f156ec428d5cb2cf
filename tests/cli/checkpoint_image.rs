//! CRIU's mount table for tests: protobuf written by its definition, sharing nothing with the reader under test. Layout: CRIU's `criu/image.c` and
//! `images/mnt.proto`, `pstree.proto`, `core.proto`.

use std::fs;
use std::path::Path;

const COMMON_MAGIC: u32 = 0x5456_4319;
const PSTREE_MAGIC: u32 = 0x5027_3030;
const IDS_MAGIC: u32 = 0x5443_2030;
const MOUNTS_MAGIC: u32 = 0x5556_3928;

/// CRIU's numbers: a file system that it does not dump, and one that it does.
const UNSUPPORTED: u32 = 0;
const TMPFS: u32 = 5;

/// The mount table of a container, in the order of mounting.
#[derive(Clone)]
pub struct CheckpointImage {
    mounts: Vec<Mount>,
}

#[derive(Clone)]
struct Mount {
    id: u32,
    parent: u32,
    file_system: u32,
    device: u32,
    root: String,
    mountpoint: String,
    key: Option<String>,
}

impl CheckpointImage {
    /// Of a container with nothing but its root file system.
    pub fn new() -> CheckpointImage {
        let mountpoint = "/".to_owned();
        CheckpointImage {
            mounts: vec![Mount { id: 1, parent: 0, file_system: UNSUPPORTED, device: 101, root: "/ct/rootfs".to_owned(), mountpoint, key: None }],
        }
    }

    /// A bind from outside that the runtime registered by its mountpoint.
    pub fn external(self, at: &str) -> CheckpointImage {
        self.external_as(at, at)
    }

    /// A bind from outside that the runtime registered as `key`.
    pub fn external_as(self, at: &str, key: &str) -> CheckpointImage {
        self.with(UNSUPPORTED, None, "/outside", at, Some(key))
    }

    /// A file system that CRIU dumps, whole.
    pub fn tmpfs(self, at: &str) -> CheckpointImage {
        self.with(TMPFS, None, "/", at, None)
    }

    /// A bind that the container made itself, of a place `below` the root of its mount at `of`.
    pub fn bind_of(self, of: &str, below: &str, at: &str) -> CheckpointImage {
        let of = self.mounts.iter().rev().find(|mount| mount.mountpoint == of).unwrap().clone();
        self.with(of.file_system, Some(of.device), &format!("{}/{below}", of.root), at, None)
    }

    /// A tmpfs at each of these places, all on the mount that is seen at `on` now.
    pub fn tmpfs_each(self, on: &str, places: impl Iterator<Item = String>) -> CheckpointImage {
        let parent = self.seen_at(on);
        places.fold(self, |image, at| image.push(parent, TMPFS, None, "/", &at, None))
    }

    fn with(self, file_system: u32, device: Option<u32>, root: &str, at: &str, key: Option<&str>) -> CheckpointImage {
        let parent = self.seen_at(at);
        self.push(parent, file_system, device, root, at, key)
    }

    fn seen_at(&self, at: &str) -> u32 {
        let above = self.mounts.iter().filter(|mount| Path::new(at).starts_with(&mount.mountpoint));
        above.max_by_key(|mount| mount.mountpoint.len()).unwrap().id
    }

    fn push(mut self, parent: u32, file_system: u32, device: Option<u32>, root: &str, at: &str, key: Option<&str>) -> CheckpointImage {
        let id = u32::try_from(self.mounts.len()).unwrap() + 1;
        let (root, mountpoint, key) = (root.to_owned(), at.to_owned(), key.map(str::to_owned));
        self.mounts.push(Mount { id, parent, file_system, device: device.unwrap_or(100 + id), root, mountpoint, key });
        self
    }

    /// The bytes of the mount table.
    pub fn table(&self) -> Vec<u8> {
        // The newest first, as CRIU has them.
        file(MOUNTS_MAGIC, &self.mounts.iter().rev().map(Mount::record).collect::<Vec<_>>())
    }

    /// Writes the image into a directory, which is made if need be.
    pub fn write(&self, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("pstree.img"), file(PSTREE_MAGIC, &[number(1, 1)])).unwrap();
        fs::write(directory.join("ids-1.img"), file(IDS_MAGIC, &[number(9, 12)])).unwrap();
        fs::write(directory.join("mountpoints-12.img"), self.table()).unwrap();
    }
}

impl Mount {
    fn record(&self) -> Vec<u8> {
        let numbers = [(1, self.file_system), (2, self.id), (3, self.device), (4, self.parent), (5, 0)];
        let mut record: Vec<u8> = numbers.into_iter().flat_map(|(field, value)| number(field, value)).collect();
        for (field, value) in [(6, self.root.as_str()), (7, &self.mountpoint), (8, "source"), (9, "")] {
            record.extend(text(field, value));
        }
        record.extend(self.key.iter().flat_map(|key| text(18, key)));
        record
    }
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(0x80 | u8::try_from(value & 0x7f).unwrap());
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn number(field: usize, value: u32) -> Vec<u8> {
    [varint(field << 3), varint(value as usize)].concat()
}

fn text(field: usize, value: &str) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len()), value.as_bytes().to_vec()].concat()
}

fn file(magic: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = [COMMON_MAGIC, magic].map(u32::to_le_bytes).concat();
    for record in records {
        bytes.extend(u32::try_from(record.len()).unwrap().to_le_bytes());
        bytes.extend(record);
    }
    bytes
}
