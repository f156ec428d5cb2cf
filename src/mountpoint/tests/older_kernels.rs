//! The same promises where openat2(2) is missing (before Linux 5.6, or a seccomp filter that does not know it); and what is said without /proc.

use super::scratch::{Tree, in_own_mounts, in_own_process, tmpfs};
use super::{foreign_mounts, obstacles, owners, race};
use crate::kernel::staging;
use crate::mountpoint::{Base, label, tests};
use nix::errno::Errno;
use std::path::Path;
use std::time::Duration;

/// The tests of the other files, in threads and mount namespaces that come from this thread and so have its filter.
const ALL: [fn(); 24] = [
    tests::a_look_says_what_is_there_and_how_much_is_missing,
    tests::a_look_leaves_no_trace,
    tests::the_source_may_be_a_file,
    tests::modes_and_owner_are_exact_under_any_umask,
    tests::what_exists_is_left_alone,
    tests::a_fifo_in_the_way_or_at_the_end_is_not_waited_for,
    tests::of_two_who_create_at_once_one_makes_it,
    obstacles::only_relative_paths_of_names_are_taken,
    obstacles::the_base_is_reached_without_symlinks,
    obstacles::no_symlink_is_followed_wherever_it_stands,
    obstacles::a_magic_link_is_a_symlink,
    owners::the_owner_gets_what_is_made_in_a_directory_of_root,
    owners::the_thread_is_itself_again_after_an_error,
    owners::capabilities_that_were_lowered_stay_lowered,
    owners::ids_that_cannot_be_taken_on_create_nothing,
    owners::a_directory_with_the_setgid_bit_gives_its_group,
    foreign_mounts::a_plain_bind_is_walked_beneath_the_hosts_submounts,
    foreign_mounts::a_base_that_is_a_mountpoint_is_the_mount_on_it,
    foreign_mounts::without_the_right_to_copy_a_mount_a_plain_bind_stays_in_it,
    foreign_mounts::an_unbindable_source_has_no_copy,
    foreign_mounts::a_read_only_mount_is_told_and_what_exists_on_it_will_do,
    foreign_mounts::a_full_file_system_is_told,
    label::tests::the_label_of_a_directory_is_set_and_taken_back,
    label::tests::the_label_is_there_while_something_is_created,
];

fn without_openat2(errno: Errno) {
    staging::refuse(&[libc::SYS_openat2], errno);
    for test in ALL {
        test();
    }
}

#[test]
fn without_openat2_everything_holds() {
    in_own_process("mountpoint::tests::older_kernels::without_openat2_everything_holds", || without_openat2(Errno::ENOSYS));
}

#[test]
fn with_openat2_forbidden_everything_holds() {
    in_own_process("mountpoint::tests::older_kernels::with_openat2_forbidden_everything_holds", || without_openat2(Errno::EPERM));
}

#[test]
fn without_openat2_nothing_is_created_outside() {
    in_own_process("mountpoint::tests::older_kernels::without_openat2_nothing_is_created_outside", || {
        staging::refuse(&[libc::SYS_openat2], Errno::ENOSYS);
        // Without openat2, pathrs refuses where only the directory itself was renamed meanwhile: less is created.
        in_own_mounts(|| race::never_outside(race::Effort { time: Duration::from_millis(200), attempts: 256, often: 10 }));
    });
}

#[test]
fn without_proc_a_base_is_refused_in_words() {
    let tree = Tree::new();
    in_own_mounts(|| {
        assert_eq!(Base::open(&tree.source(), true).err(), None);
        tmpfs(Path::new("/proc"), "");
        for recursive in [false, true] {
            assert_eq!(Base::open(&tree.source(), recursive).err(), Some(Errno::EOPNOTSUPP));
            assert_eq!(Base::open(&tree.path("missing"), recursive).err(), Some(Errno::EOPNOTSUPP), "and not by a panic");
        }
    });
}
