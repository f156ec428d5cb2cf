#!/usr/bin/env bats
# `guard release` of copies that are locked in a user namespace: under runc they can only go with what they are mounted on, on the host.
# Under crun they are not locked.
# shellcheck disable=SC2154  # `run` sets status and output

load helpers
load operator

# The directory must be nobody else's.
release_keeps_a_directory_in_use() {                     # RUNTIME
    attach_volume "$ROOT/volume"
    start_pinning_container "$1" locked userns
    umount "$VOLUME"
    touch "$VOLUME/file"
    operator 1 release "$VOLUME_DEVICE"
    assert_contains "not empty" "$SAID" "$VOLUME is not empty"
    rm "$VOLUME/file"
    mount -t tmpfs other "$VOLUME"
    operator 1 release "$VOLUME_DEVICE"
    assert_contains "a mountpoint" "$SAID" "is a mountpoint of the host too, at $VOLUME"
    mountpoint --quiet "$VOLUME"
    umount "$VOLUME"
    mkdir "$NODE/alias"
    mount --bind "$VOLUME" "$NODE/alias"
    operator 1 release "$VOLUME_DEVICE"
    assert_contains "a source" "$SAID" "is mounted elsewhere: by the host at $NODE/alias"
    umount "$NODE/alias"
    operator 0 release "$VOLUME_DEVICE"
    assert_contains "said" "$SAID" "it is locked, because it came into the container's user namespace from the host, so another like it took the place of $VOLUME on the host"
    device_is_free "$VOLUME_DEVICE"
}
bats_test_function --description "runc: a mountpoint that is used otherwise is not made again" -- release_keeps_a_directory_in_use runc

# A network namespace is mounted on an empty file, which with mode, owner and attributes must be the same afterwards.
release_of_a_file() {                                    # RUNTIME USERNS
    local name=$ROOT/network
    touch "$name"
    unshare --net="$name" true
    start_pinning_container "$1" file "$2"
    umount "$name"
    assert_equal "control" "$(propagation_in_container "$1" /host/network)" private
    chmod 640 "$name"
    chown 12:34 "$name"
    set_attribute "$name" kept
    if [[ $1/$2 == runc/?* && $2 != - ]]; then
        echo something >"$name"
        operator 1 release "$name"
        assert_contains "not empty" "$SAID" "$name is not empty, so it cannot be replaced; stop the container"
        : >"$name"
    fi
    operator 0 release "$name"
    assert_contains "said" "$SAID" "released      /host/network in "
    assert_equal "in the container" "$(propagation_in_container "$1" /host/network)" absent
    assert_equal "the mountpoint" "$(stat -c '%F %a %u:%g' "$name") $(attribute "$name")" "regular empty file 640 12:34 kept"
    assert_equal "beside it" "$(ls -A "$ROOT")" network
    assert_counts_on "$PID"
}
test_with_each_user_namespace "a copy on a file is released, and the file is as it was" release_of_a_file
