#!/usr/bin/env bats
# docker checkpoint and docker start --checkpoint. A word that only the process knows, and its count, show that it is the same one.
# Only with runc: crun 1.21 does not make the work folder that containerd's shim names, and when it is there, the shim cannot delete what crun
# has checkpointed, with the guard or without it.
# shellcheck disable=SC2016,SC2034  # the container's shell expands it; results are returned in variables

load docker

setup_file() { start_docker_with_image; }
teardown_file() { stop_docker; }

# A container that counts, checkpointed and gone. Sets WORD and COUNT.
checkpoint_counting_box() {                              # VIA RUNTIME OPTION...
    start_box "$@" busybox sh -c 'read word </proc/sys/kernel/random/uuid
        while :; do i=$((i+1)); echo $word $i >/dev/shm/count; sleep 0.05; done'
    wait_until 20 reads_count
    WORD=$SEEN_WORD COUNT=$SEEN_COUNT
    checkpoint_box
}

reads_count() {
    read -r SEEN_WORD SEEN_COUNT <"/proc/$(container_pid box)/root/dev/shm/count" && [[ -n $SEEN_COUNT ]]
} 2>/dev/null
counts_beyond() { reads_count && ((SEEN_COUNT > $1)); }  # COUNT

# The first count comes from the image, as the file system does: only the next one shows that the process runs.
assert_goes_on() {
    wait_until 20 reads_count
    assert_equal "word in the process' memory" "$SEEN_WORD" "$WORD"
    ((SEEN_COUNT >= COUNT)) || fail "it counts from $SEEN_COUNT, and was at $COUNT before the checkpoint"
    wait_until 20 counts_beyond "$SEEN_COUNT"
    assert_equal "exec" "$(docker exec box echo word)" word
}

# The node restarts, or another one takes over: sources in memory are there again, and empty.
make_sources() {                                         # NAME...
    local name
    for name in "$@"; do
        mkdir -p "$NODE/$name"
        mount -t tmpfs -o mode=755 "it-$name" "$NODE/$name"
    done
}
renew_sources() {                                        # NAME...
    local name
    for name in "$@"; do umount "$NODE/$name"; done
    make_sources "$@"
}

# --- the mounts of a case: options of docker create, and the sources they name ---------------------------------------
plain() { SOURCES=() OPTIONS=(); }

# https://github.com/opencontainers/runc/issues/2748
nested() {
    SOURCES=(a b)
    OPTIONS=(--volume "$NODE/a:/test" --tmpfs /test/lower/directory --volume "$NODE/b:/test/second")
}

# runc makes mountpoints only where they lie in the root file system or directly in a bind.
on_own_tmpfs() {
    SOURCES=(a b)
    OPTIONS=(--tmpfs /scratch --volume "$NODE/a:/scratch/a" --volume "$NODE/b:/scratch/a/x")
}

# Without the guard: `ok`, or what docker says; through the guard it always goes on.
restores() {                                             # RUNTIME MAKER BARE
    local via
    write_guard_settings "$1"
    "$2"
    for via in bare guard; do
        make_sources "${SOURCES[@]}"
        checkpoint_counting_box "$via" "$1" "${OPTIONS[@]}"
        renew_sources "${SOURCES[@]}"
        if [[ $via == guard || $3 == ok ]]; then
            restore_box || fail "$via: $(cat "$NODE/stderr")"
            assert_goes_on
        else
            ! restore_box || fail "$via: it restores"
            grep -qE -- "$3" "$NODE/stderr" || fail "$via: $(cat "$NODE/stderr")"
        fi
        remove_box
        renew_sources "${SOURCES[@]}"
    done
}

bats_test_function --description "runc: without mounts" -- restores runc plain ok
bats_test_function --description "runc: a tmpfs and a bind in a bind" -- restores runc nested ok
bats_test_function --description "runc: a bind in a bind on a tmpfs" -- restores runc on_own_tmpfs "criu failed: type NOTIFY errno 0"
