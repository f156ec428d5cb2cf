//! The operator's commands on a node with many processes and many mount namespaces: what they find, and what it takes. Counts, no times.
#![allow(unsafe_code, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod node;

use node::on_node;
use serde_json::Value;

/// How often a mount table is opened while `holders` runs with these namespaces and processes around it.
fn tables_opened(namespaces: usize, processes: usize) -> usize {
    let script = format!(
        "namespaces {namespaces}; processes {processes}; wait_for {}
        strace -f -qq -e trace=openat -o trace \"$GUARD\" guard holders \"$1/early\" >/dev/null || [ $? = 2 ]
        grep -c '/mountinfo\"' trace",
        namespaces + processes
    );
    on_node(&script).text.trim().parse().unwrap()
}

#[test]
fn a_mount_table_is_read_for_each_namespace_and_not_for_each_process() {
    let of_few = tables_opened(5, 1);
    assert!(of_few >= 7, "our own, five, and the one of the process: {of_few}");
    assert_eq!(tables_opened(5, 300), of_few, "300 processes in one namespace are one namespace");
    let of_more = tables_opened(25, 1);
    let for_each = (of_more - of_few) / 20;
    assert!((1..=2).contains(&for_each) && (of_more - of_few).is_multiple_of(20), "each namespace more costs the same: {of_few}, {of_more}");
}

#[test]
fn memory_does_not_grow_with_the_processes() {
    let memory = |processes: usize| {
        let script = format!("processes {processes}; wait_for {processes}; \"$GUARD\" guard holders \"$1/early\" || [ $? = 2 ]");
        let outcome = on_node(&script);
        assert!(outcome.text.contains("\n1 holder\n"), "{}", outcome.text);
        outcome.memory
    };
    let (of_one, of_many) = (memory(1), memory(2000));
    assert!(of_many < of_one + 1024, "{of_one} kB with one process, {of_many} kB with 2000 in the same namespace");
}

#[test]
fn exactly_the_holders_are_found_among_many() {
    // Those before the mount have no copy.
    let script = "namespaces 63; wait_for 63; mount -t tmpfs volume volume; namespaces 37; wait_for 100
        \"$GUARD\" guard holders --json \"$1/volume\" >found || [ $? = 2 ]
        \"$GUARD\" guard holders --json \"$1/early\" >found-early || [ $? = 2 ]
        for process in /proc/[0-9]*; do
            ! grep -q ' - tmpfs volume ' \"$process/mountinfo\" || [ \"$(readlink $process/ns/mnt)\" = \"$(readlink /proc/self/ns/mnt)\" ] ||
                echo \"${process#/proc/}\"
        done | sort -n | tr '\\n' ' '
        echo; tr -d '\\n' <found; echo; tr -d '\\n' <found-early";
    let text = on_node(script).text;
    let lines: Vec<&str> = text.lines().collect();
    let expected: Vec<i64> = lines[0].split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    let pids = |json: &str| -> Vec<i64> {
        let holders: Value = serde_json::from_str(json).unwrap();
        let mut pids: Vec<i64> = holders["holders"].as_array().unwrap().iter().map(|holder| holder["pid"].as_i64().unwrap()).collect();
        pids.sort_unstable();
        pids
    };
    assert_eq!(expected.len(), 37, "by grep");
    assert_eq!(pids(lines[1]), expected);
    assert_eq!(pids(lines[2]).len(), 100, "a mount that was there before them all");
}
