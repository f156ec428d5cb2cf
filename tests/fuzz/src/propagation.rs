//! The table of facts/propagation.md, section 4, once more: what becomes of the propagation words of a directory bind that overlaps a protected root.

use runc_guard::invocation::Flavour;

pub const WORDS: [&str; 8] = ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];

/// What is wanted of a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It stays; nothing of it is a slave.
    Stay,
    /// It stays, and is a slave.
    StaySlave,
    /// It stays, though it may pin; `policy = "reject"` refuses it where true.
    Leave(bool),
    /// It gets this one word; `policy = "reject"` refuses it where true.
    Write(&'static str, bool),
}

#[must_use]
pub fn wanted(options: &[String], flavour: Flavour, force_rro: bool) -> Wanted {
    let has = |word: &str| options.iter().any(|option| option == word);
    let words: Vec<&str> = options.iter().map(String::as_str).filter(|option| WORDS.contains(option)).collect();
    let not_private: Vec<&str> = words.iter().copied().filter(|word| !word.ends_with("private") && !word.ends_with("unbindable")).collect();
    if has("rbind") {
        return match (words.len(), not_private.as_slice()) {
            (_, []) if has("rro") && !force_rro => Wanted::Leave(false),
            (0, _) => Wanted::Write("rslave", false),
            (1, ["rslave"]) => Wanted::StaySlave,
            (1, ["rshared"]) => Wanted::Stay,
            (1, ["shared"]) => Wanted::Leave(true),
            (2.., [first, more @ ..]) if *first == "rshared" && more.iter().all(|word| word == first) => Wanted::Write("rshared", true),
            _ => Wanted::Write("rslave", true),
        };
    }
    let recursive = words.iter().any(|word| ["rprivate", "rslave", "rshared", "runbindable"].contains(word));
    if !has("bind") || flavour != Flavour::Crun || !recursive {
        return Wanted::Stay;
    }
    match words.as_slice() {
        ["rslave"] => Wanted::Write("slave", true),
        ["rshared"] => Wanted::Write("shared", true),
        ["runbindable"] => Wanted::Write("unbindable", true),
        _ => Wanted::Write("private", true),
    }
}

/// The options with `word` in the place of the first propagation word, or at the end, and no other one.
#[must_use]
pub fn written(options: &[String], word: &str) -> Vec<String> {
    let is_propagation = |option: &&String| WORDS.contains(&option.as_str());
    let place = options.iter().position(|option| is_propagation(&option)).unwrap_or(options.len());
    let others_before = options[..place].iter();
    let others_after = options[place..].iter().filter(|option| !is_propagation(option));
    others_before.cloned().chain([word.to_owned()]).chain(others_after.cloned()).collect()
}
