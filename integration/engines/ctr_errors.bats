#!/usr/bin/env bats
# What ctr's user sees when the guard refuses; what goes on nevertheless; and what an engine asks a runtime about itself.
# (A restore that cannot be is in ctr_restore.bats.)

load ctr

setup_file() { start_containerd_with_image; }
teardown_file() { stop_containerd; }

# ctr says SENTENCE, which the guard wrote, and nothing about an error that it could not find.
assert_ctr_shows() {                                     # SENTENCE COMMAND...
    local sentence=$1 status=0
    shift
    "$@" >"$NODE/stdout" 2>"$NODE/stderr" || status=$?
    assert_equal "exit status" "$status" 1
    assert_contains "ctr's error" "$(cat "$NODE/stderr")" "ctr: failed to create shim task: OCI runtime create failed: runc-guard: $sentence"
    [[ $(cat "$NODE/stderr") != *"unable to retrieve OCI runtime error"* ]] || fail "$(cat "$NODE/stderr")" || return 1
    assert_equal "stdout" "$(cat "$NODE/stdout")" ""
    assert_equal "containers" "$(ctr container list --quiet | grep -x "$NAME" || true)" ""
}

# The same call without the guard works.
refused() {                                              # RUNTIME SENTENCE
    NAME=c
    local -a call=("$1" --rm --mount "type=bind,src=$NODE/tree,dst=/host,options=rbind:rprivate" -- "$NAME" true)
    mkdir "$NODE/tree"
    run_container bare "${call[@]}"
    assert_ctr_shows "$2" run_container guard "${call[@]}"
}

rejected() {                                             # RUNTIME
    write_guard_settings "$1" 'policy = "reject"'
    refused "$1" "mount /host: its source $NODE/tree lies inside the protected root $NODE and has the propagation rprivate; write rslave instead"
}
test_with_each_runtime "policy reject" rejected

runtime_is_missing() {                                   # RUNTIME
    write_guard_settings "$1"
    sed -i 's|^runtimes = .*|runtimes = ["/no/such/runtime"]|' /etc/runc-guard/config.toml
    refused "$1" ""
    assert_contains "ctr's error" "$(cat "$NODE/stderr")" "/no/such/runtime"
}
test_with_each_runtime "the real runtime is missing" runtime_is_missing

UNKNOWN_KEY="read settings /etc/runc-guard/config.toml, line 3: unknown key no_such_key"

settings_are_broken() {                                  # RUNTIME
    write_guard_settings "$1" 'no_such_key = 1'
    refused "$1" "$UNKNOWN_KEY"
}
test_with_each_runtime "the settings are broken" settings_are_broken

# Containers that are there can still be looked at, used and removed.
containers_survive_broken_settings() {                   # RUNTIME
    NAME=another
    write_guard_settings "$1"
    run_container guard "$1" --detach --null-io -- c sleep 1000
    write_guard_settings "$1" 'no_such_key = 1'
    assert_ctr_shows "$UNKNOWN_KEY" run_container guard "$1" --rm -- "$NAME" true
    assert_equal "exec" "$(ctr task exec --exec-id 1 c echo works)" works
    ctr task pause c
    task_is c PAUSED
    ctr task resume c
    ctr task ps c | grep -q "$(container_pid c)"
    ctr task kill --signal KILL c
    wait_until 20 task_is c STOPPED
    ctr task delete c 2>/dev/null
    ctr container delete c
    assert_equal "cgroups" "$(find /sys/fs/cgroup -path '*/default/c')" ""
}
test_with_each_runtime "broken settings: exec, pause, ps, kill and delete go on" containers_survive_broken_settings

# --- what an engine asks ---------------------------------------------------------------------------------------------
answers_are_the_runtimes() {                             # RUNTIME
    local question
    write_guard_settings "$1"
    for question in --version features "checkpoint --help" "list --help"; do
        # Help names the program as it was called.
        # shellcheck disable=SC2086  # words
        cmp <((exec -a runc-guard "$(command -v "$1")" $question) 2>&1; echo $?) <(runc-guard $question 2>&1; echo $?) || fail "$question"
    done
    assert_contains "features" "$(runc-guard features | jq -c .mountOptions)" '"rslave"'
}
test_with_each_runtime "--version, features and help are the runtime's" answers_are_the_runtimes

# containerd 2 asks for the features before there is a container; 1.7 has no such question.
shim_asks_for_features() {                               # RUNTIME
    local via
    write_guard_settings "$1"
    record_calls "$1"
    for via in bare guard; do
        ctr plugins inspect-runtime --runc-binary "$(program_of "$via" "$1")" | jq 'del(.Options)' >"$NODE/$via.json"
    done
    assert_contains "features" "$(jq -c .Features.mountOptions "$NODE/bare.json")" '"rslave"'
    cmp "$NODE/bare.json" "$NODE/guard.json"
    assert_equal "asked through the guard" "$(cat "$NODE/calls")" features
}
if ctr plugins --help | grep -q inspect-runtime; then
    test_with_each_runtime "containerd 2 gets the runtime's features" shim_asks_for_features
fi
