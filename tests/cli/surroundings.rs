//! Odd places to run in: no environment, no capabilities, no /proc, a seccomp filter (P14). Passing through always works; a create is prepared
//! or says why not.

use crate::call::Call;
use crate::node::{Node, RUNTIMES, copy_program, install_fake_runtime};
use crate::private_mounts::PrivateMounts;
use std::fs;
use std::io;
use std::path::Path;

#[track_caller]
fn assert_prepared(node: &Node) {
    assert_eq!(String::from_utf8(node.config_state().bytes).unwrap(), node.mended());
    node.config(node.pinning());
}

/// `state` passes and a create is prepared, for all three runtimes.
fn assert_works(adjust: impl Fn(Call) -> Call) {
    for runtime in RUNTIMES {
        let node = Node::with(runtime);
        node.assert_passes_through(adjust(node.guard(["state", "c1"])));
        node.assert_passes_through(adjust(node.create()));
        assert_prepared(&node);
    }
}

/// As `setpriv --bounding-set -all --inh-caps -all`: root without any capability from the next execve on.
pub fn drop_all_capabilities() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: plain calls; a number beyond the last capability is EINVAL.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: the layout of version 3 of capset(2): a header, and two sets of three words.
    let result = unsafe {
        let header: [u32; 2] = [0x2008_0522, 0];
        let none = [0_u32; 6];
        libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr())
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[test]
fn without_capabilities() {
    assert_works(|call| call.in_child(drop_all_capabilities));
}

#[test]
fn without_an_environment_the_settings_of_etc_count() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs("/etc", "mode=755");
    fs::create_dir_all("/etc/runc-guard/conf.d").unwrap();
    let usual = fs::read_to_string(node.path("config.toml")).unwrap();
    fs::write("/etc/runc-guard/config.toml", &usual).unwrap();
    let call = |words: &[&str]| node.guard(words).without_environment();
    assert_eq!(node.assert_passes_through(call(&["state", "c1"])).reached().environment(), [b""; 0]);
    node.assert_passes_through(call(&["create", "--bundle", &node.bundle(), "c1"]));
    assert_prepared(&node);
    fs::write("/etc/runc-guard/conf.d/50-site.toml", "policy = 'reject'").unwrap();
    assert!(call(&["create", "--bundle", &node.bundle(), "c1"]).run().refused().contains("write rslave instead"));
    fs::write("/etc/runc-guard/conf.d/60-typo.toml", "polcy = 'warn'").unwrap();
    let message = call(&["create", "--bundle", &node.bundle(), "c1"]).run().refused();
    assert!(message.contains("/etc/runc-guard/conf.d/60-typo.toml, line 1") && message.contains("polcy"), "{message}");
    node.assert_passes_through(call(&["delete", "c1"]));
}

#[test]
fn without_any_settings_file() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs("/etc", "mode=755");
    let call = node.guard(["state", "c1"]).without_environment().env(format!("PATH={}", node.text("bin")));
    node.assert_passes_through(call);
}

#[test]
fn with_closed_standard_descriptors_and_no_environment_and_no_capabilities_at_once() {
    let node = Node::new();
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs("/etc", "mode=755");
    fs::create_dir("/etc/runc-guard").unwrap();
    fs::write("/etc/runc-guard/config.toml", fs::read(node.path("config.toml")).unwrap()).unwrap();
    node.assert_passes_through(node.create().without_environment().closed(&[0, 1, 2]).in_child(drop_all_capabilities));
    assert_prepared(&node);
}

#[test]
fn without_proc() {
    let mut mounts = PrivateMounts::new();
    mounts.tmpfs("/proc", "");
    assert_works(|call| call);
    // The guard still knows itself, by whatever name it was executed.
    let node = Node::new();
    copy_program(Path::new(crate::node::GUARD), &node.path("empty/runc"));
    node.all_settings("runtimes = ['runc']");
    for program in ["./runc", "../empty/runc", &node.text("empty/runc")] {
        let mut call = node.guard(["state", "c1"]).program(program);
        call.environment[1] = format!("PATH={}:{}", node.text("empty"), node.text("bin")).into_bytes();
        call.run().reached();
    }
}

/// A seccomp filter that answers these system calls with `errno`, as container engines' default profiles do with calls they do not know.
pub fn deny(numbers: &'static [i64], errno: i32) -> impl Fn() -> io::Result<()> {
    move || {
        let statement = |code: u32, k: u32| libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf: 0, k };
        let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
        for number in numbers {
            // When it is not this number, over the next statement.
            let mut jump = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, u32::try_from(*number).unwrap());
            jump.jf = 1;
            program.push(jump);
            program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()));
        }
        program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
        let filter = libc::sock_fprog { len: u16::try_from(program.len()).unwrap(), filter: program.as_mut_ptr() };
        // SAFETY: the kernel copies the program that `filter` points to.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            match libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}

const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;

#[test]
fn with_a_filter_that_denies_new_system_calls() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        for denied in [
            &[STATMOUNT, LISTMOUNT][..],
            &[libc::SYS_openat2],
            &[libc::SYS_faccessat2],
            &[libc::SYS_renameat2],
            &[libc::SYS_flock],
            &[libc::SYS_getrandom],
            &[STATMOUNT, LISTMOUNT, libc::SYS_openat2, libc::SYS_faccessat2, libc::SYS_renameat2, libc::SYS_close_range],
        ] {
            assert_works(|call| call.in_child(deny(denied, errno)));
        }
    }
}

#[test]
fn with_a_filter_that_forbids_statx() {
    assert_works(|call| call.in_child(deny(&[libc::SYS_statx, STATMOUNT], libc::EPERM)));
}

#[test]
fn with_a_filter_that_does_not_know_statx() {
    assert_works(|call| call.in_child(deny(&[libc::SYS_statx, STATMOUNT], libc::ENOSYS)));
}

#[test]
fn with_a_filter_that_denies_renaming_a_create_says_why_it_is_not_prepared() {
    let node = Node::new();
    node.settings("on_error = 'fail'");
    let before = node.config_state();
    let filter = deny(&[libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2], libc::EPERM);
    let message = node.create().in_child(filter).run().refused();
    assert!(message.contains("replace ") && message.contains("EPERM"), "{message}");
    assert_eq!(node.config_state(), before);
    assert_eq!(crate::node::names(&node.path("bundle")), ["config.json", "rootfs"]);
}

#[test]
fn in_a_directory_that_is_gone() {
    let node = Node::new();
    fs::create_dir(node.path("gone")).unwrap();
    let gone = node.path("gone");
    let leave = move || fs::create_dir_all(&gone).and_then(|()| std::env::set_current_dir(&gone)).and_then(|()| fs::remove_dir(&gone));
    node.assert_passes_through(node.guard(["state", "c1"]).in_child(leave.clone()));
    node.assert_passes_through(node.guard(["create", "c1"]).in_child(leave.clone()));
    node.assert_passes_through(node.create().in_child(leave));
    assert_prepared(&node);
}

#[test]
fn with_an_environment_and_arguments_of_a_megabyte() {
    let node = Node::new();
    let entries: Vec<String> = (0..10).map(|index| format!("E{index}={}", "x".repeat(100_000))).collect();
    let call = entries.iter().fold(node.create(), Call::env);
    node.assert_passes_through(call);
    assert_prepared(&node);
}

#[test]
fn with_a_runtime_that_is_executed_by_a_long_path() {
    let node = Node::new();
    let directory = (0..15).fold(node.path("deep"), |path, _| path.join("d".repeat(200)));
    fs::create_dir_all(&directory).unwrap();
    let runtime = directory.join("runc");
    install_fake_runtime(&runtime);
    node.all_settings(format!("runtimes = ['{}']", runtime.display()));
    node.guard(["state", "c1"]).expecting(&runtime).run().reached();
}
