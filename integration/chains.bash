# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # programs of sh and jq; results are returned in variables
# Chains: other programs that stand between engine and runtime, in front of the guard and behind it.
#
# A chain is written as its links, from the engine's side: `guard`, or a kind of wrapper. The runtime comes last.
#   plain      executes the next one
#   in-place   writes config.json anew at create, as other vendors' wrappers do: another order and layout, a mount, a variable and
#              a hook more; into the same file
#   renamed    the same, by a new file
#   binding    adds a private bind of the protected root at create
#   failing    ends a create with an error

# FRONT: what the engine executes. VIA `bare` is the same chain without its guards. All guards of a chain have the same settings.
make_chain() {                                           # VIA RUNTIME LINK...
    local via=$1 runtime=$2 number
    local -a links=("${@:3}") behind_guard=()
    mkdir -p "$NODE/chain-$via"
    CALLS=$NODE/chain-$via/calls
    FRONT=$(command -v "$runtime")
    for ((number = ${#links[@]} - 1; number >= 0; number--)); do
        if [[ ${links[number]} != guard ]]; then
            FRONT=$(make_wrapper "${links[number]}" "$NODE/chain-$via/$number" "$runtime" "$FRONT")
        elif [[ $via == guard ]]; then
            behind_guard=("\"$FRONT\"" "${behind_guard[@]}")
            FRONT=$REAL_GUARD
        fi
    done
    [[ $via == bare ]] || write_chain_settings "$runtime" "${behind_guard[@]}"
}

write_chain_settings() {                                 # RUNTIME QUOTED-PROGRAM...
    local IFS=,
    printf 'runtimes = [%s]\nprotected_roots = ["%s"]\nlog = "%s"\n%s\n' "${*:2}" "$ROOT" "$GUARD_LOG" "${SETTINGS:-}" \
        >"$NODE/guard-$1.toml"
}

# Prints its path. It has the runtime's name, as WRAPPER_NAME does not say otherwise.
make_wrapper() {                                         # KIND DIRECTORY RUNTIME NEXT
    local path=$2/${WRAPPER_NAME:-$3}
    mkdir "$2"
    {
        printf '#!/bin/sh\nset -eu\nCALLS=%s KIND=%s NEXT=%s ROOT=%s TEMPORARY=%s\n' "$CALLS" "$1" "$4" "$ROOT" "$2/new.json"
        wrapper_body
    } >"$path"
    chmod +x "$path"
    echo "$path"
}

wrapper_body() {
    cat <<'SH'
echo "$KIND $*" >>"$CALLS"
bundle=$PWD command= before=
for word; do
    [ "$before" != --bundle ] || bundle=$word
    [ "$word" != create ] || command=create
    before=$word
done
more() { jq --sort-keys "$1" --arg root "$ROOT" --arg calls "$CALLS" "$bundle/config.json"; }
addition='.mounts += [{destination: "/added", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=700"]}]
    | .process.env += ["ADDED=yes"]
    | .hooks.createRuntime += [{path: "/bin/sh", args: ["sh", "-c", "echo hook >>\($calls)"]}]'
binding='.mounts += [{destination: "/bound", type: "bind", source: $root, options: ["rbind", "rprivate"]}]'
case $KIND/$command in
    in-place/create) more "$addition" >"$TEMPORARY" && cat "$TEMPORARY" >"$bundle/config.json" ;;
    renamed/create) more "$addition" >"$bundle/.new" && mv "$bundle/.new" "$bundle/config.json" ;;
    binding/create) more "$binding" >"$TEMPORARY" && cat "$TEMPORARY" >"$bundle/config.json" ;;
    failing/create) echo "wrapper: no such device" >&2; exit 5 ;;
esac
exec "$NEXT" "$@"
SH
}

# What an engine does, through the whole chain.
chain() { GUARD=$FRONT oci guard "$@"; }                 # RUNTIME COMMAND [ARG...]
create_by_chain() { GUARD=$FRONT create_container guard "$1"; }          # RUNTIME

start_by_chain() {                                       # RUNTIME
    create_by_chain "$1" || fail "create: $(cat "$BUNDLE/stderr")" || return 1
    chain "$1" start "$(id_of_bundle)"
}
