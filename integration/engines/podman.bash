# shellcheck shell=bash
# podman as root, with its default folders. VIA and RUNTIME choose what it executes.

load node

# What podman needs where there are no cgroup controllers and no CAP_SYS_RESOURCE (nothing of it concerns the guard).
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
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
    podman import --quiet "$TEMPLATES/rootfs.tar" docker.io/library/busybox:latest >/dev/null
}

container_pid() { podman inspect --format '{{.State.Pid}}' "$1"; }         # NAME

remove_all_containers() { podman rm --all --force --time 0 >/dev/null; }
