#!/usr/bin/env bats
# Who holds a mount: containers that were started without the guard, and what else has mounts of its own.
# shellcheck disable=SC2016  # $names in jq programs

load helpers
load operator

# Sets STATUS and HOLDERS, one line for each copy: "KIND:ID PROPAGATION PATH".
look_for_holders() {                                     # ARG...
    local json
    STATUS=0
    json=$("$GUARD" guard holders --json "$@") || STATUS=$?
    HOLDERS=$(jq -r '.holders[] | (.workload.kind // "none") + ":" + (.workload.id // "-") as $who | .mounts[] | "\($who) \(.propagation) \(.path)"' <<<"$json")
    HOST=$(jq -r '.host[].path' <<<"$json")
}

start_with_private_bind() {                              # RUNTIME NAME [SOURCE]
    make_bundle "$2"
    add_bind "${3:-$ROOT}" rbind,rprivate
    start_shown_container "$1"
}

before_and_after_the_umount() {                          # RUNTIME [ADD-USER-NAMESPACE]
    local held
    attach_volume "$ROOT/volume"
    make_bundle other
    ${2:-}
    start_shown_container "$1"
    make_bundle pinning
    add_bind "$ROOT" rbind,rprivate
    ${2:-}
    start_shown_container "$1"
    held="container:$(id_of_bundle) private /host/volume"

    look_for_holders "$VOLUME"
    assert_equal "mounted: status, holders, host" "$STATUS|$HOLDERS|$HOST" "2|$held|$VOLUME"
    look_for_holders "$VOLUME_DEVICE"
    assert_equal "by device" "$STATUS|$HOLDERS|$HOST" "2|$held|$VOLUME"
    umount "$VOLUME"
    look_for_holders "$VOLUME"
    assert_equal "unmounted" "$STATUS|$HOLDERS|$HOST" "2|$held|"
    look_for_holders "$VOLUME_DEVICE"
    assert_equal "unmounted, by device" "$STATUS|$HOLDERS|$HOST" "2|$held|"
    delete_all_containers "$1"
    look_for_holders "$VOLUME_DEVICE"
    assert_equal "after the container's end" "$STATUS|$HOLDERS|$HOST" "0||"
}

test_with_each_runtime "exactly the container that pins, before and after the umount" before_and_after_the_umount
test_with_each_runtime "the same in a user namespace" before_and_after_the_umount add_user_namespace

a_slave_is_told_from_a_private_copy() {                  # RUNTIME
    attach_volume "$ROOT/volume"
    make_bundle slave
    add_bind "$ROOT" rbind,rslave
    set_rootfs_propagation rslave
    start_shown_container "$1"
    look_for_holders "$VOLUME"
    assert_equal "holders" "$HOLDERS" "container:$(id_of_bundle) slave /host/volume"
    umount "$VOLUME"
    look_for_holders "$VOLUME_DEVICE"
    assert_equal "after the umount" "$STATUS|$HOLDERS" "0|"
}

test_with_each_runtime "a slave is told from a private copy" a_slave_is_told_from_a_private_copy

open_files_are_named() {                                 # RUNTIME
    attach_volume "$ROOT/volume"
    touch "$VOLUME/log"
    make_bundle writing
    add_bind "$ROOT" rbind,rprivate
    set_args sh -c 'exec 7>>/host/volume/log; cd /host/volume; exec sleep 1000'
    start_shown_container "$1"
    wait_until 10 container_has_open "$1" /host/volume/log
    assert_contains "holders" "$("$GUARD" guard holders "$VOLUME" || true)" \
        "open by pid $(container_pid "$1") (sleep), fd 7: /host/volume/log"
    assert_contains "holders" "$("$GUARD" guard holders "$VOLUME" || true)" "(sleep), cwd: /host/volume"
}
container_has_open() { [[ $(readlink "/proc/$(container_pid "$1")/fd/7") == "$2" ]]; }

test_with_each_runtime "open files are named" open_files_are_named

network_namespaces_by_name() {                           # RUNTIME
    local name=it-$BATS_SUITE_TEST_NUMBER
    ip netns add "$name"
    start_with_private_bind "$1" pinning /run/netns
    look_for_holders --netns "$name"
    assert_equal "mounted" "$STATUS|$HOLDERS" "2|container:$(id_of_bundle) private /host/$name"
    umount "/run/netns/$name"
    look_for_holders --netns "$name"
    assert_equal "unmounted" "$STATUS|$HOLDERS" "2|container:$(id_of_bundle) private /host/$name"
    rm "/run/netns/$name"                                # releases it everywhere, on kernels since 3.15
    look_for_holders --netns "$name"
    assert_equal "unlinked" "$STATUS|$HOLDERS" "0|"
    delete_all_containers "$1"
    umount --lazy /run/netns
    rmdir /run/netns
}

test_with_each_runtime "network namespaces by name" network_namespaces_by_name

@test "a process with mounts of its own, and a namespace that no process is in" {
    attach_volume "$ROOT/volume"
    unshare --mount --propagation private sleep 1000 3>&- &
    wait_until 10 has_own_mounts $!
    look_for_holders "$VOLUME"
    assert_equal "process" "$STATUS|$HOLDERS" "2|process:- private $VOLUME"
    kill $!
    wait $! || true
    mkdir "$NODE/namespaces"
    mount -t tmpfs namespaces "$NODE/namespaces"
    mount --make-private "$NODE/namespaces"
    keep_namespace "$NODE/namespaces/kept"
    umount "$VOLUME"
    look_for_holders "$VOLUME_DEVICE"
    assert_equal "kept by a file" "$STATUS|$HOLDERS" "2|none:- private $VOLUME"
    assert_contains "in words" "$("$GUARD" guard holders "$VOLUME_DEVICE" || true)" "mount namespace $(stat -c %i "$NODE/namespaces/kept") without a process"
    umount "$NODE/namespaces/kept"
    look_for_holders "$VOLUME_DEVICE"
    assert_equal "given up" "$STATUS|$HOLDERS" "0|"
}
has_own_mounts() { [[ $(readlink "/proc/$1/ns/mnt") != "$(readlink /proc/self/ns/mnt)" ]]; }

# As systemd starts a service with PrivateMounts=, and as it names its cgroup.
@test "a service of systemd with mounts of its own" {
    local group=/sys/fs/cgroup/pids/system.slice/web-$BATS_SUITE_TEST_NUMBER.service pid
    attach_volume "$ROOT/volume"
    mkdir -p "$group"
    sh -c 'echo $$ >"$1/cgroup.procs"; exec unshare --mount --propagation private sleep 1000' sh "$group" 3>&- &
    pid=$!
    wait_until 10 has_own_mounts "$pid"
    look_for_holders "$VOLUME"
    assert_equal "holders" "$STATUS|$HOLDERS" "2|service:${group##*/} private $VOLUME"
    assert_contains "in words" "$("$GUARD" guard holders "$VOLUME" || true)" "service ${group##*/}, pid $pid sleep"
    kill "$pid"
    wait "$pid" || true
    rmdir "$group" "${group%/*}"
}

@test "hostile names are printed escaped" {
    local name=$'new\nline \e[31mred'
    mkdir "$ROOT/$name"
    mount -t tmpfs hostile "$ROOT/$name"
    start_with_private_bind runc pinning
    run "$GUARD" guard holders "$ROOT/$name"
    umount "$ROOT/$name"
    assert_equal "status" "$status" 2
    assert_contains "path" "$output" '/host/new\nline \u{1b}[31mred'
    [[ $output != *$'\e'* ]] || fail "an escape sequence reached the terminal"
}

@test "names that are no UTF-8 leave the JSON whole" {
    local name=$'\xff'
    mkdir "$ROOT/$name"
    mount -t tmpfs hostile "$ROOT/$name"
    make_bundle pinning
    add_bind "$ROOT" rbind,rprivate
    start_shown_container runc
    look_for_holders "$ROOT/$name"
    umount "$ROOT/$name"
    assert_equal "holders" "$STATUS|$HOLDERS" "2|container:$(id_of_bundle) private /host/"$'\xef\xbf\xbd'
    write_guard_settings runc
    run env RUNC_GUARD_CONFIG="$NODE/guard-runc.toml" "$GUARD" guard audit --json
    assert_equal "audit" "$status|$(jq -r '.containers[].findings[].pinned[].path' <<<"$output")" "2|/host/"$'\xef\xbf\xbd'
}

@test "what is no mount, no device, or not there" {
    run "$GUARD" guard holders /nonexistent
    assert_equal "not there" "$status|${lines[*]:0:2}" "0|/nonexistent: the host has nothing mounted there nobody else holds it"
    run "$GUARD" guard holders /dev/null
    assert_equal "character device" "$status" 1
    assert_contains "character device" "$output" "ENOTBLK"
    run "$GUARD" guard holders
    assert_equal "nothing named" "$status" 1
}
