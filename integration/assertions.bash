# shellcheck shell=bash
# Assertions, and waiting for a condition.

wait_until() {                                           # SECONDS CONDITION...
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        ((SECONDS < end)) || fail "not within $1 s: ${*:2}" || return 1
        sleep 0.05
    done
}

fail() {
    echo "$*" >&2
    return 1
}

assert_equal() {                                         # WHAT ACTUAL EXPECTED
    [[ $2 == "$3" ]] || fail "$1: '$2', expected '$3'"
}

assert_contains() {                                      # WHAT TEXT PART
    [[ $2 == *"$3"* ]] || fail "$1: '$2' does not contain '$3'"
}
