# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154  # programs in other languages; results are returned in variables
# Containers that pin, because they were started without the guard, and the operator's commands against them.

# Where the operator's commands look for the states of containers, they find those of this test.
show_containers() {                                      # RUNTIME
    rm -rf "/run/${1:?}"                                 # a folder, if some runtime was called without --root before
    ln -sn "$NODE/state/$1" "/run/$1"
}

teardown_file() { rm -rf /run/runc /run/crun; }

# A container of the bundle as it stands. Sets PID.
start_shown_container() {                                # RUNTIME
    show_containers "$1"
    start_container bare "$1"
    PID=$(container_pid "$1")
}

# A container that counts, with the protected root at /host as a private copy. Sets PID.
start_pinning_container() {                              # RUNTIME NAME [USERNS] [BIND-OPTIONS]
    make_bundle "$2"
    # The shell's own loop: nothing is started from the root file system, and every number is one line.
    set_args sh -c 'i=0; while :; do i=$((i + 1)); echo "$i" >/counter; sleep 0.05; done'
    edit_spec '.root.readonly = false'
    case ${3:-} in
        userns) add_user_namespace ;;
        shifted) add_user_namespace 100000 ;;
    esac
    add_bind "$ROOT" "${4:-rbind,rprivate}"
    start_shown_container "$1"
}

# Register FUNCTION with each runtime, without a user namespace, in one with the node's ids, and in one with ids of its own.
test_with_each_user_namespace() {                        # DESCRIPTION FUNCTION
    test_with_each_runtime "$1" "$2" -
    test_with_each_runtime "$1, user namespace" "$2" userns
    test_with_each_runtime "$1, user namespace with shifted ids" "$2" shifted
}

# Mounts that come into a less privileged namespace are locked there, whichever ids it has. A sysfs it may mount only for a network of its own.
add_user_namespace() {                                   # [FIRST-ID]
    # Its top alone: the files are those of the template. And mktemp's directory is root's alone.
    chown "${1:-0}:${1:-0}" "$BUNDLE/rootfs"
    chmod o+x "$BATS_RUN_TMPDIR"
    edit_spec '.linux.namespaces += [{type: "user"}, {type: "network"}] | .linux.uidMappings = $map | .linux.gidMappings = $map' \
        --argjson map "[{\"containerID\": 0, \"hostID\": ${1:-0}, \"size\": 65536}]"
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

# The trees have no setfattr. Numbers of setxattr(2) and getxattr(2): x86-64, or those of all newer architectures.
set_attribute() {                                        # PATH VALUE
    perl -e 'syscall($ARGV[2] eq "x86_64" ? 188 : 5, $ARGV[0], my $name = "trusted.it", $ARGV[1], length $ARGV[1], 0) == 0 or die $!' "$1" "$2" "$(uname -m)"
}
attribute() {                                            # PATH
    perl -e '$value = "\0" x 64; $n = syscall($ARGV[1] eq "x86_64" ? 191 : 8, $ARGV[0], my $name = "trusted.it", $value, 64); print substr($value, 0, $n) if $n > 0' \
        "$1" "$(uname -m)"
}

# A mount namespace that only FILE keeps. The kernel mounts only one whose id is above that of ours, and since 6.18 each CPU counts for itself.
keep_namespace() {                                       # FILE
    local cpu
    touch "$1"
    for ((cpu = 0; cpu < $(nproc); cpu++)); do
        ! taskset -c "$cpu" unshare --mount="$1" --propagation private true 2>/dev/null || return 0
    done
    fail "no CPU has made a namespace that can be mounted"
}

# The kernel waits for the answer of whoever has /dev/fuse open, which is us, and we never read.
mount_dead_file_server() {                               # DIRECTORY
    local fuse
    mkdir "$1"
    exec {fuse}<>/dev/fuse
    OPEN_FDS+=("$fuse")
    mount -i -t fuse -o "fd=$fuse,rootmode=40000,user_id=0,group_id=0" dead "$1"
    ! timeout 0.2 ls "$1" || fail "the server answers"
}

# A server that says hello, takes every question and answers none, as a daemon that hangs. Who has asked cannot even be killed.
mount_hanging_file_server() {                            # DIRECTORY
    local fuse looker
    mkdir "$1"
    exec {fuse}<>/dev/fuse
    mount -i -t fuse -o "fd=$fuse,rootmode=40000,user_id=0,group_id=0" hanging "$1"
    # FUSE_INIT is 26; its answer is a header of 16 bytes and a fuse_init_out of 64.
    perl -e 'open my $fuse, "+<&=", $ARGV[0] or die $!;
        while (sysread $fuse, my $question, 1 << 20) {
            my (undef, $kind, $unique) = unpack "L L Q", $question;
            syswrite $fuse, pack "L l Q L7 x36", 80, 0, $unique, 7, 31, 65536, 0, 0, 65536, 1 if $kind == 26;
        }' "$fuse" 3>&- &
    SERVERS+=("$! $1")
    exec {fuse}>&-
    stat -t "$1" >/dev/null 2>&1 3>&- &
    looker=$!
    sleep 0.5
    kill -KILL "$looker"
    sleep 0.2
    kill -0 "$looker" || fail "the server answers, or who asks can be killed"
}

# Whoever waits is told that the server is gone. For teardown, before anything looks for what is left.
end_hanging_file_servers() {
    local server
    for server in "${SERVERS[@]}"; do
        kill -KILL "${server%% *}" 2>/dev/null || true
        umount --lazy --no-canonicalize "${server#* }" 2>/dev/null || true
    done
    SERVERS=()
}
SERVERS=()
