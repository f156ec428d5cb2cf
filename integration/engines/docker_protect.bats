#!/usr/bin/env bats
# What containers of docker keep busy on the host. Every test has its control without the guard.

load docker

setup_file() { start_docker_with_image; }
teardown_file() { stop_docker; }

# A container with OPTIONs; then the host unmounts a volume that it sees. Without the guard the volume must be BARE, with it GUARD:
# released or pinned. VOLUME_AT is where, if not in the tree.
held_or_not() {                                          # RUNTIME BARE GUARD OPTION...
    local via expected
    write_guard_settings "$1" "${SETTINGS:-}"
    for via in bare guard; do
        attach_volume "${VOLUME_AT:-$NODE/tree}/volume-$via"
        start_box "$via" "$1" "${@:4}" busybox sleep 1000
        detach_volume box
        remove_box
        expected=$2
        [[ $via == bare ]] || expected=$3
        assert_equal "$via" "$RESULT" "$expected"
    done
}

volume_option() { held_or_not "$1" "$2" "$3" --volume "$NODE/tree:/host$4"; }                      # RUNTIME BARE GUARD SUFFIX
mount_option() { held_or_not "$1" "$2" "$3" --mount "type=bind,src=$NODE/tree,dst=/host$4"; }      # RUNTIME BARE GUARD SUFFIX

test_with_each_runtime "-v without a word, which is rprivate" volume_option pinned released ""
test_with_each_runtime "-v :rprivate" volume_option pinned released :rprivate
test_with_each_runtime "-v :rslave is as it was" volume_option released released :rslave
test_with_each_runtime "--mount bind-propagation=rprivate" mount_option pinned released ,bind-propagation=rprivate
test_with_each_runtime "--mount readonly, writable mounts below" mount_option pinned released ,readonly,bind-recursive=writable
# dockerd has made `ro` recursive (rro) since 25.0: see force_rro.
test_with_each_runtime "-v :ro is recursively read-only and stays" volume_option pinned pinned :ro

recursively_read_only_by_force() {                       # RUNTIME
    SETTINGS='force_rro = true'
    volume_option "$1" pinned released :ro
}
test_with_each_runtime "-v :ro with force_rro" recursively_read_only_by_force

# Nothing but the settings' defaults: /run holds the protected roots /run/docker and /run/netns. dockerd looks after its data-root only.
default_roots() {                                        # RUNTIME
    VOLUME_AT=/run/it
    held_or_not "$1" pinned released --volume /run:/host
}
test_with_each_runtime "-v /run, with the default roots" default_roots

# dockerd writes no word for a volume of its own: runc makes a slave of it, crun does not.
named_volume() {                                         # RUNTIME BARE GUARD
    VOLUME_AT=$(docker volume inspect --format '{{.Mountpoint}}' "$(docker volume create)")
    held_or_not "$1" "$2" "$3" --volume "$(basename "$(dirname "$VOLUME_AT")"):/host"
}
bats_test_function --description "runc: a volume of docker's with a mount of the host in it" -- named_volume runc released released
bats_test_function --description "crun: a volume of docker's with a mount of the host in it" -- named_volume crun pinned released

# A plug-in that mounts for others: both directions work as without the guard.
both_directions() {                                      # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        mkdir "$NODE/tree/made-$via"
        start_box "$via" "$1" --cap-add SYS_ADMIN --security-opt seccomp=unconfined --volume "$NODE/tree:/host:rshared" busybox sleep 1000
        docker exec box mount -t tmpfs made "/host/made-$via"
        mountpoint --quiet "$NODE/tree/made-$via" || fail "$via: the container's mount is not on the host"
        detach_volume box
        assert_equal "$via" "$RESULT" released
        remove_box
    done
    assert_equal "changes" "$(guard_changes)" ""
}
test_with_each_runtime "rshared: mounts of the container reach the host, and umounts the container" both_directions
