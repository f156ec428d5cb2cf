# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # results are returned in variables; some come from the other files
# Containers that pin, because they were started without the guard, and the operator's commands against them.

# A container that counts, with the protected root at /host as a private copy. Sets PID.
start_pinning_container() {                              # RUNTIME NAME [userns] [BIND-OPTIONS]
    make_bundle "$2"
    # The shell's own loop: nothing is started from the root file system, and every number is one line.
    set_args sh -c 'i=0; while :; do i=$((i + 1)); echo "$i" >/counter; sleep 0.05; done'
    edit_spec '.root.readonly = false'
    [[ ${3:-} != userns ]] || add_user_namespace
    add_bind "$ROOT" "${4:-rbind,rprivate}"
    start_container bare "$1"
    PID=$(container_pid "$1")
}

# Mounts that come into a less privileged namespace are locked there, whichever ids it has. A sysfs it may mount only for a network of its own.
add_user_namespace() {
    edit_spec '.linux.namespaces += [{type: "user"}, {type: "network"}] | .linux.uidMappings = $map | .linux.gidMappings = $map' \
        --argjson map '[{"containerID": 0, "hostID": 0, "size": 65536}]'
}

give_capability_to_mount() {
    edit_spec '.process.capabilities |= with_entries(.value += ["CAP_SYS_ADMIN"]) | .linux.seccomp = null'
}

in_container() { oci bare "$1" exec "$(id_of_bundle)" "${@:2}"; }          # RUNTIME COMMAND...

# One call of the operator's commands. Sets SAID, what it said on both outputs.
operator() {                                             # STATUS COMMAND [ARG...]
    local expected=$1 status=0
    shift
    write_guard_settings runc
    SAID=$(RUNC_GUARD_CONFIG=$NODE/guard-runc.toml "$GUARD" guard "$@" 2>&1 3>&-) || status=$?
    [[ $status == "$expected" ]] || fail "guard $*: status $status, expected $expected: $SAID"
}

counter() { cat "/proc/$1/root/counter"; }               # PID

counts_on() { local now; now=$(counter "$1"); [[ -n $now && $now -gt $2 ]]; }  # PID BEFORE

assert_counts_on() { wait_until 20 counts_on "$1" "$(counter "$1")"; }    # PID

# The mount table without what a change of propagation changes in it.
mounts_without_groups() { sed -E 's/ (shared|master|propagate_from):[0-9]+//g' "/proc/$1/mountinfo"; }  # PID

# Mountpoints whose lines are not the same in two tables.
different_mountpoints() { diff "$1" "$2" | awk '/^[<>]/ { print $6 }' | sort -u; }   # BEFORE AFTER
