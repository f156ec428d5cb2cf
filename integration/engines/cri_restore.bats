#!/usr/bin/env bats
# Checkpoints by CRI, restored in the next pod as Kubernetes does it: the archive is the container's image. The volumes are then new
# and empty, as after a reboot.
# shellcheck disable=SC2016,SC2034  # $names in jq and sh programs; shapes return in variables

load cri
load ../checkpoint

setup_file() {
    start_cri
    start_registry
}
teardown_file() { stop_containerd; stop_registry; }

# --- the base image, which containerd pulls again before it restores -------------------------------------------------
start_registry() {
    local digest
    digest=$(ctr --namespace k8s.io image list "name==$CRI_IMAGE" | grep -o 'sha256:[0-9a-f]*')
    "$CRI_FOLDER/registry" /var/lib/containerd/io.containerd.content.v1.content "$digest" "$BATS_FILE_TMPDIR/registry.port" \
        </dev/null >"$BATS_FILE_TMPDIR/registry.log" 2>&1 3>&- 4>&- &
    echo $! >"$BATS_FILE_TMPDIR/registry.pid"
    wait_until 60 test -s "$BATS_FILE_TMPDIR/registry.port"
    ctr --namespace k8s.io image pull --plain-http "$(name_in_registry):latest" >/dev/null
    # The name that the checkpoint will record.
    ctr --namespace k8s.io image tag "$(name_in_registry):latest" "$(name_in_registry)@$digest" >/dev/null
}
stop_registry() { kill "$(<"$BATS_FILE_TMPDIR/registry.pid")"; }
name_in_registry() { echo "127.0.0.1:$(<"$BATS_FILE_TMPDIR/registry.port")/busybox"; }

# --- the shapes: mounts of a pod, anew on each node ------------------------------------------------------------------
# An emptyDir in memory, and in it the token, by the name that every pod has for it; /var/run is a symlink to ../run in the image.
kubernetes() {
    mkdir -p "$NODE"/{secrets,token}
    mount -t tmpfs secrets "$NODE/secrets"
    echo hunter2 >"$NODE/token/token"
    SHAPE="$(volume "$NODE/secrets" /run/secrets) | $(volume "$NODE/token" /var/run/secrets/kubernetes.io/serviceaccount PRIVATE readonly)"
    SHAPE+=" | $(counting '')"
}

# /dev is a tmpfs of the container's own.
below_dev() {
    mkdir -p "$NODE"/{outer,inner}
    SHAPE="$(volume "$NODE/outer" /dev/volume) | $(volume "$NODE/inner" /dev/volume/below) | $(counting '')"
}

mounted_by_process() {
    mkdir -p "$NODE/volume"
    SHAPE="$(volume "$NODE/volume" /volume) | .linux.security_context.capabilities.add_capabilities = [\"SYS_ADMIN\"]"
    SHAPE+=" | $(counting 'mkdir -p /volume/made; mount -t tmpfs made /volume/made;')"
}

counting() {                                             # SHELL-COMMANDS
    command_line sh -c "$1"' read word </proc/sys/kernel/random/uuid
        while :; do i=$((i+1)); echo $word $i >/dev/shm/count; sleep 0.05; done'
}

next_node() { unmount_below "$NODE"; rm -rf "$NODE"/{secrets,token,outer,inner,volume}; }

# --- checkpoint and restore ------------------------------------------------------------------------------------------
# Sets WORD and COUNT. On the next node nothing is left but ARCHIVE.
checkpoint() {                                           # VIA RUNTIME MAKER
    ARCHIVE=$NODE/$1.tar
    forget_log
    $3
    run_pod_and_container "$1" "$1" "$2" "$SHAPE | .image.image = \"$(name_in_registry):latest\""
    wait_until 20 reads_count "$1"
    WORD=$SEEN_WORD COUNT=$SEEN_COUNT
    write_checkpoint "$1" || write_checkpoint "$1"       # once more: on a loaded machine CRIU's freezer may be out of time
    remove_all_containers
    next_node
}
write_checkpoint() { cri CheckpointContainer "$(container_request "$1" '.location = $archive' --arg archive "$ARCHIVE")" >/dev/null; }

# containerd keeps no log of a restore that failed, so CRIU is told to write it elsewhere.
prepare_restore() {                                      # VIA RUNTIME MAKER
    $3
    echo "log-file=$NODE/criu.log" | tee -a /etc/criu/{default,runc,crun}.conf >/dev/null
    run_pod restored "$1" "$2"
    create_container restored "$SHAPE | .image.image = \"$ARCHIVE\""
}
restore() { prepare_restore "$@" && start_container restored; }          # VIA RUNTIME MAKER

forget_restore() {
    forget_log
    remove_all_containers
    next_node
}
forget_log() { sed -i '/^log-file=/d' /etc/criu/{default,runc,crun}.conf; }

# The runtime alone: it restores, or is stopped for REASON, in CRIU's words or containerd's.
restore_alone() {                                        # RUNTIME MAKER REASON
    local error
    if [[ $3 == ok ]]; then
        restore bare "$1" "$2"
        assert_goes_on restored
    else
        error=$(error_of restore bare "$1" "$2"; cat "$NODE/criu.log" 2>/dev/null || true)
        grep -qE -- "$3" <<<"$error" || fail "not for the reason '$3': $error"
    fi
    forget_restore
}

restore_with_guard() {                                   # RUNTIME MAKER
    restore guard "$1" "$2"
    assert_goes_on restored
    if [[ $2 == kubernetes ]]; then
        assert_equal "token" "$(exec_in restored cat /run/secrets/kubernetes.io/serviceaccount/token)" hunter2
    fi
    forget_restore
}

# The guard came to the node after the checkpoint; then it was there from the beginning.
restore_through_cri() {                                  # RUNTIME MAKER REASON
    write_guard_settings "$1"
    checkpoint bare "$1" "$2"
    restore_alone "$@"
    restore_with_guard "$1" "$2"
    checkpoint guard "$1" "$2"
    restore_with_guard "$1" "$2"
}

restore_row() {                                          # DESCRIPTION MAKER REASON-OF-RUNC REASON-OF-CRUN
    bats_test_function --description "runc: $1" -- restore_through_cri runc "$2" "$3"
    bats_test_function --description "crun: $1" -- restore_through_cri crun "$2" "$4"
}

# containerd calls `restore … -no-subreaper`, which crun does not know.
usage='crun did not terminate successfully: exit status 64'
stat="mnt-v2: Can't stat mountpoint .*: No such file or directory"

# In the answer to StartContainer, and in the status, where kubectl finds it.
impossible() {                                           # RUNTIME
    local sentence="OCI runtime restore failed: runc-guard: /run/secrets/kubernetes.io/serviceaccount: a directory is needed at "
    sentence+="$NODE/secrets/kubernetes.io/serviceaccount, and $NODE/secrets/kubernetes.io is no directory (move it away)"
    write_guard_settings "$1"
    checkpoint guard "$1" kubernetes
    prepare_restore guard "$1" file_in_the_way
    assert_contains "error" "$(error_of start_container restored)" "$sentence"
    assert_contains "status" "$(status_of restored .status.message)" "$sentence"
    assert_equal "status" "$(status_of restored '.status | "\(.state) \(.reason) \(.exit_code)"')" "CONTAINER_EXITED StartError 128"
    forget_restore
}
file_in_the_way() { kubernetes; echo content >"$NODE/secrets/kubernetes.io"; }

no_checkpoint() {                                        # RUNTIME
    write_guard_settings "$1"
    run_app guard "$1"
    ARCHIVE=$NODE/archive.tar
    assert_contains "error" "$(error_of write_checkpoint guard)" UNIMPLEMENTED
}

if [[ $(containerd_version) == 1.* ]]; then
    test_with_each_runtime "containerd 1.7 has no checkpoint by CRI" no_checkpoint
else
    #           description                                                maker              runc    crun
    restore_row "the token below an emptyDir in memory"                    kubernetes         ok      "$usage"
    restore_row "a volume on a volume below /dev"                          below_dev          "$stat" "$usage"
    restore_row "a tmpfs that the container has mounted in its volume"     mounted_by_process "$stat" "$usage"
    test_with_each_runtime "an impossible restore" impossible
fi
