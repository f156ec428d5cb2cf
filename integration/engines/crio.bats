#!/usr/bin/env bats
# CRI-O's calls through conmon, with runc-guard in the runtime's place: what a pod does every day is the same as without it.
# shellcheck disable=SC2016  # the container's shell expands it

load crio

# FUNCTION VIA RUNTIME makes the container `box`; what it prints must be equal on both ways, and be LINES.
both_ways() {                                            # RUNTIME FUNCTION LINE...
    local via answer
    write_guard_settings "$1"
    for via in bare guard; do
        answer=$("$2" "$via" "$1" 2>&1) || fail "$via: $answer"
        assert_equal "$via" "$answer" "$(printf '%s\n' "${@:3}")"
        remove_all_containers
    done
    # The binds below /var/run are spelt anew, and the kubelet's are slaves.
    assert_contains "the guard's log" "$(guard_changes)" /run/secrets/kubernetes.io/serviceaccount
}

whole_life() {                                           # VIA RUNTIME
    local id
    id=$(id_of box)
    make_container box sh -c 'trap "echo heard; exit 3" TERM; echo out; echo err >&2; while :; do sleep 0.1; done'
    conmon_create "$1" "$2" box
    status_of "$1" "$2" box
    crio_runtime "$1" "$2" start "$id"
    wait_until 10 grep -q 'stderr F err' "$(log_of box)"
    status_of "$1" "$2" box
    crio_runtime "$1" "$2" kill "$id" TERM
    wait_until 20 has_exited box
    echo "exit code $(exit_code_of box)"
    status_of "$1" "$2" box
    crio_runtime "$1" "$2" delete --force "$id"
    ! crio_runtime "$1" "$2" state "$id" 2>/dev/null
    cut -d' ' -f2- "$(log_of box)" | sort
}
test_with_each_runtime "create, start, state, kill, delete; log and exit code" both_ways whole_life \
    created running "exit code 3" stopped "stderr F err" "stdout F heard" "stdout F out"

running_box() {                                          # VIA RUNTIME
    make_container box sleep 1000
    start_container "$1" "$2" box
}

execs() {                                                # VIA RUNTIME
    running_box "$1" "$2"
    exec_sync "$1" "$2" box sh -c 'echo $HOSTNAME; cat /run/secrets/kubernetes.io/serviceaccount/token; id -u; exit 7'
    exec_output
    echo "$EXIT_CODE"
    exec_sync "$1" "$2" box nonesuch
    ((EXIT_CODE != 0)) || fail "nonesuch is there"
    # A streaming exec is a direct call.
    jq -c '.process | .args = ["cat"]' <"$(bundle_of box)/config.json" >"$NODE/process.json"
    echo typed | crio_runtime "$1" "$2" exec --process "$NODE/process.json" "$(id_of box)"
}
test_with_each_runtime "exec: output and exit code" both_ways execs "stdout pod" "stdout secret" "stdout 0" 7 typed

freezes() {                                              # VIA RUNTIME
    running_box "$1" "$2"
    crio_runtime "$1" "$2" pause "$(id_of box)"
    status_of "$1" "$2" box
    crio_runtime "$1" "$2" resume "$(id_of box)"
    status_of "$1" "$2" box
}
test_with_each_runtime "pause and resume" both_ways freezes paused running

limits() {                                               # VIA RUNTIME
    running_box "$1" "$2"
    cat /sys/fs/cgroup/{memory,pids}/kubepods/pod0f1e/crio-"$(id_of box)"/{memory.limit_in_bytes,pids.max} 2>/dev/null
    echo '{"memory": {"limit": 67108864}, "cpu": {"shares": 204, "quota": 100000, "period": 100000}, "pids": {"limit": 50}}' |
        crio_runtime "$1" "$2" update --resources - "$(id_of box)"
    cat /sys/fs/cgroup/{memory,pids}/kubepods/pod0f1e/crio-"$(id_of box)"/{memory.limit_in_bytes,pids.max} 2>/dev/null || true
}
test_with_each_runtime "update, its limits on standard input" both_ways limits 134217728 100 67108864 50

terminal() {                                             # VIA RUNTIME
    make_container box sh -c 'busybox tty; exec sleep 1000'
    edit_crio_spec box '.process.terminal = true'
    conmon_create "$1" "$2" box -t || fail "$SYNC"
    crio_runtime "$1" "$2" start "$(id_of box)"
    wait_until 10 grep -q stdout "$(log_of box)"
    cut -d' ' -f2- "$(log_of box)" | tr -d '\r'
}
test_with_each_runtime "a terminal" both_ways terminal "stdout F /dev/pts/0"

# --- protect ---------------------------------------------------------------------------------------------------------
host_path() {                                            # RUNTIME SOURCE WORD BARE
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        make_container "$via" sleep 1000
        add_host_path "$via" "${2:-$NODE/tree}" /host "$3"
        start_container "$via" "$1" "$via"
        detach_volume "$via"
        assert_equal "$via" "$RESULT" "$([[ $via == guard ]] && echo released || echo "$4")"
    done
}
test_with_each_runtime "hostPath, mountPropagation None" host_path "" rprivate pinned
test_with_each_runtime "hostPath /, mountPropagation None" host_path / rprivate pinned
test_with_each_runtime "hostPath, HostToContainer" host_path "" rslave released

bidirectional() {                                        # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        mkdir "$NODE/tree/made-$via"
        make_container "$via" sleep 1000
        add_host_path "$via" "$NODE/tree" /host rshared
        edit_crio_spec "$via" '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
        start_container "$via" "$1" "$via"
        exec_sync "$via" "$1" "$via" mount -t tmpfs made "/host/made-$via"
        mountpoint --quiet "$NODE/tree/made-$via" || fail "$via: the container's mount is not on the host: $(exec_output)"
        detach_volume "$via"
        assert_equal "$via" "$RESULT" released
    done
}
test_with_each_runtime "hostPath, Bidirectional" bidirectional
