# shellcheck shell=bash
# shellcheck disable=SC2034  # makers and rows return in variables
# A row of the restore tables: one shape of mounts, restored by the runtime alone (so that no row passes for a wrong reason),
# then from the same image through the guard, then created, checkpointed and restored through the guard.

load checkpoint

# What stops CRIU or the runtime, in their words. CK-...: it is the checkpoint that fails.
declare -gA REASONS=(
    [stat]="mnt-v2: Can't stat mountpoint .*: No such file or directory"
    [move]="mnt-v2: Failed to move_mount from .*: Invalid argument"
    [relative]="mnt-v2: Failed to open_tree \.\./.*: No such file or directory"
    [tmp]="mnt: Can't create a temporary directory: Read-only file system"
    [shadow]="mkdir .*: Read-only file system"
    [stale]="error creating restore directory .*criu-root.*: File exists"
    [source]="(stat|stat'ing file|mount src=).*[nN]o such file or directory"
    [kind]="(cannot mkdir|openat2|mount) .*: not a directory"
    [stat-kind]="mnt-v2: Can't stat mountpoint .*: Not a directory"
    [real]="mnt-v2: Failed to open real mountpoint .*: No such file or directory"
    [read-only]="mkdirat .*: read-only file system"
    [CK-key]="mnt: [0-9]+:\./[^d][^ ]* doesn't have a proper root mount"
    [CK-device]="mnt: [0-9]+:\./dev/urandom doesn't have a proper root mount"
    [CK-slave]="has unreachable sharing. Try --enable-external-masters"
)
# Nothing that is done at create or restore helps against these.
declare -gA INCURABLE=([CK-device]=1 [CK-slave]=1)

# The columns of the tables.
declare -gA MEASURED=([runc-1.1.15]=0 [runc-1.3.6]=1 [crun-1.21]=0 [crun-1.28]=1)

# restore_row DESCRIPTION MAKER RUNC-1.1.15 RUNC-1.3.6 CRUN-1.21 CRUN-1.28 [CREATED...]
#   MAKER      makes bundle and sources; it may set OWNER (else 0:0) SPELT=anew (when the guard must write
#              config.json) and MADE_BY_RUNC (what it makes besides, as a pattern)
#   RUNC-...   alone, that runtime restores it (`ok`, or `elsewhere`: with a mount at another place), or is stopped by one of
#              REASONS; `-` in both columns of a runtime: not tried
#   CREATED    what the guard creates, below HOST (or rootfs/); a directory ends in /; PATH=MODE where it is not as the runtime's own create
#              makes it, see mode_by_create
restore_row() {
    [[ $3$4 == -- ]] || bats_test_function --description "runc: $1" -- check_restore_row runc "$2" "$3" "$4" "${@:7}"
    [[ $5$6 == -- ]] || bats_test_function --description "crun: $1" -- check_restore_row crun "$2" "$5" "$6" "${@:7}"
}

check_restore_row() {                                    # RUNTIME MAKER CELL CELL [CREATED...]
    local runtime=$1 maker=$2
    choose_cell "$1" "$3" "$4"
    shift 4
    make_case bare "$maker"
    if [[ $CELL == CK-* ]]; then
        assert_no_checkpoint bare "$runtime"
    else
        assert_restore_alone "$runtime"
        assert_restore_of_bare_image "$runtime"
    fi
    delete_all_containers "$runtime"
    make_case guarded "$maker"
    if [[ -n ${INCURABLE[$CELL]:-} ]]; then
        assert_no_checkpoint guard "$runtime"
    else
        assert_restore_through_guard "$runtime" "$@"
    fi
}

# Sets CELL, the one of this tree's version. A version that nobody has measured may have learnt what the last one could not:
# TOLERANT then takes `ok` for an answer, too.
choose_cell() {                                          # RUNTIME CELL CELL
    local runtime=$1 version column
    version=$("$1" --version | sed -n '1s/.* version \([0-9][0-9.]*\).*/\1/p')
    column=${MEASURED[$runtime-$version]:-}
    TOLERANT=
    [[ -n $column ]] || { TOLERANT=yes; column=1; echo "# $runtime $version has no column in the restore tables" >&3; }
    shift
    local -a cells=("$@")
    CELL=${cells[column]}
    [[ $CELL == @(ok|elsewhere) || -n ${REASONS[$CELL]:-} ]] || fail "no such cell: $CELL"
}

make_case() {                                            # NAME MAKER (a command)
    OWNER=0:0
    SPELT=
    MADE_BY_RUNC='^$'
    make_counting_bundle "$1"
    $2
}

# --- the runtime alone -----------------------------------------------------------------------------------------------
assert_no_checkpoint() {                                 # VIA RUNTIME
    local status=0
    checkpoint_container "$@" || status=$?
    if ((status == 0)) && [[ -n $TOLERANT ]]; then return 0; fi
    ((status == 1)) || fail "$1 $2: checkpoint, or create, has status $status" || return 1
    assert_reason "$CELL" "$WORK/dump.log"
}

assert_reason() {                                        # CELL LOG; what the runtime said counts, too
    cat "$2" "$BUNDLE/stderr" "$BUNDLE/oci.log" 2>/dev/null | grep -qE -- "${REASONS[$1]}" ||
        fail "not for the reason '$1': $(grep -h Error "$2"; cat "$BUNDLE/stderr")"
}

assert_restore_alone() {                                 # RUNTIME
    local status=0
    checkpoint_container bare "$1"
    migrate
    restore_container bare "$1" || status=$?
    if [[ $CELL == elsewhere && $status == 0 ]]; then
        assert_goes_on "$1"
        [[ $MOUNTS_BEFORE != "$(mounts_of_container "$1")" ]] || fail "the mounts are where they were"
    elif [[ $CELL == ok || -n $TOLERANT && $status == 0 ]]; then
        ((status == 0)) || fail "bare $1 restore: $(grep -h Error "$WORK/restore.log"; cat "$BUNDLE/stderr")" || return 1
        assert_restored "$1"
    else
        ((status != 0)) || fail "bare $1 restores; expected the reason '$CELL'" || return 1
        assert_reason "$CELL" "$WORK/restore.log"
        forget_failed_restore "$1"
    fi
}

# The process that was checkpointed goes on, and sees the mounts that it saw.
assert_restored() {                                      # RUNTIME
    assert_goes_on "$1"
    diff <(echo "$MOUNTS_BEFORE") <(mounts_of_container "$1") || fail "other mounts than before the checkpoint"
}

# --- through the guard -----------------------------------------------------------------------------------------------
restore_or_fail() {                                      # RUNTIME [ARG...]
    restore_container guard "$@" || {
        forget_failed_restore "$1"
        fail "guard $1 restore: $(grep -h Error "$WORK/restore.log"; cat "$BUNDLE/stderr")"
    }
}

# The guard came to the node after the checkpoint.
assert_restore_of_bare_image() {                         # RUNTIME
    delete_all_containers "$1"
    migrate
    restore_or_fail "$1"
    assert_restored "$1"
}

assert_restore_through_guard() {                         # RUNTIME [CREATED...]
    local runtime=$1 mounts
    shift
    checkpoint_container guard "$runtime" || fail "guard $runtime checkpoint: $(grep -h Error "$WORK/dump.log"; cat "$BUNDLE/stderr")"
    migrate
    mounts=$(mounts_below "$NODE")
    assert_guard_creates "$runtime" "$@"
    host_inodes >"$NODE/guard-inodes"
    restore_or_fail "$runtime"
    assert_restored "$runtime"
    # What the runtime leaves in the root file system is its own affair (crun: the mountpoints that it makes in vain).
    compare_host_inodes "$NODE/guard-inodes"
    assert_equal "created by the second run" "$(grep -vE "^bundle-[^/]*/rootfs[/:]|^host-guarded/layers:|$MADE_BY_RUNC" <<<"$NEW_INODES" || true)" ""
    [[ $runtime == crun ]] || assert_equal "created by runc" "$(grep -vE "/proc/|$MADE_BY_RUNC" <<<"$NEW_INODES" || true)" ""
    delete_all_containers "$runtime"
    # None more. (There may be fewer: runc takes away what the host has mounted below a source, see restore_submounts.bats.)
    assert_equal "new mounts on the host" "$(comm -13 <(sort <<<"$mounts") <(mounts_below "$NODE" | sort))" ""
}

# The guard alone: a program in the runtime's place does nothing, so that every new inode is the guard's.
assert_guard_creates() {                                 # RUNTIME [CREATED...]
    prepare_restore "$1" || fail "guard: $(cat "$BUNDLE/stderr")" || return 1
    assert_equal "created" "$NEW_INODES" "$(inode_list "$@")"
    if [[ $SPELT == anew ]]; then
        ! cmp --silent "$NODE/as-migrated.json" "$BUNDLE/config.json" || fail "config.json is as it was"
    else
        cmp "$NODE/as-migrated.json" "$BUNDLE/config.json"
    fi
}

# Sets NEW_INODES. Status: of the guard.
prepare_restore() {                                      # RUNTIME
    local status=0
    host_inodes >"$NODE/guard-inodes"
    run_guard_alone "$1" || status=$?
    compare_host_inodes "$NODE/guard-inodes"
    return "$status"
}

run_guard_alone() {                                      # RUNTIME
    if [[ ! -d $NODE/guard-only ]]; then
        mkdir "$NODE/guard-only"
        printf '#!/bin/sh\n' >"$NODE/guard-only/$1"
        chmod +x "$NODE/guard-only/$1"
        use_guard_settings "$1"
        sed "s|^runtimes = .*|runtimes = [\"$NODE/guard-only/$1\"]|" "$RUNC_GUARD_CONFIG" >"$NODE/guard-only.toml"
    fi
    # An engine's umask is none of the new inodes' business.
    (
        umask 077
        RUNC_GUARD_CONFIG=$NODE/guard-only.toml exec "$GUARD" --log "$BUNDLE/oci.log" --log-format json restore \
            --bundle "$BUNDLE" --image-path "$IMAGE" --work-path "$WORK" "$(id_of_bundle)" </dev/null >/dev/null 2>"$BUNDLE/stderr"
    )
}

inode_list() {                                           # RUNTIME [CREATED...]
    local path mode kind
    for path in "${@:2}"; do
        mode=${path#*=}
        [[ $path == *=* ]] || mode=
        path=${path%%=*}
        kind=f
        [[ $path != */ ]] || kind=d
        [[ -n $mode ]] || mode=$(mode_by_create "$1" "$path" "${@:2}")
        case $path in
            rootfs[/:]*) path=${BUNDLE##*/}/$path ;;
            *) path=${HOST##*/}/$path ;;
        esac
        echo "${path%/} $kind $mode $OWNER"
    done | sort
}

# crun's directories have the sticky bit, but for those that it makes for a file's sake: restore_parity.bats has the measure.
mode_by_create() {                                       # RUNTIME PATH [CREATED...]
    local runtime=$1 path=$2
    shift 2
    case $runtime:$path in
        runc:*/) echo 755 ;;
        runc:*) echo 644 ;;
        crun:*/) holds_files_only "$path" "$@" && echo 755 || echo 1755 ;;
        crun:*) echo 700 ;;
    esac
}

holds_files_only() {                                     # PATH [CREATED...]
    local directory=$1 path holds=
    for path in "${@:2}"; do
        [[ $path == "$directory"?* ]] || continue
        [[ $path != */ ]] || return 1
        holds=yes
    done
    [[ -n $holds ]]
}

# --- refusals --------------------------------------------------------------------------------------------------------
# refusal_row DESCRIPTION MAKER RUNC-1.1.15 RUNC-1.3.6 CRUN-1.21 CRUN-1.28 ITEM...
#   ITEM       a part of the error; @ is HOST
refusal_row() {
    bats_test_function --description "runc: $1" -- check_refusal_row runc "$2" "$3" "$4" "${@:7}"
    bats_test_function --description "crun: $1" -- check_refusal_row crun "$2" "$5" "$6" "${@:7}"
}

check_refusal_row() {                                    # RUNTIME MAKER CELL CELL ITEM...
    choose_cell "$1" "$3" "$4"
    make_case bare "$2"
    assert_restore_alone "$1"
    delete_all_containers "$1"
    assert_refused "$1" "${@:5}"
}

# One line in the engine's log, the same on stderr, and nothing was done.
assert_refused() {                                       # RUNTIME ITEM...
    local runtime=$1 message item
    shift
    migrate
    host_inodes >"$NODE/guard-inodes"
    ! restore_container guard "$runtime" || fail "the guard lets it pass" || return 1
    [[ ! -e $WORK/restore.log ]] || fail "CRIU was started: $(grep -h Error "$WORK/restore.log")" || return 1
    assert_equal "lines in the log" "$(wc -l <"$BUNDLE/oci.log")" 1
    assert_equal "level" "$(jq -r .level "$BUNDLE/oci.log")" error
    message=$(jq -r .msg "$BUNDLE/oci.log")
    assert_equal "stderr" "$(cat "$BUNDLE/stderr")" "$message"
    for item in "$@"; do assert_contains "error" "$message" "${item//@/$HOST}"; done
    compare_host_inodes "$NODE/guard-inodes"
    assert_equal "created" "$NEW_INODES" ""
    cmp "$NODE/as-migrated.json" "$BUNDLE/config.json"
    assert_no_container "$runtime"
}
