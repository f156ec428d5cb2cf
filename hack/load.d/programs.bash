# shellcheck shell=bash
# What both parts of hack/load share: settings, floods and verdicts. WORK is the folder of it all, TOOLS that of the programs.

passed=0 failed=0

verdict() {                                              # WHAT PROBLEMS: none is well
    if [[ -z $2 ]]; then
        passed=$((passed + 1))
        echo "ok: $1" >&2
        return
    fi
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$1" >&2
    head -n 20 <<<"$2" | sed 's/^/    /' >&2
}

settings() {                                             # NAME RUNTIME: the log is NAME's own
    printf 'runtimes = ["%s"]\nprotected_roots = ["%s"]\nlog = "%s"\n' "$2" "$WORK/protected" "$WORK/$1.log" >"$WORK/$1.toml"
    : >"$WORK/$1.log"
    export RUNC_GUARD_CONFIG=$WORK/$1.toml
}

# Bundles 1 to COUNT, each with its own copy.
make_bundles() {                                         # FOLDER COUNT DOCUMENT
    mkdir -p "$1"
    seq -f "$1/%.0f" "$2" | xargs mkdir
    # shellcheck disable=SC2016  # the inner shell's
    seq -f "$1/%.0f/config.json" "$2" | xargs -n 500 sh -c 'document=$1; shift; tee "$@" <"$document" >/dev/null' - "$3"
}

# The plan comes on stdin. The figures go to WORK/figures, under the name of the case; failed calls are a verdict.
flood() {                                                # CASE COUNT AT_ONCE [PROGRAM-BEFORE-IT...]
    local case=$1 count=$2 at_once=$3 lines
    shift 3
    : >"$WORK/errors"
    lines=$("$@" "$TOOLS/flood" "$count" "$at_once" "$WORK/errors")
    awk -v head="$case\t$at_once\t" '{ print head $0 }' <<<"$lines" >>"$WORK/figures"
    verdict "$case: $count times, $at_once at once: every call ends with 0" "$(awk -F'\t' '$3 != 0' <<<"$lines"; cat "$WORK/errors")"
}

size() { if [[ -n $SMALL ]]; then echo "$1"; else echo "$2"; fi; }         # SHORT FULL
