#!/usr/bin/env bats
# The operator's commands for pods that containerd started by CRI without the guard.
# shellcheck disable=SC2016  # $names in jq programs

load cri

setup_file() { start_cri; }
teardown_file() { stop_containerd; }

start_pinning_pod() {                                    # RUNTIME NAME [FILTER-OF-POD]
    local filter
    attach_volume "$NODE/tree/volume-$2"
    filter=$(volume "$NODE/tree" /host)
    run_pod_and_container "$2" bare "$1" "$filter${3:+ | $3}" "${3:-.}"
}

# "ENGINE ID PATH" of each private copy: the healed container has slaves of all volumes.
holders() {
    runc-guard guard holders --json "$1" |
        jq -r '.holders[] | "\(.workload.engine) \(.workload.id)" as $who | .mounts[] | select(.propagation == "private") | "\($who) \(.path)"'
}

pinned_right_now() { runc-guard guard audit --json | jq -r '.containers[] | .workload.id as $id | .findings[].pinned[] | select(.gone) | "\($id) \(.path)"'; }

# The control is the container that is not healed; what it then pins is found and released.
found_healed_and_released() {                            # RUNTIME [FILTER-OF-POD]
    local way
    write_guard_settings "$1"
    for way in healed control; do
        start_pinning_pod "$1" "$way" "${2:-}"
        assert_equal "$way: holders" "$(holders "$VOLUME")" "containerd ${CONTAINER[$way]} /host/volume-$way"
        [[ $way == control ]] || runc-guard guard heal "${CONTAINER[$way]:0:12}"
        detach_volume "$way"
        assert_equal "$way" "$RESULT" "$([[ $way == healed ]] && echo released || echo pinned)"
    done
    assert_equal "holders by device" "$(holders "$VOLUME_DEVICE")" "containerd ${CONTAINER[control]} /host/volume-control"
    assert_equal "audit" "$(pinned_right_now)" "${CONTAINER[control]} /host/volume-control"
    runc-guard guard release "$VOLUME"
    device_is_free "$VOLUME_DEVICE" || fail "the device is not free"
    assert_equal "nobody holds it" "$(holders "$VOLUME_DEVICE")" ""
    for way in healed control; do assert_equal "$way" "$(status_of "$way" .status.state)" CONTAINER_RUNNING; done
}
test_with_each_runtime "holders, audit, heal and release know a pod's containers" found_healed_and_released
test_with_each_runtime "the same in a user namespace with ids of its own" found_healed_and_released "$USER_NAMESPACE"
