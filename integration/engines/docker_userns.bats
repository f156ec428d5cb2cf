#!/usr/bin/env bats
# dockerd with userns-remap: containers in a user namespace.
# shellcheck disable=SC2016  # the container's shell expands it

load docker

setup_file() { start_docker_with_image '."userns-remap" = "default"'; }
teardown_file() { stop_docker; }

mapped_root() {
    chmod 777 "$NODE"
    run_box "$1" --volume "$NODE:/host" busybox sh -c 'busybox tr -s " " </proc/self/uid_map; id -u; echo $$; touch /host/made'
    stat --format '%u:%g' "$NODE/made"
    rm "$NODE/made"
}
answers "the root of the container is none on the host" mapped_root " 0 100000 65536" 0 1 100000:100000 "status 0"

execs() {
    running_box "$1" --tmpfs /scratch --volume kept:/v
    docker exec box sh -c 'touch /scratch/file /v/file && ls /scratch /v'
    docker exec --tty box busybox tty | tr -d '\r'
}
answers "exec, volumes, a terminal" execs /scratch: file "" /v: file /dev/pts/0 "status 0"

released() {                                             # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        start_box "$via" "$1" --volume "$NODE/tree:/host:rprivate" busybox sleep 1000
        detach_volume box
        remove_box
        assert_equal "$via" "$RESULT" "$([[ $via == guard ]] && echo released || echo pinned)"
    done
}
test_with_each_runtime "a private bind of a host tree lets its volumes go" released
