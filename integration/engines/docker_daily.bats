#!/usr/bin/env bats
# dockerd with runc-guard as a runtime: what the daemon does by itself, and every call that it makes.
# shellcheck disable=SC2016  # the container's shell expands it

load docker

setup_file() { start_docker_with_image; }
teardown_file() { stop_docker; }

restarted_on_failure() {
    start_box "$1" runc --restart on-failure:2 busybox sh -c 'echo started; exit 5'
    wait_until 30 box_is exited
    docker inspect --format '{{.RestartCount}} {{.State.ExitCode}}' box
    docker logs box
}
answers "a restart policy" restarted_on_failure "2 5" started started started "status 0"

restarted() {
    start_box "$1" runc busybox sh -c 'echo started; exec sleep 1000'
    docker restart --time 0 box
    wait_until 10 test "$(docker logs box | wc -l)" -ge 2
    docker logs box
    docker inspect --format '{{.State.Status}}' box
}
answers "restart" restarted box started started running "status 0"

health() {
    running_box "$1" --health-cmd 'test -e /tmp/well' --health-interval 200ms --health-retries 1
    wait_until 30 box_has_health unhealthy
    docker exec box touch /tmp/well
    wait_until 30 box_has_health healthy
}
box_has_health() { [[ $(docker inspect --format '{{.State.Health.Status}}' box) == "$1" ]]; }          # HEALTH
answers "a health check, which is an exec every time" health "status 0"

looked_at() {
    start_box "$1" runc --memory 64m busybox sh -c 'sleep 1000 & exec sleep 2000'
    docker top box -o pid,args | sed 's/^ *[0-9]* *//'
    docker stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsage}}' box | sed 's| .*iB /| ... /|'
}
answers "top and stats" looked_at "PID                 COMMAND" "sleep 2000" "sleep 1000" "box ... / 64MiB" "status 0"

rights() {
    run_box "$1" --cap-drop ALL --cap-add NET_RAW --security-opt no-new-privileges --ulimit nofile=300 --hostname named --user 5 \
        busybox sh -c 'busybox grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; ulimit -n; busybox hostname; id -u'
}
answers "capabilities, seccomp, limits, host name, user" rights \
    $'CapBnd:\t0000000000002000' $'NoNewPrivs:\t1' $'Seccomp:\t2' 300 named 5 "status 0"

joined() {
    local status
    running_box "$1"
    docker run --rm --runtime "$(runtime_name "$1" runc)" --network none --pid container:box --ipc none busybox cat /proc/1/cmdline |
        tr '\0' ' '
    status=$?
    echo
    return "$status"
}
answers "a container in the pid namespace of another" joined "sleep 1000 " "status 0"

# --- the calls -------------------------------------------------------------------------------------------------------
# A runtime that writes down what it is called with, and is runc otherwise.
install_recorder() {
    cat >/usr/local/bin/recorder <<'SH'
#!/bin/sh
echo "$*" >>/run/recorded
exec runc "$@"
SH
    chmod +x /usr/local/bin/recorder
}

# Ids and temporary names are new each time. After a checkpoint dockerd resumes the container, and so does the shim unless it has seen its end by then.
recorded_calls() {
    sed -E 's/[0-9a-f]{64}/ID/g; s/(runc-process|pty|ctrd-checkpoint)[0-9]+/\1N/g' /run/recorded |
        awk '!/ resume ID$/ || $0 != last; { last = $0 }'
}

lifecycle_of() {                                         # RUNTIME-NAME
    rm -f /run/recorded
    docker run --detach --runtime "$1" --name box --network none --memory 64m busybox sleep 1000 >/dev/null
    docker exec box true
    docker exec --tty box true
    docker pause box >/dev/null
    docker unpause box >/dev/null
    docker update --pids-limit 20 box >/dev/null 2>&1
    docker kill box >/dev/null
    docker start box >/dev/null
    docker checkpoint create box one >/dev/null
    docker rm box >/dev/null
    recorded_calls
}

@test "every call reaches the runtime as dockerd wrote it" {
    local bare guarded command
    install_recorder
    write_docker_settings '.runtimes.recorder.path = "/usr/local/bin/recorder"'
    reload_docker
    bare=$(lifecycle_of recorder)
    write_guard_settings runc 'flavour = "runc"'
    sed -i 's|^runtimes = .*|runtimes = ["/usr/local/bin/recorder"]|' /etc/runc-guard/config.toml
    guarded=$(lifecycle_of runc-guard)
    write_docker_settings
    reload_docker
    assert_equal "calls" "$guarded" "$bare"
    for command in create start exec pause resume update checkpoint kill delete; do
        assert_contains "calls" "$guarded" " $command "
    done
}
