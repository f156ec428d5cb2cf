#!/usr/bin/env bats
# The README's section for podman, as written, on a node whose podman knows nothing of runc-guard.

load podman
load readme

setup_file() {
    prepare_podman
    rm /etc/containers/containers.conf.d/runc-guard.conf
    # The tree has nothing to make a network with.
    printf '[containers]\nnetns = "none"\n' >/etc/containers/containers.conf.d/network.conf
}
teardown_file() { rm /etc/containers/containers.conf.d/network.conf; }

@test "the README's section" {
    local before block said
    before=$(podman info --format '{{.Host.OCIRuntime.Name}}')
    [[ $before == @(runc|crun) ]]
    block=$(readme_block podman)
    [[ $(grep -c . <<<"$block") == 3 ]]
    said=$(podman run --rm --volume /:/host busybox cat /proc/self/mountinfo | grep ' /host ')
    [[ $said != *master:* ]] || fail "a slave without runc-guard: $said"
    said=$(bash -euo pipefail -c "$block" 3>&-)
    assert_contains "output" "$said" $'\nrunc-guard\n'
    assert_contains "output" "$said" ' /host '
    runc-guard guard configure podman --remove
    assert_equal "podman's runtime" "$(podman info --format '{{.Host.OCIRuntime.Name}}')" "$before"
}
