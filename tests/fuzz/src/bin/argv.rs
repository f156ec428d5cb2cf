//! argv → what each runtime would do with it. Bytes: words divided by NUL, which no word can hold; a word of one byte below 0x20 or above 0x7f
//! stands for one of the known words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runc_guard::invocation::{Command, Flavour, Invocation, log_target, parse};
use runc_guard_fuzz::argv::{Call, crun, runc, youki};
use runc_guard_fuzz::reached::{Reached, report_at_exit};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

static RUNC: Reached = Reached::new("runc");
static CRUN: Reached = Reached::new("crun");
static YOUKI: Reached = Reached::new("youki");
static WITH_BUNDLE: Reached = Reached::new("with-bundle");
static RESTORES: Reached = Reached::new("restores");
static FOREIGN: Reached = Reached::new("foreign-words");
static ANSWERS: Reached = Reached::new("help-or-version");
static PLACES: &[&Reached] = &[&RUNC, &CRUN, &YOUKI, &WITH_BUNDLE, &RESTORES, &FOREIGN, &ANSWERS];

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "create", "run", "restore", "checkpoint", "state", "exec", "--", "-", "--help", "-h", "--version", "-v", "--bundle", "-b", "--bundle=B", "-bB", "-b=B",
    "--bun", "--root", "--root=R", "--log", "--log-format", "json", "--log-format=json", "--debug", "--systemd-cgroup", "--pid-file", "--console-socket",
    "--preserve-fds", "--no-pivot", "--no-new-keyring", "--detach", "-d", "-db", "--keep", "--no-subreaper", "-no-subreaper", "--image-path", "--work-path",
    "--config", "-f", "config.json", "--image-path=I", "--work", "x", "y", "", "-bundle", "---bundle", "--no-pivot=true", "--usage", "-?", "--cgroup-manager",
    "--tcp-established", "--file-locks", "--lsm-mount-context", "--manage-cgroups-mode", "--criu", "-l", "-r", "-s", "-p", "-c", "--unknown", "--leave-running",
];

fuzz_target!(init: report_at_exit(PLACES), |data: &[u8]| {
    let argv: Vec<&[u8]> = data.split(|byte| *byte == 0).map(word).collect();
    check(&argv);
});

fn word(bytes: &[u8]) -> &[u8] {
    match bytes {
        [byte @ (..0x20 | 0x80..)] => WORDS[usize::from(*byte) % WORDS.len()].as_bytes(),
        bytes => bytes,
    }
}

fn check(argv: &[&[u8]]) {
    let words = argv.get(1..).unwrap_or_default();
    ANSWERS.count_if(words.iter().any(|word| matches!(*word, b"--help" | b"--version" | b"-h" | b"-v")));
    for (flavour, reached, wanted) in
        [(Flavour::Runc, &RUNC, runc::call(words)), (Flavour::Crun, &CRUN, crun::call(words)), (Flavour::Youki, &YOUKI, youki::call(words))]
    {
        let found = parse(flavour, argv);
        assert_eq!(
            found.as_ref().map(as_call),
            wanted,
            "{flavour:?}: {:?}",
            argv.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>()
        );
        check_log_target(flavour, argv);
        let Some(found) = found else { continue };
        reached.count();
        check_claims(&found, argv);
        WITH_BUNDLE.count_if(found.bundle.is_some());
        RESTORES.count_if(found.command == Command::Restore);
    }
    assert_eq!(parse(Flavour::Unknown, argv), None);
}

fn as_call<'a>(found: &Invocation<'a>) -> Call<'a> {
    let bytes = |path: Option<&'a OsStr>| path.map(OsStr::as_bytes);
    Call {
        command: found.command.name().to_owned(),
        id: found.id.as_bytes(),
        state_root: bytes(found.state_root),
        bundle: bytes(found.bundle),
        config_file: bytes(found.config_file),
        image_path: bytes(found.image_path),
        work_path: bytes(found.work_path),
        foreign_words: found.foreign_words.clone(),
    }
}

/// Every value is a word, or the end of one; nothing is made up, and what is left out of argv is what it is said to be.
fn check_claims(found: &Invocation<'_>, argv: &[&[u8]]) {
    let is_operand = |word: &&[u8]| *word == found.id.as_bytes();
    assert!(argv.iter().skip(2).any(is_operand), "the id is a word behind the command");
    for value in [found.state_root, found.bundle, found.config_file, found.image_path, found.work_path].into_iter().flatten() {
        assert!(argv.iter().skip(1).any(|word| word.ends_with(value.as_bytes())), "{value:?} is no part of argv");
    }
    for index in &found.foreign_words {
        FOREIGN.count();
        assert_eq!(argv[*index], b"-no-subreaper");
        assert_eq!(found.command, Command::Restore);
    }
    let without: Vec<&[u8]> = (0..argv.len()).filter(|index| !found.foreign_words.contains(index)).map(|index| argv[index]).collect();
    if !found.foreign_words.is_empty() {
        let again = parse(Flavour::Crun, &without).expect("without the foreign words it is the same call");
        assert_eq!(Invocation { foreign_words: Vec::new(), ..found.clone() }, again);
    }
}

fn check_log_target(flavour: Flavour, argv: &[&[u8]]) {
    let target = log_target(flavour, argv);
    if let Some(path) = target.path {
        assert!(!path.is_empty() && argv.iter().skip(1).any(|word| word.ends_with(path.as_bytes())));
    }
    assert!(!target.json || argv.iter().skip(1).any(|word| word.ends_with(b"json")));
}
