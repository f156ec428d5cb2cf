#!/usr/bin/env bats
# containerd's own client, with runc-guard in the runtime's place.

load containerd

setup_file() {
    write_containerd_settings
    start_containerd
    ctr image import "$TEMPLATES/image.tar" >/dev/null
}
teardown_file() { stop_containerd; }

container_pid() { ctr task list | awk -v name="$1" '$1 == name { print $2 }'; }        # NAME

remove_all_containers() {
    local name
    for name in $(ctr container list --quiet); do
        ctr task kill --signal KILL "$name" >/dev/null 2>&1 || true
        wait_until 20 remove_container "$name"
    done
}
remove_container() { ctr task delete --force "$1" >/dev/null 2>&1 || true; ctr container delete "$1" >/dev/null 2>&1; }

host_tree_is_released() {                                # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        ctr run --runc-binary "$(program_of "$via" "$1")" --detach --null-io \
            --mount "type=bind,src=$NODE/tree,dst=/host,options=rbind:rprivate:rw" docker.io/library/busybox:latest "$via" sleep 1000 3>&-
        detach_volume "$via"
        assert_equal "$via" "$RESULT" "$([[ $via == guard ]] && echo released || echo pinned)"
    done
}

test_with_each_runtime "a private bind of a host tree lets its volumes go" host_tree_is_released
