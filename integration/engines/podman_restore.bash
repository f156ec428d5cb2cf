# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # the container's shell program; makers return in variables
# A container that counts is checkpointed by podman on one host and restored on the next, whose directories are new and empty.

load podman

# What stops CRIU, in its words. CK-...: it is the checkpoint that fails.
declare -gA REASONS=(
    [stat]="mnt-v2: Can't stat mountpoint .*: No such file or directory"
    [CK-key]="mnt: [0-9]+:\./[^d][^ ]* doesn't have a proper root mount"
)

# The columns of the table: what the runtimes of each suite do without the guard.
declare -gA MEASURED=([runc-1.1.15]=0 [runc-1.3.6]=1 [crun-1.21]=0 [crun-1.28]=1)

# restore_row DESCRIPTION MAKER WAY RUNC-1.1.15 RUNC-1.3.6 CRUN-1.21 CRUN-1.28
#   MAKER      makes sources on a host, and OPTIONS of `podman run`
#   WAY        in_place, kept, imported, renamed
#   RUNC-...   `ok`, or one of REASONS
# Through the guard each row succeeds, and the container has the mounts that it had.
restore_row() {
    bats_test_function --description "runc: $1, $3" -- check_row runc "$2" "$3" "$4" "$5"
    bats_test_function --description "crun: $1, $3" -- check_row crun "$2" "$3" "$6" "$7"
}

check_row() {                                            # RUNTIME MAKER WAY CELL CELL
    local cell
    cell=$(cell_of_version "$1" "$4" "$5")
    write_guard_settings "$1"
    RUNTIME=$1 MAKER=$2 WAY=$3
    VIA=bare
    restore_by_way || assert_reason "$cell"
    [[ $STATUS == 0 ]] || STATUS=$cell
    assert_equal "bare" "${STATUS/#0/ok}" "$cell"
    forget_everything
    VIA=guard
    restore_by_way || fail "$(cat "$NODE/podman.log"; criu_errors)"
}

# A version that nobody has measured is taken for the last one.
cell_of_version() {                                      # RUNTIME CELL CELL
    local version cells=("${@:2}")
    version=$("$1" --version | sed -n '1s/.* version \([0-9][0-9.]*\).*/\1/p')
    [[ -n ${MEASURED[$1-$version]:-} ]] || echo "# $1 $version has no column in podman's restore table" >&3
    echo "${cells[${MEASURED[$1-$version]:-1}]}"
}

assert_reason() {                                        # CELL
    [[ -n ${REASONS[$1]:-} ]] || fail "expected '$1': $(cat "$NODE/podman.log"; criu_errors)" || return 1
    { cat "$NODE/podman.log"; criu_errors; } | grep -qE -- "${REASONS[$1]}" ||
        fail "not for the reason '$1': $(cat "$NODE/podman.log"; criu_errors)"
}

criu_errors() { grep -h Error "$BUNDLE"/{dump,restore}.log 2>/dev/null || true; }

# Sets STATUS, of the first thing that failed. Asserts that what is restored goes on.
restore_by_way() {
    STATUS=0
    start_counter
    checkpoint_by_"$WAY" || STATUS=$?
    ((STATUS == 0)) || return "$STATUS"
    next_host
    restored_by_"$WAY" || STATUS=$?
    ((STATUS == 0)) || return "$STATUS"
    assert_goes_on
    assert_equal "mountpoints" "$(mountpoints)" "$MOUNTPOINTS"
}

# --- the container ---------------------------------------------------------------------------------------------------
# The count is kept in memory, behind a word that only this very process knows.
COUNTING='read word </proc/sys/kernel/random/uuid
    while :; do i=$((i+1)); echo $word $i >/dev/shm/count; sleep 0.05; done'

start_counter() {
    NAME=counter
    PREFIX=
    make_host
    start_container "$VIA" "$RUNTIME" "$NAME" "${OPTIONS[@]}" busybox sh -c "$PREFIX$COUNTING"
    BUNDLE=$(container_bundle "$NAME")
    wait_until 20 reads_count
    WORD=$SEEN_WORD COUNT=$SEEN_COUNT
    MOUNTPOINTS=$(mountpoints)
}

mountpoints() { container_mountinfo "$NAME" | awk '{ print $5 }' | sort; }

# Status: whether there was something to read; the process empties the file before it writes.
reads_count() {
    read -r SEEN_WORD SEEN_COUNT <"/proc/$(container_pid "$NAME")/root/dev/shm/count" && [[ -n $SEEN_COUNT ]]
} 2>/dev/null

# The first count after a restore comes from the image: only the next one shows that the process runs.
assert_goes_on() {
    wait_until 20 reads_count || return 1
    assert_equal "word in the process' memory" "$SEEN_WORD" "$WORD" || return 1
    ((SEEN_COUNT >= COUNT)) || fail "it counts from $SEEN_COUNT, and was at $COUNT before the checkpoint" || return 1
    wait_until 20 counts_beyond "$SEEN_COUNT"
}

counts_beyond() { reads_count && ((SEEN_COUNT > $1)); }  # COUNT

# --- the hosts -------------------------------------------------------------------------------------------------------
make_host() {
    HOST=$NODE/host
    mkdir "$HOST"
    "$MAKER"
}

next_host() {
    unmount_below "$HOST"
    rm -rf "$HOST"
    make_host
}

tmpfs_at() { mkdir "$HOST/$1"; mount -t tmpfs -o mode=755 "it-$1" "$HOST/$1"; }          # NAME

forget_everything() {
    remove_all_containers
    podman volume prune --force >/dev/null
    unmount_below "$HOST"
    rm -rf "$HOST" "$NODE"/*.tar.gz "$GUARD_LOG"
}

# --- checkpoint and restore ------------------------------------------------------------------------------------------
# What podman says is in podman.log. CRIU insists on the stdio that it dumped.
container_command() {                                    # COMMAND [ARG...]
    podman_via "$VIA" "$RUNTIME" container "$@" </dev/null >"$NODE/podman.log" 2>&1
}

# CRIU's freezer has a time-out, which a loaded machine exceeds: it says nothing about the container.
checkpoint() {                                           # [ARG...]
    container_command checkpoint "$@" "$NAME" || { dump_timed_out && container_command checkpoint "$@" "$NAME"; }
}
dump_timed_out() { grep -qE 'Timeout reached|Unseizable non-zombie .* state D' "$BUNDLE/dump.log"; }

checkpoint_by_in_place() { checkpoint; }
restored_by_in_place() { container_command restore "$NAME"; }

checkpoint_by_kept() { checkpoint --keep; }
restored_by_kept() { container_command restore --keep "$NAME" && [[ -s $BUNDLE/restore.log && -d $BUNDLE/checkpoint ]]; }

checkpoint_by_imported() { checkpoint --export "$NODE/checkpoint.tar.gz" && remove_all_containers && podman volume prune --force >/dev/null; }
restored_by_imported() { import_checkpoint; }

checkpoint_by_renamed() { checkpoint_by_imported; }
restored_by_renamed() {
    local id=${BUNDLE%/userdata}
    # Told to leave cgroups alone, crun 1.21 looks for the one that the checkpointed container had.
    [[ ! -x /usr/local/bin/crun ]] || mkdir -p "/sys/fs/cgroup/libpod_parent/libpod-${id##*/}"
    NAME=renamed
    import_checkpoint --name "$NAME"
}

import_checkpoint() {                                    # [ARG...]
    local status=0
    container_command restore --import "$NODE/checkpoint.tar.gz" "$@" || status=$?
    BUNDLE=$(container_bundle "$NAME")
    return "$status"
}

# crun 1.21 itself tells CRIU to copy the cgroups of every v1 hierarchy, which overrides default.conf: below each restored container
# lie then those of all containers before it. podman has no option for the word that helps.
wrap_crun() {
    [[ $(crun --version) == "crun version 1.21"* ]] || return 0
    cat >/usr/local/bin/crun <<'BASH'
#!/usr/bin/env bash
words=()
for word; do
    words+=("$word")
    [[ $word != @(checkpoint|restore) ]] || words+=(--manage-cgroups-mode ignore)
done
exec /usr/bin/crun "${words[@]}"
BASH
    chmod 755 /usr/local/bin/crun
    printf '[engine.runtimes]\ncrun = ["/usr/local/bin/crun"]\n' >/etc/containers/containers.conf.d/crun.conf
}

unwrap_crun() { rm -f /usr/local/bin/crun /etc/containers/containers.conf.d/crun.conf; }
