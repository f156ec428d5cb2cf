# shellcheck shell=bash
# Real containers: create, start, delete, 20 at once, through the guard and without it in turns.

write_real_bundles() {                                   # COUNT
    local cycle=$WORK/cycle template via number
    mkdir -p "$cycle/rootfs"/{bin,proc,sys,dev,host}
    cp "$(command -v busybox)" "$cycle/rootfs/bin/busybox"
    ln -s busybox "$cycle/rootfs/bin/sleep"
    mount --bind "$cycle/rootfs" "$cycle/rootfs"         # an engine's is a mount of its own
    (cd "$cycle" && runc spec)
    # No network namespace: slow to make, and nothing here needs it.
    template=$(jq -c '.process.terminal = false | .process.args = ["sleep", "1000"] | .root = {path: $rootfs} | .linux.cgroupsPath = "/@ID@"
        | .linux.namespaces |= map(select(.type != "network"))
        | .mounts += [{destination: "/host", type: "bind", source: $from, options: ["rbind", "rprivate"]}]' \
        --arg rootfs "$cycle/rootfs" --arg from "$WORK/protected" "$cycle/config.json")
    for via in guard bare; do
        for ((number = 1; number <= $1; number++)); do
            mkdir "$cycle/$via-$number"
            echo "${template//@ID@/load-$via-$number}" >"$cycle/$via-$number/config.json"
        done
    done
}

plan_of_cycles() {                                       # RUNTIME
    local via program bundle state=$WORK/state
    for via in guard bare; do
        program=$(command -v "$1")
        [[ $via == bare ]] || program=$TOOLS/runc-guard
        bundle=$WORK/cycle/$via-%
        printf '%s\t%s\t%s\t%s\n' "$via" "$program --root $state --log $WORK/oci-$via.log --log-format json create --bundle $bundle --pid-file $bundle/pid load-$via-%" \
            "$program --root $state start load-$via-%" "$HERE/end $bundle/pid $program --root $state delete load-$via-%"
    done
}

mounts_here() { cut -d' ' -f5 /proc/self/mountinfo | sort; }

left_of_containers() {                                   # RUNTIME MOUNTS-BEFORE
    "$1" --root "$WORK/state" list -q | sed 's/^/container: /'
    find "$WORK/state" -mindepth 1 -maxdepth 1 | sed 's/^/state: /'
    find /sys/fs/cgroup -type d -name 'load-*' | sed 's/^/cgroup: /'
    grep -l '/load-' /proc/[0-9]*/cgroup 2>/dev/null | sed 's/^/process: /' || true
    find "$WORK/cycle" -mindepth 2 -maxdepth 2 -path '*-[0-9]*/*' ! -name config.json ! -name pid | sed 's/^/file: /'
    comm -13 "$2" <(mounts_here) | sed 's/^/mount: /'
}

# Every container must have had what the guard promises, and the bare ones what they were given.
not_as_meant() {                                         # COUNT
    local slaves privates
    slaves=$(cat "$WORK"/cycle/guard-*/config.json | jq -c 'select(.mounts[-1].options == ["rbind", "rslave"] and .linux.rootfsPropagation == "rslave")' | wc -l)
    privates=$(cat "$WORK"/cycle/bare-*/config.json | jq -c 'select(.mounts[-1].options == ["rbind", "rprivate"])' | wc -l)
    [[ "$slaves $privates" == "$1 $1" ]] || echo "rewritten: $slaves of $1; untouched: $privates of $1"
    [[ $(wc -l <"$WORK/cycles.log") == "$1" ]] || echo "$(wc -l <"$WORK/cycles.log") lines in the log instead of $1"
}

cycles() {                                               # CASE RUNTIME COUNT [PROGRAM-BEFORE-IT...]
    mounts_here >"$WORK/mounts-before"
    write_real_bundles "$3"
    settings cycles "$(command -v "$2")"
    flood "$1" "$3" 20 "${@:4}" < <(plan_of_cycles "$2")
    umount "$WORK/cycle/rootfs"
    verdict "$1: $3 configurations of each as meant" "$(not_as_meant "$3")"
    verdict "$1: no container, state, cgroup, process, file or mount is left" "$(left_of_containers "$2" "$WORK/mounts-before")"
    rm -rf "$WORK/cycle"
}

# A container that nobody deletes, and one more mount.
control_left() {                                         # RUNTIME
    local found
    mounts_here >"$WORK/mounts-before"
    write_real_bundles 1
    "$1" --root "$WORK/state" create --bundle "$WORK/cycle/bare-1" load-bare-1 </dev/null >/dev/null 2>&1
    touch "$WORK/cycle/bare-1/.config.json.temporary"
    found=$(left_of_containers "$1" "$WORK/mounts-before" | sed 's/:.*//' | sort -u | tr '\n' ' ')
    "$1" --root "$WORK/state" delete --force load-bare-1
    umount "$WORK/cycle/rootfs"
    rm -rf "$WORK/cycle"
    verdict "control: a container that was left is found by all it leaves" "$(diff <(echo "$found") <(echo "cgroup container file mount process state "))"
}

real_cycles() {                                          # RUNTIME
    mkdir -p "$WORK/state"
    control_left "$1"
    cycles "$1 create" "$1" "$(size 40 500)"
    [[ -z $SMALL ]] || return 0
    cycles "$1 create, host with 10 000 mounts" "$1" 40 unshare --mount --propagation private "$TOOLS/binds" 10000 "$WORK/host"
    rm -rf "$WORK/host"/*
}
