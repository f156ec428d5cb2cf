#!/usr/bin/env bats
# dockerd refuses private binds of its own data-root, and writes rslave where the user wrote nothing (validateBindDaemonRoot). The guard
# decides the same for its protected roots: both are asked about the same bind.
# shellcheck disable=SC2016  # $names in jq programs

load docker

setup_file() {
    start_docker_with_image
    mkdir -p /var/lib/docker-other /var/lib/docker/inside
}
teardown_file() { stop_docker; }

WORDS=(- private rprivate slave rslave shared rshared)   # `-`: none

# `refused`, or the word that the bind has in the end.
dockerd_decides() {                                      # SOURCE WORD
    local options=type=bind,src=$1,dst=/host
    [[ $2 == - ]] || options+=,bind-propagation=$2
    if docker create --name box --network none --mount "$options" busybox true >/dev/null 2>"$NODE/stderr"; then
        docker inspect --format '{{(index .Mounts 0).Propagation}}' box
        remove_box
    else
        grep -q 'must use either propagation mode "rslave" or "rshared"' "$NODE/stderr" || fail "$(cat "$NODE/stderr")"
        echo refused
    fi
}

# The bind is all that config.json holds, and nothing is executed in the end.
guard_decides() {                                        # POLICY SOURCE WORD
    local bundle=$NODE/bundle status=0
    rm -rf "$bundle"
    mkdir -p "$bundle/rootfs/host"
    jq -n '{ociVersion: "1.0.2", root: {path: "rootfs"}, mounts: [{destination: "/host", type: "bind", source: $source,
        options: (["rbind"] + if $word == "-" then [] else [$word] end)}]}' --arg source "$2" --arg word "$3" >"$bundle/config.json"
    make_runtime_that_does_nothing
    printf 'runtimes = ["%s"]\nprotected_roots = ["/var/lib/docker"]\npolicy = "%s"\n' "$NODE/bin/runc" "$1" >"$NODE/guard.toml"
    RUNC_GUARD_CONFIG=$NODE/guard.toml runc-guard create --bundle "$bundle" it 2>"$NODE/stderr" || status=$?
    if ((status == 0)); then
        jq -r '.mounts[0].options - ["rbind"] | if . == [] then "-" else join(",") end' "$bundle/config.json"
    else
        grep -q '^runc-guard: .*/host' "$NODE/stderr" || fail "$(cat "$NODE/stderr")"
        echo refused
    fi
}

make_runtime_that_does_nothing() {
    mkdir -p "$NODE/bin"
    printf '#!/bin/sh\n' >"$NODE/bin/runc"
    chmod +x "$NODE/bin/runc"
}

# What dockerd refuses the policy `rewrite` makes rslave. Only `shared` stays, because rshared was probably meant; see the notice.
rewritten() {                                            # DECISION WORD
    if [[ $1 != refused ]]; then echo "$1"; elif [[ $2 == shared ]]; then echo shared; else echo rslave; fi
}

same_verdict() {                                         # SOURCE DECISION...: dockerd's, in the order of WORDS
    local word decision source=$1
    shift
    for word in "${WORDS[@]}"; do
        decision=$(dockerd_decides "$source" "$word")
        assert_equal "dockerd, $word" "$decision" "$1"
        shift
        assert_equal "reject, $word" "$(guard_decides reject "$source" "$word")" "$decision"
        assert_equal "rewrite, $word" "$(guard_decides rewrite "$source" "$word")" "$(rewritten "$decision" "$word")"
    done
}

same() { bats_test_function --description "the same verdict on $1" -- same_verdict "$@"; }
#                                - private rprivate slave   rslave shared  rshared
same /                      rslave refused refused  refused rslave refused rshared
same /var                   rslave refused refused  refused rslave refused rshared
same /var/lib/docker        rslave refused refused  refused rslave refused rshared
same /var/lib/docker/inside rslave refused refused  refused rslave refused rshared

# Beside the root both leave everything as it is; without a word dockerd writes its default.
same_beside() {
    local word decision
    for word in "${WORDS[@]}"; do
        decision=$(dockerd_decides /srv "$word")
        assert_equal "dockerd, $word" "$decision" "${word/#-/rprivate}"
        assert_equal "reject, $word" "$(guard_decides reject /srv "$word")" "$word"
        assert_equal "rewrite, $word" "$(guard_decides rewrite /srv "$word")" "$word"
    done
}
@test "the same verdict on what overlaps no root" { same_beside; }

# Where they differ, and why.
differs() {                                              # SOURCE
    assert_equal dockerd "$(dockerd_decides "$1" rprivate)" refused
    assert_equal guard "$(guard_decides reject "$1" rprivate)" rprivate
}
@test "dockerd compares strings: /var/lib/docker-other is inside, the guard knows better" { differs /var/lib/docker-other; }
@test "dockerd refuses files, which hold no mounts; the guard leaves them" { differs /var/lib/docker/engine-id; }
