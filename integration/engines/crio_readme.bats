#!/usr/bin/env bats
# The README's section on CRI-O, as it is written. CRI-O itself is not packaged: what it would read is read by a TOML parser.

load node
load readme

container_pid() { false; }
remove_all_containers() { :; }

setup_file() {
    printf '#!/bin/sh\necho "$*" >>%s/systemctl\n' "$BATS_FILE_TMPDIR" >/usr/local/bin/systemctl
    chmod +x /usr/local/bin/systemctl
}
teardown_file() { rm /usr/local/bin/systemctl; }

as_json() { python3 -c 'import json, sys, tomllib; print(json.dumps(tomllib.load(sys.stdin.buffer)))' <"$1"; }       # FILE

@test "README: CRI-O" {
    local block settings=/etc/crio/crio.conf.d/10-runc-guard.conf
    block=$(readme_block CRI-O)
    assert_contains "block" "$block" "guard configure crio --set-default"
    sh -euc "$block" 3>&-
    assert_equal "restarted" "$(cat "$BATS_FILE_TMPDIR/systemctl")" "restart crio"
    assert_equal "default" "$(as_json "$settings" | jq -r .crio.runtime.default_runtime)" runc-guard
    assert_equal "runtime" "$(as_json "$settings" | jq -c '.crio.runtime.runtimes["runc-guard"] | [.runtime_path, .runtime_type // "oci"]')" \
        '["/usr/local/bin/runc-guard","oci"]'
    rm -r /etc/crio
}
