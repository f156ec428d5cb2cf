# shellcheck shell=bash
# shellcheck disable=SC2034  # results are returned in variables
# containerd through its own client, which names the runtime in each call. Containers of a test have one and the same name, one
# after the other: nothing that the client prints then tells them apart.

load containerd

BUSYBOX=docker.io/library/busybox:latest

start_containerd_with_image() {
    write_containerd_settings
    start_containerd
    ctr image import "$TEMPLATES/image.tar" >/dev/null
}

run_container() {                                        # VIA RUNTIME [CTR-OPTION...] -- NAME COMMAND...
    local program
    local -a options=()
    program=$(program_of "$1" "$2")
    shift 2
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    # fd 3 is bats' own: a shim that kept it would keep bats waiting.
    ctr run --runc-binary "$program" "${options[@]}" "$BUSYBOX" "$@" 3>&-
}

container_pid() { ctr task list | awk -v name="$1" '$1 == name { print $2 }'; }        # NAME

task_is() { ctr task list | awk -v name="$1" -v status="$2" '$1 == name { found = $3 == status } END { exit !found }'; }   # NAME STATUS

# What the shim gave to the runtime last, guard or not.
spec_of() { cat "/run/containerd/io.containerd.runtime.v2.task/default/$1/config.json"; }                                   # NAME

remove_all_containers() {
    local name
    for name in $(ctr container list --quiet); do
        ctr task kill --signal KILL "$name" >/dev/null 2>&1 || true
        wait_until 20 remove_container "$name"
    done
}
remove_container() { ctr task delete --force "$1" >/dev/null 2>&1 || true; ctr container delete "$1" >/dev/null 2>&1; }     # NAME

protect_default_roots_only() { sed -i '/^extra_protected_roots/d' /etc/runc-guard/config.toml; }

# --- the same with the guard as without it ---------------------------------------------------------------------------
# Behind the guard stands a script that notes each call: what it notes has come through the guard.
record_calls() {                                         # RUNTIME
    local program=$NODE/recorder/$1
    mkdir -p "${program%/*}"
    printf '#!/bin/sh\necho "$*" >>%s\nexec %s "$@"\n' "$NODE/calls" "$(command -v "$1")" >"$program"
    chmod +x "$program"
    sed -i "s|^runtimes = .*|runtimes = [\"$program\"]|" /etc/runc-guard/config.toml
}

# The shim writes --root R --log L --log-format json COMMAND.
recorded_commands() { [[ ! -f $NODE/calls ]] || awk '{ print $7 }' "$NODE/calls" | sort -u; }

# FUNCTION gets VIA and RUNTIME, uses ctr and prints what its user sees. That must match PATTERN, be the same through the guard,
# and the COMMANDS must have come through it.
same_as_bare() {                                         # RUNTIME FUNCTION PATTERN COMMAND...
    local via bare='' answer
    write_guard_settings "$1"
    record_calls "$1"
    for via in bare guard; do
        answer=$("$2" "$via" "$1" 2>&1)
        # shellcheck disable=SC2053  # a pattern
        [[ $answer == $3 ]] || fail "$via: '$answer', expected '$3'" || return 1
        remove_all_containers
        [[ $via == guard ]] || { bare=$answer; assert_equal "recorded without the guard" "$(recorded_commands)" "" || return 1; }
    done
    assert_equal "through the guard" "$answer" "$bare" || return 1
    assert_equal "not through the guard" "$(comm -23 <(printf '%s\n' "${@:4}" | sort) <(recorded_commands))" ""
}

# logrus' line on a terminal or in a file, without its time.
without_time() { sed -E 's/^time="[^"]*" //'; }
