#!/usr/bin/env bats
# What the root file system lacks, or cannot take; user namespaces; what an earlier restore left behind.
# The columns are explained in restore_rows.bash.
# shellcheck disable=SC2016,SC2034  # jq programs; makers return in variables

load helpers
load restore_rows

read_only() { edit_spec '.root.readonly = true'; }

tmpfs_in_tmpfs() {
    on_each_host tmpfs_at a
    bind a /test
    tmpfs /test/lower
}

# As an engine's list is, in an image that has none of it.
fresh_without_mountpoints() {
    on_each_host directory_at d
    on_each_host file_at f
    bind f /etc/resolv.conf
    bind f /etc/hosts
    bind f /run/.containerenv
    bind d /srv/data
    on_next_host fresh_rootfs
}

# The lower directory beside the upper one: CRIU cannot look through an overlay on the tests' own overlay.
overlay_on_fresh_upper() {
    local layers=$HOST/layers
    unmount_below "$BUNDLE/rootfs"
    tmpfs_at layers
    mkdir "$layers"/{upper,work}
    cp -a "$TEMPLATES/rootfs" "$layers/lower"
    mount -t overlay -o "lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work" overlay "$BUNDLE/rootfs"
}

overlay() { on_each_host overlay_on_fresh_upper; tmpfs_in_tmpfs; }

fresh_and_read_only() {
    read_only
    tmpfs_in_tmpfs
    on_next_host fresh_rootfs
}

# The guard writes a mount to config.json that keeps crun, and old runc, from making their own mountpoints there.
read_only_host_mount() {
    SPELT=anew
    read_only
    mkdir "$BUNDLE/rootfs/test"
    mount -o remount,bind,ro "$BUNDLE/rootfs"
    on_each_host tmpfs_at a
    on_each_host directory_at b
    bind a /test
    bind b /test/lower
}

# As images from scratch are.
read_only_without_tmp() {
    read_only
    rmdir "$BUNDLE/rootfs/tmp"
}

stale_criu_root() {
    tmpfs_in_tmpfs
    on_next_host mkdir "$BUNDLE/criu-root"
}

#            description                                 maker                       1.1.15 1.3.6 1.21 1.28 created
restore_row "a fresh root file system"                   fresh_without_mountpoints   ok     ok    ok   ok   \
    rootfs/etc/resolv.conf rootfs/etc/hosts rootfs/run/.containerenv rootfs/srv/ rootfs/srv/data/
restore_row "an overlay with a fresh upper directory"    overlay                     ok     ok    stat stat \
    a:lower/ rootfs:test/ layers:upper/test/
restore_row "read-only, from a fresh root file system"   fresh_and_read_only         ok     ok    stat stat a:lower/ rootfs/test/
restore_row "a read-only mount of the host"              read_only_host_mount        ok     ok    shadow shadow a:lower/
restore_row "read-only and without /tmp"                 read_only_without_tmp       ok     tmp   ok   tmp  rootfs/tmp/=1777
restore_row "a stale criu-root"                          stale_criu_root             -      -     stale stale a:lower/

# --- user namespaces -------------------------------------------------------------------------------------------------
# The container's root is somebody else on the host, and owns what is made for it.
own_users() {
    OWNER=100000:100000
    edit_spec '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
        | .linux.gidMappings = .linux.uidMappings'
    # Of a sysfs, only the owner of the network namespace may have one.
    edit_spec '.mounts |= map(select(.type != "sysfs"))'
    find "$BUNDLE/rootfs" -type d -exec chown "$OWNER" {} +
    chmod o+x "$BATS_RUN_TMPDIR"                         # mktemp's directory is root's alone
}

owned_tmpfs_at() { tmpfs_at "$1"; chown "$OWNER" "$HOST/$1"; }

source_of_container_root() {
    own_users
    on_each_host owned_tmpfs_at a
    bind a /test
    tmpfs /test/lower/directory
}

# Nothing there that the container's root may write: still the mountpoint is its own.
source_of_host_root() {
    own_users
    owned_tmpfs_at a
    on_next_host tmpfs_at a
    bind a /test
    tmpfs /test/lower/directory
}

restore_row "a user namespace"                           source_of_container_root    ok     ok    CK-device CK-device a:lower/ a:lower/directory/
restore_row "a user namespace, the source is root's"     source_of_host_root         ok     ok    CK-device CK-device a:lower/ a:lower/directory/
