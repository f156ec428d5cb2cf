#!/usr/bin/env bats
# Mounts on top of mounts: whatever lies in an empty source of the new host, CRIU looks for it, and crun creates none of it.
# The columns are explained in restore_rows.bash.
# shellcheck disable=SC2016,SC2034  # jq programs; makers return in variables

load helpers
load restore_rows

# https://github.com/opencontainers/runc/issues/2748
external_and_internal_tmpfs() {
    on_each_host tmpfs_at a
    bind a /test
    tmpfs /test/lower/directory
}

directory_two_levels_down() {
    on_each_host directory_at a
    on_each_host directory_at b
    bind a /test
    bind b /test/x/y
}

file_in_directory() {
    on_each_host directory_at a
    on_each_host file_at f
    bind a /test
    bind f /test/etc/app.conf bind,rprivate
}

three_levels() {
    on_each_host tmpfs_at a
    on_each_host tmpfs_at b
    on_each_host directory_at c
    on_each_host file_at f
    bind a /one
    bind b /one/two
    bind c /one/two/three
    bind f /one/two/three/file
}

child_before_parent() {
    on_each_host directory_at a
    on_each_host directory_at b
    bind b /test/x/y
    bind a /test
}

# As podman does: at restore its list is in another order, with other words. runc prepares one after the other.
another_order_at_restore() {
    MADE_BY_RUNC=/rootfs/test/
    external_and_internal_tmpfs
    on_each_host file_at f
    bind f /test/file
    on_next_host edit_spec '.mounts = (.mounts | reverse) | .mounts[].options |= (. // [] | map(sub("^rprivate$"; "private")))'
}

all_below_internal_tmpfs() {
    tmpfs /scratch
    on_each_host directory_at a
    on_each_host file_at f
    bind a /scratch/a
    bind f /scratch/deep/file
}

bind_on_internal_tmpfs() {
    tmpfs /scratch
    on_each_host directory_at a
    on_each_host directory_at b
    bind a /scratch/a
    bind b /scratch/a/x
}

#            description                                 maker                       1.1.15 1.3.6 1.21 1.28 created
restore_row "external tmpfs, internal tmpfs in it"       external_and_internal_tmpfs ok     ok    stat stat a:lower/ a:lower/directory/
restore_row "a directory, two levels down"               directory_two_levels_down   ok     ok    stat stat a/x/ a/x/y/
restore_row "a file"                                     file_in_directory           ok     ok    stat stat a/etc/ a/etc/app.conf
restore_row "three levels over four sources"             three_levels                ok     ok    stat stat a:two/ b:three/ c/file
restore_row "a child before its parent"                  child_before_parent         ok     ok    ok   ok
restore_row "another order of the list at restore"       another_order_at_restore    stat   stat  stat stat a:lower/ a:lower/directory/ a:file
restore_row "everything below an internal tmpfs"         all_below_internal_tmpfs    ok     ok    ok   ok
restore_row "external bind on an internal tmpfs"         bind_on_internal_tmpfs      stat   stat  stat stat a/x/

# --- mounts of the container's own processes: only the image knows them ----------------------------------------------
may_mount() { edit_spec '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'; }

mounted_by_process() {
    may_mount
    on_each_host tmpfs_at a
    bind a /test
    set_args_before_counting 'mkdir -p /test/made/deep; mount -t tmpfs tmpfs /test/made/deep'
}

mounted_twice_by_process() {
    may_mount
    on_each_host tmpfs_at a
    bind a /test
    set_args_before_counting 'mkdir /test/made; mount -t tmpfs tmpfs /test/made
        mkdir /test/made/inner; mount -t tmpfs tmpfs /test/made/inner'
}

bound_by_process() {
    may_mount
    on_each_host directory_at a/from
    bind a /test
    set_args_before_counting 'mkdir /test/from/sub /test/to; mount --bind /test/from /test/to; mount -t tmpfs tmpfs /test/to/sub'
}

restore_row "tmpfs mounted by the process"               mounted_by_process          stat   stat  stat stat a:made/ a:made/deep/
restore_row "tmpfs in a tmpfs mounted by the process"    mounted_twice_by_process    stat   stat  stat stat a:made/
restore_row "a part of the source bound by the process"  bound_by_process            stat   stat  stat stat a/to/ a/from/sub/

# --- sources that are not plain --------------------------------------------------------------------------------------
symlink_as_source() {
    SPELT=anew
    on_each_host directory_at real
    on_each_host directory_at b
    on_each_host symlink_at link real
    bind link /test
    bind b /test/x
}

relative_source() {
    SPELT=anew
    on_each_host directory_at a
    on_each_host directory_at b
    add_bind "../${HOST##*/}/a" rbind,rprivate /test
    bind b /test/x
}

# runc does not create through the read-only bind, so the first host has it.
read_only_bind() {
    on_each_host directory_at a
    directory_at a/lower
    bind a /test rbind,rprivate,ro
    tmpfs /test/lower
}

read_only_on_host() {
    on_each_host tmpfs_at a
    on_each_host directory_at a/lower
    on_each_host file_at a/file
    on_each_host file_at f
    on_each_host read_only_at a
    bind a /test rbind,rprivate,ro
    tmpfs /test/lower
    bind f /test/file
}

over_file_in_proc() {
    on_each_host file_at f
    bind f /proc/uptime bind,rprivate
}

restore_row "the source is a symlink"                    symlink_as_source           move   move  move move real/x/
restore_row "the source is relative"                     relative_source             ok     ok    relative relative a/x/
restore_row "a read-only bind, the source is writable"   read_only_bind              ok     ok    stat stat a/lower/
restore_row "read-only on the host, all is there"        read_only_on_host           ok     ok    ok   ok
restore_row "a file over /proc/uptime"                   over_file_in_proc           ok     ok    ok   ok
