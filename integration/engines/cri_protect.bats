#!/usr/bin/env bats
# hostPath volumes, by CRI: without runc-guard a private one keeps what the node unmounts, with it all is let go; and what must
# go on to work does.
# shellcheck disable=SC2016  # $names in jq and awk programs

load cri

setup_file() { start_cri; }
teardown_file() { stop_containerd; }

KUBELET_PODS=/var/lib/kubelet/pods

# The pod VIA runs on both ways; afterwards CHECK, with the same arguments, sets RESULT: pinned without the guard, released with it.
pinned_without_released_with() {                         # RUNTIME PREPARE FILTER-MAKER CHECK [FILTER-OF-POD]
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        "$2" "$via" "$1"
        run_app "$via" "$1" "$("$3")" "${5:-.}"
        "$4" "$via" "$1"
        assert_equal "$via" "$RESULT" "$([[ $via == guard ]] && echo released || echo pinned)"
    done
}

# --- volumes of other pods -------------------------------------------------------------------------------------------
volume_of_another_pod() { attach_volume "$KUBELET_PODS/web-$1/volumes/kubernetes.io~csi/data/mount"; }
volume_in_a_tree() { attach_volume "$NODE/tree/volume-$1"; }

whole_node() { volume / /host; }
whole_node_read_only() { volume / /host PRIVATE readonly; }
kubelet_folder() { volume /var/lib/kubelet /kubelet; }
tree() { volume "$NODE/tree" /host; }

detach() { detach_volume "$1"; }

test_with_each_runtime "hostPath /: another pod's volume is let go" pinned_without_released_with \
    volume_of_another_pod whole_node detach
test_with_each_runtime "hostPath /var/lib/kubelet: another pod's volume is let go" pinned_without_released_with \
    volume_of_another_pod kubelet_folder detach
test_with_each_runtime "hostPath of a tree: its volume is let go" pinned_without_released_with volume_in_a_tree tree detach

whole_node_in_user_namespace() { echo "$(whole_node) | $USER_NAMESPACE"; }
test_with_each_runtime "user namespace, hostPath /: another pod's volume is let go" pinned_without_released_with \
    volume_of_another_pod whole_node_in_user_namespace detach "$USER_NAMESPACE"

# --- what kubelet and containerd mount themselves --------------------------------------------------------------------
secret_of_another_pod() {                                # VIA
    SECRET=$KUBELET_PODS/web-$1/volumes/kubernetes.io~secret/token
    mkdir -p "$SECRET"
    mount -t tmpfs tmpfs "$SECRET"
    echo hunter2 >"$SECRET/token"
}
unmount_secret() {                                       # VIA
    assert_equal "secret" "$(exec_in "$1" cat "/host$SECRET/token")" hunter2
    umount "$SECRET"
    if exec_in "$1" cat "/host$SECRET/token" >/dev/null; then RESULT=pinned; else RESULT=released; fi
}
test_with_each_runtime "hostPath /, read-only: another pod's Secret is gone" pinned_without_released_with \
    secret_of_another_pod whole_node_read_only unmount_secret

# Its /dev/shm, which containerd mounts below /run/containerd and unmounts when the pod stops. (What is left of a removed pod the
# kernel detaches everywhere, because the directories go, too.)
another_pod() { run_pod other "$@"; }                    # VIA RUNTIME
stop_other_pod() {                                       # VIA
    local shm=/run/containerd/io.containerd.grpc.v1.cri/sandboxes/${POD[other]}/shm
    mountpoint --quiet "$shm" || fail "no $shm"
    [[ $(propagation_in_container "$1" "/host$shm") != absent ]] || fail "$1 does not have $shm"
    cri StopPodSandbox "$(pod_request other)" >/dev/null
    ! mountpoint --quiet "$shm" || fail "containerd has not unmounted $shm"
    if [[ $(propagation_in_container "$1" "/host$shm") == absent ]]; then RESULT=released; else RESULT=pinned; fi
    remove_all_containers
}
test_with_each_runtime "hostPath /: a stopped pod's /dev/shm is gone" pinned_without_released_with another_pod whole_node stop_other_pod

# --- what works without the guard works with it ----------------------------------------------------------------------
# An emptyDir, and a tmpfs that is itself the mountpoint: the kubelet gives both as rprivate.
own_volumes() {                                          # RUNTIME
    local via volumes
    write_guard_settings "$1"
    for via in bare guard; do
        volumes=$KUBELET_PODS/$via/volumes
        mkdir -p "$volumes/kubernetes.io~empty-dir"/{cache,memory}
        mount -t tmpfs -o mode=1777 tmpfs "$volumes/kubernetes.io~empty-dir/memory"
        run_app "$via" "$1" "$(volume "$volumes/kubernetes.io~empty-dir/cache" /cache) | \
            $(volume "$volumes/kubernetes.io~empty-dir/memory" /memory)"
        exec_in "$via" sh -c 'echo a >/cache/file; echo b >/memory/file'
        assert_equal "$via" "$(cat "$volumes"/*/{cache,memory}/file)" $'a\nb'
        assert_equal "$via" "$(propagation_in_container "$via" /cache)" "$([[ $via == guard ]] && echo slave || echo private)"
        assert_equal "$via" "$(propagation_in_container "$via" /memory)" private
    done
}
test_with_each_runtime "a pod's own volumes" own_volumes

# With HostToContainer and Bidirectional all is as it should be already.
host_to_container() {                                    # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        run_app "$via" "$1" "$(volume "$NODE/tree" /host HOST_TO_CONTAINER)"
        mkdir "$NODE/tree/later-$via"
        mount -t tmpfs later "$NODE/tree/later-$via"
        assert_equal "$via, mounted later" "$(propagation_in_container "$via" "/host/later-$via")" slave
        detach_volume "$via"
        assert_equal "$via" "$RESULT" released
    done
    assert_equal "the guard's changes" "$(guard_changes)" ''
}
test_with_each_runtime "HostToContainer" host_to_container

# A CSI node plugin.
bidirectional() {                                        # RUNTIME
    local via
    write_guard_settings "$1"
    for via in bare guard; do
        attach_volume "$NODE/tree/volume-$via"
        mkdir "$NODE/tree/made-$via"
        run_app "$via" "$1" "$PRIVILEGED | $(volume "$NODE/tree" /host BIDIRECTIONAL)" "$PRIVILEGED"
        exec_in "$via" mount -t tmpfs made "/host/made-$via"
        mountpoint --quiet "$NODE/tree/made-$via" || fail "$via: the container's mount is not on the node"
        detach_volume "$via"
        assert_equal "$via" "$RESULT" released
        exec_in "$via" umount "/host/made-$via"
        ! mountpoint --quiet "$NODE/tree/made-$via" || fail "$via: the container's umount does not reach the node"
    done
    assert_equal "the guard's changes" "$(guard_changes)" ''
}
test_with_each_runtime "Bidirectional" bidirectional

# The other direction stays shut.
nothing_goes_up() {                                      # RUNTIME
    write_guard_settings "$1"
    mkdir -p "$NODE/tree/made"
    run_app guard "$1" "$PRIVILEGED | $(tree)" "$PRIVILEGED"
    exec_in guard mount -t tmpfs made /host/made
    assert_equal "in the container" "$(propagation_in_container guard /host)" slave
    ! mountpoint --quiet "$NODE/tree/made" || fail "the container's mount is on the node"
}
test_with_each_runtime "a container's mounts do not reach the node" nothing_goes_up
