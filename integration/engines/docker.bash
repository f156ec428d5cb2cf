# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # $names in jq and sh programs; results are returned in variables
# dockerd with its default folders, without systemd and without a network. Its runtimes are runc, crun and runc-guard.

load node

# A call that hangs would hold bats up beyond its own time limit.
docker() { timeout 60 /usr/bin/docker "$@" 3>&-; }

# What dockerd needs where nobody may change the node's network; FILTER is jq.
write_docker_settings() {                                # [FILTER]
    mkdir -p /etc/docker
    jq -n '{"storage-driver": "overlay2", bridge: "none", iptables: false, "ip-forward": false, experimental: true,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        runtimes: {crun: {path: "/usr/bin/crun"}, "runc-guard": {path: "/usr/local/bin/runc-guard"}}}
        | '"${1:-.}" >/etc/docker/daemon.json
}

start_docker() {
    dockerd </dev/null >>"$BATS_FILE_TMPDIR/dockerd.log" 2>&1 3>&- 4>&- &
    echo $! >"$BATS_FILE_TMPDIR/dockerd.pid"
    wait_until 60 docker_answers || fail "$(tail -n 20 "$BATS_FILE_TMPDIR/dockerd.log")"
}

docker_answers() { docker version >/dev/null 2>&1; }

stop_docker() {
    local pid
    pid=$(<"$BATS_FILE_TMPDIR/dockerd.pid")
    kill "$pid"
    wait_until 60 process_is_gone "$pid"
}

# dockerd reads its runtimes anew at SIGHUP.
reload_docker() {
    kill -HUP "$(<"$BATS_FILE_TMPDIR/dockerd.pid")"
    wait_until 20 runtimes_are_as_written
}
runtimes_are_as_written() {
    diff <(jq -r '.runtimes | keys[]' /etc/docker/daemon.json) \
        <(docker info --format '{{json .Runtimes}}' | jq -r 'keys[] | select(. != "runc" and . != "io.containerd.runc.v2")')
} >/dev/null

process_is_gone() { ! kill -0 "$1" 2>/dev/null; }        # PID

# For setup_file: the daemon that all tests of a file share, with an image.
start_docker_with_image() {                              # [FILTER]
    write_docker_settings "$@"
    start_docker
    docker load --quiet --input "$TEMPLATES/image.tar" >/dev/null
}

container_pid() { docker inspect --format '{{.State.Pid}}' "$1"; }         # NAME

remove_all_containers() {
    local -a names
    mapfile -t names < <(docker ps --all --quiet)
    ((${#names[@]} == 0)) || docker rm --force --volumes "${names[@]}" >/dev/null
}

# The name of a runtime in daemon.json.
runtime_name() { if [[ $1 == guard ]]; then echo runc-guard; else echo "$2"; fi; }           # VIA RUNTIME

# A container called box, and that it has the runtime it is meant to have.
create_box() {                                           # VIA RUNTIME ARG... (options, image, command)
    local runtime
    runtime=$(runtime_name "$1" "$2")
    docker create --runtime "$runtime" --name box --network none "${@:3}" >/dev/null
    assert_equal "runtime" "$(docker inspect --format '{{.HostConfig.Runtime}}' box)" "$runtime"
}

start_box() {                                            # VIA RUNTIME ARG...
    create_box "$@"
    docker start box >/dev/null
}

run_box() { docker run --runtime "$(runtime_name "$1" runc)" --name box --network none "${@:2}"; }       # VIA ARG...

running_box() { start_box "$1" runc "${@:2}" busybox sleep 1000; }       # VIA OPTION...

remove_box() { docker rm --force --volumes box >/dev/null; }

box_is() { [[ $(docker inspect --format '{{.State.Status}}' box) == "$1" ]]; }               # STATUS

# --- checkpoint and restore ------------------------------------------------------------------------------------------
# CHECKPOINT is its name: a dump that ran into CRIU's time limit has spoilt the first one.
checkpoint_box() {
    CHECKPOINT=one
    docker checkpoint create box "$CHECKPOINT" >/dev/null || { dump_timed_out && CHECKPOINT=two && docker checkpoint create box two >/dev/null; }
    wait_until 20 box_is exited
    wait_until 30 containerd_forgot_checkpoint
}

# Of the freezer, on a loaded machine: says nothing about the container.
dump_timed_out() {
    grep -qrE 'Timeout reached|Unseizable non-zombie .* state D' /run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/*/*.log
}

# dockerd takes the checkpoint out of its containerd, and gives the same bytes back at the start. That fails until they are collected.
containerd_forgot_checkpoint() { [[ -z $(ctr --address /run/docker/containerd/containerd.sock --namespace moby content list --quiet) ]]; }

restore_box() { docker start --checkpoint "$CHECKPOINT" box 2>"$NODE/stderr"; }

# --- the same through the guard as without it ------------------------------------------------------------------------
# Runs FUNCTION VIA, which makes the container box, on either way. Its stdout, its stderr (the two are in no order) and its status
# must be equal; they are ANSWER.
same_both_ways() {                                       # FUNCTION
    local via bare
    for via in bare guard; do
        ANSWER=$("$1" "$via" 2>"$NODE/stderr" && echo "status 0" || echo "status $?")
        # Whether a machine forwards packets is none of our business.
        ANSWER=$({ cat "$NODE/stderr"; echo "$ANSWER"; } | grep -v '^IPv4 forwarding is disabled' || true)
        docker rm --force --volumes box >/dev/null 2>&1 || true
        [[ $via == guard ]] || bare=$ANSWER
    done
    assert_equal "through the guard" "$ANSWER" "$bare"
}

# An answer that both could give wrongly is spelt out, too.
answer_is() {                                            # FUNCTION LINE...
    same_both_ways "$1"
    assert_equal "answer" "$ANSWER" "$(printf '%s\n' "${@:2}")"
}

# A test of answer_is.
answers() { bats_test_function --description "$1" -- answer_is "${@:2}"; }       # DESCRIPTION FUNCTION LINE...
