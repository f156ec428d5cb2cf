#!/usr/bin/env bats
# Where rslave cannot help, or must not be forced: the guard changes nothing (or changes it in vain) and says so once.
# shellcheck disable=SC2016,SC2034  # jq programs; makers return in variables

load helpers
load rows

file_as_source() {
    OPTIONS=bind,rprivate
    attach_volume "$ROOT/volume-$1"
    SOURCE=$ROOT/file-$1
    touch "$SOURCE"
    # A plain file in the rootfs as mountpoint: the template has a directory there.
    rmdir "$BUNDLE/rootfs/host"
    touch "$BUNDLE/rootfs/host"
}

missing_source() {
    attach_volume "$ROOT/volume-$1"
    SOURCE=$ROOT/not/there
}

source_is_the_mountpoint() {
    attach_volume "$ROOT/volume-$1"
    SOURCE=$VOLUME
}

host_parent_is_private() {
    ROOT=$NODE/root-$1
    mkdir -p "$ROOT/directory"
    mount --bind "$ROOT" "$ROOT"
    mount --make-private "$ROOT"
    attach_volume "$ROOT/directory/volume"
    SOURCE=$ROOT/directory
}

# What a service with MountFlags=slave sees: a master, but no peers of its own.
host_parent_is_slave() {
    host_parent_is_private "$1"
    mount --make-shared "$ROOT"
    mkdir -p "$NODE/slave-$1"
    umount "$VOLUME"
    mount --bind "$ROOT" "$NODE/slave-$1"
    mount --make-slave "$NODE/slave-$1"
    VOLUME=$NODE/slave-$1/directory/volume
    mount "$VOLUME_DEVICE" "$VOLUME"
    SOURCE=$NODE/slave-$1/directory
}

rootfs_is_a_plain_directory() {
    umount "$BUNDLE/rootfs"
    attach_volume "$ROOT/volume-$1"
    SOURCE=$ROOT
}

# Engines bind several files and a mountpoint (shm) into every container: no line in the log for those.
#          description                       maker                       bare            guarded         options after log
source_row "file as source"                  file_as_source              private/without private/without =             -
source_row "missing source"                  missing_source              refused         refused         =             '*'
source_row "source is itself the mountpoint" source_is_the_mountpoint    private/pinned  private/pinned  =             -
source_row "host parent mount is private"    host_parent_is_private      private/pinned  private/pinned  rbind,rslave  warning
source_row "host parent mount is a slave"    host_parent_is_slave        private/pinned  slave/pinned    rbind,rslave  warning
source_row "rootfs is a plain directory"     rootfs_is_a_plain_directory private/pinned  private/pinned  rbind,rslave  warning

# The change is made all the same, so the warning needs its own words.
notice_names_the_reason() {                              # RUNTIME MAKER WORD
    make_source_row told "$2"
    create_container guard "$1"
    assert_contains "notices" "$(guard_notices)" "$3"
    assert_equal "lines in the guard's log" "$(wc -l <"$GUARD_LOG")" 1
}
test_with_each_runtime "notice: host parent not shared" notice_names_the_reason host_parent_is_private shared
test_with_each_runtime "notice: plain rootfs directory" notice_names_the_reason rootfs_is_a_plain_directory "plain directory"

missing_source_is_the_runtimes_own_error() {             # RUNTIME
    local via
    for via in bare guard; do
        make_source_row "$via" missing_source
        ! create_container "$via" "$1" || fail "$via: created"
        jq -r .msg "$BUNDLE/oci.log" | sed "s/$via/ID/g" >"$NODE/$via.msg"
        sed "s/$via/ID/g" "$BUNDLE/stderr" >"$NODE/$via.stderr"
    done
    diff "$NODE/bare.msg" "$NODE/guard.msg"
    diff "$NODE/bare.stderr" "$NODE/guard.stderr"
}
test_with_each_runtime "a missing source is the runtime's own error" missing_source_is_the_runtimes_own_error

# A user namespace of its own: the container's mounts are slaves of the host's until something makes them private.
user_namespace() {
    edit_spec '.linux.namespaces += [{type: "user"}, {type: "network"}]
        | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
        | .linux.gidMappings = .linux.uidMappings'
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
    attach_volume "$ROOT/volume-$1"
    SOURCE=$ROOT
}
source_row "user namespace" user_namespace private/pinned slave/released rbind,rslave info
