#!/usr/bin/env bats
# CRI-O's checkpoint, and its restore through conmon. A word that only the process knows, and its count, show that it is the same one.
# shellcheck disable=SC2016,SC2034  # the container's shell expands it; results are returned in variables

load crio

# --- a container that counts -----------------------------------------------------------------------------------------
make_counting_container() {                              # NAME
    make_container "$1" sh -c 'read word </proc/sys/kernel/random/uuid
        while :; do i=$((i+1)); echo $word $i >/run/count; sleep 0.05; done'
    echo secret >"$POD_VOLUMES/kubernetes.io~projected/kube-api-access/token"
    edit_crio_spec "$1" '.linux.maskedPaths = ["/proc/keys", "/proc/timer_list"]'
}

# Sets WORD and COUNT; the container is gone, as after CRI-O's checkpoint of a pod that is moved.
checkpoint_counting() {                                  # VIA RUNTIME NAME
    cp "$(bundle_of "$3")/config.json" "$NODE/as-written.json"
    start_container "$@"
    wait_until 20 reads_count "$3"
    WORD=$SEEN_WORD COUNT=$SEEN_COUNT
    dump "$@" || { dump_timed_out "$3" && dump "$@"; } || fail "checkpoint: $(grep -h Error "$PERSIST/$(id_of "$3")/userdata/dump.log")"
    wait_until 20 has_exited "$3"
    crio_runtime "$1" "$2" delete --force "$(id_of "$3")" 2>/dev/null || true
    rm "$EXITS/$(id_of "$3")"
}

dump() { checkpoint_by_crio "$@" 2>"$NODE/stderr"; }

# Of the freezer, on a loaded machine: says nothing about the container.
dump_timed_out() { grep -qE 'Timeout reached|Unseizable non-zombie .* state D' "$PERSIST/$(id_of "$1")/userdata/dump.log"; }

reads_count() {                                          # NAME
    read -r SEEN_WORD SEEN_COUNT <"/proc/$(container_pid "$1")/root/run/count" && [[ -n $SEEN_COUNT ]]
} 2>/dev/null
counts_beyond() { reads_count "$1" && ((SEEN_COUNT > $2)); }             # NAME COUNT

# The first count comes from the image, as the file system does: only the next one shows that the process runs.
assert_goes_on() {                                       # VIA RUNTIME NAME
    wait_until 20 reads_count "$3"
    assert_equal "word in the process' memory" "$SEEN_WORD" "$WORD"
    ((SEEN_COUNT >= COUNT)) || fail "it counts from $SEEN_COUNT, and was at $COUNT before the checkpoint"
    wait_until 20 counts_beyond "$3" "$SEEN_COUNT"
    assert_equal "status" "$(status_of "$@")" running
    exec_sync "$@" echo word
    assert_equal "exec" "$(exec_output)" "stdout word"
}

# CRI-O writes config.json anew; the sources are there again, and empty.
migrate() {                                              # NAME
    local source
    cat "$NODE/as-written.json" >"$(bundle_of "$1")/config.json"
    rm -f "$(bundle_of "$1")"/{attach,ctl,pidfile,conmon-pidfile}
    for source in "$NODE"/source-*; do
        [[ -d $source ]] || continue
        umount "$source"
        mount -t tmpfs it "$source"
        [[ $source != *-token ]] || echo renewed >"$source/token"
    done
    echo renewed >"$POD_VOLUMES/kubernetes.io~projected/kube-api-access/token"
}

add_source() {                                           # NAME SOURCE DESTINATION
    mkdir -p "$NODE/source-$2"
    mountpoint --quiet "$NODE/source-$2" || mount -t tmpfs it "$NODE/source-$2"
    add_host_path "$1" "$NODE/source-$2" "$3" rprivate
}

# --- the mounts of a case --------------------------------------------------------------------------------------------
plainly() { edit_crio_spec "$1" '.mounts[].destination |= sub("^/var/run/"; "/run/")'; }

as_written() { :; }

# Secrets beside the token's: the token's mountpoint lies in a volume that is empty on the next host.
nested() {
    plainly "$1"
    edit_crio_spec "$1" '.mounts |= map(select(.destination | startswith("/run/secrets") | not))'
    add_source "$1" secrets /run/secrets
    add_source "$1" token /run/secrets/kubernetes.io/serviceaccount
}

# A read-only container has a tmpfs at /tmp.
on_own_tmpfs() {
    plainly "$1"
    add_tmpfs "$1" /tmp
    add_source "$1" a /tmp/a
    add_source "$1" b /tmp/a/x
}

# Without the guard: `ok`, or `stale` (with the token of the image), or what CRIU says. Through the guard it always goes on, with the
# token that the kubelet has mounted meanwhile.
restores() {                                             # RUNTIME MAKER BARE [CONMON-OPTION...]
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        make_counting_container "$via"
        "$2" "$via"
        checkpoint_counting "$via" "$1" "$via"
        migrate "$via"
        if [[ $via == guard || $3 == @(ok|stale) ]]; then
            restore_by_conmon "$via" "$1" "$via" "${@:4}" || fail "$via: $SYNC; $(restore_log "$via")"
            assert_goes_on "$via" "$1" "$via"
            assert_token "$via" "$1" "$3"
        else
            ! restore_by_conmon "$via" "$1" "$via" "${@:4}" || fail "$via: it restores"
            grep -qE -- "$3" <(restore_log "$via"; message) || fail "$via: $SYNC; $(restore_log "$via")"
        fi
    done
}
assert_token() {                                         # VIA RUNTIME BARE
    exec_sync "$1" "$2" "$1" cat /run/secrets/kubernetes.io/serviceaccount/token
    assert_equal "$1: token" "$(exec_output)" "stdout $([[ $1/$3 == bare/stale ]] && echo secret || echo renewed)"
}

# conmon names the bundle, or nothing, as work path.
restore_log() { find "$(bundle_of "$1")" "$PERSIST/$(id_of "$1")" -name restore.log -exec grep -h Error {} +; }

# crun takes the token for a file system of the container's own, because CRIU knows it by another spelling, and dumps it.
stat="Can't stat mountpoint .*: No such file or directory"
#                                                                                             RUNTIME MAKER  WITHOUT
bats_test_function --description "runc: a container as CRI-O writes it"              -- restores runc as_written ok
bats_test_function --description "crun: a container as CRI-O writes it"              -- restores crun as_written stale
bats_test_function --description "runc: a token in a volume of secrets"              -- restores runc nested ok
bats_test_function --description "crun: a token in a volume of secrets"              -- restores crun nested "$stat"
bats_test_function --description "runc: a volume in a volume on the container's /tmp" -- restores runc on_own_tmpfs "$stat"
bats_test_function --description "crun: a volume in a volume on the container's /tmp" -- restores crun on_own_tmpfs "$stat"
