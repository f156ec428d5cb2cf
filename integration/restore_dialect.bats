#!/usr/bin/env bats
# containerd and dockerd speak runc's dialect to every runtime: `-no-subreaper` with one dash, and a work path that is not there yet.
# https://github.com/containerd/go-runc, RestoreOpts
# shellcheck disable=SC2034  # WORK is for restore_container

load helpers
load restore_rows

plain_bind() {
    on_each_host directory_at a
    bind a /test
}

checkpointed() {                                         # RUNTIME
    make_case dialect plain_bind
    checkpoint_container bare "$1"
    migrate
}

with_no_subreaper() {                                    # RUNTIME VIA
    checkpointed "$1"
    restore_container "$2" "$1" -no-subreaper
}

with_nested_work_path() {                                # RUNTIME VIA
    checkpointed "$1"
    WORK=$BUNDLE/work/criu-work
    restore_container "$2" "$1"
}

fails_for() {                                            # PATTERN HOW RUNTIME
    ! "$2" "$3" bare || fail "bare $3 restores"
    grep -qE -- "$1" "$BUNDLE/stderr" || fail "another reason: $(cat "$BUNDLE/stderr")"
    forget_failed_restore "$3"
}

restores() {                                             # RUNTIME HOW
    "$2" "$1" guard || fail "guard $1: $(cat "$BUNDLE/stderr")"
    assert_restored "$1"
    [[ ! -s $BUNDLE/stderr ]] || fail "stderr: $(cat "$BUNDLE/stderr")"
    rm -rf "$BUNDLE/work"
}

bats_test_function --description "crun alone does not know -no-subreaper" -- fails_for "option|[Uu]sage" with_no_subreaper crun
test_with_each_runtime "-no-subreaper through the guard" restores with_no_subreaper
bats_test_function --description "crun alone does not make the work path" -- fails_for "work directory" with_nested_work_path crun
bats_test_function --description "crun: a work path without its parent, through the guard" -- restores crun with_nested_work_path
