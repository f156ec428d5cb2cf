//! What the rules should make of a document on a node, worked out on the document's meaning, without spans and without `src/`.

use crate::json::{Document, Value};
use crate::meaning::Members;
use crate::naive_paths::is_in;
use crate::node::Node;
use crate::propagation::{Wanted, wanted, written};
use runc_guard::config::Policy;
use runc_guard::invocation::{Command, Flavour};

const CRUNS_OWN: &str = "/run/crun/.empty-directory";

/// The document as the runtime shall find it; `None`: the call is refused.
#[must_use]
pub fn document(document: &Document, node: &Node) -> Option<Value> {
    let before = &document.value;
    let mut after = before.clone();
    let is_on = |rule: &str| node.config.rule(rule).enabled && !is_opted_out(before, node, rule);
    let is_restore = node.command == Command::Restore;
    if is_on("slave-protected-binds") {
        slave_binds(before, node, &mut after)?;
    }
    if is_on("checkpointable-mounts") && node.flavour != Flavour::Youki && node.respells {
        respell(before, node, &mut after);
    }
    if is_on("restore-mountpoints") && is_restore && node.rootfs_is_read_only && node.respells {
        mark_shadows(before, node, &mut after);
    }
    if is_on("restore-dialect") && is_restore && node.lost_masks.contains(&CRUNS_OWN) {
        mask(&mut after, document.odd);
    }
    Some(after)
}

fn is_opted_out(before: &Value, node: &Node, rule: &str) -> bool {
    let Some(Value::Object(annotations)) = before.member("annotations") else { return false };
    let is_readable = annotations.iter().all(|(name, _)| !String::from_utf8_lossy(name).contains('\u{fffd}'));
    let name = format!("runc-guard/{rule}");
    let values: Vec<&Value> = annotations.iter().filter(|(key, _)| key == name.as_bytes()).map(|(_, value)| value).collect();
    is_readable && !node.config.allow_opt_out.is_empty() && values == [&Value::Text(b"off".to_vec())]
}

fn mounts(document: &Value) -> &[Value] {
    document.member("mounts").map(Members::items).unwrap_or_default()
}

fn options(mount: &Value) -> Vec<String> {
    mount.member("options").map(Members::texts).unwrap_or_default()
}

fn is_bind(mount: &Value) -> bool {
    options(mount).iter().any(|option| option == "bind" || option == "rbind")
}

fn text(mount: &Value, name: &str) -> String {
    mount.member(name).map(Members::text).unwrap_or_default()
}

/// Sets a member that is there.
fn set(document: &mut Value, mount: usize, name: &str, value: Value) {
    if let Some(Value::Array(mounts)) = document.member_mut("mounts") {
        if let Some(member) = mounts[mount].member_mut(name) {
            *member = value;
        }
    }
}

fn as_text(text: &str) -> Value {
    Value::Text(text.as_bytes().to_vec())
}

/// How a source lies to the protected roots.
enum Overlap {
    None,
    /// Inside of one, by its path alone, and nothing more.
    Inside,
    More,
}

fn overlap(source: &str, node: &Node) -> Overlap {
    let (mut inside, mut around) = (false, false);
    for root in &node.roots {
        around |= is_in(root, source);
        inside |= is_in(source, root);
    }
    match (around, inside) {
        (true, _) => Overlap::More,
        (false, true) => Overlap::Inside,
        _ if node.is_alias(source) => Overlap::More,
        _ => Overlap::None,
    }
}

fn slave_binds(before: &Value, node: &Node, after: &mut Value) -> Option<()> {
    let (reject, warn) = (node.config.policy == Policy::Reject, node.config.policy == Policy::Warn);
    let (mut slaves, mut refused) = (false, false);
    for (index, mount) in mounts(before).iter().enumerate() {
        let source = text(mount, "source");
        let resolved = node.resolved(&source);
        if source.is_empty() || !is_bind(mount) || !node.is_directory(&resolved) {
            continue;
        }
        let bare = match overlap(&resolved, node) {
            Overlap::None => continue,
            Overlap::Inside => node.bare_mountpoints,
            Overlap::More => false,
        };
        let options = options(mount);
        let becomes_slave = match wanted(&options, node.flavour, node.config.force_rro) {
            Wanted::StaySlave => true,
            Wanted::Stay => false,
            Wanted::Write(..) if bare => false,
            Wanted::Leave(true) | Wanted::Write(_, true) if reject => {
                refused = true;
                false
            }
            Wanted::Leave(_) => false,
            Wanted::Write(..) if warn => false,
            Wanted::Write(word, _) => {
                set(after, index, "options", Value::Array(written(&options, word).iter().map(|option| as_text(option)).collect()));
                word == "rslave"
            }
        };
        slaves |= becomes_slave;
        refused |= becomes_slave && reject && node.parent_shared == Some(false);
    }
    if slaves && !warn {
        let shared = mounts(before).iter().any(|mount| options(mount).iter().any(|option| option == "shared" || option == "rshared"));
        raise_rootfs_propagation(after, node.flavour, shared);
    }
    (!refused).then_some(())
}

fn raise_rootfs_propagation(after: &mut Value, flavour: Flavour, shared: bool) {
    let Some(Value::Object(linux)) = after.member_mut("linux") else { return };
    let place = linux.iter().position(|(name, _)| name == b"rootfsPropagation");
    let now = place.map(|index| linux[index].1.text()).unwrap_or_default();
    let value = match (flavour, now.as_str()) {
        (Flavour::Youki, "private" | "unbindable") => "slave",
        (Flavour::Youki, _) => return,
        (_, "" | "private" | "rprivate" | "unbindable" | "runbindable") if shared => "slave",
        (_, "" | "private" | "rprivate" | "unbindable" | "runbindable") => "rslave",
        _ => return,
    };
    match place {
        Some(index) => linux[index].1 = as_text(value),
        None if linux.is_empty() => {}
        None => linux.push((b"rootfsPropagation".to_vec(), as_text(value))),
    }
}

fn respell(before: &Value, node: &Node, after: &mut Value) {
    for (index, mount) in mounts(before).iter().enumerate().filter(|(_, mount)| is_bind(mount)) {
        let options = options(mount);
        let says = |word: &str| options.iter().any(|option| option == word);
        let (destination, source) = (text(mount, "destination"), text(mount, "source"));
        if !destination.is_empty() && !says("dest-nofollow") && !says("copy-symlink") {
            set(after, index, "destination", as_text(&node.mountpoint(&destination)));
        }
        let resolved = node.resolved(&source);
        // Doubled and final slashes, and `.`, are no other spelling to any runtime.
        let means_the_same = source.starts_with('/') && !source.split('/').any(|name| name == "..") && crate::naive_paths::clean(&source) == resolved;
        if !source.is_empty() && !means_the_same && !says("src-nofollow") && !says("copy-symlink") {
            set(after, index, "source", as_text(&resolved));
        }
    }
}

/// A tmpfs entry for each bind that holds the mountpoint of another mount and has none yet.
fn mark_shadows(before: &Value, node: &Node, after: &mut Value) {
    let places: Vec<String> = mounts(before).iter().map(|mount| node.mountpoint(&text(mount, "destination"))).collect();
    let mut markers = Vec::new();
    for (mount, at) in mounts(before).iter().zip(&places) {
        let holds_another = places.iter().any(|other| other != at && is_in(other, at));
        let is_marked = mounts(before).iter().zip(&places).any(|(mount, other)| other == at && text(mount, "type") == "tmpfs");
        if is_bind(mount) && holds_another && !is_marked {
            let member = |(name, value): (&str, &str)| (name.as_bytes().to_vec(), as_text(value));
            let members = [("destination", at.as_str()), ("type", "tmpfs"), ("source", "tmpfs")];
            markers.push(Value::Object(members.map(member).to_vec()));
        }
    }
    if let Some(Value::Array(mounts)) = after.member_mut("mounts") {
        mounts.extend(markers);
    }
}

/// Half a surrogate pair in a path (`odd`, and a replacement character): the two runtimes would not read the same path, so the list is left alone.
fn mask(after: &mut Value, odd: bool) {
    let Some(Value::Array(masked)) = after.member_mut("linux").and_then(|linux| linux.member_mut("maskedPaths")) else { return };
    let is_one = |text: &[u8]| !(odd && String::from_utf8_lossy(text).contains('\u{fffd}'));
    let is_list_of_paths = !masked.is_empty() && masked.iter().all(|path| matches!(path, Value::Text(text) if is_one(text)));
    if is_list_of_paths && !masked.contains(&as_text(CRUNS_OWN)) {
        masked.push(as_text(CRUNS_OWN));
    }
}
