#!/usr/bin/env bats
# Containers with runc-guard in front of the runtime do not keep what the host unmounts, in each of podman's ways to bind a tree.

load podman

setup_file() { prepare_podman; }

# --- ways to bind a tree ---------------------------------------------------------------------------------------------
# The host unmounts a volume in the tree. In the options of `podman run` @ is the tree.
tree_is() {                                              # BARE GUARD RUNTIME OPTION...
    local via
    local -A outcome=([bare]=$1 [guard]=$2)
    local -a options=("${@:4}")
    write_guard_settings "$3" "${SETTINGS:-}"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        start_container "$via" "$3" "$via" "${options[@]//@/$NODE/tree}" busybox sleep 1000
        detach_volume "$via"
        assert_equal "$via" "$RESULT" "${outcome[$via]}"
    done
}

released() { tree_is pinned released "$@"; }             # RUNTIME OPTION...

test_with_each_runtime "-v, as podman binds by default" released --volume @:/host
test_with_each_runtime "-v rprivate" released --volume @:/host:rprivate
test_with_each_runtime "-v read-only, in a read-only container" released --read-only --volume @:/host:ro
test_with_each_runtime "--mount" released --mount type=bind,src=@,dst=/host
test_with_each_runtime "--mount bind-propagation=rprivate" released --mount type=bind,src=@,dst=/host,bind-propagation=rprivate
test_with_each_runtime "in a user namespace" released --uidmap 0:100000:65536 --gidmap 0:100000:65536 --volume @:/host:rprivate

already_slave() { tree_is released released "$@"; [[ -z $(guard_changes) ]]; }
test_with_each_runtime "-v rslave needs no help" already_slave --volume @:/host:rslave

opted_out() {                                            # RUNTIME
    SETTINGS='allow_opt_out = ["slave-protected-binds"]'
    tree_is pinned pinned "$1" --annotation runc-guard/slave-protected-binds=off --volume @:/host:rprivate
    podman rm --all --force --time 0 >/dev/null
    tree_is pinned released "$1" --volume @:/host:rprivate
}
test_with_each_runtime "a container that opts out keeps its copy" opted_out

# podman mounts the tree a second time, as the volume, and binds that one.
named_volume() {                                         # RUNTIME
    podman volume create --opt type=none --opt o=rbind --opt device="$NODE/tree" tree >/dev/null
    mkdir -p "$NODE/tree"
    released "$1" --volume tree:/host
    remove_all_containers
    podman volume rm tree >/dev/null
}
test_with_each_runtime "a named volume of a host tree" named_volume

# --- the default protected roots -------------------------------------------------------------------------------------
# What a monitoring container does, on a node whose administrator has set nothing but the runtime.
volume_in_default_root() {                               # RUNTIME DIRECTORY
    local via
    mkdir -p /etc/runc-guard
    echo "runtimes = [\"$(command -v "$1")\"]" >/etc/runc-guard/config.toml
    for via in bare guard; do
        start_container_with_volume "$2/volume" "$via" "$1" "$via" --volume /:/host:rprivate busybox sleep 1000
        detach_volume "$via"
        rmdir "$2/volume"
        assert_equal "$via" "$RESULT" "$([[ $via == guard ]] && echo released || echo pinned)"
    done
}

# A container that fails to start must not leave a mount that no teardown looks for.
start_container_with_volume() {                          # DIRECTORY ARG...
    attach_volume "$1"
    start_container "${@:2}" || { umount "$VOLUME"; return 1; }
}
test_with_each_runtime "/ is bound, a volume in podman's storage" volume_in_default_root /var/lib/containers/storage
test_with_each_runtime "/ is bound, a volume in podman's state" volume_in_default_root /run/containers/storage

# What podman mounts for another container, while that one runs: its root file system and its shared memory. podman removes the
# mountpoint of the first, which takes every copy away; the second would stay.
mounts_of_another_container() {                          # RUNTIME
    local via merged shm
    write_guard_settings "$1"
    for via in bare guard; do
        start_container "$via" "$1" "other-$via" busybox sleep 1000
        start_container "$via" "$1" "$via" --volume /:/host:rprivate busybox sleep 1000
        merged=$(podman inspect --format '{{.GraphDriver.Data.MergedDir}}' "other-$via")
        shm=$(container_bundle "other-$via")/shm
        assert_equal "$via, before" "$(sees "$via" "$merged") $(sees "$via" "$shm")" "yes yes"
        podman stop --time 0 "other-$via" >/dev/null
        assert_equal "$via, after" "$(sees "$via" "$merged") $(sees "$via" "$shm")" "$([[ $via == guard ]] && echo no no || echo no yes)"
    done
}
sees() { if [[ $(propagation_in_container "$1" "/host$2") == absent ]]; then echo no; else echo yes; fi; }   # NAME PATH
test_with_each_runtime "/ is bound, another container ends" mounts_of_another_container

# --- mounts that go up to the host -----------------------------------------------------------------------------------
rshared_works_both_ways() {                              # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        mkdir "$NODE/tree/made-$via"
        start_container "$via" "$1" "$via" --cap-add SYS_ADMIN --volume "$NODE/tree:/host:rshared" busybox sleep 1000
        podman exec "$via" mount -t tmpfs made "/host/made-$via"
        mountpoint --quiet "$NODE/tree/made-$via" || fail "$via: the container's mount is not on the host"
        detach_volume "$via"
        assert_equal "$via" "$RESULT" released
    done
    assert_equal "the guard's changes" "$(guard_changes)" ""
}
test_with_each_runtime "rshared works both ways" rshared_works_both_ways

# The guard opens no way up: with its rslave a mount in the container stays there.
nothing_goes_up() {                                      # RUNTIME
    write_guard_settings "$1"
    mkdir -p "$NODE/tree/made"
    start_container guard "$1" guard --cap-add SYS_ADMIN --volume "$NODE/tree:/host" busybox sleep 1000
    assert_equal "propagation" "$(propagation_in_container guard /host)" slave
    podman exec guard mount -t tmpfs made /host/made
    ! mountpoint --quiet "$NODE/tree/made"
}
test_with_each_runtime "rslave lets nothing up to the host" nothing_goes_up
