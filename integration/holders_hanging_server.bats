#!/usr/bin/env bats
# A file server that takes questions and never answers, mounted on the host and in a container: the operator's commands end, in time, and say so.
# shellcheck disable=SC2034  # settings that other files read

load helpers
load operator

# One call within ten seconds, and its outputs closed. Sets SAID and STATUS.
in_time() {                                              # COMMAND [ARG...]
    write_guard_settings runc
    STATUS=0
    SAID=$(RUNC_GUARD_CONFIG=$NODE/guard-runc.toml timeout --signal KILL 20 "$GUARD" guard "$@" 2>&1 3>&-) || STATUS=$?
    ((STATUS < 128)) || fail "guard $*: no end: $SAID"
}

beside_a_hanging_server() {                              # RUNTIME
    attach_volume "$ROOT/volume"
    mount_hanging_file_server "$ROOT/dead"
    start_pinning_container "$1" dead
    in_time holders "$ROOT/dead"
    assert_contains "holders" "$SAID" "/host/dead"
    in_time holders "$ROOT/dead/below"
    in_time audit
    assert_contains "audit" "$SAID" "/host/dead"
    in_time doctor
    in_time heal "$PID"
    assert_contains "heal" "$SAID" "healed      /host/volume"
    assert_equal "dead" "$(propagation_in_container "$1" /host/dead)" slave
    in_time release "$ROOT/dead"
    assert_contains "release" "$SAID" "the host still has it mounted at $ROOT/dead"
    umount --lazy "$ROOT/dead"
    assert_equal "the host's umount reaches it" "$(propagation_in_container "$1" /host/dead)" absent
    in_time holders "$ROOT/dead"
    assert_equal "holders" "$STATUS" 0
}
test_with_each_runtime "holders, audit, doctor, heal and release beside a hanging server" beside_a_hanging_server

released_from_a_hanging_server() {                       # RUNTIME
    mount_hanging_file_server "$ROOT/dead"
    start_pinning_container "$1" dead
    umount --lazy "$ROOT/dead"
    assert_equal "control" "$(propagation_in_container "$1" /host/dead)" private
    in_time release "$ROOT/dead"
    assert_equal "status" "$STATUS" 0
    assert_equal "released" "$(propagation_in_container "$1" /host/dead)" absent
}
test_with_each_runtime "a private copy of a hanging server's mount is released" released_from_a_hanging_server

# The guard cannot look at its roots, says what to do, and ends.
a_root_on_a_hanging_server() {
    mount_hanging_file_server "$ROOT/dead"
    make_bundle other
    start_shown_container "$1"
    PROTECTED_ROOTS="[\"$ROOT/dead/root\"]"
    for command in "audit" "heal $PID"; do
        # shellcheck disable=SC2086  # words
        in_time $command
        assert_equal "$command: status" "$STATUS" 1
        assert_contains "$command" "$SAID" "look at the protected roots: ETIMEDOUT; unmount what does not answer"
    done
    in_time doctor
    assert_contains "doctor" "$SAID" "root $ROOT/dead/root: gives no answer in 2 s"
}
test_with_each_runtime "a protected root on a hanging server is said" a_root_on_a_hanging_server
