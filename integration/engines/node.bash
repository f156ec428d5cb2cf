# shellcheck shell=bash
# shellcheck disable=SC2034  # setup defines what the other files use
# A node with an engine on it: what every engine test file loads. Each engine's own file defines start_engine and stop_engine
# (nothing for podman), container_pid NAME and remove_all_containers, and what its tests say.
#
# Words: VIA is `bare` (the engine with the runtime alone) or `guard` (with runc-guard in front of it); RUNTIME is runc or crun.

bats_require_minimum_version 1.11.0
load ../assertions
load ../pins

setup() {
    NODE=$(readlink -f "$BATS_TEST_TMPDIR")/node         # the host's trees that a test makes; never the engine's own
    mkdir -p "$NODE"
    OPEN_FDS=()
    write_guard_settings runc
}

teardown() {
    dump_on_failure
    remove_all_containers
    close_fds
    unmount_below "$NODE"
    rm -rf /etc/runc-guard "$GUARD_LOG"
    assert_nothing_left
}

GUARD_LOG=/var/log/runc-guard.log

# bats prints this only for a test that failed.
dump_on_failure() {
    local file
    [[ -z ${BATS_TEST_COMPLETED:-} ]] || return 0
    for file in "$GUARD_LOG" /etc/runc-guard/*.toml "$NODE"/*.log "${BATS_FILE_TMPDIR:?}"/*.log; do
        [[ ! -s $file ]] || { echo "--- $file"; tail -n 30 "$file"; }
    done
}

leftovers() {
    mounts_below "$NODE" | sed 's/^/mount /'
    losetup --list --noheadings --output NAME,BACK-FILE | grep -F "$NODE/" | sed 's/^/loop device /' || true
    pgrep -af "$NODE/" | sed 's/^/process /' || true
}

assert_nothing_left() {
    # The kernel gives a loop device back in the background.
    wait_until 20 nothing_left || fail "left behind:"$'\n'"$(leftovers)"
}

nothing_left() { [[ -z $(leftovers) ]]; }

# --- the guard -------------------------------------------------------------------------------------------------------
# The real runtime behind the guard, for every call from now on: a container lives and dies with one of them.
# SETTINGS: further lines of TOML. The protected roots are the default ones and the test's own trees.
write_guard_settings() {                                 # RUNTIME [TOML-LINES]
    mkdir -p /etc/runc-guard
    cat >/etc/runc-guard/config.toml <<TOML
runtimes = ["$(command -v "$1")"]
extra_protected_roots = ["$NODE"]
${2:-}
TOML
}

# The program that the engine is to execute.
program_of() {                                           # VIA RUNTIME
    if [[ $1 == guard ]]; then echo /usr/local/bin/runc-guard; else command -v "$2"; fi
}

# --- who holds what --------------------------------------------------------------------------------------------------
container_mountinfo() { cat "/proc/$(container_pid "$1")/mountinfo"; }     # NAME

guard_notices() { [[ ! -f $GUARD_LOG ]] || jq -r '.notices[]?.msg' "$GUARD_LOG"; }
guard_changes() { [[ ! -f $GUARD_LOG ]] || jq -c '.changes[]?' "$GUARD_LOG"; }

# --- one test for several runtimes -----------------------------------------------------------------------------------
test_with_each_runtime() {                               # DESCRIPTION FUNCTION [ARG...]
    local runtime
    for runtime in runc crun; do
        bats_test_function --description "$runtime: $1" -- "$2" "$runtime" "${@:3}"
    done
}
