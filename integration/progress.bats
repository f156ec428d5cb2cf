#!/usr/bin/env bats
# The operator's commands tell on a terminal what takes them long, and take it back; nothing of it appears anywhere else.

load helpers
load operator

# Two containers with a private copy of a volume. Sets PIDS.
start_two_that_pin() {
    local name
    mkdir "$ROOT/volume"
    mount -t tmpfs volume "$ROOT/volume"
    PIDS=()
    for name in one two; do
        start_pinning_container runc "$name"
        PIDS+=("$PID")
    done
    write_guard_settings runc
}

# What a terminal, or else two files, gets of a command; the second container's table is to be had after 1.5 s only if it is slow. The change
# itself is never made, so that the same can be said again. Sets STATUS; writes $NODE/screen, or $NODE/said and $NODE/errors.
say() {                                                  # terminal|files fast|slow COMMAND...
    local where=$1 how=$2 command
    shift 2
    local -a words=(env "RUNC_GUARD_CONFIG=$NODE/guard-runc.toml" "$GUARD" guard "$@")
    [[ $how == fast ]] || words=(strace --follow-forks --quiet=all --output /dev/null --trace-path "/proc/${PIDS[1]}/mountinfo"
        --trace-path "/proc/${PIDS[1]}/ns/mnt" --inject "openat:delay_enter=1500000" "${words[@]}")
    STATUS=0
    if [[ $where == terminal ]]; then
        printf -v command '%q ' "${words[@]}"
        script --quiet --return --command "$command" "$NODE/typescript" </dev/null >"$NODE/screen" 3>&- || STATUS=$?
    else
        "${words[@]}" >"$NODE/said" 2>"$NODE/errors" 3>&- || STATUS=$?
    fi
}

ERASE=$'\r\e\\[K'                                        # as a regular expression

# What can be read at the end: of a line, what follows the last time it was erased.
on_screen() { sed -e 's/\r$//' -e "s/.*$ERASE//" "$NODE/screen"; }

progress_is_shown_and_erased() {                         # VERB COMMAND...
    local verb=$1 status
    shift
    start_two_that_pin
    say files fast "$@"
    status=$STATUS
    [[ -s $NODE/said ]] || fail "nothing is said: $(cat "$NODE/errors")"
    cp "$NODE/said" "$NODE/expected"

    say terminal fast "$@"
    assert_equal "fast: status" "$STATUS" "$status"
    ! grep -q "$ERASE" "$NODE/screen" || fail "fast: progress of what takes no time"
    diff "$NODE/expected" <(on_screen)

    say terminal slow "$@"
    assert_equal "slow: status" "$STATUS" "$status"
    grep -qE "$ERASE$verb [0-9]+ of [0-9]+ [a-z ]+$ERASE" "$NODE/screen" || fail "slow: no progress on $(cat -v "$NODE/screen")"
    diff "$NODE/expected" <(on_screen)

    say files slow "$@"
    assert_equal "no terminal: status" "$STATUS" "$status"
    assert_equal "no terminal: stderr" "$(cat -v "$NODE/errors")" ""
    diff "$NODE/expected" "$NODE/said"
}

@test "holders: progress on a terminal, and nowhere else" { progress_is_shown_and_erased reading holders "$ROOT/volume"; }
@test "audit: progress on a terminal, and nowhere else" { progress_is_shown_and_erased auditing audit; }
@test "heal: progress on a terminal, and nowhere else" { progress_is_shown_and_erased healing heal --all --dry-run; }
@test "release: progress on a terminal, and nowhere else" { progress_is_shown_and_erased "releasing in" release --force --dry-run "$ROOT/volume"; }

# The one step waits all the time: only what interrupts it can say so.
@test "one step that waits for a dead file server is told, too" {
    write_guard_settings runc
    mount_dead_file_server "$ROOT/dead"
    PIDS=(- -)
    say terminal fast holders "$ROOT/dead/file"
    assert_equal "status" "$STATUS" 0
    grep -qE "${ERASE}reading 1 of [0-9]+ mount tables$ERASE" "$NODE/screen" || fail "no progress on $(cat -v "$NODE/screen")"
    assert_contains "answer" "$(on_screen)" "$ROOT/dead/file: the host has nothing mounted there"
    umount --lazy "$ROOT/dead"
}
