#!/usr/bin/env bats
# What the host gets back, for each kind of thing that a private copy of a mount keeps alive. Every test starts a container
# with `rbind,rprivate`, once without the guard (still held) and once with it (free).
# shellcheck disable=SC2016  # perl and awk programs

load helpers

# Without the guard the answer must be HELD, with it FREE. PROBE prints one of both, after it has made the host let go.
held_without_free_with() {                               # RUNTIME PREPARE PROBE
    local via
    for via in bare guard; do
        make_bundle "$via"
        "$2" "$via"
        add_bind "$ROOT" rbind,rprivate
        start_container "$via" "$1"
        RUNTIME=$1
        "$3"
        assert_equal "$via" "$HELD" "$([[ $via == guard ]] && echo free || echo held)"
    done
}

# HELD is the opposite of the command's success.
free_if() { if "$@" >&2; then HELD=free; else HELD=held; fi; }

# --- a block device --------------------------------------------------------------------------------------------------
ext4_volume() { attach_volume "$ROOT/volume-$1"; }

umount_then_open_exclusively() { umount "$VOLUME"; free_if device_is_free "$VOLUME_DEVICE"; }
lazy_umount_then_open_exclusively() { umount --lazy "$VOLUME"; free_if device_is_free "$VOLUME_DEVICE"; }
umount_then_mkfs() { umount "$VOLUME"; free_if mkfs.ext4 -q -F "$VOLUME_DEVICE"; }
umount_then_e2fsck() { umount "$VOLUME"; free_if e2fsck -f -p "$VOLUME_DEVICE"; }
umount_then_look_for_journal() { umount "$VOLUME"; free_if test ! -e "/sys/fs/ext4/${VOLUME_DEVICE##*/}"; }

test_with_each_runtime "ext4: umount, O_EXCL" held_without_free_with ext4_volume umount_then_open_exclusively
test_with_each_runtime "ext4: umount -l, O_EXCL" held_without_free_with ext4_volume lazy_umount_then_open_exclusively
test_with_each_runtime "ext4: umount, mkfs" held_without_free_with ext4_volume umount_then_mkfs
test_with_each_runtime "ext4: umount, e2fsck" held_without_free_with ext4_volume umount_then_e2fsck
test_with_each_runtime "ext4: umount, journal closed" held_without_free_with ext4_volume umount_then_look_for_journal

# --- an overlay whose upper directory is wanted again ----------------------------------------------------------------
overlay_volume() {
    local layers=$ROOT/layers-$1
    mkdir "$layers" "$ROOT/merged-$1"
    mount -t tmpfs layers "$layers"                      # an upper directory cannot lie on the tree's own overlay
    mkdir "$layers"/{lower,upper,work}
    OVERLAY=(-t overlay -o "index=on,lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work" overlay
        "$ROOT/merged-$1")
    mount "${OVERLAY[@]}"
}
umount_then_mount_overlay_again() { umount "$ROOT/merged-$(via_of_bundle)"; free_if mount "${OVERLAY[@]}"; }
via_of_bundle() { echo "${BUNDLE##*/bundle-}"; }

test_with_each_runtime "overlay, index=on: mounted again" held_without_free_with overlay_volume umount_then_mount_overlay_again

# --- memory, and the secret in it ------------------------------------------------------------------------------------
tmpfs_volume() {
    SECRETS=$ROOT/secrets-$1
    mkdir "$SECRETS"
    mount -t tmpfs secrets "$SECRETS"
    echo hunter2 >"$SECRETS/secret"
    dd if=/dev/zero of="$SECRETS/ballast" bs=1M count=64 status=none
}
shared_memory_kib() { awk '$1 == "Shmem:" { print $2 }' /proc/meminfo; }
# Half of it, because others use memory too.
umount_then_count_memory() {
    local before
    before=$(shared_memory_kib)
    umount "$SECRETS"
    free_if test "$((before - $(shared_memory_kib)))" -gt 32768
}
umount_then_read_secret() {
    oci bare "$RUNTIME" exec "$(id_of_bundle)" cat "/host/${SECRETS##*/}/secret" | grep -q hunter2   # it was there
    umount "$SECRETS"
    free_if secret_is_unreadable
}
secret_is_unreadable() { ! oci bare "$RUNTIME" exec "$(id_of_bundle)" cat "/host/${SECRETS##*/}/secret"; }

test_with_each_runtime "tmpfs: memory returned" held_without_free_with tmpfs_volume umount_then_count_memory
test_with_each_runtime "tmpfs: secret gone" held_without_free_with tmpfs_volume umount_then_read_secret

# --- a network namespace, as CNI keeps it ----------------------------------------------------------------------------
# The witness is a veth pair: when the namespace dies, its end dies, and the host's end with it.
netns_volume() {
    NETNS=$ROOT/netns-$1/cni-1234
    VETH=it$BATS_SUITE_TEST_NUMBER$1
    mkdir "${NETNS%/*}"
    touch "$NETNS"
    unshare --net="$NETNS" true
    nsenter --net="$NETNS" ip link add inner type veth peer name "$VETH" netns 1
}
umount_then_look_for_veth() {
    umount "$NETNS"
    free_if wait_until 2 veth_is_gone                    # the kernel cleans namespaces up in the background
    rm "$NETNS"
}
veth_is_gone() { ! ip link show "$VETH" >/dev/null 2>&1; }

test_with_each_runtime "netns file: namespace gone after umount" held_without_free_with netns_volume umount_then_look_for_veth

# --- the other direction ---------------------------------------------------------------------------------------------
# A mount that the host makes later: with private binds the container never sees it.
later_mount() { :; }
mount_later() {
    mkdir "$ROOT/later-$(via_of_bundle)"
    mount -t tmpfs later "$ROOT/later-$(via_of_bundle)"
    free_if test "$(propagation_in_container "$RUNTIME" "/host/later-$(via_of_bundle)")" != absent
}
test_with_each_runtime "mounts made later appear" held_without_free_with later_mount mount_later

# rslave opens no way up: neither a mount nor a umount of the container reaches the host.
container_reaches_not_the_host() {                       # RUNTIME
    make_bundle up
    attach_volume "$ROOT/volume"
    mkdir "$ROOT/made"
    add_bind "$ROOT" rbind,rprivate
    give_capability_to_mount
    start_container guard "$1"
    assert_equal "options" "$(options_of /host)" rbind,rslave
    oci bare "$1" exec "$(id_of_bundle)" mount -t tmpfs made /host/made
    oci bare "$1" exec "$(id_of_bundle)" umount /host/volume
    assert_equal "in the container" "$(propagation_in_container "$1" /host/volume)" absent
    mountpoint --quiet "$VOLUME"
    ! mountpoint --quiet "$ROOT/made"
}
test_with_each_runtime "nothing goes up to the host" container_reaches_not_the_host

# A CSI node plugin: rshared is kept, and both directions work with the guard as without it.
bidirectional_volume() {                                 # RUNTIME
    local via made
    for via in bare guard; do
        make_bundle "$via"
        attach_volume "$ROOT/volume-$via"
        made=$ROOT/made-$via
        mkdir "$made"
        add_bind "$ROOT" rbind,rshared
        set_rootfs_propagation rshared
        give_capability_to_mount
        start_container "$via" "$1"
        oci bare "$1" exec "$(id_of_bundle)" mount -t tmpfs made "/host/made-$via"
        mountpoint --quiet "$made" || fail "$via: the container's mount is not on the host"
        detach_volume "$1"
        assert_equal "$via" "$RESULT" released
    done
    assert_equal "guard's log" "$(guard_log_kind)" -
}
test_with_each_runtime "rshared: the container's mounts reach the host" bidirectional_volume

give_capability_to_mount() {
    edit_spec '.process.capabilities |= with_entries(.value += ["CAP_SYS_ADMIN"]) | .linux.seccomp = null'
}
