# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # $names in jq and sh programs; results are returned in variables
# CRI-O's calls, as internal/oci/runtime_oci.go makes them: create, restore and exec through the real conmon, all else directly.
# CRI-O itself is not packaged. Folders and the shape of config.json are its own, too.
#
# A container is called by a short name; ID_OF makes CRI-O's 64 digits of it.

load node

STORAGE=/var/lib/containers/storage
PERSIST=$STORAGE/overlay-containers                      # /ID/userdata: what lives as long as the container
RUN=/run/containers/storage/overlay-containers           # /ID/userdata: the bundle
EXITS=/run/crio/exits
POD_VOLUMES=/var/lib/kubelet/pods/0f1e/volumes

id_of() { printf %s "$BATS_SUITE_TEST_NUMBER-$1" | sha256sum | cut -d' ' -f1; }            # NAME
bundle_of() { echo "$RUN/$(id_of "$1")/userdata"; }      # NAME
checkpoint_of() { echo "$PERSIST/$(id_of "$1")/userdata/checkpoint"; }   # NAME
log_of() { echo "/var/log/pods/$1/0.log"; }              # NAME

# Where each runtime keeps its state, as in CRI-O's own settings.
state_of() { echo "/run/$1"; }                           # RUNTIME

container_pid() { cat "$(bundle_of "$1")/pidfile"; }     # NAME

# --- the bundle ------------------------------------------------------------------------------------------------------
# Files of the pod, its overlay, and config.json: the pod's own binds without a word, volumes with one; CRI-O appends `bind` to them.
make_container() {                                       # NAME COMMAND...
    local id bundle
    id=$(id_of "$1")
    bundle=$(bundle_of "$1")
    mkdir -p "$bundle" "$PERSIST/$id/userdata" "$(dirname "$(log_of "$1")")" "$EXITS"
    make_pod_files
    mount_overlay "$1"
    write_crio_spec "$1" "${@:2}"
    echo "$1" >>"$NODE/containers"
}

make_pod_files() {
    POD=$RUN/pod/userdata
    [[ ! -d $POD ]] || return 0
    mkdir -p "$POD/shm" "$POD_VOLUMES/kubernetes.io~projected/kube-api-access"
    mount -t tmpfs -o size=64m shm "$POD/shm"
    mount -t tmpfs token "$POD_VOLUMES/kubernetes.io~projected/kube-api-access"
    echo secret >"$POD_VOLUMES/kubernetes.io~projected/kube-api-access/token"
    echo pod >"$POD/hostname"
    touch "$POD/resolv.conf" "$POD/.containerenv" "${POD_VOLUMES%/*}/etc-hosts"
}

# The image, too, is in STORAGE, which is no overlay: in an overlay on an overlay CRIU does not find a program's file.
mount_overlay() {                                        # NAME
    local layer image=$STORAGE/overlay/image
    layer=$STORAGE/overlay/$(id_of "$1")
    mkdir -p "$layer"/{diff,work,merged}
    [[ -d $image ]] || cp -a "$TEMPLATES/rootfs" "$image"
    # As in the images that Kubernetes runs.
    mkdir -p "$layer/diff/run/secrets/kubernetes.io/serviceaccount"
    mount -t overlay -o "lowerdir=$image,upperdir=$layer/diff,workdir=$layer/work" overlay "$layer/merged"
}

write_crio_spec() {                                      # NAME COMMAND...
    local id
    id=$(id_of "$1")
    jq -nc --arg id "$id" --arg name "$1" --arg pod "$POD" --arg volumes "$POD_VOLUMES" --arg merged "$STORAGE/overlay/$id/merged" \
        -f "$BATS_TEST_DIRNAME/crio.jq" --args -- "${@:2}" >"$(bundle_of "$1")/config.json"
}

edit_crio_spec() {                                       # NAME FILTER [JQ-OPTION...]
    local file
    file=$(bundle_of "$1")/config.json
    jq -c "$2" "${@:3}" "$file" >"$NODE/edited.json"
    cat "$NODE/edited.json" >"$file"
}

# A hostPath volume.
add_host_path() {                                        # NAME SOURCE DESTINATION WORD
    edit_crio_spec "$1" '.mounts += [{destination: $to, type: "bind", source: $from, options: ["rbind", $word, "rw", "bind"]}]
        | if $word == "rprivate" then . else .linux.rootfsPropagation = $word end' --arg from "$2" --arg to "$3" --arg word "$4"
}

add_tmpfs() {                                            # NAME DESTINATION
    edit_crio_spec "$1" '.mounts += [{destination: $to, type: "tmpfs", source: "tmpfs",
        options: ["rw", "noexec", "nosuid", "nodev", "tmpcopyup", "mode=1777"]}]' --arg to "$2"
}

# --- conmon ----------------------------------------------------------------------------------------------------------
# CRI-O's environment for conmon and the runtime is this and no more.
as_crio() { env -i CRI_O_EXTERNAL=1 "PATH=$PATH" "$@"; }

# CreateContainer, also for a restore. Sets SYNC, the line that conmon sends; status: whether a container came into being.
conmon_create() {                                        # VIA RUNTIME NAME [CONMON-OPTION...]
    local id bundle
    id=$(id_of "$3")
    bundle=$(bundle_of "$3")
    run_conmon "$bundle" -b "$bundle" -c "$id" --exit-dir "$EXITS" -l "$(log_of "$3")" --log-level info -n "k8s_$3" \
        -P "$bundle/conmon-pidfile" -p "$bundle/pidfile" --persist-dir "$PERSIST/$id/userdata" -r "$(program_of "$1" "$2")" \
        --runtime-arg "--root=$(state_of "$2")" --socket-dir-path /run/crio --syslog -u "$id" "${@:4}"
    echo "$2" >"$NODE/runtime-of-$3"
    (($(jq .pid <<<"$SYNC") > 0))
}

# conmon waits for a byte on descriptor 4, and writes what it has to say to descriptor 3.
run_conmon() {                                           # DIRECTORY ARG...
    local said
    rm -f "$NODE/sync"
    mkfifo "$NODE/sync"
    exec {said}<>"$NODE/sync"
    (cd "$1" && as_crio _OCI_SYNCPIPE=3 _OCI_STARTPIPE=4 conmon "${@:2}" </dev/null >"$NODE/conmon.log" 2>&1 3>"$NODE/sync" 4< <(printf '\0'))
    read -r -t 30 -u "$said" SYNC || fail "conmon says nothing: $(cat "$NODE/conmon.log")"
    exec {said}>&-
}

message() { jq -r .message <<<"$SYNC"; }

restore_by_conmon() {                                    # VIA RUNTIME NAME [CONMON-OPTION...]
    local -a cgroups=()
    [[ $2 != crun ]] || cgroups=(--runtime-opt --manage-cgroups-mode=ignore)
    conmon_create "$1" "$2" "$3" --restore "$(checkpoint_of "$3")" "${cgroups[@]}" "${@:4}"
}

# ExecSync. Sets EXIT_CODE; the output is in CRI's log format.
exec_sync() {                                            # VIA RUNTIME NAME COMMAND...
    local id said
    id=$(id_of "$3")
    jq -c '.process | .args = $ARGS.positional | .terminal = false' --args -- "${@:4}" <"$(bundle_of "$3")/config.json" >"$NODE/process.json"
    rm -f "$NODE"/{sync,exec-log}
    mkfifo "$NODE/sync"
    exec {said}<>"$NODE/sync"
    as_crio _OCI_SYNCPIPE=3 conmon -c "$id" -n "k8s_$3" -r "$(program_of "$1" "$2")" -p "$NODE/exec-pid" -e -l "$NODE/exec-log" \
        --socket-dir-path /run/crio --log-level info --sync --log-global-size-max 16777216 -T 20 --exec-process-spec "$NODE/process.json" \
        --runtime-arg "--root=$(state_of "$2")" </dev/null >"$NODE/conmon.log" 2>&1 3>"$NODE/sync"
    while read -r -t 30 -u "$said" SYNC; do
        EXIT_CODE=$(jq '.exit_code // empty' <<<"$SYNC")
        [[ -z $EXIT_CODE ]] || break
    done
    exec {said}>&-
}

# The log's lines are TIME STREAM TAG TEXT.
exec_output() { cut -d' ' -f2,4- "$NODE/exec-log"; }

# --- direct calls ----------------------------------------------------------------------------------------------------
crio_runtime() {                                         # VIA RUNTIME COMMAND... (its last words name the container)
    as_crio "$(program_of "$1" "$2")" --root "$(state_of "$2")" "${@:3}" 3>&-
}
status_of() { crio_runtime "$1" "$2" state "$(id_of "$3")" | jq -r .status; }              # VIA RUNTIME NAME

start_container() {                                      # VIA RUNTIME NAME
    conmon_create "$@" || fail "$1: $SYNC" || return 1
    crio_runtime "$1" "$2" start "$(id_of "$3")"
}

# One option is not CRI-O's: the cgroups of a made-up node cannot be restored, and crun 1.21 reads no file that says so.
checkpoint_by_crio() {                                   # VIA RUNTIME NAME
    local id directory
    local -a cgroups=()
    [[ $2 != crun ]] || cgroups=(--manage-cgroups-mode=ignore)
    id=$(id_of "$3")
    directory=$PERSIST/$id/userdata
    crio_runtime "$1" "$2" pause "$id"
    crio_runtime "$1" "$2" checkpoint --file-locks --image-path "$directory/checkpoint" --work-path "$directory" "${cgroups[@]}" "$id"
}

exit_code_of() { cat "$EXITS/$(id_of "$1")"; }           # NAME
has_exited() { [[ -s $EXITS/$(id_of "$1") ]]; }          # NAME

remove_all_containers() {
    local name
    [[ ! -f $NODE/containers ]] || while read -r name; do remove_container "$name"; done <"$NODE/containers"
    unmount_below "$RUN"
    unmount_below "$STORAGE"
    unmount_below /var/lib/kubelet
    rm -rf "${RUN:?}" "${PERSIST:?}" "${STORAGE:?}/overlay" "${EXITS:?}" /var/lib/kubelet /var/log/pods
}

# The pid is conmon's child's: it is gone when conmon has written the exit file.
remove_container() {                                     # NAME
    local runtime id
    runtime=$(cat "$NODE/runtime-of-$1" 2>/dev/null) || return 0
    id=$(id_of "$1")
    # As CRI-O does, but by the runtime alone.
    if "$runtime" --root "$(state_of "$runtime")" state "$id" >/dev/null 2>&1; then
        "$runtime" --root "$(state_of "$runtime")" delete --force "$id"
        wait_until 20 has_exited "$1"
    fi
    # What crun leaves behind when CRIU fails.
    rm -rf "/run/$runtime/$id"
    find /sys/fs/cgroup -depth -type d -path "*/crio-$id*" -exec rmdir {} +
}
