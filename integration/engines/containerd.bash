# shellcheck shell=bash
# containerd with its default folders, without systemd. Its runtimes are runc, crun and runc-guard.

load node

# As a node's administrator writes it; of the rest the plugins that find nothing to work with here are left out.
write_containerd_settings() {
    mkdir -p /etc/containerd
    cat >/etc/containerd/config.toml <<'TOML'
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_unprivileged_ports = false
  enable_unprivileged_icmp = false

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
        BinaryName = "/usr/bin/crun"
TOML
}

start_containerd() {
    # Its shims would keep bats waiting by the descriptors of its reports: 2.1.9 leaves a shim behind after some failed restores.
    containerd </dev/null >"$BATS_FILE_TMPDIR/containerd.log" 2>&1 3>&- 4>&- &
    echo $! >"$BATS_FILE_TMPDIR/containerd.pid"
    wait_until 60 containerd_answers || fail "$(tail -n 20 "$BATS_FILE_TMPDIR/containerd.log")"
}

containerd_answers() { ctr version >/dev/null 2>&1; }

stop_containerd() {
    local pid
    pid=$(<"$BATS_FILE_TMPDIR/containerd.pid")
    kill "$pid"
    wait_until 60 process_is_gone "$pid"
}

process_is_gone() { ! kill -0 "$1" 2>/dev/null; }
