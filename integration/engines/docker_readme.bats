#!/usr/bin/env bats
# The README's section on dockerd, as it is written.

load docker
load readme

setup_file() {
    start_docker_with_image 'del(.runtimes)'
    install_systemctl
}
teardown_file() {
    stop_docker
    rm /usr/local/bin/systemctl
}

# There is no systemd here: it restarts the daemon under test.
install_systemctl() {
    cat >/usr/local/bin/systemctl <<SH
#!/bin/sh
set -e
[ "\$*" = "restart docker" ]
kill "\$(cat "$BATS_FILE_TMPDIR/dockerd.pid")"
while [ -e /var/run/docker.pid ]; do sleep 0.05; done
dockerd </dev/null >>"$BATS_FILE_TMPDIR/dockerd.log" 2>&1 3>&- &
echo \$! >"$BATS_FILE_TMPDIR/dockerd.pid"
while ! docker version >/dev/null 2>&1; do sleep 0.05; done
SH
    chmod +x /usr/local/bin/systemctl
}

@test "README: dockerd" {
    local block
    block=$(readme_block dockerd)
    assert_contains "block" "$block" "guard configure docker --set-default"
    assert_equal "before" "$(docker info --format '{{.DefaultRuntime}}')" runc
    sh -euc "$block" 3>&- >"$NODE/stdout"
    assert_equal "what docker prints" "$(tail -n 2 "$NODE/stdout")" $'runc-guard\nit works'
    assert_equal "kept" "$(jq -r '."storage-driver", .experimental' /etc/docker/daemon.json)" $'overlay2\ntrue'
    assert_equal "a private bind by default" "$(private_bind)" released
    assert_equal "a private bind with runc alone" "$(private_bind --runtime runc)" pinned
}

# Prints what becomes of a volume: released or pinned.
private_bind() {                                         # OPTION...
    attach_volume "$NODE/tree/volume$*"
    docker run --detach --name box "$@" --volume "$NODE/tree:/host" busybox sleep 1000 >/dev/null
    detach_volume box
    remove_box
    echo "$RESULT"
}
