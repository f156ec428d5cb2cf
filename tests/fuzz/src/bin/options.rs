//! Lists of mount option words → the propagation decision and the edited list. Bytes: flavour, then indices of words; or a length and a word's own bytes.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use runc_guard::invocation::Flavour;
use runc_guard::propagation::{Bind, Verdict, is_propagation_word, rootfs_propagation, verdict};
use runc_guard::spec::{Spec, splice};
use runc_guard_fuzz::json::{self, Reader};
use runc_guard_fuzz::meaning::Members;
use runc_guard_fuzz::propagation::{WORDS, Wanted, wanted, written};
use runc_guard_fuzz::reached::{Reached, report_at_exit};

static REPLACED: Reached = Reached::new("replaced");
static SEVERAL: Reached = Reached::new("several-words");
static LEFT: Reached = Reached::new("left");
static RAISED: Reached = Reached::new("rootfs-raised");
static PLACES: &[&Reached] = &[&REPLACED, &SEVERAL, &LEFT, &RAISED];

const OTHERS: [&str; 10] = ["rbind", "bind", "rro", "ro", "nosuid", "RSLAVE", "rslave ", "rbind=", "", "x=\u{1f600}"];

fuzz_target!(init: report_at_exit(PLACES), |data: &[u8]| {
    let _ = check(&mut Unstructured::new(data));
});

fn word(choices: &mut Unstructured<'_>) -> Result<String> {
    Ok(match choices.arbitrary::<u8>()? {
        index @ 0..200 => [&WORDS[..], &OTHERS[..]].concat()[usize::from(index) % 18].to_owned(),
        _ => choices.arbitrary::<String>()?.replace('\0', ""),
    })
}

fn check(choices: &mut Unstructured<'_>) -> Result<()> {
    let flavour = *choices.choose(&[Flavour::Runc, Flavour::Crun, Flavour::Youki])?;
    let (force_rro, escape, space) = (choices.arbitrary()?, choices.arbitrary::<bool>()?, *choices.choose(&["", " ", "\n  "])?);
    check_rootfs(choices, flavour)?;
    let mut options = Vec::new();
    while !choices.is_empty() && options.len() < 64 {
        options.push(word(choices)?);
    }
    let words: Vec<&str> = options.iter().map(String::as_str).collect();
    let is_bind = words.iter().any(|word| matches!(*word, "bind" | "rbind"));
    assert_eq!(Bind::of(&words) != Bind::No, is_bind);
    let found = verdict(&words, flavour, force_rro);
    let as_wanted = match found {
        Verdict::Keep => Wanted::Stay,
        Verdict::KeepSlave => Wanted::StaySlave,
        Verdict::Leave { refused, .. } => Wanted::Leave(refused),
        Verdict::Replace { word, refused, .. } => Wanted::Write(word, refused),
    };
    assert_eq!(as_wanted, wanted(&options, flavour, force_rro), "{options:?} under {flavour:?}");
    LEFT.count_if(matches!(found, Verdict::Leave { .. }));
    if let Verdict::Replace { word, .. } = found {
        REPLACED.count();
        SEVERAL.count_if(words.iter().filter(|word| is_propagation_word(word)).count() > 1);
        let after = edited(&options, word, escape, space);
        assert_eq!(after, written(&options, word), "{options:?} with {word}");
        let after: Vec<&str> = after.iter().map(String::as_str).collect();
        assert_eq!(after.iter().filter(|word| WORDS.contains(word)).collect::<Vec<_>>(), [&word], "exactly one propagation word");
        assert!(!matches!(verdict(&after, flavour, force_rro), Verdict::Replace { .. }), "a second pass finds nothing: {after:?}");
    }
    Ok(())
}

/// The options as they stand in the document after the edit, read by another reader.
fn edited(options: &[String], word: &str, escape: bool, space: &str) -> Vec<String> {
    let escaped = |text: &String| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    let quoted = |text: &String| text.replace('\\', "\\\\").replace('"', "\\\"").chars().map(plain).collect::<String>();
    let literals: Vec<String> = options.iter().map(|text| format!("\"{}\"{space}", if escape { escaped(text) } else { quoted(text) })).collect();
    let text = format!("{{\"mounts\":[{{\"options\":{space}[{space}{}{space}]}}]}}", literals.join(&format!(",{space}")));
    let spec = Spec::parse(text.as_bytes()).expect("a sound document");
    let after = splice(&text, &spec.mounts[0].set_propagation(&text, word)).concat();
    let read = json::read(after.as_bytes(), Reader::Go).expect("still JSON").value;
    let mount = &read.member("mounts").expect("still there").items()[0];
    let texts = mount.member("options").expect("still there").texts();
    assert_eq!(texts, spec.mounts[0].options_with(word), "what is announced is what is written");
    texts
}

fn plain(c: char) -> String {
    if c < ' ' { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
}

/// facts/propagation.md, section 5: raised, and never lowered.
fn check_rootfs(choices: &mut Unstructured<'_>, flavour: Flavour) -> Result<()> {
    let now = *choices.choose(&[
        None,
        Some(""),
        Some("x"),
        Some("private"),
        Some("rprivate"),
        Some("unbindable"),
        Some("runbindable"),
        Some("slave"),
        Some("rshared"),
    ])?;
    let shared = choices.arbitrary()?;
    let wanted = match (flavour, now) {
        (Flavour::Youki, Some("private" | "unbindable")) => Some("slave"),
        (Flavour::Youki, _) | (_, Some("slave" | "rshared" | "x")) => None,
        _ => Some(if shared { "slave" } else { "rslave" }),
    };
    assert_eq!(rootfs_propagation(now, flavour, shared), wanted);
    RAISED.count_if(wanted.is_some());
    Ok(())
}
