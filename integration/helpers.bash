# shellcheck shell=bash
# shellcheck disable=SC2034  # setup defines what the other files use
# What every test file loads: setup, teardown with its "nothing is left" check. The vocabulary is in bundle.bash
# (bundles, containers, the guard), pins.bash (who holds what), assertions.bash and rows.bash (the decision table).
#
# Words: VIA is `bare` (the runtime alone) or `guard` (the guard in front of it); RUNTIME is runc or crun.

bats_require_minimum_version 1.11.0
load assertions
load bundle
load pins

setup() {
    NODE=$(readlink -f "$BATS_TEST_TMPDIR")/node         # all that a test makes is below this folder
    mkdir -p "$NODE"
    ROOT=$NODE/root                                      # the protected root
    mkdir "$ROOT"
    GUARD_LOG=$NODE/guard.log
    OPEN_FDS=()
}

teardown() {
    local runtime
    dump_on_failure
    ! declare -F end_hanging_file_servers >/dev/null || end_hanging_file_servers
    for runtime in runc crun; do delete_all_containers "$runtime"; done
    close_fds
    unmount_below "$NODE"
    rm -rf /etc/runc-guard /etc/criu/default.conf
    assert_nothing_left
}

# bats prints this only for a test that failed.
dump_on_failure() {
    local file
    [[ -z ${BATS_TEST_COMPLETED:-} ]] || return 0
    for file in "$GUARD_LOG" "$NODE"/*.toml "$NODE"/*/std{out,err} "$NODE"/*/oci.log; do
        [[ ! -s $file ]] || { echo "--- ${file#"$NODE"/}"; tail -n 20 "$file"; }
    done
}

leftovers() {
    mounts_below "$NODE" | sed 's/^/mount /'
    losetup --list --noheadings --output NAME,BACK-FILE | grep -F "$NODE/" | sed 's/^/loop device /' || true
    find /sys/fs/cgroup -type d -name "$(container_id '*')" | sed 's/^/cgroup /'
    pgrep -af "$NODE/" | sed 's/^/process /' || true
    # Dot files too: a temporary file of the guard would be one.
    find "$NODE"/bundle-* -maxdepth 1 -mindepth 1 ! -name config.json ! -name rootfs ! -name 'std*' ! -name oci.log 2>/dev/null |
        sed 's/^/file /'
}

assert_nothing_left() {
    # The kernel gives a loop device back in the background.
    wait_until 10 nothing_left || fail "left behind:"$'\n'"$(leftovers)"
}

nothing_left() { [[ -z $(leftovers) ]]; }

# Register FUNCTION once for each runtime; it gets the runtime's name.
test_with_each_runtime() {                               # DESCRIPTION FUNCTION [ARG...]
    local runtime
    for runtime in runc crun; do
        bats_test_function --description "$runtime: $1" -- "$2" "$runtime" "${@:3}"
    done
}
