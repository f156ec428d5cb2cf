#!/usr/bin/env bats
# The guard is not alone between engine and runtime: whatever stands before and behind it, containers live and die as ever, what the
# others write stays, and volumes are let go.
# shellcheck disable=SC2016,SC2034  # the container's shell expands; SETTINGS and WRAPPER_NAME are read by make_chain

load helpers
load chains

setup_file() { export REAL_GUARD=$GUARD; }

# --- containers live and die, volumes are let go ---------------------------------------------------------------------
works() {                                                # RUNTIME LINK...
    local via
    for via in bare guard; do
        make_bundle "$via"
        attach_volume "$ROOT/volume-$via"
        add_bind "$ROOT" rbind,rprivate
        make_chain "$via" "$@"
        assert_life "$@"
        assert_equal "$via" "$RESULT" "$([[ $via == guard ]] && echo released || echo pinned)"
    done
}

# Sets RESULT, see detach_volume.
assert_life() {                                          # RUNTIME LINK...
    local id
    id=$(id_of_bundle)
    start_by_chain "$1"
    assert_equal "state" "$(chain "$1" state "$id" | jq -r .status)" running
    assert_equal "exec" "$(chain "$1" exec "$id" echo word)" word
    assert_additions "$@"
    detach_volume "$1"
    chain "$1" kill "$id" KILL
    wait_until 20 has_status "$1" stopped
    chain "$1" delete "$id"
    assert_no_container "$1"
    assert_every_wrapper_was_called "${@:2}"
}

# What a wrapper of the chain wrote into config.json is in the container.
assert_additions() {                                     # RUNTIME LINK...
    [[ " ${*:2} " == *" in-place "* || " ${*:2} " == *" renamed "* ]] || return 0
    assert_equal "variable" "$(chain "$1" exec "$(id_of_bundle)" sh -c 'echo $ADDED')" yes
    assert_equal "mount" "$(container_mountinfo "$1" | awk '$5 == "/added" { print $(NF - 2) }' | sort -u)" tmpfs
    grep -qx hook "$CALLS" || fail "the hook did not run: $(cat "$CALLS")"
}

assert_every_wrapper_was_called() {                      # LINK...
    local link command
    for link in "$@"; do
        [[ $link != guard ]] || continue
        for command in create start state exec kill delete; do
            grep -qE "^$link .* $command " "$CALLS" || fail "$link was not called for $command: $(cat "$CALLS")"
        done
    done
}

chain_row() {                                            # LINK...
    local links
    printf -v links '%s → ' "$@"
    test_with_each_runtime "${links}the runtime" works "$@"
}
chain_row guard plain
chain_row plain guard
chain_row guard in-place
chain_row guard renamed
chain_row in-place guard
chain_row renamed guard
chain_row plain guard in-place
chain_row renamed guard plain
chain_row guard plain guard
chain_row guard renamed guard in-place

# --- who comes last decides ------------------------------------------------------------------------------------------
# A bind that a wrapper adds is repaired by a guard behind it, and by no guard before it.
added_bind() {                                           # RUNTIME RESULT LINK...
    make_bundle added
    attach_volume "$ROOT/volume"
    make_chain guard "$1" "${@:3}"
    start_by_chain "$1"
    detach_volume "$1"
    assert_equal "effect" "$RESULT" "$2"
}
test_with_each_runtime "a wrapper's own bind is repaired behind it" added_bind released binding guard
test_with_each_runtime "a wrapper's own bind is not known before it" added_bind pinned guard binding
test_with_each_runtime "a wrapper's own bind between two guards is repaired" added_bind released guard binding guard

# --- a wrapper of another name ---------------------------------------------------------------------------------------
# The guard does not guess how an unknown runtime reads its arguments.
foreign_name() {                                         # RUNTIME
    WRAPPER_NAME=nvidia-container-runtime
    works_as pinned "$1"
    SETTINGS="flavour = \"$1\""
    works_as released "$1"
}
works_as() {                                             # RESULT RUNTIME
    make_bundle "$1"
    attach_volume "$ROOT/volume-$1"
    add_bind "$ROOT" rbind,rprivate
    rm -rf "$NODE/chain-guard"
    make_chain guard "$2" guard plain
    assert_life "$2" guard plain
    assert_equal "effect" "$RESULT" "$1"
}
test_with_each_runtime "a wrapper of a foreign name: untouched, unless flavour tells" foreign_name

# --- errors ----------------------------------------------------------------------------------------------------------
# What a wrapper says is what it would have said without the guard.
wrapper_fails() {                                        # RUNTIME
    local via status
    for via in bare guard; do
        make_bundle "$via"
        make_chain "$via" "$1" guard failing
        status=0
        create_by_chain "$1" || status=$?
        assert_equal "$via: status" "$status" 5
        assert_equal "$via: stderr" "$(cat "$BUNDLE/stderr")" "wrapper: no such device"
        [[ ! -s $BUNDLE/oci.log ]] || fail "$via: log: $(cat "$BUNDLE/oci.log")"
        assert_no_container "$1"
    done
}
test_with_each_runtime "the error of a wrapper is shown" wrapper_fails

# As the engine sees it: status 1, one line in its log, the same on stderr.
assert_ends_with_error() {                               # RUNTIME PART...
    local status=0 message part
    create_by_chain "$1" || status=$?
    assert_equal "status" "$status" 1
    assert_equal "lines in --log" "$(wc -l <"$BUNDLE/oci.log")" 1
    message=$(jq -r .msg "$BUNDLE/oci.log")
    for part in "${@:2}"; do assert_contains "message" "$message" "$part"; done
    assert_equal "stderr" "$(cat "$BUNDLE/stderr")" "$message"
    status=0
    chain "$1" state "$(id_of_bundle)" >/dev/null 2>&1 || status=$?
    assert_equal "status of state" "$status" 1
}

# The wrapper executes a guard that was installed as the runtime, and that one would execute the wrapper.
loop() {                                                 # RUNTIME HOW-TO-INSTALL [wrapper-first]
    make_bundle loop
    mkdir "$NODE/chain-guard"
    CALLS=$NODE/chain-guard/calls
    mkdir "$NODE/bin"
    $2 "$REAL_GUARD" "$NODE/bin/$1"
    FRONT=$(make_wrapper plain "$NODE/chain-guard/0" "$1" "$NODE/bin/$1")
    write_chain_settings "$1" "\"$FRONT\""
    local wrapper=$FRONT
    [[ ${3:-} == wrapper-first ]] || FRONT=$REAL_GUARD
    assert_ends_with_error "$1" "find the real runtime" "$wrapper: leads back to runc-guard" "name one in the setting runtimes"
    (($(wc -l <"$CALLS") <= 4)) || fail "the wrapper was called too often: $(cat "$CALLS")"
}
test_with_each_runtime "guard → wrapper → the guard as runtime: an error names the loop" loop "ln -s"
test_with_each_runtime "guard → wrapper → a copy of the guard: an error names the loop" loop cp
test_with_each_runtime "wrapper → guard → the same wrapper: an error names the loop" loop cp wrapper-first

# No wrapper at all: two installations that name each other.
guards_that_name_each_other() {                          # RUNTIME
    make_bundle loop
    mkdir "$NODE/one" "$NODE/other"
    cp "$REAL_GUARD" "$NODE/one/$1"
    cp "$REAL_GUARD" "$NODE/other/$1"
    write_chain_settings "$1" "\"$NODE/one/$1\"" "\"$NODE/other/$1\""
    FRONT=$NODE/one/$1
    assert_ends_with_error "$1" "runc-guard itself" "leads back to runc-guard"
}
test_with_each_runtime "two guards that name each other: an error names the loop" guards_that_name_each_other
