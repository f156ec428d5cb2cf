#!/usr/bin/env bats
# A bind source on a file server that takes questions and never answers: after ten seconds the real runtime has the restore (promise P8).

load helpers
load operator

# What the process is by now; nothing, when it has ended.
program_of() { readlink "/proc/$1/exe" || true; }
is_not_the_guard() { [[ $(program_of "$1") != "$GUARD" ]]; }

# crun leaves the cgroup of a restore that fails, with whoever still dies in it.
no_cgroup_is_left() {
    find /sys/fs/cgroup -depth -type d -path "*/$(id_of_bundle)*" -exec rmdir {} + 2>/dev/null || true
    [[ -z $(find /sys/fs/cgroup -type d -name "$(id_of_bundle)") ]]
}

handed_over() {                                          # RUNTIME
    local pid started=$SECONDS
    mount_hanging_file_server "$ROOT/dead"
    make_bundle hanging
    add_bind "$ROOT/dead" rbind,rprivate /data
    edit_spec '.mounts += [{destination: "/data/x", type: "tmpfs", source: "tmpfs"}]'
    mkdir "$NODE/image"
    use_guard_settings "$1"
    "$GUARD" --root "$NODE/state/$1" --log "$BUNDLE/oci.log" --log-format json restore --bundle "$BUNDLE" --image-path "$NODE/image" \
        "$(id_of_bundle)" </dev/null >"$BUNDLE/stdout" 2>"$BUNDLE/stderr" 3>&- &
    pid=$!
    sleep 5
    assert_equal "after 5 s it is still prepared by" "$(program_of "$pid")" "$GUARD"
    # Ten seconds, one more for who cannot be killed, and what a loaded machine takes.
    wait_until 20 is_not_the_guard "$pid"
    ((SECONDS - started >= 10)) || fail "handed over after $((SECONDS - started)) s"
    assert_contains "notice" "$(guard_notices)" "prepare the restore: no end after 10 s, a file system does not answer; left to the runtime"
    end_hanging_file_servers
    wait "$pid" && fail "an empty image was restored"
    # The runtime's own error, not ours.
    [[ -s $BUNDLE/oci.log || -s $BUNDLE/stderr ]] || fail "the runtime said nothing"
    ! grep -q runc-guard: "$BUNDLE/oci.log" "$BUNDLE/stderr" || fail "the guard refused it"
    wait_until 20 no_cgroup_is_left
}
test_with_each_runtime "a source on a hanging server holds a restore up for ten seconds" handed_over
