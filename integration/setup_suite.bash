# shellcheck shell=bash
# Made once for all tests, in the run's own temporary folder: what every bundle and every volume is copied from.

load templates

setup_suite() {
    # The tests mount, and write below /etc: only where all of it is thrown away.
    [[ -n ${IN_TREE:-} ]] || { echo "use integration/run" >&2; return 1; }
    export TEMPLATES=$BATS_RUN_TMPDIR/templates
    mkdir -p "$TEMPLATES"
    make_rootfs_template
    make_spec_template
    make_volume_template
    touch "$TEMPLATES/started"
}

# Each test looks after its own folder; nothing may have come into being anywhere else, either.
teardown_suite() {
    local strays
    local -a known=(/ /etc /etc/criu /etc/criu/runc.conf /run /srv /tmp)
    strays=$(find / -xdev -path "/srv/*" -prune -o -cnewer "$TEMPLATES/started" -print | grep -vxFf <(printf '%s\n' "${known[@]}") || true)
    [[ -z $strays ]] || { printf 'not below the folder of a test:\n%s\n' "$strays" >&2; return 1; }
}

# As an engine writes it: one line. No network namespace (slow to make, and nothing here needs it).
make_spec_template() {
    local directory=$TEMPLATES/spec
    mkdir "$directory"
    runc spec --bundle "$directory"
    jq -c '.process.terminal = false | .process.args = ["sleep", "1000"] | .root.readonly = false
        | .linux.namespaces |= map(select(.type != "network"))' "$directory/config.json" >"$TEMPLATES/config.json"
}
