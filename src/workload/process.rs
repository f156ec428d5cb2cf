//! What /proc tells about one process. All of it is text that the kernel makes by itself: nothing here waits for a file system.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The program's name, which the program itself may have set.
#[must_use]
pub fn command(pid: impl Display) -> String {
    let mut text = text_of(pid, "comm");
    text.truncate(text.trim_end_matches('\n').len());
    text
}

#[must_use]
pub fn cgroup(pid: impl Display) -> String {
    text_of(pid, "cgroup")
}

fn text_of(pid: impl Display, file: &str) -> String {
    let bytes = read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A file of /proc. It tells no size, so `std::fs::read` begins with 32 bytes and asks a dozen times for what the kernel gives by the page.
///
/// # Errors
/// It could not be read.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 << 10);
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The inode of its mount namespace, by the link's text: `mnt:[4026531841]`.
#[must_use]
pub fn mount_namespace(pid: impl Display) -> Option<u64> {
    std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()?.to_str()?.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok()
}

/// The numbers of all processes, in their order.
#[must_use]
pub fn all() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// Whether `pid` is there, is no zombie, and is the process that was started at `started`.
#[must_use]
pub fn is_alive(pid: i32, started: Option<u64>) -> bool {
    let is_the_one = |(state, start)| !matches!(state, 'Z' | 'X') && started.is_none_or(|started| started == start);
    pid > 0 && state_and_start(&text_of(pid, "stat")).is_some_and(is_the_one)
}

/// Fields 3 and 22 of `/proc/P/stat`. The second is the program's name in parentheses, and may have any characters.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// Whether a user may say that `pid` is a container of his: it is in a user namespace that is not ours, and the user is in that namespace or the
/// process in the user's slice. Anybody can write a state that names any process.
#[must_use]
pub fn is_of_user(pid: i32, uid: u32) -> bool {
    let namespace = |pid: &dyn Display| std::fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let is_apart = namespace(&pid).is_some_and(|theirs| Some(theirs) != namespace(&"thread-self"));
    let is_owner = || std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|metadata| metadata.uid() == uid);
    let is_in_slice = || cgroup(pid).contains(&format!("/user-{uid}.slice/"));
    is_apart && (maps_to(&text_of(pid, "uid_map"), uid) || is_owner() || is_in_slice())
}

/// Lines of `/proc/P/uid_map`: first id inside, first id outside, how many.
fn maps_to(uid_map: &str, uid: u32) -> bool {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    uid_map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (first, count) = (number(fields.next()), number(fields.next()));
        first.zip(count).is_some_and(|(first, count)| (first..first.saturating_add(count)).contains(&u64::from(uid)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_alive_and_were_started_once() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let (_, start) = state_and_start(&text_of(pid, "stat")).unwrap();
        assert!(is_alive(pid, Some(start)) && is_alive(pid, None));
        assert!(!is_alive(pid, Some(start + 1)), "the number was used again");
        assert!(!is_alive(0, None) && !is_alive(-1, None) && !is_alive(i32::MAX, None));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        while is_alive(pid, None) {
            std::thread::yield_now();
        }
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "nobody has waited for it yet");
        child.wait().unwrap();
    }

    #[test]
    fn a_name_with_parentheses_is_only_a_name() {
        let stat = "7 (a) Z 1 (b\nc)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 2370325 3 4\n";
        assert_eq!(state_and_start(stat), Some(('S', 2_370_325)));
        assert_eq!(state_and_start("7 (x"), None);
        assert_eq!(state_and_start("7 (x) S 1"), None);
    }

    #[test]
    fn the_command_of_a_thread_that_named_itself() {
        let told = std::thread::Builder::new().name("a\nb\x1b[31m".to_owned()).spawn(|| command("thread-self")).unwrap().join().unwrap();
        assert_eq!(told, "a\nb\x1b[31m");
        assert_eq!(command(i32::MAX), "");
    }

    #[test]
    fn a_user_of_a_namespace_is_one_of_those_it_maps() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert!(maps_to(map, 1000) && maps_to(map, 100_000) && maps_to(map, 165_535));
        assert!(!maps_to(map, 0) && !maps_to(map, 1001) && !maps_to(map, 165_536));
        assert!(!maps_to("0 4294967295 4294967295\nx y\n", 0));
    }

    #[test]
    fn a_process_beside_us_is_nobodys_container() {
        let ours = i32::try_from(std::process::id()).unwrap();
        assert!(!is_of_user(ours, nix::unistd::getuid().as_raw()), "it is in our user namespace");
    }
}
