#!/usr/bin/env bats
# What podman shows of the guard's errors, and what it learns when it asks for the runtime.
# shellcheck disable=SC2034  # what podman_restore.bash reads

load podman_restore

setup_file() {
    prepare_podman
    wrap_crun
}
teardown_file() { unwrap_crun; }

# --- errors ----------------------------------------------------------------------------------------------------------
# podman executes the guard by the name that is in runtime_supports_json (it then writes a log for podman), and by path, of which
# podman knows nothing (podman then reads its stderr).
ways_to_call() { printf '%s\n' runc-guard /usr/local/bin/runc-guard; }

# podman's own prefix tells how it classified the failure, its status goes by that: 126 is "the OCI runtime failed".
run_fails_with() {                                       # MESSAGE [OPTION...]
    local program said status
    while read -r program; do
        status=0
        said=$(podman --runtime "$program" run --rm --network none "${@:2}" busybox true 2>&1) || status=$?
        [[ $said == *"Error: OCI runtime error: $program: runc-guard: $1"* ]] || fail "$program: '$said', expected '$1'" || return 1
        assert_equal "$program, status" "$status" 126
    done < <(ways_to_call)
}

rejected() {                                             # RUNTIME
    mkdir "$NODE/tree"
    write_guard_settings "$1"
    start_container bare "$1" bare --volume "$NODE/tree:/host" busybox sleep 1000
    start_container guard "$1" guard --volume "$NODE/tree:/host" busybox sleep 1000
    write_guard_settings "$1" 'policy = "reject"'
    run_fails_with "mount /host: its source $NODE/tree lies inside the protected root $NODE and has the propagation rprivate; \
write rslave instead" --volume "$NODE/tree:/host"
    podman_via guard "$1" run --rm --network none --volume "$NODE/tree:/host:rslave" busybox true
}
test_with_each_runtime "policy reject" rejected

missing_runtime() {
    podman --runtime runc run --rm --network none busybox true
    echo 'runtimes = ["/missing"]' >/etc/runc-guard/config.toml
    run_fails_with "find the real runtime: none of the candidates can be used (/missing: ENOENT); name one in the setting runtimes"
}
bats_test_function --description "no real runtime" -- missing_runtime

# Containers that run are still inspected, entered, paused, killed and removed; no new one comes into being.
broken_settings() {                                      # RUNTIME
    write_guard_settings "$1"
    start_container guard "$1" running busybox sleep 1000
    sed -i 's/^runtimes/runtmes/' /etc/runc-guard/config.toml
    run_fails_with "read settings /etc/runc-guard/config.toml, line 1: unknown key runtmes"
    assert_equal exec "$(podman exec running echo entered)" entered
    podman pause running
    podman unpause running
    assert_equal ps "$(podman ps --format '{{.Names}} {{.State}}')" "running running"
    podman kill running
    assert_equal wait "$(podman wait running)" 137
    podman rm running
    assert_equal "what is left" "$(podman ps --all --quiet)" ""
}
bats_test_function --description "runc: a broken settings file" -- broken_settings runc

# CRIU's own words are in a log far away; the guard's sentence is what podman says.
file_in_the_way() {
    mkdir "$HOST/ext"
    [[ ! -d $NODE/next ]] || echo content >"$HOST/ext/lower"
    OPTIONS=(--volume "$HOST/ext:/test" --mount "type=tmpfs,dst=/test/lower/directory")
}

impossible_restore() {                                   # RUNTIME
    RUNTIME=$1 MAKER=file_in_the_way
    write_guard_settings "$1"
    for VIA in bare guard; do
        start_counter
        checkpoint
        mkdir "$NODE/next"
        next_host
        ! container_command restore "$NAME" || fail "$VIA: restored over a file"
        rmdir "$NODE/next"
        assert_equal "$VIA: the guard's sentence in podman's" "$(says_what_to_do)" "$([[ $VIA == guard ]] && echo yes || echo no)"
        [[ $VIA == bare ]] || assert_equal "size of CRIU's log" "$(stat -c %s "$BUNDLE/restore.log")" 0       # podman makes it
        [[ $(<"$NODE/podman.log") != *"unable to retrieve OCI runtime error"* ]]
        forget_everything
    done
}
says_what_to_do() {
    local source=$HOST/ext/lower sentence
    sentence="/test/lower/directory: a directory is needed at $source/directory, and $source is no directory (move it away)"
    if grep -qF "Error: OCI runtime error: runc-guard: runc-guard: $sentence" "$NODE/podman.log"; then echo yes; else echo no; fi
}
test_with_each_runtime "a restore that is impossible" impossible_restore

# --- probes ----------------------------------------------------------------------------------------------------------
# Path and name are podman's own; the version text is the runtime's answer.
runtime_information() {                                  # RUNTIME
    local bare guard
    write_guard_settings "$1"
    bare=$(podman_via bare "$1" info --format '{{json .Host.OCIRuntime}}')
    guard=$(podman_via guard "$1" info --format '{{json .Host.OCIRuntime}}')
    assert_equal version "$(jq .version <<<"$guard")" "$(jq .version <<<"$bare")"
    assert_contains version "$(jq -r .version <<<"$guard")" "$1 version "
    assert_equal "name and path" "$(jq -r '.name, .path' <<<"$guard" | paste -sd' ')" "runc-guard /usr/local/bin/runc-guard"
}
test_with_each_runtime "podman info shows the runtime's version" runtime_information

# podman asks `checkpoint --help` first. A runtime that cannot shows that it is asked.
checkpoint_support() {                                   # RUNTIME
    write_guard_settings "$1"
    start_container guard "$1" guard busybox sleep 1000
    mkdir "$NODE/without"
    printf '#!/bin/sh\ncase "$*" in *checkpoint*) exit 1; esac\nexec %s "$@"\n' "$(command -v "$1")" >"$NODE/without/$1"
    chmod +x "$NODE/without/$1"
    echo "runtimes = [\"$NODE/without/$1\"]" >/etc/runc-guard/config.toml
    ! podman container checkpoint guard 2>"$NODE/podman.log" || fail "no probe"
    assert_contains "podman" "$(<"$NODE/podman.log")" "does not support checkpoint/restore"
    write_guard_settings "$1"
    podman container checkpoint guard </dev/null
    assert_equal "state" "$(podman inspect --format '{{.State.Checkpointed}}' guard)" true
}
test_with_each_runtime "podman learns whether the runtime can checkpoint" checkpoint_support
