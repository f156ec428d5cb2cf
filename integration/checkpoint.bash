# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # $names in jq, awk and sh programs; results are returned in variables
# A container that counts is checkpointed on one host and restored on the next: its sources are then new and empty, as after a
# migration or a reboot, and config.json is again as the engine writes it.

# --- two hosts -------------------------------------------------------------------------------------------------------
# BUNDLE, its container counts; HOST, the folder of all bind sources. The count is kept in memory, behind a word that only
# this very process knows: a container that was started anew would show another one.
make_counting_bundle() {                                 # NAME
    make_bundle "$1"
    HOST=$NODE/host-$1
    IMAGE=$NODE/image-$1
    WORK=$NODE/work-$1
    mkdir "$HOST" "$IMAGE" "$WORK"
    NEXT_HOST=()
    # A cgroup mount would come back with another root, because CRIU is to leave cgroups alone. Masked directories cannot be
    # restored by crun 1.24 to 1.29 under a --root of its own: its checkpoint looks for their source in the default one.
    edit_spec '.mounts |= map(select(.type != "cgroup")) | .linux.maskedPaths = ["/proc/keys", "/proc/timer_list"]'
    set_args_before_counting ''
}

set_args_before_counting() {                             # SHELL-COMMANDS
    set_args sh -c "$1"'
        read word </proc/sys/kernel/random/uuid
        while :; do i=$((i+1)); echo $word $i >/dev/shm/count; sleep 0.05; done'
}

on_each_host() { "$@" && on_next_host "$@"; }            # COMMAND...
on_next_host() { NEXT_HOST+=("${*@Q}"); }                # COMMAND...

migrate() {
    local command
    [[ -f $NODE/as-written-${BUNDLE##*/}.json ]] || fail "nothing was checkpointed" || return 1
    unmount_below "$HOST"
    rm -rf "$HOST"
    mkdir "$HOST"
    cp "$NODE/as-written-${BUNDLE##*/}.json" "$BUNDLE/config.json"
    for command in "${NEXT_HOST[@]}"; do eval "$command"; done
    cp "$BUNDLE/config.json" "$NODE/as-migrated.json"
}

tmpfs_at() { mkdir -p "$HOST/$1"; mount -t tmpfs -o mode=755 "it-$1" "$HOST/$1"; }       # NAME
directory_at() { mkdir -p "$HOST/$1"; }                                  # NAME
file_at() { mkdir -p "$(dirname "$HOST/$1")"; echo content >"$HOST/$1"; }                # NAME
symlink_at() { ln -s "$2" "$HOST/$1"; }                                  # NAME TARGET
read_only_at() { mount --bind "$HOST/$1" "$HOST/$1"; mount -o remount,bind,ro "$HOST/$1"; }              # NAME

# As an image unpacked again: without what earlier containers left in it.
fresh_rootfs() {
    unmount_below "$BUNDLE/rootfs"
    rm -rf "$BUNDLE/rootfs"
    cp -a --link "$TEMPLATES/rootfs" "$BUNDLE/rootfs"
    mount --bind "$BUNDLE/rootfs" "$BUNDLE/rootfs"
}

# --- the mounts of a case --------------------------------------------------------------------------------------------
bind() { add_bind "$HOST/$1" "${3:-rbind,rprivate}" "$2"; }              # NAME DESTINATION [OPTIONS]

tmpfs() {                                                # DESTINATION
    edit_spec '.mounts += [{destination: $to, type: "tmpfs", source: "tmpfs", options: ["mode=755"]}]' --arg to "$1"
}

# --- checkpoint and restore ------------------------------------------------------------------------------------------
# CRIU would otherwise copy the node's whole cgroup tree; old runc knows no word for that on its command line.
ignore_cgroups() {                                       # RUNTIME
    CGROUPS_MODE=()
    [[ $1 != crun ]] || CGROUPS_MODE=(--manage-cgroups-mode ignore)
    mkdir -p /etc/criu
    echo manage-cgroups=ignore >/etc/criu/runc.conf
}

# Sets WORD, COUNT and MOUNTS_BEFORE. Status: of the checkpoint; 2: it did not come to that.
checkpoint_container() {                                 # VIA RUNTIME
    cp "$BUNDLE/config.json" "$NODE/as-written-${BUNDLE##*/}.json"
    oci "$1" "$2" create --bundle "$BUNDLE" "$(id_of_bundle)" </dev/null >/dev/null 2>&1 ||
        fail "$1 $2 create: $(cat "$BUNDLE/oci.log")" || return 2
    oci "$1" "$2" start "$(id_of_bundle)" && wait_until 10 reads_count "$2" || return 2
    WORD=$SEEN_WORD COUNT=$SEEN_COUNT
    MOUNTS_BEFORE=$(mounts_of_container "$2")
    dump "$@" || { dump_timed_out && dump "$@"; }
}

dump() {                                                 # VIA RUNTIME
    ignore_cgroups "$2"
    oci "$1" "$2" checkpoint --image-path "$IMAGE" --work-path "$WORK" "${CGROUPS_MODE[@]}" "$(id_of_bundle)" \
        </dev/null >"$BUNDLE/stdout" 2>"$BUNDLE/stderr"
}

# Of the freezer, on a loaded machine: says nothing about the container.
dump_timed_out() { grep -qE 'Timeout reached|Unseizable non-zombie .* state D' "$WORK/dump.log"; }

restore_container() {                                    # VIA RUNTIME [ARG...]
    ignore_cgroups "$2"
    rm -f "$WORK/restore.log" "$BUNDLE/oci.log"
    # Not to the bundle's files: CRIU insists on the stdio that it dumped.
    oci "$1" "$2" restore --detach --bundle "$BUNDLE" --image-path "$IMAGE" --work-path "$WORK" "${CGROUPS_MODE[@]}" "${@:3}" \
        "$(id_of_bundle)" </dev/null >/dev/null 2>"$BUNDLE/stderr"
}

# Sets SEEN_WORD and SEEN_COUNT. Status: whether there was something to read; the process empties the file before it writes.
reads_count() {                                          # RUNTIME
    read -r SEEN_WORD SEEN_COUNT <"/proc/$(container_pid "$1")/root/dev/shm/count" && [[ -n $SEEN_COUNT ]]
} 2>/dev/null

# The first count after a restore comes from the image, as the file system does: only the next one shows that the process runs.
assert_goes_on() {                                       # RUNTIME
    wait_until 10 reads_count "$1" || return 1
    assert_equal "word in the process' memory" "$SEEN_WORD" "$WORD" || return 1
    ((SEEN_COUNT >= COUNT)) || fail "it counts from $SEEN_COUNT, and was at $COUNT before the checkpoint" || return 1
    wait_until 10 counts_beyond "$1" "$SEEN_COUNT"
}

counts_beyond() { reads_count "$1" && ((SEEN_COUNT > $2)); }              # RUNTIME COUNT

# crun leaves these behind when CRIU fails, and would stumble over them the next time.
forget_failed_restore() {                                # RUNTIME
    local id
    id=$(id_of_bundle)
    rm -rf "$NODE/state/$1/$id" "$BUNDLE/criu-root"
    find /sys/fs/cgroup -depth -type d -path "*/$id*" -exec rmdir {} +
}

# Where, which part of which kind of file system, propagation; without what the kernel numbers anew.
mounts_of_container() {                                  # RUNTIME
    container_mountinfo "$1" | awk '{
        words = ""
        for (i = 7; $i != "-"; i++) { sub(/:.*/, "", $i); words = words "," $i }
        # What masks a path is /dev/null, of one devtmpfs or another.
        print $5, $4, $4 == "/null" ? "-" : $(i + 1), substr(words, 2)
    }' | sort
}

# --- what is on the host ---------------------------------------------------------------------------------------------
# Every inode below NODE as "PATH KIND MODE OWNER IDENTITY". Each file system is listed by itself, so that what a mount hides is
# seen, too: MOUNTPOINT:PATH is in the mount, MOUNTPOINT/PATH beneath it.
host_inodes() {
    local -a mounts
    # A bind of a directory on itself is no file system of its own.
    mapfile -t mounts < <(awk -v below="$NODE/" 'index($5, below) == 1 && $4 != $5 { print $5 }' /proc/self/mountinfo | sort -u)
    unshare --mount --propagation private sh -c '
        list() { mount --bind "$1" /mnt && find /mnt -mindepth 1 -printf "$2%P %y %m %U:%G %i/%C@\n" && umount /mnt; }
        list "$1" "" || exit 1
        node=$1/
        shift
        for mount in "$@"; do list "$mount" "${mount#"$node"}:" || exit 1; done' sh "$NODE" "${mounts[@]}" |
        # A directory changes when something is made in it.
        sed -E 's| d ([0-7]+ [0-9:]+) .*| d \1 -|' |
        grep -vE '^(state|image-|work-|guard|edited|as-|bundle-[^/]*(/(std(out|err)|oci.log|config.json))?( |$))' | sort -u
}

# Sets NEW_INODES: what came into being since host_inodes wrote FILE. Nothing may have gone or changed.
compare_host_inodes() {                                  # FILE
    local now=$1.now
    host_inodes >"$now"
    assert_equal "gone or changed on the host" "$(comm -23 "$1" "$now")" ""
    NEW_INODES=$(comm -13 "$1" "$now" | sed 's| [^ ]*$||')
}
