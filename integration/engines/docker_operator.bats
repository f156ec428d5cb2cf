#!/usr/bin/env bats
# The operator's commands for containers that dockerd started without the guard.
# shellcheck disable=SC2016  # $names in jq programs

load docker

setup_file() { start_docker_with_image; }
teardown_file() { stop_docker; }

# With --volume dockerd writes rprivate outside its own folder.
start_pinning_container() {                              # RUNTIME NAME
    attach_volume "$NODE/tree/volume-$2"
    docker run --detach --runtime "$1" --name "$2" --network none --volume "$NODE/tree:/host" busybox sleep 1000 >/dev/null
}

# "ENGINE NAME PATH" of each private copy: the healed container has slaves of all volumes.
holders() {
    runc-guard guard holders --json "$1" |
        jq -r '.holders[] | "\(.workload.engine) \(.workload.name)" as $who | .mounts[] | select(.propagation == "private") | "\($who) \(.path)"'
}

# The control is the container that is not healed; what it then pins is found and released.
found_healed_and_released() {                            # RUNTIME
    local way
    write_guard_settings "$1"
    for way in healed control; do
        start_pinning_container "$1" "$way"
        assert_equal "$way: holders" "$(holders "$VOLUME")" "docker $way /host/volume-$way"
        [[ $way == control ]] || runc-guard guard heal "$way"
        detach_volume "$way"
        assert_equal "$way" "$RESULT" "$([[ $way == healed ]] && echo released || echo pinned)"
    done
    assert_equal "holders by device" "$(holders "$VOLUME_DEVICE")" "docker control /host/volume-control"
    runc-guard guard release --container control "$VOLUME"
    device_is_free "$VOLUME_DEVICE" || fail "the device is not free"
    assert_equal "nobody holds it" "$(holders "$VOLUME_DEVICE")" ""
    assert_equal "running" "$(docker inspect --format '{{.State.Running}}' healed control | paste -sd' ')" "true true"
}
test_with_each_runtime "holders, heal and release know docker's containers by their names" found_healed_and_released
