#!/usr/bin/env bats
# The operator's commands for containers that podman started without the guard.

load podman

setup_file() { prepare_podman; }

start_pinning_container() {                              # RUNTIME NAME
    attach_volume "$NODE/tree/volume-$2"
    podman --runtime "$(program_of bare "$1")" run --name "$2" --detach --network none --volume "$NODE/tree:/host:rprivate" \
        busybox sleep 1000 3>&-
}

# By the name that podman gave it. The control is the container that was not healed; what it then pins is released.
heal_by_name_and_release() {                             # RUNTIME
    local way
    write_guard_settings "$1"
    for way in healed control; do
        start_pinning_container "$1" "$way"
        [[ $way == control ]] || /usr/local/bin/runc-guard guard heal "$way"
        detach_volume "$way"
        assert_equal "$way" "$RESULT" "$([[ $way == healed ]] && echo released || echo pinned)"
    done
    /usr/local/bin/runc-guard guard release --container control "$VOLUME"
    device_is_free "$VOLUME_DEVICE" || fail "the device is not free"
    ! holds_volume control || fail "still in the container"
    assert_equal "running" "$(podman inspect --format '{{.State.Running}}' healed control | paste -sd' ')" "true true"
}

test_with_each_runtime "a container is healed by its name, another's stale copy is released" heal_by_name_and_release
