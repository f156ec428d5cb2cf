//! config.json → plan → spliced bytes, whatever the bytes are: what a runtime takes from the document changes exactly where it should.

use crate::expected;
use crate::json::{self, Document, Fault, Reader, Value};
use crate::meaning::{self, Members};
use crate::node::Node;
use crate::reached::Reached;
use runc_guard::plan::{Change, Plan};
use runc_guard::spec::{Edit, Spec, splice};

pub static UNDERSTOOD: Reached = Reached::new("understood");
pub static LEFT_ALONE: Reached = Reached::new("left-alone");
/// runc and crun would both start it, and not the same container.
pub static TWO_MEANINGS: Reached = Reached::new("two-meanings");
pub static REWRITTEN: Reached = Reached::new("rewritten");
pub static OPTIONS: Reached = Reached::new("options");
pub static ROOTFS_PROPAGATION: Reached = Reached::new("rootfs-propagation");
pub static RESPELT: Reached = Reached::new("respelt");
pub static APPENDED: Reached = Reached::new("appended");
pub static REFUSED: Reached = Reached::new("refused");

pub static PLACES: &[&Reached] = &[&UNDERSTOOD, &LEFT_ALONE, &TWO_MEANINGS, &REWRITTEN, &OPTIONS, &ROOTFS_PROPAGATION, &RESPELT, &APPENDED, &REFUSED];

type Reading = Result<Document, Fault>;

/// # Panics
/// A property does not hold.
pub fn check(text: &[u8], node: &Node) {
    // For who looks at a find: FUZZ_SHOW=1 TARGET FILE.
    if std::env::var_os("FUZZ_SHOW").is_some() {
        eprintln!("{}\n{node:?}", String::from_utf8_lossy(text));
    }
    let (go, yajl) = (json::read(text, Reader::Go), json::read(text, Reader::Yajl));
    let same_meaning = mean_the_same(&go, &yajl);
    TWO_MEANINGS.count_if(same_meaning == Some(false));
    match Spec::parse(text) {
        Err(why) => {
            LEFT_ALONE.count();
            let is_plain = |document: &Reading| document.as_ref().is_ok_and(|document| !document.odd && meaning::is_plain(&document.value));
            assert!(!(is_plain(&go) && is_plain(&yajl)), "nobody could misread it, but: {why}");
        }
        Ok(spec) => {
            UNDERSTOOD.count();
            assert_ne!(same_meaning, Some(false), "runc and crun read it in two ways");
            for fault in [go.as_ref().err(), yajl.as_ref().err()].into_iter().flatten() {
                assert_eq!(*fault, Fault::TooDeep, "a runtime cannot read it");
            }
            if let (Ok(go), Ok(yajl)) = (&go, &yajl) {
                check_view(&spec, &go.value);
                check_rewrite(&spec, node, go, yajl);
            }
        }
    }
}

/// `None` when not both would start a container.
fn mean_the_same(go: &Reading, yajl: &Reading) -> Option<bool> {
    let (go, yajl) = (go.as_ref().ok()?, yajl.as_ref().ok()?);
    Some(meaning::of(&go.value, Reader::Go)? == meaning::of(&yajl.value, Reader::Yajl)?)
}

fn check_view(spec: &Spec<'_>, document: &Value) {
    let text = |value: Option<&Value>| value.map(Members::text).unwrap_or_default();
    let mounts = document.member("mounts").map(Members::items).unwrap_or_default();
    assert_eq!(spec.mounts.len(), mounts.len());
    for (mount, read) in spec.mounts.iter().zip(mounts) {
        assert_eq!(mount.destination, text(read.member("destination")));
        assert_eq!(mount.source.as_deref().unwrap_or_default(), text(read.member("source")));
        assert_eq!(mount.words(), read.member("options").map(Members::texts).unwrap_or_default());
        if let None | Some(Value::Null | Value::Text(_)) = read.member("type") {
            assert_eq!(mount.kind(), text(read.member("type")));
        }
    }
    let root = document.member("root");
    assert_eq!(spec.root_path.as_deref().unwrap_or_default(), text(root.and_then(|root| root.member("path"))));
    assert_eq!(spec.root_readonly, root.and_then(|root| root.member("readonly")) == Some(&Value::Bool(true)));
    let propagation = spec.rootfs_propagation.as_ref().and_then(|propagation| propagation.value.as_deref()).unwrap_or_default();
    assert_eq!(propagation, text(document.member("linux").and_then(|linux| linux.member("rootfsPropagation"))));
}

fn check_rewrite(spec: &Spec<'_>, node: &Node, go: &Document, yajl: &Document) {
    let plan = node.plan(spec);
    let expected = expected::document(go, node);
    if plan.refusal().is_some() || expected.is_none() {
        REFUSED.count();
        assert_eq!(plan.refusal().is_some(), expected.is_none(), "{:?}", plan.refusal());
        return;
    }
    let edits = plan.edits();
    count_changes(&plan, &edits);
    let after = splice(spec.text, &edits).concat();
    assert_eq!(after.as_bytes(), spliced_slowly(spec.text, &edits), "bytes outside of the edits");
    if edits.is_empty() {
        assert_eq!(after, spec.text);
    }
    for (reader, before) in [(Reader::Go, go), (Reader::Yajl, yajl)] {
        let is_certain = reader == Reader::Go || !before.odd;
        if let Some(expected) = expected::document(before, node).filter(|_| is_certain) {
            let read = json::read(after.as_bytes(), reader).expect("a runtime can read it still");
            assert_eq!(settled(read.value, before), settled(expected, before), "the meaning to {reader:?}");
        }
    }
    let again = Spec::parse(after.as_bytes()).expect("the guard understands what it wrote");
    assert_eq!(node.plan(&again).edits(), [], "a second pass finds nothing");
}

fn count_changes(plan: &Plan, edits: &[Edit]) {
    REWRITTEN.count_if(!edits.is_empty());
    for change in plan.steps.iter().filter_map(|step| step.change()) {
        match change {
            Change::Options { .. } => OPTIONS.count(),
            Change::Key { .. } => ROOTFS_PROPAGATION.count(),
            Change::Path { .. } => RESPELT.count(),
            Change::Mounts { .. } | Change::Masked { .. } => APPENDED.count(),
            _ => {}
        }
    }
}

fn spliced_slowly(text: &str, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut from_the_end: Vec<&Edit> = edits.iter().collect();
    from_the_end.sort_by_key(|edit| std::cmp::Reverse(edit.span.start));
    let mut untouched_from = bytes.len();
    for edit in from_the_end {
        assert!(edit.span.end <= untouched_from, "edits overlap");
        untouched_from = edit.span.start;
        bytes.splice(edit.span.clone(), edit.text.bytes());
    }
    bytes
}

/// With an inserted `linux.rootfsPropagation` at the end: where it stands among the others does not matter.
fn settled(mut document: Value, before: &Document) -> Value {
    let is_new = before.value.member("linux").is_some_and(|linux| linux.member("rootfsPropagation").is_none());
    if let (true, Some(Value::Object(linux))) = (is_new, document.member_mut("linux")) {
        let new: Vec<_> = linux.extract_if(.., |(name, _)| name == b"rootfsPropagation").collect();
        // Beside names that are all written with escapes there is no place for it.
        if !before.escapes {
            linux.extend(new);
        }
    }
    document
}
