//! Thousands of random calls: the runtime is started alike with the guard and without it (P1).

use crate::attributes::DRESSES;
use crate::node::Node;

const CALLS: usize = 5_000;
/// Kept, so that a failure comes again.
const SEED: u64 = 0x5eed_2748;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Words that mean something to one of the runtimes.
const WORDS: &[&str] = &[
    "create",
    "run",
    "restore",
    "state",
    "start",
    "kill",
    "delete",
    "exec",
    "ps",
    "list",
    "events",
    "update",
    "pause",
    "resume",
    "checkpoint",
    "features",
    "spec",
    "--bundle",
    "-b",
    "--root",
    "--log",
    "--log-format",
    "json",
    "text",
    "--debug",
    "--systemd-cgroup",
    "--cgroup-manager",
    "--rootless",
    "--criu",
    "--pid-file",
    "--console-socket",
    "--preserve-fds",
    "--pidfd-socket",
    "--no-pivot",
    "--no-new-keyring",
    "--detach",
    "-d",
    "--keep",
    "--no-subreaper",
    "-no-subreaper",
    "--image-path",
    "--work-path",
    "--tcp-established",
    "--file-locks",
    "--config",
    "-f",
    "--help",
    "-h",
    "-?",
    "--usage",
    "--version",
    "-v",
    "-V",
    "--",
    "-",
    "",
    "x",
    "c1",
    ".",
    "..",
    "9",
    "-bundle",
    "-root",
    "--bun",
    "--b",
    "--no",
    "--program-name",
    "-db",
    "-s",
    "-l",
    "-r",
    "-p",
    "-c",
    "--lsm-profile",
    "--lsm-mount-context",
    "--manage-cgroups-mode",
];

fn word(random: &mut Random) -> Vec<u8> {
    let bytes = |random: &mut Random| (0..random.below(12)).map(|_| u8::try_from(1 + random.below(255)).unwrap()).collect::<Vec<u8>>();
    match random.below(10) {
        0..6 => random.pick(WORDS).as_bytes().to_vec(),
        6 => [random.pick(WORDS).as_bytes(), b"=", random.pick(WORDS).as_bytes()].concat(),
        7 => [random.pick(WORDS).as_bytes(), &bytes(random)].concat(),
        _ => bytes(random),
    }
}

fn argv(random: &mut Random) -> Vec<Vec<u8>> {
    let mut argv: Vec<Vec<u8>> = (0..=random.below(9)).map(|_| word(random)).collect();
    // The one word that is ours.
    if argv.get(1).is_some_and(|word| word == b"guard") {
        argv[1] = b"state".to_vec();
    }
    argv
}

fn differences(runtime: &'static str, seed: u64, calls: usize) -> Vec<String> {
    let node = Node::with(runtime);
    let mut random = Random(seed);
    let mut differences = Vec::new();
    for _ in 0..calls {
        let argv = argv(&mut random);
        let (what, dress) = *random.pick(&DRESSES);
        let call = node.guard([""; 0]).argv(&argv).in_child(dress);
        let guarded = call.run();
        let direct = call.program(node.runtime_path()).run();
        if runtime == "youki" && argv.iter().any(|word| word == b"restore") && guarded.stderr_text().contains("has no restore") {
            continue;
        }
        let mut same = guarded.record.as_ref().is_some_and(|record| record.pid == guarded.pid && Some(record) == direct.record.as_ref());
        // crun refuses the word (engines.md, section 8.4).
        let without = |argv: &[Vec<u8>]| argv.iter().filter(|word| *word != b"-no-subreaper").cloned().collect::<Vec<_>>();
        if runtime == "crun" && argv.iter().any(|word| word == b"restore") {
            same |= guarded.record.as_ref().is_some_and(|record| without(&record.argv()) == without(&argv));
        }
        let silent = guarded.stdout.is_empty() && guarded.stderr.is_empty();
        if !same || !silent || guarded.status != direct.status {
            let shown: Vec<_> = argv.iter().map(|word| word.escape_ascii().to_string()).collect();
            differences.push(format!("{runtime} {shown:?}, {what}: {guarded:?}"));
        }
    }
    differences
}

#[test]
fn five_thousand_random_calls_start_the_runtime_alike() {
    let share = CALLS / crate::node::RUNTIMES.len() + 1;
    let threads = crate::node::RUNTIMES.map(|runtime| std::thread::spawn(move || differences(runtime, SEED ^ runtime.len() as u64, share)));
    let differences: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(differences, [""; 0]);
}
