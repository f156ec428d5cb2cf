# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # sh programs; results are returned in variables
# A container `c` that counts is checkpointed into an image by ctr, removed with all that was its own, and restored from the image, on
# sources that are new and empty. ctr restores with the runtime that the image names: VIA is chosen once, at the start.

load ctr

# setup and teardown are the node's; a file may put something around them.
eval "engine_$(declare -f teardown)"

BUNDLE_OF_C=/run/containerd/io.containerd.runtime.v2.task/default/c
WORK_OF_C=/var/lib/containerd/io.containerd.runtime.v2.task/default/c

# The word is known to that very process only: a container that was started anew would show another one. It also stands in the root
# file system, the writable layer of which goes into the image.
COUNTING='read word </proc/sys/kernel/random/uuid
    echo $word >/word
    while :; do i=$((i+1)); echo $word $i >/dev/shm/count; sleep 0.05; done'

# What ctr cannot say to crun, and crun 1.21 reads in no file. CRIU would otherwise copy the node's cgroup tree.
put_cgroups_out_of_crun() {
    printf '#!/bin/bash\nfor word in "$@"; do set -- "$@" "$word"; shift
        [[ $word != @(checkpoint|restore) ]] || set -- "$@" --manage-cgroups-mode ignore; done
        exec %s "$@"\n' "$(command -v crun)" >/usr/local/sbin/crun
    chmod +x /usr/local/sbin/crun
}

version_of() { "$1" --version | sed -n '1s/.* version \([0-9][0-9.]*\).*/\1/p'; }      # RUNTIME

# --- one node and the next -------------------------------------------------------------------------------------------
# HOST is the folder of all bind sources.
prepare_host() {
    HOST=$NODE/host
    NEXT_HOST=()
    unmount_below "$HOST"
    rm -rf "$HOST"
    mkdir "$HOST"
    MOUNTS=()
}

on_each_host() { "$@" && NEXT_HOST+=("${*@Q}"); }        # COMMAND...
tmpfs_at() { mkdir -p "$HOST/$1"; mount -t tmpfs -o mode=755 it "$HOST/$1"; }            # NAME
directory_at() { mkdir -p "$HOST/$1"; }                  # NAME
bind() { MOUNTS+=(--mount "type=bind,src=$HOST/$1,dst=$2,options=rbind:rprivate"); }     # NAME DESTINATION
tmpfs() { MOUNTS+=(--mount "type=tmpfs,src=tmpfs,dst=$1,options=mode=755"); }            # DESTINATION

migrate() {
    local command
    local -a commands=("${NEXT_HOST[@]}") mounts=("${MOUNTS[@]}")
    prepare_host
    MOUNTS=("${mounts[@]}")
    for command in "${commands[@]}"; do eval "$command"; done
}

# --- checkpoint and restore ------------------------------------------------------------------------------------------
# Sets IMAGE, WORD, COUNT and MOUNTS_BEFORE. Status: of the checkpoint; the container is gone if it is 0.
checkpoint_container() {                                 # VIA RUNTIME [SHELL-COMMANDS]
    IMAGE=localhost/it-$BATS_SUITE_TEST_NUMBER-$1:$RANDOM
    # containerd 1.7 cannot restore what has the config.json of an earlier checkpoint ("media type not found"): each has its own.
    run_container "$1" "$2" --detach --null-io --env "IMAGE=$IMAGE" "${MOUNTS[@]}" -- c sh -c "${3:-}$COUNTING"
    wait_until 20 reads_count
    WORD=$SEEN_WORD COUNT=$SEEN_COUNT
    MOUNTS_BEFORE=$(mounts_of_container)
    dump || { dump_timed_out && dump; } || return 1
    remove_all_containers
    [[ ! -e $BUNDLE_OF_C ]] || fail "the container is still there"
}

dump() { ctr container checkpoint --task --rw --image c "$IMAGE" 2>"$NODE/stderr"; }

# Of the freezer, on a loaded machine: says nothing about the container.
dump_timed_out() { grep -qE 'Timeout reached|Unseizable non-zombie .* state D' "$BUNDLE_OF_C/criu-dump.log"; }

restore_container() { ctr container restore --live --rw c "$IMAGE" 2>"$NODE/stderr"; }

# Sets SEEN_WORD and SEEN_COUNT. Status: whether there was something to read; the process empties the file before it writes.
reads_count() { read -r SEEN_WORD SEEN_COUNT <"/proc/$(container_pid c)/root/dev/shm/count" && [[ -n $SEEN_COUNT ]]; } 2>/dev/null

# The first count after a restore comes from the image, as the file system does: only the next one shows that the process runs.
assert_restored() {
    local first
    wait_until 20 reads_count || return 1
    assert_equal "word in the process' memory" "$SEEN_WORD" "$WORD" || return 1
    assert_equal "word in the root file system" "$(cat "/proc/$(container_pid c)/root/word")" "$WORD" || return 1
    ((SEEN_COUNT >= COUNT)) || fail "it counts from $SEEN_COUNT, and was at $COUNT before the checkpoint" || return 1
    first=$SEEN_COUNT
    wait_until 20 counts_beyond "$first" || return 1
    diff <(echo "$MOUNTS_BEFORE") <(mounts_of_container) || fail "other mounts than before the checkpoint"
}

counts_beyond() { reads_count && ((SEEN_COUNT > $1)); }                   # COUNT

# Where, which part of which kind of file system. What masks a path is some empty directory, or /null of some devtmpfs.
mounts_of_container() {
    container_mountinfo c | awk '{
        masks = $4 ~ /\/null$/ || $4 ~ /empty/
        print $5, masks ? "mask" : $4 " " $(NF - 2) }' | sort
}

why() { cat "$NODE/stderr"; grep -h Error "$WORK_OF_C/restore.log" "$BUNDLE_OF_C/criu-dump.log" 2>/dev/null; }

# After a restore that crun did not begin, `crun delete` says something else than runc, for the same, and the shim takes that for a
# failure of its own. crun leaves cgroups behind when CRIU fails, and would stumble over them the next time.
forget_failed_restore() {
    local pid
    ctr task kill --signal KILL c >/dev/null 2>&1 || true
    if ctr container list --quiet | grep -qx c && ! wait_until 2 remove_container c 2>/dev/null; then
        pid=$(pgrep -f -- '-namespace default -id c ')
        kill -KILL "$pid"
        wait_until 20 remove_container c
    fi
    rm -rf /run/containerd/runc/default/c
    find /sys/fs/cgroup -depth -type d -path '*/default/c*' -exec rmdir {} +
}
