use super::*;
use std::os::unix::fs::symlink;

/// A bundle whose root file system and one source hold symlinks.
struct Node(tempfile::TempDir);

impl Node {
    fn new() -> Node {
        let node = Node(tempfile::tempdir().unwrap());
        for directory in ["rootfs/var", "rootfs/run", "rootfs/data", "source/releases", "plain"] {
            std::fs::create_dir_all(node.path(directory)).unwrap();
        }
        for (target, link) in [("../run", "rootfs/var/run"), ("/run", "rootfs/data/abs"), ("releases", "source/current"), ("plain", "link")] {
            symlink(target, node.path(link)).unwrap();
        }
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.0.path()).unwrap().join(name)
    }

    fn document(&self, mounts: &[(&str, &str)]) -> String {
        let mount = |(destination, source): &(&str, &str)| match *source {
            "tmpfs" => format!(r#"{{"destination":"{destination}","type":"tmpfs","source":"tmpfs"}}"#),
            relative => {
                let source = if relative.starts_with("./") { PathBuf::from(relative) } else { self.path(relative) };
                format!(r#"{{"destination":"{destination}","source":"{}","options":["rbind"]}}"#, source.display())
            }
        };
        format!(r#"{{"root":{{"path":"rootfs"}},"mounts":[{}]}}"#, mounts.iter().map(mount).collect::<Vec<_>>().join(","))
    }

    fn look(&self, mounts: &[(&str, &str)]) -> (Vec<Spelling>, bool) {
        let text = self.document(mounts);
        let spec = Spec::parse(text.as_bytes()).unwrap();
        let bundle = self.path(".");
        (look(&spec, &bundle, &[]), is_plain(&spec, &bundle, &[]))
    }

    fn mountpoints(&self, mounts: &[(&str, &str)]) -> Vec<String> {
        self.look(mounts).0.iter().map(|spelling| spelling.mountpoint.display().to_string()).collect()
    }
}

const DESTINATIONS: [&str; 12] = [
    "/data",
    "/data/",
    "/data/abs/x",
    "/data/current/x",
    "/data/plain",
    "/run",
    "/run/x",
    "/var",
    "/var/run",
    "/var/run/x",
    "/var/../run",
    "relative",
];
const SOURCES: [&str; 4] = ["tmpfs", "plain", "source", "link"];

#[test]
fn what_is_called_plain_needs_no_other_spelling() {
    let node = Node::new();
    let mounts: Vec<(&str, &str)> = DESTINATIONS.iter().flat_map(|at| SOURCES.map(|source| (*at, source))).collect();
    let (mut plain, mut other) = (0, 0);
    for pair in mounts.iter().flat_map(|first| mounts.iter().map(|second| [*first, *second])) {
        let (spellings, is_plain) = node.look(&pair);
        let stays = |((destination, source), spelling): (&(&str, &str), &Spelling)| {
            let same_source = spelling.source.as_deref().is_none_or(|real| real == node.path(source));
            *source == "tmpfs" || (spelling.mountpoint.as_os_str() == *destination && same_source)
        };
        let all_stay = pair.iter().zip(&spellings).all(stays);
        assert!(all_stay || !is_plain, "{pair:?} {spellings:?}");
        if is_plain { plain += 1 } else { other += 1 }
    }
    assert!(plain > 300 && other > 300, "{plain} and {other}");
}

#[test]
fn destinations_are_resolved_in_what_the_container_will_see() {
    let node = Node::new();
    assert_eq!(node.mountpoints(&[("/var/run/x", "plain"), ("/data/abs/y", "plain")]), ["/run/x", "/run/y"]);
    assert_eq!(node.mountpoints(&[("/var", "tmpfs"), ("/var/run/x", "plain")])[1], "/var/run/x", "hidden by a fresh file system");
    assert_eq!(node.mountpoints(&[("/data", "source"), ("/data/current/x", "plain")])[1], "/data/releases/x", "in the source");
    assert_eq!(node.mountpoints(&[("/var/run", "source"), ("/run/current/x", "plain")]), ["/run", "/run/releases/x"]);
    assert_eq!(node.mountpoints(&[("/missing/run/x/", "plain"), ("relative", "plain")]), ["/missing/run/x", "/relative"]);
}

#[test]
fn sources_are_named_without_symlinks_and_from_the_root() {
    let node = Node::new();
    let source = |name: &str| node.look(&[("/data", name)]).0[0].source.clone();
    assert_eq!(source("link"), Some(node.path("plain")));
    assert_eq!(source("./plain"), Some(node.path("plain")));
    assert_eq!(source("plain"), Some(node.path("plain")));
    assert_eq!(source("tmpfs"), None);
    assert!(!node.look(&[("/data", "./plain")]).1 && !node.look(&[("/data", "link")]).1 && node.look(&[("/data", "plain")]).1);
}
