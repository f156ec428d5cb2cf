#!/usr/bin/env bats
# What every pod needs, by CRI: with runc-guard in the runtime's place all is as without it.
# shellcheck disable=SC2016,SC2034  # $names in jq and sh programs; the observations are returned in SEEN

load cri

setup_file() { start_cri; }
teardown_file() { stop_containerd; }

# OBSERVE VIA RUNTIME sets SEEN, and leaves the container VIA behind. It must be EXPECTED on both ways.
everyday() { test_with_each_runtime "$1" observe_on_both_ways "$2" "$3"; }               # DESCRIPTION OBSERVE EXPECTED

observe_on_both_ways() {                                 # RUNTIME OBSERVE EXPECTED
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        "$2" "$via" "$1"
        assert_equal "$via" "$SEEN" "$3"
    done
    assert_equal "the program" "$(runtime_program guard)" /usr/local/bin/runc-guard
}

# --- processes -------------------------------------------------------------------------------------------------------
exec_sync() {
    run_app "$@"
    SEEN=$(cri ExecSync "$(container_request "$1" '.cmd = ["sh", "-c", "echo out; echo err >&2; exit 7"]')")
    SEEN+=$'\n'$(error_of cri ExecSync "$(container_request "$1" '.cmd = ["sleep", "4321"] | .timeout = 1')")
    wait_until 10 no_process "sleep 4321"
}
no_process() { ! pgrep -xf "$1" >/dev/null; }            # COMMAND-LINE
everyday "exec: stdout, stderr, exit code, time-out" exec_sync '{"stdout": "out\n", "stderr": "err\n", "exit_code": 7}
DEADLINE_EXCEEDED: failed to exec in container: timeout 1s exceeded: context deadline exceeded'

logs_and_exit_code() {
    run_app "$@" "$(command_line sh -c 'echo out; echo err >&2; exit 7')"
    wait_until 20 has_ended "$1"
    SEEN="$(log_of "$1"), $(how_it_is "$1")"
}
how_it_is() { status_of "$1" '.status | "\(.state) \(.reason) \(.exit_code)"'; }         # NAME
everyday "logs and exit code" logs_and_exit_code $'stderr F err\nstdout F out, CONTAINER_EXITED Error 7'

terminal() {
    run_app "$@" ".tty = true | $(command_line sh -c 'test -t 0 && test -t 1 && test -t 2 && echo terminal')"
    wait_until 20 has_ended "$1"
    SEEN="$(log_of "$1"), $(how_it_is "$1")"
}
everyday "tty" terminal 'stdout F terminal, CONTAINER_EXITED Completed 0'

stop_by_term() {
    run_app "$@" "$(command_line sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done')"
    wait_until 20 grep -q ready "$NODE/logs/$1.log"
    cri StopContainer "$(container_request "$1" '.timeout = 30')" >/dev/null
    SEEN=$(how_it_is "$1")
}
everyday "stop by TERM" stop_by_term 'CONTAINER_EXITED Error 5'

# A process with pid 1 and no handler does not get TERM.
stop_by_kill_and_remove() {
    local id pid
    run_app "$@"
    id=${CONTAINER[$1]} pid=$(container_pid "$1")
    cri StopContainer "$(container_request "$1" '.timeout = 1')" >/dev/null
    SEEN=$(how_it_is "$1")
    cri RemoveContainer "$(container_request "$1")" >/dev/null
    SEEN+=", $(error_of status_of "$1" . | cut -d: -f1)"
    process_is_gone "$pid"
    # The runtime's state, the bundle, the cgroups.
    SEEN+=", left: $(find /run/containerd /sys/fs/cgroup -name "*$id*" | grep . || echo nothing)"
    create_container "$1" && start_container "$1"
}
everyday "stop by KILL, remove, start another one" stop_by_kill_and_remove 'CONTAINER_EXITED Error 137, NOT_FOUND, left: nothing'

# --- resources -------------------------------------------------------------------------------------------------------
update_resources() {
    run_app "$@"
    SEEN=$(cpu_shares "$1")
    cri UpdateContainerResources "$(container_request "$1" '.linux = {cpu_shares: 256}')" >/dev/null
    SEEN+=", $(cpu_shares "$1"), status $(status_of "$1" .status.resources.linux.cpu_shares)"
}
cpu_shares() {                                           # NAME
    cat "/sys/fs/cgroup/cpu$(awk -F: '$2 == "cpu" { print $3 }' "/proc/$(container_pid "$1")/cgroup")/cpu.shares"
}
everyday "update of resources" update_resources '102, 256, status 256'

# --- volumes ---------------------------------------------------------------------------------------------------------
volumes() {
    mkdir -p "$NODE"/{data,config}-"$1"
    echo setting >"$NODE/config-$1/file"
    run_app "$@" "$(volume "$NODE/data-$1" /data) | $(volume "$NODE/config-$1/file" /etc/app.conf PRIVATE readonly) |
        .linux.security_context.readonly_rootfs = true"
    exec_in "$1" sh -c 'cat /etc/app.conf >/data/copy'
    SEEN=$(cat "$NODE/data-$1/copy"; error_in "$1" touch /etc/app.conf; error_in "$1" touch /file)
}
error_in() {                                             # NAME COMMAND...
    cri ExecSync "$(container_request "$1" '.cmd = $ARGS.positional' --args -- "${@:2}")" | jq -j .stderr
}
everyday "volumes of a directory and a file, a read-only root" volumes 'setting
touch: /etc/app.conf: Read-only file system
touch: /file: Read-only file system'

# As the kubelet mounts them: a tmpfs for each, below its own root.
secret() {
    local folder=/var/lib/kubelet/pods/$1/volumes/kubernetes.io~secret/token
    mkdir -p "$folder"
    mount -t tmpfs -o mode=1777 tmpfs "$folder"
    echo hunter2 >"$folder/token"
    run_app "$@" "$(volume "$folder" /var/run/secrets/app PRIVATE readonly)"
    SEEN=$(exec_in "$1" cat /run/secrets/app/token; error_in "$1" touch /run/secrets/app/more)
}
everyday "secrets" secret $'hunter2\ntouch: /run/secrets/app/more: Read-only file system'

privileged() {
    run_app "$@" "$PRIVILEGED" "$PRIVILEGED"
    SEEN=$(exec_in "$1" sh -c 'mount -t tmpfs made /var && echo mounted')
}
everyday "privileged" privileged mounted

# A volume that the pod's root may write, as the kubelet prepares it for containerd 1.7.
user_namespace() {
    mkdir -p "$NODE/data-$1"
    chown 100000:100000 "$NODE/data-$1"
    run_app "$@" "$USER_NAMESPACE | $(volume "$NODE/data-$1" /data)" "$USER_NAMESPACE"
    exec_in "$1" touch /data/file
    SEEN="$(exec_in "$1" sh -c 'id -u; echo $(cat /proc/self/uid_map)') $(stat -c %u "$NODE/data-$1/file")"
}
everyday "user namespace" user_namespace $'0\n0 100000 65536 100000'
