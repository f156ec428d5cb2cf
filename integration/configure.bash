# shellcheck shell=bash
# `guard configure` on a node of one's own: a copy of /etc, which only the commands that are run there see.

setup() {
    NODE=$(readlink -f "$BATS_TEST_TMPDIR")/node
    GUARD_LOG=$NODE/guard.log
    mkdir -p "$NODE"/{bin,rootfs}
    cp -a /etc "$NODE/etc"
    ETC=$NODE/etc
    mkdir "$ETC/runc-guard"
    echo "log = '$GUARD_LOG'" >"$ETC/runc-guard/config.toml"
}

teardown() {
    dump_on_failure
    assert_nothing_left
}

# Runs a command that finds the node's files below /etc.
on_node() {
    # shellcheck disable=SC2016  # the inner shell's
    unshare --mount --propagation private sh -c 'mount --bind "$0" /etc && exec "$@"' "$ETC" "$@"
}

configure() { on_node "$GUARD" guard configure "$@"; }

# The major version of the tree's containerd.
containerd_major() { containerd --version | awk '{ sub(/^v/, "", $3); print int($3) }'; }

# What containerd makes of its settings.
containerd_dump() { on_node containerd config dump; }

# What containerd would do with a runtime: its table of the dump and those below it.
containerd_runtime() {                                   # NAME
    containerd_dump | awk -v name="$1" '
        /^ *\[/ { table = ".containerd.runtimes." name; inside = index($0, table "]") || index($0, table ".options]") }
        inside'
}

containerd_default() { containerd_dump | sed -n "s/^ *default_runtime_name = ['\"]\(.*\)['\"]$/\1/p"; }

# podman's state is in memory, so that every storage driver's needs are met.
node_podman() {
    # shellcheck disable=SC2016  # the inner shell's
    PODMAN_IGNORE_CGROUPSV1_WARNING=1 on_node sh -c '
        mount -t tmpfs state "$0"
        exec podman --storage-driver vfs --root "$0/root" --runroot "$0/runroot" --tmpdir "$0/tmp" "$@"' "$NODE/rootfs" "$@"
}

# Every file of the node's /etc, with what it holds.
etc_files() { (cd "$ETC" && find . -type f -exec sha256sum {} + | sort -k 2); }
