//! The propagation words of a bind mount, and what to do with them: the decision table of the main job.
//!
//! Only *exactly one* word is safe: runc applies several in order and any private one among them wins, crun refuses to start. And only
//! `rslave` (or an intended `rshared`) lets the host's `umount` reach the container: it is propagated to the peers and slaves of the
//! unmounted mount's *parent* (mount_namespaces(7)), which in the container is the top of the bind.

use crate::invocation::Flavour;

/// The words that set propagation; case-sensitive in every runtime.
const WORDS: [&str; 8] = ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];

#[must_use]
pub fn is_propagation_word(option: &str) -> bool {
    WORDS.contains(&option)
}

fn is_private(word: &str) -> bool {
    matches!(word, "private" | "rprivate" | "unbindable" | "runbindable")
}

/// What is wrong with a directory bind that overlaps a protected root, and what it should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its words are right, or concern nothing that can be pinned.
    Keep,
    /// `rslave` already; `linux.rootfsPropagation` must let it take effect.
    KeepSlave,
    /// Left as it is although it may pin: the reason is worth a notice.
    Leave { reason: &'static str, refused: bool },
    /// To be replaced by this one word; `odd`: so unusual that a log reader should look at it.
    Replace { word: &'static str, reason: &'static str, refused: bool, odd: bool },
}

/// How a mount binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// No bind at all.
    No,
    /// The directory alone, without the mounts below it.
    Plain,
    /// The directory with all mounts below it.
    Recursive,
}

impl Bind {
    /// Every runtime goes by the option words; `type` decides nothing once one of them is there, and without them runc and crun refuse the
    /// mount, while youki makes a plain bind of `type: "bind"`, which pins nothing.
    #[must_use]
    pub fn of(options: &[&str]) -> Bind {
        if options.contains(&"rbind") {
            Bind::Recursive
        } else if options.contains(&"bind") {
            Bind::Plain
        } else {
            Bind::No
        }
    }
}

/// The decision table for a directory bind that overlaps a protected root.
///
/// `refused` in a verdict marks what dockerd would refuse (`validateBindDaemonRoot`): everything the user spelt out wrongly; a bind without
/// a word is completed silently there, too.
#[must_use]
pub fn verdict(options: &[&str], flavour: Flavour, force_rro: bool) -> Verdict {
    let words: Vec<&str> = options.iter().copied().filter(|option| is_propagation_word(option)).collect();
    match Bind::of(options) {
        Bind::No => Verdict::Keep,
        Bind::Plain => plain_bind(&words, flavour),
        Bind::Recursive if options.contains(&"rro") && words.iter().all(|word| is_private(word)) && !force_rro => {
            let reason = "it is recursively read-only (rro), and as a slave it would show a mount that the host makes later writable; what is mounted below it now may stay pinned";
            Verdict::Leave { reason, refused: false }
        }
        Bind::Recursive => recursive_bind(&words),
    }
}

/// A plain bind holds no nested mounts and cannot pin any. crun however lets the "recursive" of an r-word leak into the bind itself and so
/// carries the nested mounts along.
fn plain_bind(words: &[&str], flavour: Flavour) -> Verdict {
    if flavour != Flavour::Crun || !words.iter().any(|word| word.starts_with('r')) {
        return Verdict::Keep;
    }
    let word = match words {
        [only] => match *only {
            "rslave" => "slave",
            "rshared" => "shared",
            "runbindable" => "unbindable",
            _ => "private",
        },
        _ => "private",
    };
    let reason = "crun makes a plain bind recursive when its propagation word is, and so pins the mounts below it";
    Verdict::Replace { word, reason, refused: true, odd: false }
}

fn recursive_bind(words: &[&str]) -> Verdict {
    let replace = |word, reason| Verdict::Replace { word, reason, refused: true, odd: false };
    let pins = "a private recursive bind keeps every mount below it alive after the host unmounted it";
    match words {
        [] => Verdict::Replace {
            word: "rslave",
            reason: "a recursive bind without a propagation word is private under crun",
            refused: false,
            odd: false,
        },
        ["rslave"] => Verdict::KeepSlave,
        ["rshared"] => Verdict::Keep,
        ["shared"] => {
            let reason = "it says shared, which is not recursive: mounts below it keep the propagation they have; rshared was probably meant";
            Verdict::Leave { reason, refused: true }
        }
        ["slave"] => replace("rslave", "slave is not recursive: mounts below it are not slaves"),
        ["unbindable" | "runbindable"] => Verdict::Replace { word: "rslave", reason: pins, refused: true, odd: true },
        [_] => replace("rslave", pins),
        several => {
            let mut not_private = several.iter().filter(|word| !is_private(word)).peekable();
            let shared = not_private.peek().is_some() && not_private.all(|word| *word == "rshared");
            replace(if shared { "rshared" } else { "rslave" }, "of several propagation words runc lets a private one win, and crun refuses them")
        }
    }
}

/// The value `linux.rootfsPropagation` must get so that an `rslave` bind takes effect; `None`: it may stay as it is.
///
/// crun makes everything recursively private when it is unset, all runtimes when it says so; making a private mount slave leaves it private.
/// A value that already propagates is never lowered: a Bidirectional volume depends on it. With a sibling bind that is shared, `slave` keeps
/// that sibling shared on every runtime and `rslave` does not (runc 1.3.6, crun). youki knows only the words without `r`, and its default
/// is `slave` already.
#[must_use]
pub fn rootfs_propagation(now: Option<&str>, flavour: Flavour, sibling_is_shared: bool) -> Option<&'static str> {
    let now = now.unwrap_or("");
    match flavour {
        Flavour::Youki => (now == "private" || now == "unbindable").then_some("slave"),
        _ if now.is_empty() || is_private(now) => Some(if sibling_is_shared { "slave" } else { "rslave" }),
        _ => None,
    }
}

/// Whether `linux.rootfsPropagation` as it stands takes the effect from an `rslave` bind: when it says so, and under crun when it is not set.
#[must_use]
pub fn defeats_slaves(now: Option<&str>, flavour: Flavour) -> bool {
    let now = now.unwrap_or("");
    is_private(now) || (now.is_empty() && flavour == Flavour::Crun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_after(options: &str, flavour: Flavour) -> String {
        let options: Vec<&str> = options.split(',').collect();
        match verdict(&options, flavour, false) {
            Verdict::Keep => "keep".to_owned(),
            Verdict::KeepSlave => "keep-slave".to_owned(),
            Verdict::Leave { refused, .. } => format!("leave{}", if refused { " refused" } else { "" }),
            Verdict::Replace { word, refused, .. } => format!("{word}{}", if refused { " refused" } else { "" }),
        }
    }

    /// The decision table, row by row: options, then the verdict under runc and under crun.
    const TABLE: &[(&str, &str, &str)] = &[
        ("rbind", "rslave", "rslave"),
        ("rbind,private", "rslave refused", "rslave refused"),
        ("rprivate,rw,rbind", "rslave refused", "rslave refused"),
        ("rbind,slave", "rslave refused", "rslave refused"),
        ("rbind,rslave", "keep-slave", "keep-slave"),
        ("rbind,rshared", "keep", "keep"),
        ("rbind,shared", "leave refused", "leave refused"),
        ("rbind,unbindable", "rslave refused", "rslave refused"),
        ("rbind,runbindable", "rslave refused", "rslave refused"),
        ("rbind,rprivate,rslave", "rslave refused", "rslave refused"),
        ("rbind,rslave,rslave", "rslave refused", "rslave refused"),
        ("rbind,rprivate,rshared", "rshared refused", "rshared refused"),
        ("rbind,rshared,slave", "rslave refused", "rslave refused"),
        ("rbind,private,rprivate", "rslave refused", "rslave refused"),
        ("bind", "keep", "keep"),
        ("bind,private", "keep", "keep"),
        ("bind,slave", "keep", "keep"),
        ("bind,rprivate", "keep", "private refused"),
        ("bind,rslave", "keep", "slave refused"),
        ("bind,rshared", "keep", "shared refused"),
        ("bind,rslave,rprivate", "keep", "private refused"),
        ("bind,rbind,rprivate", "rslave refused", "rslave refused"),
        ("rbind,rro", "leave", "leave"),
        ("rbind,rro,rprivate", "leave", "leave"),
        ("rbind,rro,rslave", "keep-slave", "keep-slave"),
        ("rbind,rro,rshared", "keep", "keep"),
        ("rbind,rro,slave", "rslave refused", "rslave refused"),
        ("rbind,ro,rprivate", "rslave refused", "rslave refused"),
        ("rbind,RPRIVATE", "rslave", "rslave"),
        ("nosuid,nodev", "keep", "keep"),
    ];

    #[test]
    fn decision_table() {
        for (options, runc, crun) in TABLE {
            assert_eq!(word_after(options, Flavour::Runc), *runc, "{options} under runc");
            assert_eq!(word_after(options, Flavour::Crun), *crun, "{options} under crun");
        }
    }

    #[test]
    fn a_second_pass_over_a_replaced_bind_finds_nothing() {
        for (options, ..) in TABLE {
            for flavour in [Flavour::Runc, Flavour::Crun, Flavour::Youki] {
                let options: Vec<&str> = options.split(',').collect();
                let Verdict::Replace { word, .. } = verdict(&options, flavour, false) else { continue };
                let mut after: Vec<&str> = options.into_iter().filter(|option| !is_propagation_word(option)).collect();
                after.push(word);
                assert!(!matches!(verdict(&after, flavour, false), Verdict::Replace { .. }), "{after:?}");
            }
        }
    }

    #[test]
    fn force_rro_overrides() {
        let options = ["rbind", "rro", "rprivate"];
        assert!(matches!(verdict(&options, Flavour::Runc, true), Verdict::Replace { word: "rslave", .. }));
    }

    #[test]
    fn bind_recognition() {
        assert_eq!(Bind::of(&["ro", "rbind"]), Bind::Recursive);
        assert_eq!(Bind::of(&["bind"]), Bind::Plain);
        assert_eq!(Bind::of(&["bind", "rbind"]), Bind::Recursive);
        assert_eq!(Bind::of(&["RBIND", "Bind"]), Bind::No);
        assert_eq!(Bind::of(&[]), Bind::No);
    }

    #[test]
    fn rootfs_propagation_is_raised_and_never_lowered() {
        for private in [None, Some(""), Some("private"), Some("rprivate"), Some("unbindable"), Some("runbindable")] {
            for flavour in [Flavour::Runc, Flavour::Crun] {
                assert_eq!(rootfs_propagation(private, flavour, false), Some("rslave"), "{private:?}");
                assert_eq!(rootfs_propagation(private, flavour, true), Some("slave"), "{private:?}");
            }
        }
        for kept in ["slave", "rslave", "shared", "rshared"] {
            assert_eq!(rootfs_propagation(Some(kept), Flavour::Crun, false), None);
        }
        assert_eq!(rootfs_propagation(None, Flavour::Youki, false), None);
        assert_eq!(rootfs_propagation(Some("private"), Flavour::Youki, false), Some("slave"));
    }
}
