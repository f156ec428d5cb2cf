#!/usr/bin/env bats
# What containers of docker keep busy on the host. Every test has its control without the guard.

load docker

setup_file() { start_docker_with_image; }
teardown_file() { stop_docker; }

# A container with the tree at /host, bound as OPTION says (TREE stands for the tree); then the host unmounts a volume in it.
# Sets RESULT: released or pinned.
unmount_under_box() {                                    # VIA RUNTIME OPTION...
    attach_volume "$NODE/tree/volume-$1"
    start_box "$1" "$2" "${@:3}" busybox sleep 1000
    detach_volume box
    remove_box
}

pinned_then_released() {                                 # RUNTIME OPTION...
    held_or_not "$1" pinned released "${@:2}"
}

held_or_not() {                                          # RUNTIME BARE GUARD OPTION...
    write_guard_settings "$1" "${SETTINGS:-}"
    unmount_under_box bare "$1" "${@:4}"
    assert_equal bare "$RESULT" "$2"
    unmount_under_box guard "$1" "${@:4}"
    assert_equal guard "$RESULT" "$3"
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
