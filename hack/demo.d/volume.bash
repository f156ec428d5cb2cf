# shellcheck shell=bash
# shellcheck disable=SC2154  # guard_binary and cgroup are the script's arguments, runtime is its choice
# A small node: a /run of its own with a volume (ext4 on a loop device), and containers that see the host's / at /host.

guard_folder=$(cd "$(dirname "$guard_binary")" && pwd)
guard_binary=$guard_folder/${guard_binary##*/}

# Fixed, readable paths below a /run of our own; the guard comes along because it could lie anywhere, also in the /run that is hidden now.
exec 8<"$guard_binary"
mount -t tmpfs -o mode=755 tmpfs /run
cat <&8 >/run/runc-guard
exec 8<&-
chmod 755 /run/runc-guard
# A hybrid of cgroup v1 and v2 that has v2 controllers is refused by crun: such a host shows its containers v1 only.
if [[ $(stat -f -c %T /sys/fs/cgroup) == tmpfs ]] && mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mount --make-rshared /                                  # as systemd leaves a node; without it no unmount reaches any container
kubelet=/run/kubelet
volume=$kubelet/pods/web-0/data
bundle=/run/bundle
mkdir -p "$volume" "$bundle"/rootfs/{bin,proc,host} /run/state
busybox=$(command -v busybox)
cp -L "$busybox" "$bundle/rootfs/bin/busybox"
# A static busybox needs nothing more; where Debian's dynamic one is installed, installing the static one would remove it.
{ ldd "$busybox" 2>/dev/null || true; } | grep -o '/[^ ]*' | xargs -r cp -L --parents -t "$bundle/rootfs" || true
mount --bind "$bundle/rootfs" "$bundle/rootfs"          # real root file systems (overlay) are mounts of their own; only then can a bind be a slave
truncate -s 16M /run/volume.img
mkfs.ext4 -q -F /run/volume.img

state=/run/state

# What an engine writes for a container with the host's `/` as a hostPath volume.
write_bundle() { # ID
    jq -n --arg cgroup "/$cgroup-$1" '{
        ociVersion: "1.0.2", root: {path: "rootfs"},
        process: {user: {uid: 0, gid: 0}, cwd: "/", env: ["PATH=/bin"], args: ["/bin/busybox", "sleep", "600"]},
        mounts: [{destination: "/proc", type: "proc", source: "proc"},
                 {destination: "/host", type: "bind", source: "/", options: ["rbind", "rprivate"]}],
        linux: {cgroupsPath: $cgroup, namespaces: [{type: "pid"}, {type: "mount"}, {type: "ipc"}, {type: "uts"}]}}' >"$bundle/config.json"
}

# Nothing in the container may inherit fd 9: it holds the loop device.
run_runtime() {
    "${runtime[@]}" --root "$state" "$@" </dev/null >/dev/null 2>/run/runtime.err 9<&- || {
        echo "hack/demo: ${runtime[0]##*/} $1 failed: $(cat /run/runtime.err)" >&2
        return 1
    }
}
container_mounts() { cat "/proc/$("${runtime[@]}" --root "$state" state "$1" | jq .pid)/mountinfo"; }

attach_volume() { # sets device
    device=$(losetup --find --show /run/volume.img)
    exec 9<"$device"
    losetup --detach "$device"                          # takes effect when the last user is gone: so nothing is left behind, even by a SIGKILL
    mount "$device" "$volume"
}

# mkfs, fsck, cryptsetup, and a CSI driver before it detaches, all ask the kernel this question.
open_exclusively() { perl -MFcntl -e 'sysopen(my $d, $ARGV[0], O_RDWR | O_EXCL) or print("$!\n"), exit(1)' "$device"; }
wait_until_free() { # prints the last error
    local answer=""
    for _ in {1..20}; do
        if answer=$(open_exclusively); then return 0; fi
        sleep 0.1
    done
    echo "$answer"
    return 1
}
