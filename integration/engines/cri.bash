# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # $names in jq programs; results are returned in variables
# containerd through CRI, as the kubelet speaks to it: a pod NAME with one container NAME. VIA and RUNTIME choose the pod's runtime
# handler. Pods are on the host's network, so that no CNI plugin is needed but where they have user namespaces. A FILTER is a jq program
# that edits what is sent.

load containerd

CRI_FOLDER=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/cri
CRI_IMAGE=docker.io/library/busybox:latest
declare -gA POD=() CONTAINER=()                          # by name: the id

cri() { "$CRI_FOLDER/client" "$@"; }                     # METHOD [REQUEST] [METHOD REQUEST]...

start_cri() {
    local archive
    write_containerd_settings
    add_guard_runtime
    install_network_plugin
    start_containerd
    for archive in image pause; do ctr --namespace k8s.io image import "$TEMPLATES/$archive.tar" >/dev/null; done
}

# The lines that `runc-guard guard configure containerd` is to write.
add_guard_runtime() {
    cat >>/etc/containerd/config.toml <<'TOML'
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc-guard]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc-guard.options]
        BinaryName = "/usr/local/bin/runc-guard"
TOML
}

# For pods with a network of their own: it stays as it is. Debian's containerd looks in the second folder.
install_network_plugin() {
    local folder
    mkdir -p /etc/cni/net.d
    echo '{"cniVersion": "1.0.0", "name": "none", "type": "none"}' >/etc/cni/net.d/10-none.conf
    for folder in /opt/cni/bin /usr/lib/cni; do
        install -D -m 755 "$CRI_FOLDER/network-plugin" "$folder/none"
        install -D -m 755 "$CRI_FOLDER/network-plugin" "$folder/loopback"
    done
}

# What a RuntimeClass names.
handler_of() { if [[ $1 == guard ]]; then echo runc-guard; else echo "$2"; fi; }         # VIA RUNTIME

containerd_version() { containerd --version | sed -n 's/.* v\?\([0-9][0-9.]*\).*/\1/p'; }

# --- what the kubelet sends ------------------------------------------------------------------------------------------
write_pod_config() {                                     # NAME [FILTER [JQ-ARGUMENT...]]
    jq -n --arg name "$1" --arg logs "$NODE/logs" '{
        metadata: {name: $name, uid: $name, namespace: "default"}, log_directory: $logs,
        linux: {security_context: {namespace_options: {network: "NODE", pid: "CONTAINER"}}}
    } | '"${2:-.}" "${@:3}" >"$NODE/pod-$1.json"
}

# The masked and read-only paths are Kubernetes' default ones.
write_container_config() {                               # NAME [FILTER [JQ-ARGUMENT...]]
    jq -n --arg name "$1" --arg image "$CRI_IMAGE" '{
        metadata: {name: $name}, image: {image: $image}, command: ["sleep", "1000"], log_path: "\($name).log",
        linux: {resources: {cpu_shares: 102}, security_context: {
            namespace_options: {network: "NODE", pid: "CONTAINER"},
            masked_paths: ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"],
            readonly_paths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}}
    } | '"${2:-.}" "${@:3}" >"$NODE/container-$1.json"
}

# Filters.
volume() {                                               # HOST-PATH CONTAINER-PATH [PROPAGATION [FIELD...]]
    jq -nr --arg from "$1" --arg to "$2" --arg propagation "PROPAGATION_${3:-PRIVATE}" '$ARGS.positional as $more |
        {container_path: $to, host_path: $from, propagation: $propagation} + ($more | map({(.): true}) | add // {}) |
        ".mounts += [\(tojson)]"' --args "${@:4}"
}
command_line() { jq -nr '".command = \($ARGS.positional | tojson)"' --args -- "$@"; }    # WORD...
PRIVILEGED='.linux.security_context.privileged = true'
# Root of the container is 100000 on the node. The kernel wants the network namespace to be the user namespace's.
USER_NAMESPACE='.linux.security_context.namespace_options = {pid: "CONTAINER", userns_options: ({mode: "POD"} +
    ([{host_id: 100000, container_id: 0, length: 65536}] | {uids: ., gids: .}))}'

pod_request() { jq -nc --arg id "${POD[$1]}" '{pod_sandbox_id: $id}'; }                  # NAME
container_request() {                                    # NAME [FILTER [JQ-ARGUMENT...]]
    jq -nc --arg id "${CONTAINER[$1]}" '{container_id: $id} | '"${2:-.}" "${@:3}"
}

# --- pods and containers ---------------------------------------------------------------------------------------------
run_pod() {                                              # NAME VIA RUNTIME [FILTER]
    local request answer
    write_pod_config "$1" "${4:-.}"
    request=$(jq -c --arg handler "$(handler_of "$2" "$3")" '{config: ., runtime_handler: $handler}' "$NODE/pod-$1.json")
    answer=$(cri RunPodSandbox "$request") || return
    POD[$1]=$(jq -r .pod_sandbox_id <<<"$answer")
}

create_container() {                                     # NAME [FILTER]
    local request answer
    write_container_config "$@"
    request=$(jq -nc --arg id "${POD[$1]}" --slurpfile pod "$NODE/pod-$1.json" --slurpfile container "$NODE/container-$1.json" \
        '{pod_sandbox_id: $id, config: $container[0], sandbox_config: $pod[0]}')
    answer=$(cri CreateContainer "$request") || return
    CONTAINER[$1]=$(jq -r .container_id <<<"$answer")
}

start_container() { cri StartContainer "$(container_request "$1")" >/dev/null; }         # NAME

run_pod_and_container() {                                # NAME VIA RUNTIME [FILTER-OF-CONTAINER [FILTER-OF-POD]]
    run_pod "$1" "$2" "$3" "${5:-.}" && create_container "$1" "${4:-.}" && start_container "$1"
}
run_app() { run_pod_and_container "$1" "$@"; }           # VIA RUNTIME [FILTER-OF-CONTAINER [FILTER-OF-POD]]; NAME is VIA

# And the pods' volumes, as the kubelet would.
remove_all_containers() {
    local request
    local -a calls=()
    while read -r request; do
        calls+=(StopPodSandbox "$request" RemovePodSandbox "$request")
    done < <(cri ListPodSandbox | jq -c '.items[] | {pod_sandbox_id: .id}')
    ((${#calls[@]} == 0)) || cri "${calls[@]}" >/dev/null
    unmount_below /var/lib/kubelet
    rm -rf /var/lib/kubelet/pods
}

# --- what they say ---------------------------------------------------------------------------------------------------
# Prints stdout; the exit status is the command's.
exec_in() {                                              # NAME COMMAND...
    local answer
    answer=$(cri ExecSync "$(container_request "$1" '.cmd = $ARGS.positional' --args -- "${@:2}")") || return
    jq -j .stdout <<<"$answer"
    return "$(jq .exit_code <<<"$answer")"
}

status_of() {                                            # NAME FILTER
    local answer
    answer=$(cri ContainerStatus "$(container_request "$1" '.verbose = true')") || return
    jq -r "$2" <<<"$answer"
}

container_pid() { status_of "$1" '.info.info | fromjson | .pid'; }                       # NAME
runtime_program() { status_of "$1" '.info.info | fromjson | .runtimeOptions.binary_name'; }              # NAME

has_ended() { [[ $(status_of "$1" .status.state) == CONTAINER_EXITED ]]; }                      # NAME

# Lines in any order, without the time: stdout F words.
log_of() { cut -d' ' -f2- "$NODE/logs/$1.log" | tr -d '\r' | sort; }                     # NAME

# What the service answers to something that must fail.
error_of() {                                             # COMMAND...
    local error
    if error=$("$@" 2>&1); then fail "no error: $*"; else echo "$error"; fi
}
