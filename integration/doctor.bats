#!/usr/bin/env bats
# `guard doctor` on a node with real runtimes, CRIU and engines: each defect made really, and the same node without it.
# shellcheck disable=SC2016,SC2329  # $1 is for the shell inside the node

load helpers

# Runs COMMAND on a node that ends with it: own mounts (shared, as systemd leaves them), own pids, an /etc, /run, /var/lib
# and /usr/local/bin of its own. Elsewhere the tree stays as it is.
on_node() {                                              # COMMAND; functions of this file are known to it
    mkdir "$NODE/etc"
    export NODE ROOT GUARD GUARD_LOG
    unshare --mount --pid --fork --kill-child=KILL --mount-proc --propagation private \
        bash -c "$(declare -f); set -euo pipefail; become_node; $1" 3>&- </dev/null
}

become_node() {
    local directory
    mount -t tmpfs -o mode=755 etc "$NODE/etc"
    cp -a /etc/. "$NODE/etc"
    mount --bind "$NODE/etc" /etc
    for directory in /run /var/lib /usr/local/bin; do mount -t tmpfs -o mode=755 node "$directory"; done
    mount --make-rshared /
    install -m 755 "$GUARD" /usr/local/bin/runc-guard
    mkdir /etc/runc-guard /run/containerd /var/lib/kubelet
    settings runc
}

settings() {                                             # RUNTIME [LINE...]
    printf '%s\n' "runtimes = [\"$1\"]" "extra_protected_roots = [\"$ROOT\"]" "log = \"$GUARD_LOG\"" "${@:2}" \
        >/etc/runc-guard/config.toml
}

doctor() { runc-guard guard doctor; }

# STATUS of doctor, each LINE as the start of one of its lines; a line after `!` is not there.
told() {                                                 # STATUS LINE...
    local status=0 said line
    said=$(doctor) || status=$?
    assert_equal "status, after"$'\n'"$said"$'\n' "$status" "$1"
    for line in "${@:2}"; do
        if [[ $line == '! '* ]]; then
            [[ $'\n'$said != *$'\n'"${line#! }"* ]] || fail "a line '${line#! }' in"$'\n'"$said" || return 1
        else
            [[ $'\n'$said == *$'\n'"$line"* ]] || fail "no line '$line' in"$'\n'"$said" || return 1
        fi
    done
}

configure_all() {                                        # [OPTION]
    local engine
    for engine in containerd podman docker; do runc-guard guard configure "$engine" "$@" >/dev/null; done
}

well_set_node() {                                        # RUNTIME
    local said
    on_node "settings $1; configure_all --set-default; doctor; runc-guard guard doctor --json | jq -e '.status == \"ok\" and .warnings == 0'" >"$NODE/said" ||
        fail "$(cat "$NODE/said")"
    said=$(grep -v '^ok  ' "$NODE/said" | sed '$d')
    [[ $said =~ ^[0-9]+' ok, 0 warnings, 0 problems'$ ]] || fail "$(cat "$NODE/said")"
    grep -q "^ok       runtime: /usr/s*bin/$1, $1 [1-9]" "$NODE/said"
    grep -q '^ok       criu check: Looks good.' "$NODE/said"
    assert_equal "engines" "$(grep -c '^ok       engine .* every container gets runc-guard' "$NODE/said")" 3
}
test_with_each_runtime "a well-set node is ok in every line" well_set_node

@test "an engine that is not told to use the guard is a warning, a named runtime is ok" {
    engines() {
        told 0 'warning  engine containerd: /usr/bin/containerd: not told to use runc-guard; run `runc-guard guard configure containerd' \
            'warning  engine podman: ' 'warning  engine docker: /usr/' '! problem' '! warning  engine crio'
        configure_all
        told 0 'ok       engine containerd: /usr/bin/containerd: only containers that ask for it, by its RuntimeClass' \
            'ok       engine podman: ' 'ok       engine docker: '
        configure_all --set-default
        told 0 'ok       engine containerd: /usr/bin/containerd: every container gets runc-guard' '! warning  engine'
    }
    on_node engines
}

@test "settings of an engine that cannot be understood are a warning" {
    on_node 'echo "version = [" >/etc/containerd/config.toml
        told 0 "warning  engine containerd: /usr/bin/containerd: whether it uses runc-guard is not to be told: "'
}

@test "a daemon that is older than its settings, or has mounts of its own, is a warning" {
    start_containerd() {                                 # [COMMAND...]: before it
        "$@" containerd --root /run/c/root --state /run/c/state --address /run/c/socket --log-level error >/run/containerd.log 2>&1 &
        wait_until 30 ctr --address /run/c/socket version >/dev/null
    }
    is_older() {
        touch /etc/containerd/config.toml
        doctor | grep -q "^warning  engine containerd: its settings were changed after it started (process $!); restart it"
    }
    daemon() {
        mkdir /run/c
        runc-guard guard configure containerd --set-default >/dev/null
        start_containerd
        doctor | grep -q '^ok       engine containerd: '
        ! doctor | grep -q '^warning  engine containerd: '
        wait_until 20 is_older
        kill $!
        wait $! || true
        start_containerd
        told 0 'ok       engine containerd: ' '! warning  engine containerd: '
        kill $!
        wait $! || true
        # As a service with MountFlags=slave.
        start_containerd unshare --mount --propagation slave
        told 0 "warning  engine containerd: process $! has mounts of its own"
    }
    on_node daemon
}

@test "a protected root on a private mount is a warning until the advice is followed" {
    private_root() {
        told 0 "ok       root $ROOT: a directory, on a shared mount" 'ok       root /run/containerd: a directory, on a shared mount' \
            'ok       root /var/lib/kubelet: a directory, on a shared mount'
        mount --make-private /
        told 0 "warning  root $ROOT: a directory on a private mount: no unmount below it reaches a container; run \`mount --make-rshared /\`" \
            'ok       root /run/containerd: '
        mount --make-rshared /
        told 0 "ok       root $ROOT: "
        mount --bind "$ROOT" "$ROOT"
        told 0 "ok       root $ROOT: a mount of its own, shared"
        mount --make-private "$ROOT"
        told 0 "warning  root $ROOT: a mount of its own and private: no unmount below it reaches a container; run \`mount --make-rshared $ROOT\`"
    }
    on_node private_root
}

@test "a protected root that never answers is a problem and holds nothing up" {
    dead_root() {
        local fd
        mkdir /run/dead
        settings runc "protected_roots = [\"/run/dead/root\"]"
        told 0 'warning  root /run/dead/root: does not exist'
        # A FUSE server that opened the device and never reads from it.
        exec {fd}<>/dev/fuse
        mount -i -t fuse -o "fd=$fd,rootmode=40000,user_id=0,group_id=0" dead /run/dead
        # The control: whoever looks there waits for ever.
        ! timeout --signal KILL 2 stat /run/dead/root
        told 2 'problem  root /run/dead/root: gives no answer in 2 s; unmount it' "ok       root $ROOT: " 'ok       cgroups: '
        umount --lazy /run/dead
        told 0 'warning  root /run/dead/root: does not exist'
    }
    on_node dead_root
}

@test "a runtime that is unlinked or damaged is a problem" {
    runtime() {
        install "$(command -v runc)" /usr/local/bin/runc
        settings /usr/local/bin/runc
        told 0 'ok       runtime: /usr/local/bin/runc, runc '
        truncate -s 1000 /usr/local/bin/runc
        told 2 'problem  runtime: `/usr/local/bin/runc --version` '
        rm /usr/local/bin/runc
        told 2 'problem  runtime: find the real runtime: none of the candidates can be used (/usr/local/bin/runc: ENOENT)' 'ok       criu: '
    }
    on_node runtime
}

@test "wrappers in the chain are told, and in place of runc the real one is found behind" {
    chain() {
        printf '#!/bin/sh\nexec %s "$@"\n' "$(command -v crun)" >/usr/local/bin/site-runtime
        chmod 755 /usr/local/bin/site-runtime
        settings site-runtime
        told 2 'problem  runtime: /usr/local/bin/site-runtime is of unknown flavour, so every call passes through and nothing is mended; set flavour to "crun"'
        settings site-runtime 'flavour = "crun"'
        told 0 'ok       runtime: another wrapper in the chain: /usr/local/bin/site-runtime (a script); at its end is crun 1.'
        settings runc
        ln -s runc-guard /usr/local/bin/runc
        told 0 'ok       runtime: /usr/sbin/runc, runc ' 'ok       runtime: /usr/local/bin/runc is runc-guard, in place of the runtime' \
            'warning  engine containerd: /usr/bin/containerd: not told to use runc-guard; gets it only if it takes its runtime from PATH (/usr/local/bin/runc)'
    }
    on_node chain
}

@test "broken settings and settings that others can write are problems, and all else is said" {
    broken() {
        settings runc 'polcy = "warn"'
        told 2 'problem  settings: read settings /etc/runc-guard/config.toml, line 4: unknown key polcy' 'ok       runtime: ' "ok       root $ROOT: "
        settings runc
        chmod 666 /etc/runc-guard/config.toml
        told 2 'problem  settings: others than root can write /etc/runc-guard/config.toml'
        chmod 644 /etc/runc-guard/config.toml
        told 0 'ok       settings: /etc/runc-guard/config.toml'
    }
    on_node broken
}

@test "a CRIU that is missing, and a crun without its library, are warnings" {
    no_criu() {
        settings crun
        told 0 'ok       criu: /usr/sbin/criu, version 4.' 'ok       criu check: ' '! warning  restore'
        mount --bind /dev/null "$(readlink -f /usr/lib/*/libcriu.so.2)"
        told 0 'warning  restore: crun needs libcriu.so.2'
        mount --bind /dev/null /usr/sbin/criu
        told 0 'warning  criu: not found in PATH'
        echo 'external mnt[]:ms' >/etc/criu/default.conf
        umount /usr/sbin/criu
        told 0 'ok       criu settings: /etc/criu/default.conf: '
    }
    on_node 'mkdir -p /etc/criu; no_criu'
}

@test "without rights it says what it cannot tell" {
    without_rights() {
        doctor() { setpriv --bounding-set=-sys_admin,-checkpoint_restore runc-guard guard doctor; }
        told 0 'warning  capabilities: this shell lacks CAP_SYS_ADMIN' 'warning  criu check: fails: ' 'warning  kernel open_tree: not to be found out'
        doctor() { setpriv --reuid 65534 --regid 65534 --clear-groups runc-guard guard doctor; }
        told 0 'warning  capabilities: started as user 65534' 'warning  criu check: only root can ask it' 'ok       runtime: '
    }
    on_node without_rights
}

@test "without /proc, and in a mount namespace of its own, it says so" {
    places() {
        told 0 '! warning  mount namespace' '! warning  /proc'
        doctor() { unshare --mount --propagation unchanged runc-guard guard doctor; }
        told 0 'warning  mount namespace: this shell has mounts of its own'
        doctor() { runc-guard guard doctor; }
        # The node's own and the tree's.
        while mountpoint --quiet /proc; do umount --lazy /proc; done
        told 0 'warning  /proc: is not mounted' 'ok       runc-guard: /usr/local/bin/runc-guard' 'ok       runtime: /usr/sbin/runc' "ok       root $ROOT: "
    }
    on_node places
}

@test "a guard with file capabilities or the setuid bit is a problem" {
    privileged() {
        told 0 'ok       runc-guard: /usr/local/bin/runc-guard, version ' '! problem'
        chmod u+s /usr/local/bin/runc-guard
        told 2 'problem  runc-guard: is setuid or setgid'
        # The control: so started, it refuses to work for anybody else.
        assert_contains "as a user" "$(setpriv --reuid 65534 --clear-groups runc-guard --version 2>&1 || true)" "refuse to run"
        chmod u-s /usr/local/bin/runc-guard
        python3 -c 'import os; os.setxattr("/usr/local/bin/runc-guard", "security.capability", bytes.fromhex("0100000200002000" + 24 * "0"))'
        told 2 'problem  runc-guard: has file capabilities'
    }
    on_node privileged
}
