#!/usr/bin/env bats
# Containers under containerd that bind trees of the host privately: what the host unmounts must go.

load ctr

setup_file() { start_containerd_with_image; }
teardown_file() { stop_containerd; }

# VIA RUNTIME SOURCE; the source is at /host.
start_with_tree() {
    run_container "$1" "$2" --detach --null-io "${@:4}" --mount "type=bind,src=$3,dst=/host,options=${OPTIONS:-rbind:rprivate}:rw" -- "$1" sleep 1000
}

verdict() { if [[ $1 == guard ]]; then echo "$3"; else echo "$2"; fi; }          # VIA BARE GUARD

host_tree_is_released() {                                # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        start_with_tree "$via" "$1" "$NODE/tree"
        detach_volume "$via"
        assert_equal "$via" "$RESULT" "$(verdict "$via" pinned released)"
    done
    assert_contains "guard's log" "$(guard_changes)" /host
}
test_with_each_runtime "a private bind of a host tree lets its volumes go" host_tree_is_released

# --- the roots that are protected by default -------------------------------------------------------------------------
# As node agents have it: the host's / inside.
root_of_host_is_released() {                             # RUNTIME ROOT
    local via
    write_guard_settings "$1"
    protect_default_roots_only
    for via in bare guard; do
        attach_volume "$2/it-volume"
        start_with_tree "$via" "$1" /
        detach_volume "$via"
        rmdir "$2/it-volume"
        assert_equal "$via" "$RESULT" "$(verdict "$via" pinned released)"
    done
}
for root in /var/lib/containerd /run/containerd; do
    test_with_each_runtime "/ bound privately: a volume in $root is let go" root_of_host_is_released "$root"
done

# An image mounted by containerd, as for an image volume. (The root file system of a removed container goes by itself: the kernel
# takes a mount away everywhere when the directory below it is removed.)
image_mount_is_released() {                              # RUNTIME
    local via number
    write_guard_settings "$1"
    protect_default_roots_only
    for via in bare guard; do
        mkdir "/run/containerd/it-$via"
        ctr image mount --rw "$BUSYBOX" "/run/containerd/it-$via" >/dev/null
        number=$(mountpoint --fs-devno "/run/containerd/it-$via")
        start_with_tree "$via" "$1" /
        assert_equal "$via: at first" "$(sees_device "$via" "$number")" yes
        ctr image unmount --rm "/run/containerd/it-$via" >/dev/null
        assert_equal "$via" "$(sees_device "$via" "$number")" "$(verdict "$via" yes no)"
        rmdir "/run/containerd/it-$via"
    done
}
sees_device() { container_mountinfo "$1" | awk -v number="$2" '$3 == number { found = 1 } END { print found ? "yes" : "no" }'; }   # NAME NUMBER
test_with_each_runtime "/ bound privately: an image's overlay is let go" image_mount_is_released

rootfs_of_another_is_released() {                        # RUNTIME
    local via number
    write_guard_settings "$1"
    protect_default_roots_only
    for via in bare guard; do
        run_container "$via" "$1" --detach --null-io -- another sleep 1000
        number=$(mountpoint --fs-devno /run/containerd/io.containerd.runtime.v2.task/default/another/rootfs)
        start_with_tree "$via" "$1" /
        assert_equal "$via: at first" "$(sees_device "$via" "$number")" yes
        # What containerd does first when it removes the container; then it removes the directory.
        umount /run/containerd/io.containerd.runtime.v2.task/default/another/rootfs 2>/dev/null || true
        assert_equal "$via" "$(sees_device "$via" "$number")" "$(verdict "$via" yes no)"
        ctr task kill --signal KILL another
        wait_until 20 remove_container another
        assert_equal "$via: removed" "$(sees_device "$via" "$number")" no
    done
}
test_with_each_runtime "/ bound privately: the root file system of a removed container is gone" rootfs_of_another_is_released

# --- where the guard keeps out ---------------------------------------------------------------------------------------
# A CSI node plugin: both directions work with the guard as without it.
bidirectional_volume() {                                 # RUNTIME
    local via OPTIONS=rbind:rshared
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        mkdir "$NODE/tree/made-$via"
        start_with_tree "$via" "$1" "$NODE/tree" --privileged --rootfs-propagation rshared
        ctr task exec --exec-id 1 "$via" mount -t tmpfs made "/host/made-$via"
        mountpoint --quiet "$NODE/tree/made-$via" || fail "$via: the container's mount is not on the host"
        mkdir "$NODE/tree/later-$via"
        mount -t tmpfs later "$NODE/tree/later-$via"
        assert_equal "$via: the host's mount" "$(container_mountinfo "$via" | propagation_at "/host/later-$via")" shared
        detach_volume "$via"
        assert_equal "$via" "$RESULT" released
    done
    assert_equal "guard's changes" "$(guard_changes)" ""
}
test_with_each_runtime "rshared: mounts go both ways" bidirectional_volume

nothing_goes_up() {                                      # RUNTIME
    write_guard_settings "$1"
    attach_volume "$NODE/tree/volume"
    mkdir "$NODE/tree/made"
    start_with_tree guard "$1" "$NODE/tree" --privileged
    assert_equal "in the container" "$(container_mountinfo guard | propagation_at /host)" slave
    ctr task exec --exec-id 1 guard sh -c 'mount -t tmpfs made /host/made && umount /host/volume'
    mountpoint --quiet "$VOLUME"
    ! mountpoint --quiet "$NODE/tree/made"
}
test_with_each_runtime "a slave's own mounts stay in it" nothing_goes_up

# Beside the roots nothing is rewritten: the runtime gets what the shim wrote.
left_alone() {                                           # RUNTIME
    local via
    write_guard_settings "$1"
    protect_default_roots_only
    mkdir "$NODE/tree"
    for via in bare guard; do
        run_container "$via" "$1" --detach --null-io --mount "type=bind,src=$NODE/tree,dst=/host,options=rbind:rprivate:rw" -- c sleep 1000
        spec_of c >"$NODE/$via.json"
        assert_equal "$via" "$(container_mountinfo c | propagation_at /host)" private
        remove_all_containers
    done
    cmp "$NODE/bare.json" "$NODE/guard.json"
    assert_equal "guard's changes" "$(guard_changes)" ""
}
test_with_each_runtime "a tree beside the roots stays private" left_alone
