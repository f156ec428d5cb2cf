#!/usr/bin/env bats
# `guard configure`: the real engines read what it writes as it is meant, and as before when it is taken out again.

load helpers
load configure

CRI_2='plugins."io.containerd.grpc.v1.cri".containerd'
CRI_3="plugins.'io.containerd.cri.v1.runtime'.containerd"

@test "containerd: its own file of settings names the guard, as the default, and keeps runc" {
    local before
    before=$(containerd_dump)
    assert_equal "the default before" "$(containerd_default)" runc
    configure containerd --set-default
    assert_equal "the default" "$(containerd_default)" runc-guard
    assert_contains "the runtime" "$(containerd_runtime runc-guard)" "BinaryName = ${quote:=$(containerd_quote)}$GUARD$quote"
    assert_contains "the built-in runtime" "$(containerd_runtime runc)" io.containerd.runc.v2
    configure containerd --remove
    assert_equal "the settings afterwards" "$(containerd_dump)" "$before"
    cmp "$ETC/containerd/config.toml" /etc/containerd/config.toml
}

# 1.7 writes double quotes, 2.x single ones.
containerd_quote() { if [[ $(containerd_major) == 1 ]]; then echo '"'; else echo "'"; fi; }

@test "containerd: without a table for runc, 1.x would lose the runtime that is its default" {
    printf '%s\n' 'version = 2' "[$CRI_2.runtimes.other]" 'runtime_type = "io.containerd.runc.v2"' >"$ETC/containerd/config.toml"
    if [[ $(containerd_major) == 1 ]]; then
        assert_equal "runc" "$(containerd_runtime runc)" ""
    else
        assert_contains "runc" "$(containerd_runtime runc)" io.containerd.runc.v2
    fi
}

@test "containerd: the guard's runtime has the options of the default one" {
    printf '%s\n' 'version = 2' "[$CRI_2.runtimes.runc]" 'runtime_type = "io.containerd.runc.v2"' \
        "[$CRI_2.runtimes.runc.options]" 'SystemdCgroup = true' >"$ETC/containerd/config.toml"
    configure containerd
    assert_equal "the default" "$(containerd_default)" runc
    assert_contains "the guard's options" "$(containerd_runtime runc-guard)" "SystemdCgroup = true"
    assert_contains "runc's options" "$(containerd_runtime runc)" "SystemdCgroup = true"
}

@test "containerd: without a file the installed version decides, and the file is gone afterwards" {
    rm "$ETC/containerd/config.toml"
    configure containerd --set-default
    assert_equal "the default" "$(containerd_default)" runc-guard
    assert_contains "runc" "$(containerd_runtime runc)" io.containerd.runc.v2
    configure containerd --remove
    [[ ! -e $ETC/containerd/config.toml ]]
}

@test "containerd: its whole default file is edited and given back" {
    on_node containerd config default >"$NODE/default.toml"
    cp "$NODE/default.toml" "$ETC/containerd/config.toml"
    configure containerd --set-default
    assert_equal "the default" "$(containerd_default)" runc-guard
    assert_contains "the runtime" "$(containerd_runtime runc-guard)" "$GUARD"
    # Edited since: only our entries go.
    sed -i '1i # mine' "$ETC/containerd/config.toml"
    configure containerd --remove
    diff <(echo '# mine' && cat "$NODE/default.toml") "$ETC/containerd/config.toml"
}

@test "containerd: a drop-in is made where drop-ins merge, and nowhere else" {
    local version=2 table=$CRI_2
    if [[ $(containerd_major) != 1 ]]; then version=3 table=$CRI_3; fi
    mkdir "$ETC/containerd/conf.d"
    printf '%s\n' "version = $version" 'imports = ["/etc/containerd/conf.d/*.toml"]' "[$table.runtimes.runc]" \
        'runtime_type = "io.containerd.runc.v2"' "[$table.runtimes.runc.options]" 'SystemdCgroup = true' >"$ETC/containerd/config.toml"
    configure containerd --set-default
    assert_equal "the default" "$(containerd_default)" runc-guard
    assert_contains "the guard" "$(containerd_runtime runc-guard)" "SystemdCgroup = true"
    assert_contains "runc" "$(containerd_runtime runc)" "SystemdCgroup = true"
    if ((version == 3)); then
        [[ -f $ETC/containerd/conf.d/99-runc-guard.toml && ! -e $ETC/containerd/config.toml.before-runc-guard ]]
        # The control: of a drop-in of another version the runtime is lost.
        sed -i -e 's/^version = 3/version = 2/' -e 's/io.containerd.cri.v1.runtime/io.containerd.grpc.v1.cri/' "$ETC/containerd/conf.d/99-runc-guard.toml"
        assert_equal "the guard by a drop-in of version 2" "$(containerd_runtime runc-guard)" ""
    else
        [[ ! -e $ETC/containerd/conf.d/99-runc-guard.toml ]]
        # The control: a drop-in takes the place of all that the main file says.
        printf '%s\n' 'version = 2' "[$CRI_2.runtimes.other]" 'runtime_type = "io.containerd.runc.v2"' >"$ETC/containerd/conf.d/a.toml"
        assert_equal "the guard beside a drop-in" "$(containerd_runtime runc-guard)" ""
        run configure containerd --set-default
        assert_equal "status" "$status" 1
        assert_contains "the refusal" "$output" "/etc/containerd/conf.d/a.toml, which is read later"
    fi
}

@test "podman: the guard is a runtime, and the default when that is asked for" {
    local format='{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}' before default
    before=$(etc_files)
    default=$(node_podman info --format "$format")
    run node_podman --runtime runc-guard info --format "$format"
    [[ $status != 0 ]]
    configure podman
    assert_equal "the default" "$(node_podman info --format "$format")" "$default"
    assert_equal "the guard" "$(node_podman --runtime runc-guard info --format "$format")" "runc-guard $GUARD"
    assert_equal "runc" "$(node_podman --runtime runc info --format "$format")" "runc /usr/bin/runc"
    configure podman --set-default
    assert_equal "the default" "$(node_podman info --format "$format")" "runc-guard $GUARD"
    configure podman --remove
    assert_equal "the default afterwards" "$(node_podman info --format "$format")" "$default"
    assert_equal "the files of /etc" "$(etc_files)" "$before"
}

# What podman gives a runtime of that name, with the settings of the node: a runtime that only writes that down.
podman_options() {                                       # RUNTIME
    rm -f "$NODE/calls"
    # shellcheck disable=SC2016  # the inner shell's
    PODMAN_IGNORE_CGROUPSV1_WARNING=1 on_node sh -c '
        mount -t tmpfs state "$1" && mkdir "$1/image"
        podman --storage-driver vfs --root "$1/root" --runroot "$1/runroot" --tmpdir "$1/tmp" --cgroup-manager cgroupfs \
            --runtime "$2" run --network none --rootfs "$1/image" true' sh "$NODE/rootfs" "$1" >"$NODE/podman.out" 2>&1 || true
    grep -o -e '--log-format=json' "$NODE/calls" | sort -u
}

@test "podman: the lists keep the runtimes of its defaults" {
    # shellcheck disable=SC2016  # the runtime's
    printf '#!/bin/sh\necho "$*" >>%q/calls\nexit 1\n' "$NODE" >"$NODE/bin/runc"
    chmod +x "$NODE/bin/runc"
    echo "runtimes = ['$NODE/bin/runc']" >>"$ETC/runc-guard/config.toml"
    mkdir -p "$ETC/containers/containers.conf.d"
    printf '[engine.runtimes]\nkata = ["%s"]\nrunc-guard = ["%s"]\n' "$NODE/bin/runc" "$GUARD" >"$ETC/containers/containers.conf.d/a.conf"
    assert_equal "kata by default" "$(podman_options kata)" --log-format=json
    assert_equal "the guard, not in the list" "$(podman_options runc-guard)" ""
    configure podman
    assert_equal "kata" "$(podman_options kata)" --log-format=json
    assert_equal "the guard" "$(podman_options runc-guard)" --log-format=json
    # The control: a list without the defaults takes them away.
    sed -i 's/^runtime_supports_json.*/runtime_supports_json = ["runc-guard"]/' "$ETC/containers/containers.conf.d/runc-guard.conf"
    assert_equal "kata, not in the list" "$(podman_options kata)" ""
}

@test "dockerd: what is written is valid, and what it cannot read is left alone" {
    local before
    printf '{\n    "log-level": "warn"\n}\n' >"$ETC/docker/daemon.json"
    before=$(etc_files)
    configure docker --set-default
    run on_node dockerd --validate --config-file /etc/docker/daemon.json
    assert_contains "dockerd" "$output" "configuration OK"
    assert_equal "the default" "$(jq -r '."default-runtime"' "$ETC/docker/daemon.json")" runc-guard
    assert_equal "the path" "$(jq -r '.runtimes."runc-guard".path' "$ETC/docker/daemon.json")" "$GUARD"
    configure docker --remove
    assert_equal "the files of /etc" "$(etc_files)" "$before"
    for text in '{"debug": true,}' '{ // mine
}' '{"runtimes": 3}'; do
        echo "$text" >"$ETC/docker/daemon.json"
        run on_node dockerd --validate --config-file /etc/docker/daemon.json
        [[ $status != 0 ]]
        run configure docker
        assert_equal "status" "$status" 1
        assert_contains "the refusal" "$output" "understand /etc/docker/daemon.json (it is left as it is)"
        assert_equal "the file" "$(cat "$ETC/docker/daemon.json")" "$text"
    done
}

@test "crio: a drop-in directory may be a mount of its own, as in a pod that configures its node" {
    local mounted='mount -t tmpfs drop-ins /etc/crio/crio.conf.d'
    mkdir -p "$ETC/crio/crio.conf.d"
    # The control: nothing can be moved or linked there from the directory above.
    run on_node sh -c "$mounted && touch /etc/crio/x && ln /etc/crio/x /etc/crio/crio.conf.d/x"
    assert_contains "a link" "$output" "cross-device link"
    rm "$ETC/crio/x"
    run on_node sh -c "$mounted && \"\$0\" guard configure crio >&2 && ls -A /etc/crio /etc/crio/crio.conf.d && \"\$0\" guard configure crio --remove" "$GUARD"
    assert_equal "status" "$status" 0
    assert_contains "the drop-in" "$output" $'/etc/crio/crio.conf.d:\n10-runc-guard.conf\ndeleted'
    assert_equal "the directory above" "$(ls -A "$ETC/crio")" crio.conf.d
}

@test "all engines: their usual files, there and back" {
    local before engine
    before=$(etc_files)
    for engine in containerd crio podman docker; do configure "$engine" --set-default; done
    [[ $(etc_files) != "$before" ]]
    [[ -f $ETC/crio/crio.conf.d/10-runc-guard.conf && -f $ETC/containers/containers.conf.d/runc-guard.conf && -f $ETC/docker/daemon.json ]]
    for engine in containerd crio podman docker; do configure "$engine" --remove; done
    assert_equal "the files of /etc" "$(etc_files)" "$before"
}
