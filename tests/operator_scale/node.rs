//! Processes and mount namespaces of one test's own, which end with it: /proc shows nothing else there.

use std::path::Path;
use std::process::{Command, Stdio};

/// What is done on the node, in sh. `$1`: a folder for it, `$GUARD`: the program; `volume` is a mount.
const STAGE: &str = r#"
set -eu
mount -t tmpfs node "$1"
cd "$1"
mkdir volume volumes early
mount -t tmpfs early early
for number in $(seq 40); do mkdir "volumes/$number"; mount -t tmpfs some "volumes/$number"; done
ready() { [ "$(cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^sleep$')" = "$1" ]; }
wait_for() { until ready "$1"; do sleep 0.05 & wait $!; done; }
# Each in a namespace of its own.
namespaces() { for number in $(seq "$1"); do unshare --mount --propagation private sleep 1000 & done; }
# All in one namespace.
processes() { unshare --mount --propagation private sh -c 'for number in $(seq "$1"); do sleep 1000 & done; wait' - "$1" & }
"#;

/// What a script on the node printed, and the most memory that one of its processes had (kB).
pub struct Outcome {
    pub text: String,
    pub memory: i64,
}

pub fn on_node(script: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{STAGE}{script}");
    let words = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "sh", "-c", &text, "-"];
    let mut command = Command::new("unshare");
    command.args(words).arg(folder.path()).env("GUARD", env!("CARGO_BIN_EXE_runc-guard")).env("RUNC_GUARD_CONFIG", settings(folder.path()));
    #[allow(clippy::zombie_processes)] // wait4(2) below, which also tells the memory
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let text = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    let (status, memory) = wait_for(i32::try_from(child.id()).unwrap());
    assert_eq!(status, 0, "{script}: {text}");
    Outcome { text, memory }
}

/// Not those of the machine.
fn settings(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("settings.toml");
    std::fs::write(&file, "log = ''\n").unwrap();
    file
}

fn wait_for(pid: i32) -> (i32, i64) {
    let mut status = 0;
    // SAFETY: all-zero is a valid `rusage`; the kernel writes one, and one int.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::wait4(pid, &raw mut status, 0, &raw mut usage), pid);
        usage
    };
    (status, usage.ru_maxrss)
}
