#!/usr/bin/env bats
# README.md's section on containerd, executed as it is written.

load ctr
load readme

setup_file() { start_containerd_with_image; }
teardown_file() { stop_containerd; }

# There is no systemd in the tree: this stands in for it, for the one call that the section makes.
write_systemctl_double() {
    export -f start_containerd stop_containerd containerd_answers process_is_gone wait_until fail
    printf '#!/bin/bash\n[[ $* == "restart containerd" ]] && stop_containerd && start_containerd\n' >/usr/local/bin/systemctl
    chmod +x /usr/local/bin/systemctl
}

@test "the section on containerd works as written" {
    local block pid
    block=$(readme_block containerd)
    assert_contains "block" "$block" "systemctl restart containerd"
    pid=$(<"$BATS_FILE_TMPDIR/containerd.pid")
    write_systemctl_double
    assert_equal "without the guard" "$(run_container bare runc --rm --mount type=bind,src=/,dst=/host,options=rbind:rprivate -- c \
        cat /proc/self/mountinfo | propagation_at /host)" private
    rm /etc/runc-guard/config.toml                       # the reader has none
    bash -euo pipefail -c "$block" >"$NODE/stdout" 3>&-
    rm /usr/local/bin/systemctl
    [[ $pid != "$(<"$BATS_FILE_TMPDIR/containerd.pid")" ]] || fail "containerd was not restarted"
    assert_contains "containerd's settings" "$(containerd config dump | tr \' \")" 'default_runtime_name = "runc-guard"'
    assert_contains "mount seen in the container" "$(cat "$NODE/stdout")" " / /host "
    assert_contains "the guard's log" "$(cat "$NODE/stdout")" '"after":["rbind","rslave"]'
    runc-guard guard configure containerd --remove >&2
}
