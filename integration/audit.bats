#!/usr/bin/env bats
# What running containers pin, and which rslave came to nothing: each trap made really.
# shellcheck disable=SC2016  # $names in jq programs

load helpers
load operator

# One line for each bind that overlaps the root: "DESTINATION PROPAGATION TRAP PIN,PIN…", a pin as PATH=CAUSE, with ! when the host has it no longer.
audit() {                                                # EXPECTED-STATUS
    local expected=$1 json status=0
    write_guard_settings runc
    json=$(RUNC_GUARD_CONFIG=$NODE/guard-runc.toml "$GUARD" guard audit --json) || status=$?
    [[ $status == "$expected" ]] || fail "status $status, expected $expected: $json" || return
    FINDINGS=$(jq -r '.containers[].findings[] | "\(.destination) \(.propagation) \(.without_effect // "-") "
        + ([.pinned[] | .path + "=" + .why + (if .gone then "!" else "" end)] | join(","))' <<<"$json")
}

a_private_bind_pins() {                                  # RUNTIME [ADD-USER-NAMESPACE]
    attach_volume "$ROOT/volume"
    make_bundle pinning
    add_bind "$ROOT" rbind,rprivate
    ${2:-}
    start_shown_container "$1"
    audit 2
    assert_equal "while it is mounted" "$FINDINGS" "/host private - /host/volume=private"
    detach_volume "$1"
    assert_equal "the witness" "$RESULT" pinned
    audit 2
    assert_equal "after the umount" "$FINDINGS" "/host private - /host/volume=private!"
    write_guard_settings "$1"
    assert_contains "in words" "$(RUNC_GUARD_CONFIG=$NODE/guard-runc.toml "$GUARD" guard audit || true)" \
        "1 container, 1 mount that the host's umount does not reach, 1 pinned right now"
}
test_with_each_runtime "a private bind pins" a_private_bind_pins
test_with_each_runtime "a private bind pins, user namespace" a_private_bind_pins add_user_namespace

a_guarded_container_is_clean() {                         # RUNTIME
    attach_volume "$ROOT/volume"
    make_bundle guarded
    add_bind "$ROOT" rbind,rprivate
    show_containers "$1"
    start_container guard "$1"
    audit 0
    assert_equal "findings" "$FINDINGS" "/host slave - "
}
test_with_each_runtime "a guarded container is clean" a_guarded_container_is_clean

# Each with rslave in config.json, and without the effect.
rslave_without_effect() {                                # RUNTIME TRAP ROOTFS-PROPAGATION OPTIONS
    attach_volume "$ROOT/volume"
    make_bundle trapped
    add_bind "$ROOT" "$4"
    set_rootfs_propagation "$3"
    start_shown_container "$1"
    audit 2
    assert_equal "findings" "$FINDINGS" "/host private $2 /host/volume=private"
    detach_volume "$1"
    assert_equal "the witness" "$RESULT" pinned
}
trap_row() {                                             # RUNTIME TRAP ROOTFS-PROPAGATION OPTIONS
    bats_test_function --description "$1: rslave without effect: $2, $3" -- rslave_without_effect "$@"
}
trap_row crun rootfs-propagation-unset-in-crun - rbind,rslave
trap_row crun rootfs-propagation-private rprivate rbind,rslave
trap_row runc rootfs-propagation-private rprivate rbind,rslave
trap_row runc several-words rslave rbind,rslave,rprivate

plain_rootfs() {                                         # RUNTIME
    attach_volume "$ROOT/volume"
    make_bundle_on_plain_directory plain
    add_bind "$ROOT" rbind,rslave
    set_rootfs_propagation rslave
    start_shown_container "$1"
    audit 2
    assert_equal "findings" "$FINDINGS" "/host private rootfs-on-the-same-mount /host/volume=private"
}
test_with_each_runtime "rslave without effect: the root file system is a plain directory" plain_rootfs

private_host_mount() {                                   # RUNTIME
    mount --bind "$ROOT" "$ROOT"
    mount --make-private "$ROOT"
    attach_volume "$ROOT/volume"
    make_bundle trapped
    add_bind "$ROOT" rbind,rslave
    set_rootfs_propagation rslave
    start_shown_container "$1"
    audit 2
    assert_equal "findings" "$FINDINGS" "/host private host-mount-private /host/volume=private"
}
test_with_each_runtime "rslave without effect: the host's mount is private" private_host_mount

the_source_is_the_mountpoint() {                         # RUNTIME
    attach_volume "$ROOT/volume"
    make_bundle direct
    add_bind "$VOLUME" rbind,rslave
    set_rootfs_propagation rslave
    start_shown_container "$1"
    audit 0
    umount "$VOLUME"
    audit 2
    assert_equal "findings" "$FINDINGS" "/host private - /host=source-is-mountpoint!"
    ! device_is_free "$VOLUME_DEVICE" || fail "it is free"
}
test_with_each_runtime "a source that is itself the mountpoint" the_source_is_the_mountpoint

the_container_mounts_inside() {                          # RUNTIME
    attach_volume "$ROOT/volume"
    mkdir "$VOLUME/inside"
    make_bundle inside
    add_bind "$ROOT" rbind,rslave
    set_rootfs_propagation rslave
    give_capability_to_mount
    start_shown_container "$1"
    in_container "$1" mount -t tmpfs own /host/volume/inside
    audit 0
    umount "$VOLUME"
    audit 2
    assert_equal "findings" "$FINDINGS" "/host slave - /host/volume=mounted-inside!"
    ! device_is_free "$VOLUME_DEVICE" || fail "it is free"
}
test_with_each_runtime "a mount of the container's own keeps a slave's copy" the_container_mounts_inside

@test "no container: nothing" {
    audit 0
    assert_equal "findings" "$FINDINGS" ""
}
