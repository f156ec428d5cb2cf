#!/usr/bin/env bats
# `guard release`: copies that the host's umount left behind are detached while their containers run.
# shellcheck disable=SC2016,SC2154  # programs in other languages; `run` sets status and output

load helpers
load operator

# The umount alone leaves the device busy; the directory of the mountpoint is afterwards what it was before.
release_frees_the_device() {                             # RUNTIME USERNS
    local way before=$NODE/before
    for way in device path; do
        attach_volume "$ROOT/$way"
        start_pinning_container "$1" "$way" "$2"
        detach_volume "$1"
        assert_equal "$way: control" "$RESULT" pinned
        chmod 2751 "$VOLUME"
        chown 12:34 "$VOLUME"
        set_attribute "$VOLUME" "$way"
        mounts_without_groups "$PID" | grep -v " $VOLUME_NUMBER " >"$before"
        if [[ $way == device ]]; then operator 0 release "$VOLUME_DEVICE"; else operator 0 release "$VOLUME"; fi
        assert_contains "$way" "$SAID" "released      /host/$way in "
        assert_contains "$way" "$SAID" "$VOLUME_DEVICE is free"
        device_is_free "$VOLUME_DEVICE" || fail "$way: the device is not free"
        ! holds_volume "$1" || fail "$way: still in the container"
        diff "$before" <(mounts_without_groups "$PID")
        assert_equal "$way: the mountpoint" "$(stat -c '%a %u:%g' "$VOLUME") $(attribute "$VOLUME")" \
            "2751 12:34 $way"
        assert_counts_on "$PID"
        operator 0 release "$VOLUME_DEVICE"
        assert_contains "$way: again" "$SAID" "nobody but the host holds"
    done
}
test_with_each_user_namespace "what a umount left behind is released, by device and by path" release_frees_the_device

release_spares_what_the_host_has() {                     # RUNTIME
    local before=$NODE/before
    attach_volume "$ROOT/volume"
    start_pinning_container "$1" spare
    cat "/proc/$PID/mountinfo" >"$before"
    operator 1 release "$VOLUME"
    assert_contains "refused" "$SAID" "refused       /host/volume in "
    assert_contains "why" "$SAID" "the host still has it mounted at $VOLUME; unmount it there first, or use --force"
    diff "$before" "/proc/$PID/mountinfo"
    operator 0 release --force "$VOLUME"
    assert_contains "the host" "$SAID" "the host itself has it mounted at $VOLUME"
    mountpoint --quiet "$VOLUME" || fail "the host lost its mount"
    ! holds_volume "$1" || fail "still in the container"
}
test_with_each_runtime "what the host still has is spared, except by force" release_spares_what_the_host_has

release_dry_run() {                                      # RUNTIME
    local before=$NODE/before
    attach_volume "$ROOT/volume"
    start_pinning_container "$1" dry
    umount "$VOLUME"
    cat "/proc/$PID/mountinfo" >"$before"
    operator 2 release --dry-run "$VOLUME_DEVICE"
    assert_contains "dry run" "$SAID" "would release /host/volume in "
    diff "$before" "/proc/$PID/mountinfo"
    operator 0 release --json "$VOLUME_DEVICE"
    assert_equal "json" "$(jq -r '"\(.copies[0].action) \(.copies[0].path) \(.free)"' <<<"$SAID")" "released /host/volume true"
}
test_with_each_runtime "a dry run changes nothing" release_dry_run

release_respects_open_files() {                          # RUNTIME
    local before=$NODE/before
    attach_volume "$ROOT/volume"
    touch "$VOLUME/log"
    make_bundle open
    set_args sh -c 'exec 7>>/host/volume/log; sleep 1000'
    add_bind "$ROOT" rbind,rprivate
    start_shown_container "$1"
    wait_until 10 test -e "/proc/$PID/fd/7"
    umount "$VOLUME"
    cat "/proc/$PID/mountinfo" >"$before"
    operator 1 release "$VOLUME_DEVICE"
    assert_contains "pid and file" "$SAID" "files are open in it: /host/volume/log by pid $PID ("
    diff "$before" "/proc/$PID/mountinfo"
    operator 1 release --force "$VOLUME_DEVICE"
    assert_contains "detached" "$SAID" "released      /host/volume in "
    assert_contains "not free" "$SAID" "open $VOLUME_DEVICE exclusively: EBUSY"
    ! holds_volume "$1" || fail "still in the container"
    kill -KILL "$PID"
    wait_until 20 device_is_free "$VOLUME_DEVICE"
}
test_with_each_runtime "open files are named and respected, except by force" release_respects_open_files

# What the container mounted inside goes along; what lies beside it stays.
release_with_mounts_inside() {                           # RUNTIME
    attach_volume "$ROOT/volume"
    mkdir -p "$VOLUME/inside" "$ROOT/beside"
    make_bundle inside
    add_bind "$ROOT" rbind,rprivate
    give_capability_to_mount
    start_shown_container "$1"
    in_container "$1" mount -t tmpfs inside /host/volume/inside
    in_container "$1" mkdir /host/volume/inside/deeper
    in_container "$1" mount -t tmpfs deeper /host/volume/inside/deeper
    in_container "$1" mount -t tmpfs beside /host/beside
    in_container "$1" mount -t tmpfs above /host/volume
    detach_volume "$1"
    assert_equal "control" "$RESULT" pinned
    operator 0 release "$VOLUME_DEVICE"
    assert_contains "said" "$SAID" "with 3 mounts inside"
    device_is_free "$VOLUME_DEVICE" || fail "the device is not free"
    assert_equal "beside" "$(propagation_in_container "$1" /host/beside)" private
    assert_equal "inside" "$(propagation_in_container "$1" /host/volume/inside/deeper)" absent
}
test_with_each_runtime "what was mounted inside goes along" release_with_mounts_inside

# The workload mounts on the copy and unmounts again as fast as it can, so that paths and ids mean ever other things.
release_from_under_the_workload() {                      # RUNTIME
    local try
    attach_volume "$ROOT/volume"
    mkdir "$ROOT/beside"
    make_bundle restless
    set_args sh -c 'while :; do mount -t tmpfs a /host/volume; mount -t tmpfs b /host/beside; umount /host/volume; umount /host/beside; done'
    add_bind "$ROOT" rbind,rprivate
    give_capability_to_mount
    start_shown_container "$1"
    umount "$VOLUME"
    write_guard_settings runc
    for try in {1..50}; do
        ! "$GUARD" guard release "$VOLUME_DEVICE" 3>&- || break
    done
    wait_until 10 device_is_free "$VOLUME_DEVICE"
    ! holds_volume "$1" || fail "still in the container"
    [[ $(propagation_in_container "$1" /host) == private ]]
    kill -0 "$PID"
}
test_with_each_runtime "a workload that mounts over it cannot keep it" release_from_under_the_workload

release_in_one_container() {                             # RUNTIME
    local -a pids=()
    local name
    attach_volume "$ROOT/volume"
    for name in one two; do
        start_pinning_container "$1" "$name"
        pids+=("$PID")
    done
    umount "$VOLUME"
    operator 1 release --container "${pids[0]}" "$VOLUME_DEVICE"
    assert_contains "the other" "$SAID" "still there: /host/volume of pid ${pids[1]}"
    ! device_is_free "$VOLUME_DEVICE" || fail "the other container does not hold it"
    grep -q " $VOLUME_NUMBER " "/proc/${pids[1]}/mountinfo"
    ! grep -q " $VOLUME_NUMBER " "/proc/${pids[0]}/mountinfo" || fail "still in the one"
    operator 0 release "$VOLUME_DEVICE"
    device_is_free "$VOLUME_DEVICE"
}
test_with_each_runtime "one container alone" release_in_one_container

# Half of the containers are killed while their copies are released.
release_survives_deaths() {                              # RUNTIME
    local number
    local -a pids=()
    attach_volume "$ROOT/volume"
    for number in {1..8}; do
        start_pinning_container "$1" "$number"
        pids+=("$PID")
    done
    umount "$VOLUME"
    ! device_is_free "$VOLUME_DEVICE" || fail "nobody pins it"
    for number in 0 2 4 6; do
        kill -KILL "${pids[number]}"
        sleep 0.005
    done &
    operator 0 release --json "$VOLUME_DEVICE"
    wait $!
    jq -e '[.copies[].action] | unique | . == [] or . == ["released"]' <<<"$SAID"
    device_is_free "$VOLUME_DEVICE" || fail "the device is not free"
    for number in 1 3 5 7; do assert_counts_on "${pids[number]}"; done
}
test_with_each_runtime "containers that die meanwhile are no error of the others" release_survives_deaths

release_of_hostile_names() {                             # RUNTIME
    local name=$'a\nreleased /fake\e[31m \\040b\t'
    attach_volume "$ROOT/$name"
    start_pinning_container "$1" names
    umount "$VOLUME"
    operator 0 release "$VOLUME"
    assert_contains "escaped" "$SAID" '/host/a\nreleased /fake\u{1b}[31m \040b\t in '
    [[ $SAID != *$'\e'* ]] || fail "an escape sequence gets through"
    device_is_free "$VOLUME_DEVICE"
}
test_with_each_runtime "hostile names" release_of_hostile_names

# The workload swaps a directory above the copy with a symlink as fast as it can; there is a copy where the symlink leads, too.
release_follows_no_symlink() {                           # RUNTIME
    local try outcome device number
    attach_volume "$ROOT/directory/volume"
    device=$VOLUME_DEVICE number=$VOLUME_NUMBER
    mkdir "$ROOT/decoy"
    attach_volume "$ROOT/decoy/volume"
    make_bundle swap
    ln -s decoy "$ROOT/symlink"
    set_args sh -c 'cd /host; until [ -e go ]; do sleep 0.05; done; while :; do mv directory other; mv symlink directory; mv directory symlink; mv other directory; done'
    add_bind "$ROOT" rbind,rprivate
    start_shown_container "$1"
    umount "$device"
    touch "$ROOT/go"
    write_guard_settings runc
    for try in {1..200}; do
        outcome=$(RUNC_GUARD_CONFIG=$NODE/guard-runc.toml "$GUARD" guard release "$device" 2>&1 3>&-) && break
        assert_contains "try $try" "$outcome" "it cannot be reached by its path"
    done
    device_is_free "$device" || fail "never released: $outcome"
    ! grep -q " $number " "/proc/$PID/mountinfo" || fail "still in the container"
    grep -q " $VOLUME_NUMBER " "/proc/$PID/mountinfo" || fail "the decoy was unmounted"
    mountpoint --quiet "$VOLUME" || fail "the host's decoy was unmounted"
}
test_with_each_runtime "a symlink swapped in by the workload is not followed" release_follows_no_symlink

# Nobody answers for what is in it, or for what it is.
release_waits_for_no_file_server() {                     # RUNTIME
    mount_dead_file_server "$ROOT/dead"
    start_pinning_container "$1" dead
    operator 1 release "$ROOT/dead"
    assert_contains "refused" "$SAID" "the host still has it mounted at $ROOT/dead"
    umount --lazy "$ROOT/dead"
    assert_equal "control" "$(propagation_in_container "$1" /host/dead)" private
    operator 0 release "$ROOT/dead"
    assert_contains "free" "$SAID" "free: no mount namespace has it any more"
    assert_equal "released" "$(propagation_in_container "$1" /host/dead)" absent
}
test_with_each_runtime "a dead file server holds nothing up" release_waits_for_no_file_server

release_never_reaches_the_host() {                       # RUNTIME
    attach_volume "$ROOT/volume"
    make_bundle shared
    add_bind "$ROOT" rbind,rshared
    set_rootfs_propagation rshared
    start_shown_container "$1"
    operator 1 release --force "$VOLUME"
    assert_contains "refused" "$SAID" "unmounting it would reach the host's mount"
    mountpoint --quiet "$VOLUME"
    holds_volume "$1"
}
test_with_each_runtime "what would reach the host is refused even by force" release_never_reaches_the_host

@test "a process that is no container is spared, except by name; a namespace without a process is not" {
    local pid
    attach_volume "$ROOT/volume"
    unshare --mount --propagation private sleep 1000 3>&- &
    pid=$!
    wait_until 10 has_own_mounts "$pid"
    mkdir "$NODE/namespaces"
    mount -t tmpfs namespaces "$NODE/namespaces"
    mount --make-private "$NODE/namespaces"
    touch "$NODE/namespaces/kept"
    keep_namespace "$NODE/namespaces/kept"
    umount "$VOLUME"
    operator 1 release "$VOLUME_DEVICE"
    assert_contains "process" "$SAID" "this is no container, and may have mounted it itself; name it by --container, or use --force"
    assert_contains "kept" "$SAID" "released      $VOLUME in mount namespace $(stat -c %i "$NODE/namespaces/kept") without a process"
    operator 0 release --container "$pid" "$VOLUME_DEVICE"
    device_is_free "$VOLUME_DEVICE"
    kill -KILL "$pid"
    wait "$pid" || true
    umount "$NODE/namespaces/kept"
}
has_own_mounts() { [[ $(readlink "/proc/$1/ns/mnt") != "$(readlink /proc/self/ns/mnt)" ]]; }

@test "without rights: a clear refusal" {
    attach_volume "$ROOT/volume"
    start_pinning_container runc rights
    umount "$VOLUME"
    run setpriv --bounding-set -sys_admin "$GUARD" guard release "$VOLUME_DEVICE"
    assert_equal "status" "$status" 1
    assert_contains "refusal" "$output" "release: CAP_SYS_ADMIN is missing"
    holds_volume runc
}
