#!/usr/bin/env bats
# dockerd with runc-guard as a runtime: what a user does every day is the same as without it. (Secrets are swarm's, which needs
# a network.)
# shellcheck disable=SC2016  # the container's shell expands it

load docker

setup_file() { start_docker_with_image; }
teardown_file() { stop_docker; }

foreground() {
    run_box "$1" busybox sh -c 'echo out; echo err >&2; exit 7'
}
answers "run: stdout, stderr and exit status" foreground err out "status 7"

input() { echo typed | run_box "$1" --interactive busybox cat; }
answers "run -i: standard input" input typed "status 0"

no_such_command() {
    run_box "$1" busybox nonesuch
}
answers "run: a command that is not there has exit status 127" no_such_command \
    'docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: '\
'runc create failed: unable to start container process: exec: "nonesuch": executable file not found in $PATH: unknown.' "status 127"

removed_afterwards() {
    run_box "$1" --rm busybox true
    docker ps --all --quiet
}
answers "run --rm leaves nothing" removed_afterwards "status 0"

terminal() {
    run_box "$1" --tty busybox sh -c 'busybox tty; stty -a >/dev/null 2>&1; test -t 1' |
        tr -d '\r'
}
answers "run -t: a terminal" terminal /dev/pts/0 "status 0"

exec_everything() {
    running_box "$1"
    docker exec box sh -c 'echo out; echo err >&2'
    docker exec --tty box busybox tty | tr -d '\r'
    docker exec --user 7:8 --workdir /tmp --env WORD=word box sh -c 'id -u; id -g; busybox pwd; echo $WORD'
    echo typed | docker exec --interactive box cat
    docker exec box sh -c 'exit 9'
}
answers "exec: output, terminal, user, folder, environment, input, exit status" exec_everything \
    err out /dev/pts/0 7 8 /tmp word typed "status 9"

detached_exec() {
    running_box "$1"
    docker exec --detach box touch /tmp/made
    wait_until 10 docker exec box test -e /tmp/made
}
answers "exec -d" detached_exec "status 0"

# The process hears SIGTERM, and says so.
stopped() {
    start_box "$1" runc busybox sh -c 'trap "echo heard; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
    wait_until 10 logs_contain ready
    docker stop box
    docker logs box
    docker wait box
}
logs_contain() { docker logs box 2>&1 | grep -q "$1"; }                  # PART
answers "stop, logs, wait" stopped box ready heard 3 "status 0"

killed() {
    running_box "$1"
    docker kill box
    docker wait box
    docker start box
    wait_until 10 box_is running
    docker stop --signal KILL box
    docker inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' box
}
answers "kill, start again, stop by another signal" killed box 137 box box "exited 137 0" "status 0"

paused() {
    running_box "$1"
    docker pause box
    docker inspect --format '{{.State.Status}}' box
    docker exec box true
    docker unpause box
    docker exec box echo goes on
}
answers "pause and unpause" paused "Error response from daemon: Container box is paused, unpause the container before exec" \
    box paused box "goes on" "status 0"

updated() {
    local pid
    running_box "$1" --memory 64m --pids-limit 50
    docker update --memory 48m --memory-swap 48m --pids-limit 20 --cpu-shares 300 box
    pid=$(container_pid box)
    cat "$(cgroup_of "$pid" memory)/memory.limit_in_bytes" "$(cgroup_of "$pid" pids)/pids.max" "$(cgroup_of "$pid" cpu)/cpu.shares"
}
# The tree has one mount for each v1 hierarchy, named after its controllers.
cgroup_of() {                                            # PID CONTROLLER
    local hierarchy path
    IFS=: read -r _ hierarchy path < <(grep -E "^[0-9]+:([^:]*,)?$2(,[^:]*)?:" "/proc/$1/cgroup")
    echo "/sys/fs/cgroup/$hierarchy$path"
}
answers "update: limits of memory, processes and CPU" updated box \
    50331648 20 300 "status 0"

named_volume() {
    docker volume create kept
    run_box "$1" --volume kept:/v busybox sh -c 'echo word >>/v/file'
    docker rm box
    run_box "$1" --volume kept:/v:ro busybox sh -c 'cat /v/file; touch /v/x'
    docker rm box
    docker volume rm kept
}
answers "named volumes live longer than their containers" named_volume "touch: /v/x: Read-only file system" kept box word box kept "status 0"

files_in_memory() {
    running_box "$1" --read-only --tmpfs /scratch:size=1m,mode=700 --init
    docker exec box sh -c 'touch /scratch/file && ls /scratch; touch /file; cat /proc/1/comm'
    docker exec box busybox grep -o ' /scratch tmpfs rw.*size=1024k,mode=700' /proc/mounts
}
answers "--tmpfs, --read-only, --init" files_in_memory \
    "touch: /file: Read-only file system" file docker-init " /scratch tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700" "status 0"

copied() {
    running_box "$1"
    echo content >"$NODE/in"
    docker cp --quiet "$NODE/in" box:/tmp/in
    docker exec box sh -c 'cat /tmp/in; echo answer >/tmp/out'
    docker cp --quiet box:/tmp/out "$NODE/out"
    cat "$NODE/out"
}
answers "cp, in and out" copied content answer "status 0"
