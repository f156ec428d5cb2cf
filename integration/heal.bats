#!/usr/bin/env bats
# `guard heal`: containers that were started without the guard, and so pin, are made to let go while they run.
# shellcheck disable=SC2016,SC2154  # programs in other languages; `run` sets status and output

load helpers
load operator

# Without heal the same umount leaves the device busy.
heal_frees_the_device() {                                # RUNTIME USERNS
    local way
    for way in control healed; do
        attach_volume "$ROOT/$way"
        start_pinning_container "$1" "$way" "$2"
        assert_equal "$way: /host" "$(propagation_in_container "$1" /host)" private
        [[ $way == control ]] || operator 0 heal "$PID"
        detach_volume "$1"
        assert_equal "$way" "$RESULT" "$([[ $way == healed ]] && echo released || echo pinned)"
        assert_counts_on "$PID"
    done
}
test_with_each_user_namespace "a healed container frees the device, one that is not does not" heal_frees_the_device

# Volumes in volumes; what the container mounted itself, and what is no copy, stays as it was to the letter.
heal_changes_nothing_else() {                            # RUNTIME USERNS
    local before=$NODE/before after=$NODE/after
    attach_volume "$ROOT/outer"
    attach_volume "$ROOT/outer/inner"
    start_pinning_container "$1" all "$2"
    cat "/proc/$PID/mountinfo" >"$before"
    operator 0 heal "$PID"
    cat "/proc/$PID/mountinfo" >"$after"
    assert_equal "changed" "$(different_mountpoints "$before" "$after" | paste -sd' ')" "/host /host/outer /host/outer/inner"
    diff <(sed -E 's/ (shared|master|propagate_from):[0-9]+//g' "$before") <(mounts_without_groups "$PID")
    assert_equal "/host" "$(propagation_in_container "$1" /host)" slave
    assert_equal "inner" "$(propagation_in_container "$1" /host/outer/inner)" slave
    mkdir "$ROOT/later"
    mount -t tmpfs later "$ROOT/later"
    [[ $(propagation_in_container "$1" /host/later) != absent ]] || fail "a new mount of the host does not appear"
    detach_volume "$1"
    assert_equal "inner" "$RESULT" released
    assert_counts_on "$PID"
}
test_with_each_user_namespace "only the copies change, and new mounts appear" heal_changes_nothing_else

# The workload mounts and unmounts in the bind all the time; at no moment is it a peer of the host.
nothing_goes_up_to_the_host() {                          # RUNTIME
    local try
    attach_volume "$ROOT/volume"
    mkdir "$ROOT/made"
    make_bundle up
    set_args sh -c 'i=0; while :; do mount -t tmpfs made /host/made; umount /host/made; i=$((i + 1)); echo "$i" >/counter; done'
    edit_spec '.root.readonly = false'
    add_bind "$ROOT" rbind,rprivate
    give_capability_to_mount
    start_shown_container "$1"
    wait_until 20 test -s "/proc/$PID/root/counter"
    write_guard_settings runc
    for try in {1..10}; do
        # What the workload has mounted just then might be a copy of something: heal says so, and fails.
        RUNC_GUARD_CONFIG=$NODE/guard-runc.toml "$GUARD" guard heal "$PID" 3>&- || ((try == 1))
        assert_counts_on "$PID"
        ! mountpoint --quiet "$ROOT/made" || fail "the container's mount is on the host"
    done
    assert_equal "/host" "$(propagation_in_container "$1" /host)" slave
    in_container "$1" umount /host/volume
    mountpoint --quiet "$VOLUME" || fail "the container has unmounted the host's volume"
}
test_with_each_runtime "nothing goes up to the host, neither while it is healed nor afterwards" nothing_goes_up_to_the_host

heal_is_idempotent_and_shown_before() {                  # RUNTIME
    local before=$NODE/before
    attach_volume "$ROOT/volume"
    start_pinning_container "$1" dry
    cat "/proc/$PID/mountinfo" >"$before"
    operator 2 heal --dry-run "$PID"
    assert_contains "dry run" "$SAID" "would heal  /host/volume  (host $VOLUME)"
    diff "$before" "/proc/$PID/mountinfo"
    operator 0 heal "$PID"
    assert_contains "heal" "$SAID" "healed      /host/volume  (host $VOLUME)"
    cat "/proc/$PID/mountinfo" >"$before"
    operator 0 heal "$PID"
    assert_contains "again" "$SAID" ": 2 slaves or shared already"
    diff "$before" "/proc/$PID/mountinfo"
    operator 0 heal --dry-run --json "$PID"
    assert_equal "json" "$(jq -r '[.containers[0].mounts[].action] | unique | join(",")' <<<"$SAID")" already
}
test_with_each_runtime "a dry run changes nothing, and a second time finds nothing" heal_is_idempotent_and_shown_before

heal_names_what_it_cannot() {                            # RUNTIME
    attach_volume "$ROOT/gone"
    mkdir "$ROOT/alone"
    mount -t tmpfs alone "$ROOT/alone"
    mount --make-private "$ROOT/alone"
    start_pinning_container "$1" late
    umount "$ROOT/gone"
    operator 1 heal "$PID"
    assert_contains "gone" "$SAID" "impossible  /host/gone: the host has no mount of its file system $VOLUME_NUMBER any more; detach it with runc-guard guard release"
    assert_contains "private" "$SAID" "impossible  /host/alone  (host $ROOT/alone): the host's mount $ROOT/alone is not shared"
    assert_contains "the rest" "$SAID" "healed      /host "
    assert_equal "gone" "$(propagation_in_container "$1" /host/gone)" private
}
test_with_each_runtime "what is unmounted already or private on the host is named" heal_names_what_it_cannot

heal_leaves_what_is_meant_otherwise() {                  # RUNTIME
    local before=$NODE/before
    mkdir "$NODE/elsewhere" "$ROOT/data"
    attach_volume "$ROOT/volume"
    make_bundle kept
    add_bind "$ROOT" rbind,rshared /shared
    add_bind "$NODE/elsewhere" rbind,rprivate /elsewhere
    add_bind "$VOLUME" rbind,rprivate /mountpoint
    set_rootfs_propagation shared
    start_shown_container "$1"
    cat "/proc/$PID/mountinfo" >"$before"
    operator 0 heal "$PID"
    diff "$before" "/proc/$PID/mountinfo"
    assert_contains "T6" "$SAID" "keep        /mountpoint  (host $VOLUME): its source is itself the mountpoint"
    [[ $SAID != */elsewhere* ]] || fail "a bind of no protected root is spoken of: $SAID"
    operator 0 heal --all-binds "$PID"
    assert_equal "changed" "$(different_mountpoints "$before" "/proc/$PID/mountinfo")" /elsewhere
}
test_with_each_runtime "shared binds, other binds and bare mountpoints are left alone" heal_leaves_what_is_meant_otherwise

# Names that would end a line, or speak to a terminal, or look like an escape of the kernel's.
heal_survives_hostile_names() {                          # RUNTIME
    local name=$'a\nhealed /fake\e[31m \\040b\t'
    attach_volume "$ROOT/$name"
    start_pinning_container "$1" names
    operator 0 heal "$PID"
    assert_contains "escaped" "$SAID" '/host/a\nhealed /fake\u{1b}[31m \040b\t'
    [[ $SAID != *$'\e'* ]] || fail "an escape sequence gets through"
    detach_volume "$1"
    assert_equal "$name" "$RESULT" released
    operator 0 heal --json "$PID"
    assert_equal "json" "$(jq -r '.containers[0].mounts[0].path' <<<"$SAID")" /host
}
test_with_each_runtime "hostile names" heal_survives_hostile_names

# The workload swaps a directory above a mount with a symlink as fast as it can.
heal_follows_no_symlink() {                              # RUNTIME
    local try outcome
    attach_volume "$ROOT/directory/volume"
    mkdir "$ROOT/decoy"
    attach_volume "$ROOT/decoy/volume"
    make_bundle swap
    ln -s decoy "$ROOT/symlink"
    set_args sh -c 'cd /host; while :; do mv directory other; mv symlink directory; mv directory symlink; mv other directory; done'
    add_bind "$ROOT" rbind,rprivate
    start_shown_container "$1"
    write_guard_settings runc
    for try in {1..200}; do
        outcome=$(RUNC_GUARD_CONFIG=$NODE/guard-runc.toml "$GUARD" guard heal "$PID" 2>&1 3>&-) && break
        # What was not reached is named, and nothing else is done in its place.
        [[ $outcome == *impossible* ]] || fail "try $try: $outcome"
    done
    [[ $outcome == *"now slaves"* || $outcome == *"already"* ]] || fail "never healed: $outcome"
    awk '$5 ~ /^\/host/ { print $7 }' "/proc/$PID/mountinfo" | grep -c '^master:' | grep -qx 3
}
test_with_each_runtime "a symlink swapped in by the workload is not followed" heal_follows_no_symlink

# All, by name and by the beginning of an id.
heal_chooses_containers() {                              # RUNTIME
    local name
    local -a pids=()
    mkdir "$ROOT/directory"
    for name in one two twofold three; do
        start_pinning_container "$1" "$name"
        pids+=("$PID")
    done
    operator 1 heal "$(container_id t)"
    assert_contains "ambiguous" "$SAID" "it means several containers"
    operator 0 heal "$(container_id two)" "$(container_id thr)"
    assert_equal "chosen" "$(propagations_of /host "${pids[@]}")" "private slave private slave"
    operator 0 heal --all
    assert_equal "all" "$(propagations_of /host "${pids[@]}")" "slave slave slave slave"
    operator 1 heal
    operator 1 heal --all "$PID"
}
propagations_of() {                                      # DESTINATION PID...
    local pid
    for pid in "${@:2}"; do propagation_at "$1" <"/proc/$pid/mountinfo"; done | paste -sd' '
}
test_with_each_runtime "containers are chosen by id, its beginning, or all" heal_chooses_containers

# Half of the containers are killed while they are healed.
heal_survives_deaths() {                                 # RUNTIME
    local number killer
    local -a pids=()
    attach_volume "$ROOT/volume"
    for number in {1..8}; do
        start_pinning_container "$1" "$number"
        pids+=("$PID")
    done
    for number in 0 2 4 6; do
        kill -KILL "${pids[number]}"
        sleep 0.01
    done &
    killer=$!
    operator 0 heal --all --json
    wait "$killer"
    jq -e '[.containers[] | select(.ended | not) | .mounts[].action] | unique == ["healed"]' <<<"$SAID"
    jq -e --argjson pids "[${pids[1]},${pids[3]},${pids[5]},${pids[7]}]" '[.containers[] | select(.ended | not) | .pid] | contains($pids)' <<<"$SAID"
    umount "$VOLUME"
    wait_until 20 device_is_free "$VOLUME_DEVICE"
    for number in 1 3 5 7; do assert_counts_on "${pids[number]}"; done
}
test_with_each_runtime "containers that die meanwhile are no error of the others" heal_survives_deaths

heal_waits_for_no_file_server() {                        # RUNTIME
    attach_volume "$ROOT/volume"
    mount_dead_file_server "$ROOT/dead"
    start_pinning_container "$1" dead
    operator 0 heal "$PID"
    assert_equal "volume" "$(propagation_in_container "$1" /host/volume)" slave
    assert_equal "dead" "$(propagation_in_container "$1" /host/dead)" slave
    umount --lazy "$ROOT/dead"
    assert_equal "dead" "$(propagation_in_container "$1" /host/dead)" absent
}
test_with_each_runtime "a dead file server holds nothing up" heal_waits_for_no_file_server

heal_without_rights() {                                  # RUNTIME
    local before=$NODE/before
    attach_volume "$ROOT/volume"
    start_pinning_container "$1" rights
    cat "/proc/$PID/mountinfo" >"$before"
    write_guard_settings runc
    RUNC_GUARD_CONFIG=$NODE/guard-runc.toml run setpriv --bounding-set -sys_admin "$GUARD" guard heal "$PID"
    assert_equal "status" "$status" 1
    assert_contains "refusal" "$output" "heal: CAP_SYS_ADMIN is missing"
    RUNC_GUARD_CONFIG=$NODE/guard-runc.toml run unshare --mount "$GUARD" guard heal "$PID"
    assert_equal "status" "$status" 1
    assert_contains "refusal" "$output" "not the host's mount namespace"
    diff "$before" "/proc/$PID/mountinfo"
    operator 1 heal no-such-container
    assert_contains "refusal" "$SAID" "no running container has this id, name or pid"
    operator 1 heal $$
    assert_contains "refusal" "$SAID" "mount namespace of the host"
}
test_with_each_runtime "without rights, without a container: a clear refusal" heal_without_rights
