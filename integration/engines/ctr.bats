#!/usr/bin/env bats
# The everyday life of containers under containerd's own client: with the guard as without it.
# shellcheck disable=SC2016  # commands of the containers

load ctr

setup_file() { start_containerd_with_image; }
teardown_file() { stop_containerd; }

# everyday DESCRIPTION FUNCTION PATTERN COMMAND...: as in same_as_bare
everyday() { test_with_each_runtime "$1" same_as_bare "${@:2}"; }

# --- output, input, exit codes ---------------------------------------------------------------------------------------
attached() {                                             # VIA RUNTIME
    local status=0
    run_container "$@" --rm -- c sh -c 'echo out; echo err >&2; exit 7' >"$NODE/out" 2>"$NODE/err" || status=$?
    echo "$status $(cat "$NODE/out") $(cat "$NODE/err")"
}
everyday "run: exit code, stdout and stderr apart" attached "7 out err" create start delete

input() { echo hello | run_container "$@" --rm -- c sh -c 'read line; echo "got $line"'; }
everyday "run: stdin" input "got hello" create

# A terminal of its own for COMMAND, which types what stands on stdin. Of what it shows only the lines that the container marks
# are kept, because ctr sometimes tells of a window that is gone; and the exit code.
in_terminal() {                                          # COMMAND...
    local status=0
    script --quiet --return --command "${*@Q}" /dev/null >"$NODE/terminal" || status=$?
    grep -ao 'tty: .*[a-z]' "$NODE/terminal"
    echo "$status"
}

run_in_terminal() {
    echo hello | in_terminal ctr run --runc-binary "$(program_of "$@")" --rm --tty "$BUSYBOX" c \
        sh -c 'test -t 0 && test -t 1 && read line && echo "tty: got $line"; exit 6'
}
everyday "run: a terminal" run_in_terminal $'tty: got hello\n6' create

log_to_file() {
    run_container "$@" --detach --log-uri "file://$NODE/log" -- c sh -c 'trap "echo bye; exit 3" TERM
        echo out; echo err >&2; while :; do sleep 0.05; done'
    wait_until 20 grep -q err "$NODE/log"
    ctr task kill c
    wait_until 20 task_is c STOPPED
    ctr task delete c 2>&1 | without_time
    # Two pipes, copied side by side: the order is anyone's.
    sort "$NODE/log"
    rm "$NODE/log"
}
everyday "run --detach: a log file, SIGTERM, the exit code" log_to_file \
    $'level=warning msg="task c exit with non-zero exit code 3"\nbye\nerr\nout' create kill delete

# The container writes to pipes that somebody opens later.
attach_later() {
    local status=0
    run_container "$@" --detach --fifo-dir "$NODE/pipes" -- c sh -c 'read line; echo "got $line"; exit 3' </dev/null >/dev/null 2>&1
    echo hello | ctr task attach c || status=$?
    echo "$status"
}
everyday "attach to a detached container" attach_later $'got hello\n3' create

# --- exec ------------------------------------------------------------------------------------------------------------
start_sleeping() { run_container "$1" "$2" --detach --null-io "${@:3}" -- c sleep 1000; }       # VIA RUNTIME [CTR-OPTION...]

exec_in_container() {
    start_sleeping "$@"
    ctr task exec --exec-id 1 --cwd /tmp --user 1:2 c sh -c 'echo "$(id -u):$(id -g) in $PWD"; exit 5' || echo $?
    echo hello | ctr task exec --exec-id 2 c sh -c 'read line; echo "got $line"'
    ctr task exec --exec-id 3 --detach --log-uri "file://$NODE/log" c sh -c 'echo logged'
    wait_until 20 grep logged "$NODE/log"
    rm "$NODE/log"
}
everyday "exec: user, directory, exit code, stdin, a log" exec_in_container $'1:2 in /tmp\n5\ngot hello\nlogged' exec

exec_in_terminal() {
    start_sleeping "$@"
    echo hello | in_terminal ctr task exec --exec-id 1 --tty c sh -c 'test -t 0 && test -t 1 && read line && echo "tty: got $line"; exit 4'
}
everyday "exec: a terminal" exec_in_terminal $'tty: got hello\n4' exec

exec_without_program() {
    start_sleeping "$@"
    ctr task exec --exec-id 1 c /no/such/program 2>&1 | without_time
}
everyday "exec: the runtime's own error" exec_without_program "ctr: *exec*/no/such/program*" exec

# --- signals and states ----------------------------------------------------------------------------------------------
status_and_freezer() { echo "$(ctr task list | awk '$1 == "c" { print $3 }') $(cat /sys/fs/cgroup/freezer/default/c/freezer.state)"; }

pause_and_resume() {
    start_sleeping "$@"
    ctr task pause c
    status_and_freezer
    ctr task resume c
    status_and_freezer
}
everyday "pause and resume" pause_and_resume $'PAUSED FROZEN\nRUNNING THAWED' pause resume

kill_and_delete() {
    start_sleeping "$@"
    ctr task delete c 2>&1 | without_time | tail -n 1 | grep -o 'must be stopped.*'
    ctr task kill --signal KILL c
    wait_until 20 task_is c STOPPED
    ctr task delete c 2>&1 | without_time
    ctr container delete c
    ctr container list --quiet
    find /sys/fs/cgroup /run/containerd -path '*/default/c'
}
everyday "kill and delete leave nothing" kill_and_delete \
    $'must be stopped before deletion*\nlevel=warning msg="task c exit with non-zero exit code 137"' kill delete

processes_and_metrics() {
    start_sleeping "$@"
    ctr task exec --exec-id 1 --detach c sleep 1000 3>&-
    ctr task ps c | wc -l
    ctr task metrics c | awk '/^(pids.current|memory.limit)/ { print $1, $2 }'
}
everyday "ps and metrics" processes_and_metrics $'3\n*pids.current 2*' ps

# --- what a container is made of -------------------------------------------------------------------------------------
volumes() {
    mkdir -p "$NODE/data" "$NODE/other"
    echo in >"$NODE/data/in"
    run_container "$@" --rm --mount "type=bind,src=$NODE/data,dst=/data,options=rbind:rw" --mount type=tmpfs,src=tmpfs,dst=/scratch \
        --mount "type=bind,src=$NODE/other,dst=/other,options=rbind:ro" -- c \
        sh -c 'cat /data/in; echo out >/data/out; echo kept >/scratch/file; cat /scratch/file; touch /other/file 2>/dev/null || echo refused'
    cat "$NODE/data/out"
    rm "$NODE/data/out"
}
everyday "volumes: writable, read-only, tmpfs" volumes $'in\nkept\nrefused\nout' create

# With --uidmap ctr forgets --runc-binary (it sends the shim other options), and the shim looks for runc.
user_namespace() {
    ln -s "$(program_of "$@")" /usr/local/bin/runc
    run_container "$@" --rm --uidmap 0:100000:65536 --gidmap 0:200000:65536 --remap-labels \
        --mount "type=bind,src=$NODE,dst=/host,options=rbind:rprivate:rw" -- c \
        sh -c 'cat /proc/self/uid_map /proc/self/gid_map; id -u; touch /mine && echo made; touch /host/x 2>/dev/null || echo refused'
    rm /usr/local/bin/runc
}
everyday "a user namespace" user_namespace $'*0 *100000 *65536\n*0 *200000 *65536\n0\nmade\nrefused' create

privileges() {
    run_container "$@" --rm --read-only -- c sh -c 'touch /file 2>/dev/null || echo refused'
    run_container "$@" --rm --privileged -- c sh -c 'mount -t tmpfs tmpfs /tmp && echo mounted'
    run_container "$@" --rm -- c sh -c 'mount -t tmpfs tmpfs /tmp 2>/dev/null || echo refused'
}
everyday "--read-only and --privileged" privileges $'refused\nmounted\nrefused' create

identity() {
    run_container "$@" --rm --env A=b --cwd /tmp --user 1:2 --hostname me --label x=y -- c \
        sh -c 'echo "$A $PWD $(id -u):$(id -g) $(cat /proc/sys/kernel/hostname)"'
    run_container "$@" --rm --net-host -- c sh -c 'ls /sys/class/net' | diff - <(ls /sys/class/net) && echo "the host's network"
}
everyday "environment, directory, user, host name, network" identity $'b /tmp 1:2 me\nthe host\'s network' create

resources() {
    start_sleeping "$@" --cgroup /it-ctr/of-c --memory-limit 33554432 --cpu-shares 512
    cat /sys/fs/cgroup/{memory/it-ctr/of-c/memory.limit_in_bytes,cpu/it-ctr/of-c/cpu.shares}
}
everyday "a cgroup and its limits" resources $'33554432\n512' create

run_without_program() { run_container "$@" --rm -- c /no/such/program 2>&1 | without_time; }
everyday "run: the runtime's own error" run_without_program "ctr: *OCI runtime create failed: *exec*/no/such/program*" create
