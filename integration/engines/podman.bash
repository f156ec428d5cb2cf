# shellcheck shell=bash
# podman as root, with its default folders. VIA and RUNTIME choose what it executes, by the name that containers.conf gives it.

load node

# fd 3 is bats' own: a container that kept it would keep bats waiting. The warning that is hidden says of every container that
# cgroups without controllers cannot take its conmon.
podman() { command podman --log-level error "$@" 3>&-; }

# What podman needs where there are no cgroup controllers and no CAP_SYS_RESOURCE (nothing of it concerns the guard); and the
# guard, beside the runtimes that podman finds by itself.
prepare_podman() {
    mkdir -p /etc/containers/containers.conf.d
    cat >/etc/containers/containers.conf <<'TOML'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
pids_limit = 0
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
TOML
    configure_guard_by_hand
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
    podman import --quiet "$TEMPLATES/rootfs.tar" docker.io/library/busybox:latest >/dev/null
}

# Not as the default runtime: a test names the one that it means.
configure_guard_by_hand() {
    cat >/etc/containers/containers.conf.d/runc-guard.conf <<'TOML'
[engine]
runtime_supports_json = ["runc", "crun", "runc-guard"]
[engine.runtimes]
runc-guard = ["/usr/local/bin/runc-guard"]
TOML
}

container_pid() { podman inspect --format '{{.State.Pid}}' "$1"; }         # NAME

container_bundle() { podman inspect --format '{{.StaticDir}}' "$1"; }      # NAME

remove_all_containers() {
    podman pod rm --all --force --time 0 >/dev/null
    podman rm --all --force --time 0 --volumes >/dev/null
}

# What podman calls it.
runtime_name() { if [[ $1 == guard ]]; then echo runc-guard; else echo "$2"; fi; }       # VIA RUNTIME

podman_via() { podman --runtime "$(runtime_name "$1" "$2")" "${@:3}"; }    # VIA RUNTIME ARG...

# In the background.
start_container() {                                      # VIA RUNTIME NAME OPTION... IMAGE COMMAND...
    podman_via "$1" "$2" run --detach --network none --name "$3" "${@:4}" >/dev/null
}

with_status() {                                          # COMMAND...
    local status=0
    "$@" || status=$?
    echo "status $status"
}
