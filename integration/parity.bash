# shellcheck shell=bash
# shellcheck disable=SC2034  # what checkpoint.bash and bundle.bash read
# What the runtime's own create makes, against what the guard makes for a restore from an image where it is all missing (P7).
# A group is one container with many mounts; a row looks at some of its paths.

load checkpoint
load restore_rows

# --- once for the file -----------------------------------------------------------------------------------------------
# Files of results: NAME is RUNTIME-GROUP. NAME.create, NAME.guard: the trees. NAME.failed: why there are none, or why the restored container does
# not go on.
record_groups() {                                        # GROUP...
    local runtime group
    for runtime in runc crun; do
        for group in "$@"; do record_group "$runtime" "$group"; done
    done
}

record_group() {                                         # RUNTIME GROUP
    local result=$BATS_FILE_TMPDIR/$1-$2
    NODE=$BATS_FILE_TMPDIR/node-$1-$2
    ROOT=$NODE/root
    GUARD_LOG=$NODE/guard.log
    # Containers have names of their own; those of the tests have the test's number.
    BATS_SUITE_TEST_NUMBER=parity-$1-$2
    mkdir -p "$ROOT"
    # In the background, because `set -e` has no effect to the left of `||`.
    (set -e; record_both "$1" "$2" "$result") >"$result.log" 2>&1 3>&- &
    wait $! || mv "$result.log" "$result.failed"
    delete_all_containers "$1" || true
    unmount_below "$NODE"
}

record_both() {                                          # RUNTIME GROUP RESULT
    local runtime=$1 group=$2 result=$3
    make_case own "$group"
    create_container bare "$runtime" || fail "$runtime create: $(cat "$BUNDLE/stderr" "$BUNDLE/oci.log")"
    record_case >"$result.create"
    delete_all_containers "$runtime"
    make_case guarded "$group"
    checkpoint_for_parity "$runtime" "$group"
    migrate
    run_guard_alone "$runtime" || fail "guard: $(cat "$BUNDLE/stderr")"
    record_case >"$result.guard"
    [[ -n $IMAGE_IS_REAL ]] || return 0
    restore_or_fail "$runtime"
    assert_restored "$runtime"
}

# CRIU cannot dump the device files of crun in a user namespace (restore_rootfs.bats), nor the name with a newline as it is: there config.json
# must do, without an image.
checkpoint_for_parity() {                                # RUNTIME GROUP
    IMAGE_IS_REAL=yes
    if [[ $1-$2 == @(crun-user_namespace|*-newline) ]]; then
        IMAGE_IS_REAL=
        cp "$BUNDLE/config.json" "$NODE/as-written-${BUNDLE##*/}.json"
        return
    fi
    checkpoint_container guard "$1" || fail "guard $1 checkpoint: $(grep -h Error "$WORK/dump.log"; cat "$BUNDLE/stderr")"
}

record_case() {
    unshare --mount --propagation private "$BATS_TEST_DIRNAME/record_tree" "rootfs=$BUNDLE/rootfs" "source=$HOST" | sort
}

# --- rows ------------------------------------------------------------------------------------------------------------
# shape DESCRIPTION GROUP PATH...
#   PATH       rootfs/... or source/...: it is there after the create, and after the guarded restore it is the same, with all below it; a
#              trailing / leaves out what is below
shape() { test_with_each_runtime "$1" check_shape "${@:2}"; }

check_shape() {                                          # RUNTIME GROUP PATH...
    local result=$BATS_FILE_TMPDIR/$1-$2 path created
    [[ -s $result.create && -s $result.guard ]] || fail "nothing was recorded: $(cat "$result".{log,failed} 2>/dev/null)" || return 1
    for path in "${@:3}"; do
        created=$(lines_of "$path" "$result.create")
        [[ -n $created ]] || fail "the runtime's create makes no $path: $(cat "$result.create")" || return 1
        diff <(echo "$created") <(lines_of "$path" "$result.guard") || fail "$path: '<' is the runtime's create, '>' the guarded restore"
    done
}

lines_of() {                                             # PATH RECORD
    # Not by -v, which would read the backslashes.
    WANTED=$1 awk 'BEGIN { path = ENVIRON["WANTED"]; alone = sub("/$", "", path) }
        index($0, path " ") == 1 || !alone && (index($0, path "/") == 1 || index($0, path ":") == 1)' "$2"
}

# whole DESCRIPTION GROUP: nothing more, nothing less than the create makes, and the container is restored and goes on.
whole() { test_with_each_runtime "$1" check_whole "$2"; }

# crun 1.28 also makes what `..` leads out of again (/d/up/../dots). Nothing is mounted there, and the guard spells such destinations anew.
BY_PRODUCT='^source/d/up d 1755 0:0$'

check_whole() {                                          # RUNTIME GROUP
    local result=$BATS_FILE_TMPDIR/$1-$2
    [[ ! -e $result.failed ]] || fail "$(cat "$result.failed")" || return 1
    diff <(grep -vE "$BY_PRODUCT" "$result.create") "$result.guard" || fail "'<' is the runtime's create, '>' the guarded restore"
}
