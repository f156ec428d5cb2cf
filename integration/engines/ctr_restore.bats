#!/usr/bin/env bats
# Checkpoint and restore by containerd's own client.
# shellcheck disable=SC2016,SC2034  # commands of the containers; makers return in variables

load ctr_checkpoint

setup_file() {
    put_cgroups_out_of_crun
    start_containerd_with_image
}
teardown_file() {
    stop_containerd
    rm -f /usr/local/sbin/crun
}

# What stops ctr, by runtime and version: STEP (checkpoint or restore), and words of ctr or of CRIU's log.
declare -gA WITHOUT_GUARD=(
    [crun-1.21]="checkpoint error opening CRIU work directory .*/work/criu-work"
    # A usage error, of -no-subreaper. Without that word CRIU would find no mapping for masked directories.
    [crun-1.28]="restore unable to retrieve OCI runtime error .* exit status 64"
)
stops_at() {                                             # STEP-AND-WORDS STEP STATUS
    local words=${1#* }
    [[ $1 == "$2 "* ]] || { (($3 == 0)) || fail "$2: $(why)"; return; }
    (($3 != 0)) || fail "$2 works; expected '$words'" || return
    why | grep -qE -- "$words" || fail "$2: not for the reason '$words': $(why)"
}

as_it_comes() {                                          # RUNTIME
    local via expected status
    write_guard_settings "$1"
    for via in bare guard; do
        expected=
        [[ $via == guard ]] || expected=${WITHOUT_GUARD[$1-$(version_of "$1")]:-}
        prepare_host
        status=0
        checkpoint_container "$via" "$1" || status=$?
        stops_at "$expected" checkpoint "$status" || return 1
        if ((status == 0)); then
            restore_container || status=$?
            stops_at "$expected" restore "$status" || return 1
            ((status != 0)) || assert_restored || return 1
        fi
        forget_failed_restore
    done
}
test_with_each_runtime "checkpoint and restore" as_it_comes

# --- mountpoints that the next host lacks ------------------------------------------------------------------------------
write_settings() {                                       # RUNTIME [TOML]
    write_guard_settings "$@"
    protect_default_roots_only
    rm -rf /run/crun
}
teardown() {
    forget_failed_restore
    engine_teardown
}

# restore_case DESCRIPTION MAKER RUNC CRUN CREATED...: RUNC and CRUN are `ok`, or `stat` where CRIU misses a mountpoint. The control for
# crun is the guard without its rule, because bare crun does not come that far. CREATED is below HOST, by the guard.
restore_case() {
    bats_test_function --description "runc: $1" -- check_restore_case runc "$2" "$3" "${@:5}"
    bats_test_function --description "crun: $1" -- check_restore_case crun "$2" "$4" "${@:5}"
}

check_restore_case() {                                   # RUNTIME MAKER CELL CREATED...
    local status=0 path
    write_settings "$1" $'[rules.restore-mountpoints]\nenabled = false'
    restore_on_next_host "$([[ $1 == runc ]] && echo bare || echo guard)" "$1" "$2" || status=$?
    if [[ $3 == ok ]]; then
        ((status == 0)) || fail "control: $(why)" || return 1
        assert_restored
    else
        ((status != 0)) || fail "the control is restored" || return 1
        assert_contains "control" "$(why)" "Can't stat mountpoint"
    fi
    forget_failed_restore
    write_settings "$1"
    rm -f "$GUARD_LOG"
    restore_on_next_host guard "$1" "$2" || fail "guard: $(why)" || return 1
    assert_restored
    assert_equal "created by the guard" "$(created_by_guard)" "$(printf '%s\n' "${@:4}")"
    for path in "${@:4}"; do [[ -d $HOST/$path ]] || fail "no directory $path" || return 1; done
}

restore_on_next_host() {                                 # VIA RUNTIME MAKER
    BEFORE_COUNTING=
    prepare_host
    "$3"
    checkpoint_container "$1" "$2" "$BEFORE_COUNTING" || fail "$1: checkpoint: $(why)" || exit 1
    migrate
    restore_container
}

created_by_guard() { guard_changes | jq -r '.created // empty' | sed -n "s|^$HOST/||p"; }

# https://github.com/opencontainers/runc/issues/2748
external_and_internal_tmpfs() {
    on_each_host tmpfs_at a
    bind a /test
    tmpfs /test/lower/directory
}

bind_on_internal_tmpfs() {
    on_each_host directory_at a
    on_each_host directory_at b
    tmpfs /scratch
    bind a /scratch/a
    bind b /scratch/a/x
}

mounted_by_process() {
    on_each_host tmpfs_at a
    bind a /test
    MOUNTS+=(--cap-add CAP_SYS_ADMIN)
    BEFORE_COUNTING='mkdir -p /test/made/deep; mount -t tmpfs tmpfs /test/made/deep;'
}

nothing_missing() {
    on_each_host directory_at a
    bind a /test
    tmpfs /scratch
}

restore_case "nothing is missing"                         nothing_missing             ok   ok
restore_case "external tmpfs, internal tmpfs in it"       external_and_internal_tmpfs ok   stat a/lower/directory
restore_case "external bind on an internal tmpfs"         bind_on_internal_tmpfs      stat stat a/x
restore_case "tmpfs mounted by the process"               mounted_by_process          stat stat a/made/deep

# --- volumes ---------------------------------------------------------------------------------------------------------
# What is in a volume is the next host's.
volume_keeps_its_content() {                             # RUNTIME
    write_settings "$1"
    prepare_host
    on_each_host directory_at data
    bind data /data
    checkpoint_container guard "$1" 'echo first >/data/file;' || fail "checkpoint: $(why)"
    assert_equal "on the first host" "$(cat "$HOST/data/file")" first
    migrate
    echo second >"$HOST/data/file"
    restore_container || fail "$(why)"
    assert_restored
    assert_equal "in the container" "$(ctr task exec --exec-id 1 c cat /data/file)" second
    ctr task exec --exec-id 2 c sh -c 'echo third >/data/file'
    assert_equal "on the next host" "$(cat "$HOST/data/file")" third
}
test_with_each_runtime "a volume's content is the next host's" volume_keeps_its_content

# --- another node ----------------------------------------------------------------------------------------------------
# The image goes through a file into another namespace of containerd's: nothing of the first container is known there.
# containerd 1.7 exports such an image, but does not import it ("unexpected media type").
taken_to_another_node() {                                # RUNTIME
    write_settings "$1"
    prepare_host
    external_and_internal_tmpfs
    checkpoint_container guard "$1" || fail "checkpoint: $(why)"
    # --local: otherwise ctr ends before the daemon has sent all of it.
    ctr image export --local --skip-manifest-json "$NODE/checkpoint.tar" "$IMAGE"
    migrate
    export CONTAINERD_NAMESPACE=another
    ctr image import "$TEMPLATES/image.tar" >/dev/null
    ctr image import "$NODE/checkpoint.tar" >/dev/null
    restore_container || fail "$(why)"
    assert_restored
    assert_equal "created by the guard" "$(created_by_guard)" a/lower/directory
    remove_all_containers
}
if [[ $(ctr --version) == *" 2."* ]]; then
    test_with_each_runtime "the image is taken to another node" taken_to_another_node
fi

# --- what cannot be restored -----------------------------------------------------------------------------------------
impossible_restore() {                                   # RUNTIME
    write_settings "$1"
    prepare_host
    external_and_internal_tmpfs
    checkpoint_container guard "$1" || fail "checkpoint: $(why)"
    migrate
    echo in the way >"$HOST/a/lower"
    ! restore_container || fail "it is restored"
    assert_contains "ctr's error" "$(cat "$NODE/stderr")" "ctr: OCI runtime restore failed: runc-guard: /test/lower/directory: a \
directory is needed at $HOST/a/lower/directory, and $HOST/a/lower is no directory"
    [[ $(cat "$NODE/stderr") != *"unable to retrieve OCI runtime error"* ]] || fail "$(cat "$NODE/stderr")"
    [[ ! -e $WORK_OF_C/restore.log ]] || fail "CRIU was started"
    # The same image, once the way is free.
    forget_failed_restore
    rm "$HOST/a/lower"
    restore_container || fail "$(why)"
    assert_restored
}
test_with_each_runtime "a file in the way: ctr shows what to do, and afterwards it works" impossible_restore
