#!/usr/bin/env bats
# podman with runc-guard as its runtime.

load podman

setup_file() { prepare_podman; }

host_tree_is_released() {                                # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        podman --runtime "$(program_of "$via" "$1")" run --name "$via" --detach --network none --volume "$NODE/tree:/host:rprivate" \
            busybox sleep 1000 3>&-
        detach_volume "$via"
        assert_equal "$via" "$RESULT" "$([[ $via == guard ]] && echo released || echo pinned)"
    done
}

test_with_each_runtime "a private bind of a host tree lets its volumes go" host_tree_is_released
