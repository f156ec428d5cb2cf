# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # $names in jq and awk programs; results are returned in variables
# Bundles, containers and the guard's settings.

# BUNDLE: a new bundle with a busybox rootfs that is a mount of its own. On a plain directory the runtime would make the
# mount below private and no bind of that mount could be a slave: every test would look broken.
make_bundle() {                                          # NAME
    make_bundle_on_plain_directory "$1"
    mount --bind "$BUNDLE/rootfs" "$BUNDLE/rootfs"
}

make_bundle_on_plain_directory() {                       # NAME
    BUNDLE=$NODE/bundle-$1
    mkdir "$BUNDLE"
    cp -a --link "$TEMPLATES/rootfs" "$BUNDLE/rootfs"
    cp "$TEMPLATES/config.json" "$BUNDLE/config.json"
    edit_spec '.linux.cgroupsPath = $id | .hostname = "it"' --arg id "/$(container_id "$1")"
}

container_id() { echo "it-$BATS_SUITE_TEST_NUMBER-$1"; }

id_of_bundle() { container_id "${BUNDLE##*/bundle-}"; }

edit_spec() {                                            # FILTER [JQ-OPTION...]
    local filter=$1
    shift
    jq -c "$filter" "$@" <"$BUNDLE/config.json" >"$NODE/edited.json"
    mv "$NODE/edited.json" "$BUNDLE/config.json"
}

add_bind() {                                             # SOURCE OPTION,OPTION... [DESTINATION]
    edit_spec '.mounts += [{destination: $to, type: "bind", source: $from, options: ($options / ",")}]' \
        --arg from "$1" --arg options "$2" --arg to "${3:-/host}"
}

# `-` leaves the key out.
set_rootfs_propagation() {                               # VALUE
    [[ $1 == - ]] || edit_spec '.linux.rootfsPropagation = $value' --arg value "$1"
}

set_args() {                                             # ARG...
    edit_spec '.process.args = $ARGS.positional' --args -- "$@"
}

options_of() {                                           # DESTINATION; sorted: the order has no meaning
    jq -r --arg to "$1" '[.mounts[] | select(.destination == $to)][-1].options | sort | join(",")' "$BUNDLE/config.json"
}

rootfs_propagation() { jq -r '.linux.rootfsPropagation // "-" | if . == "" then "empty" else . end' "$BUNDLE/config.json"; }

spec_identity() { stat -c '%i %Y %y %s %a %u:%g' "$BUNDLE/config.json"; sha256sum <"$BUNDLE/config.json"; }

# --- the guard's settings --------------------------------------------------------------------------------------------
# SETTINGS: further lines of TOML of one test. PROTECTED_ROOTS: instead of the test's own root, as TOML.
write_guard_settings() {                                 # RUNTIME
    cat >"$NODE/guard-$1.toml" <<TOML
runtimes = ["$(command -v "$1")"]
protected_roots = ${PROTECTED_ROOTS:-[\"$ROOT\"]}
log = "$GUARD_LOG"
${SETTINGS:-}
TOML
}

# Exports what the guard looks for. SETTINGS_IN_ETC: the test has put files where the guard looks by itself.
use_guard_settings() {                                   # RUNTIME
    unset RUNC_GUARD_CONFIG
    [[ -z ${SETTINGS_IN_ETC:-} ]] || return 0
    export RUNC_GUARD_CONFIG=$NODE/guard-$1.toml
    [[ -f $RUNC_GUARD_CONFIG ]] || write_guard_settings "$1"
}

# --- containers ------------------------------------------------------------------------------------------------------
# One call as an engine makes it (LOG_FORMAT text: as a person). The log is the bundle's own, so that two containers never mix.
oci() {                                                  # VIA RUNTIME COMMAND [ARG...]
    local via=$1 runtime=$2 program
    shift 2
    program=$(command -v "$runtime")
    if [[ $via == guard ]]; then
        use_guard_settings "$runtime"
        program=$GUARD
    fi
    # fd 3 is bats' own: a container that kept it would keep bats waiting.
    "$program" --root "$NODE/state/$runtime" --log "$BUNDLE/oci.log" --log-format "${LOG_FORMAT:-json}" "$@" 3>&-
}

# Container stdio goes to files: a pipe of `run` would be held open by the container.
create_container() {                                     # VIA RUNTIME
    oci "$1" "$2" create --bundle "$BUNDLE" "$(id_of_bundle)" </dev/null >"$BUNDLE/stdout" 2>"$BUNDLE/stderr"
}

start_container() {                                      # VIA RUNTIME
    create_container "$1" "$2" || fail "$1 $2 create: $(cat "$BUNDLE/stderr")"
    oci "$1" "$2" start "$(id_of_bundle)"
}

container_pid() { oci bare "$1" state "$(id_of_bundle)" | jq .pid; }       # RUNTIME

container_mountinfo() { cat "/proc/$(container_pid "$1")/mountinfo"; }     # RUNTIME

has_status() { [[ $(oci bare "$1" state "$(id_of_bundle)" 2>/dev/null | jq -r .status) == "$2" ]]; }   # RUNTIME STATUS

assert_no_container() {                                  # RUNTIME
    ! oci bare "$1" state "$(id_of_bundle)" >/dev/null 2>&1 || fail "$1 has a container $(id_of_bundle)"
}

delete_all_containers() {                                # RUNTIME
    local id pid
    [[ -d $NODE/state/$1 ]] || return 0
    for id in $("$1" --root "$NODE/state/$1" list -q); do
        # The last holder of a file system unmounts it while it dies, which a busy disk draws out: `delete --force` alone
        # gives up on such a process and leaves its cgroups.
        pid=$("$1" --root "$NODE/state/$1" state "$id" | jq .pid)
        if ((pid > 0)) && kill -KILL "$pid" 2>/dev/null; then wait_until 30 process_is_gone "$pid"; fi
        "$1" --root "$NODE/state/$1" delete --force "$id"
    done
}

# A zombie does not count: other threads of it may still be dying.
process_is_gone() { ! kill -0 "$1" 2>/dev/null; }

# --- what the guard said ---------------------------------------------------------------------------------------------
# KIND is `-` (nothing), or what the container's one line holds: LEVEL:changes, LEVEL:notices, LEVEL:changes+notices.
guard_log_kind() {
    [[ -s $GUARD_LOG ]] || { echo -; return; }
    jq -r --arg id "$(id_of_bundle)" 'select(.id == $id) | .level + ":" + ([
        if (.changes // []) != [] then "changes" else empty end,
        if (.notices // []) != [] then "notices" else empty end] | join("+"))' "$GUARD_LOG" | paste -sd' ' | sed 's/^$/-/'
}

guard_notices() { [[ ! -f $GUARD_LOG ]] || jq -r '.notices[]?.msg' "$GUARD_LOG"; }
