#!/usr/bin/env bats
# What people do with podman every day is with runc-guard as it is without: the same answers, the same exit status.
# shellcheck disable=SC2016  # the containers' shell programs

load podman

setup_file() {
    prepare_podman
    # What --userns=auto divides among containers. sid's libsubid wants such a user, too.
    echo containers:200000:65536 | tee /etc/subuid >/etc/subgid
    grep -q ^containers: /etc/passwd || echo containers:x:990:990::/:/usr/sbin/nologin >>/etc/passwd
}

# SCENARIO speaks of containers `c`, started by in_container, of VIA and RUNTIME. What it prints must match EXPECTED (a pattern)
# without the guard and be the same with it.
user_sees_the_same() {                                   # RUNTIME SCENARIO EXPECTED
    local seen=()
    RUNTIME=$1
    write_guard_settings "$1"
    mkdir "$NODE/tree"
    for VIA in bare guard; do
        "$2" >"$NODE/$VIA.log" 2>&1 </dev/null || echo "the scenario ended with status $?" >>"$NODE/$VIA.log"
        seen+=("$(without_names "$NODE/$VIA.log")")
        # shellcheck disable=SC2053  # it is a pattern
        [[ ${seen[-1]} == $3 ]] || fail "$VIA: '${seen[-1]}', expected '$3'"
        remove_all_containers
        assert_guard_ran_if "$VIA"
    done
    assert_equal "through the guard" "${seen[1]}" "${seen[0]}"
}

# Without what differs from container to container, the name of the program that podman executed, and what script types at the
# end of its input.
without_names() {                                        # FILE
    sed -E "s/\b[0-9a-f]{64}\b/ID/g; s/time=\"[^\"]*\"/TIME/; s|/[a-z/]*/podman[0-9]+|FILE|
        s/(Error: (OCI runtime error: )?)$(runtime_name "$VIA" "$RUNTIME"):/\1PROGRAM:/
        s|/usr/[a-z/]*/$(runtime_name "$VIA" "$RUNTIME") |PROGRAM |; s/\^@//g; s/\r\$//" "$1"
}

# Every container has a bind that the guard must change, so that its log tells whether it stood in between.
in_container() { podman_via "$VIA" "$RUNTIME" run --network none --volume "$NODE/tree:/host:rprivate" "$@"; }

assert_guard_ran_if() {                                  # VIA
    local ran=bare
    [[ -z $(guard_changes) ]] || ran=guard
    assert_equal "by the guard's log it was" "$ran" "$1"
}

everyday() {                                             # DESCRIPTION SCENARIO EXPECTED
    test_with_each_runtime "$1" user_sees_the_same "$2" "$3"
}

# --- run -------------------------------------------------------------------------------------------------------------
output_and_status() {
    with_status in_container busybox sh -c 'echo output; exit 42'
    in_container busybox sh -c 'echo error >&2' >/dev/null
    echo input | in_container --interactive busybox cat
}
everyday "run: output, input, exit status" output_and_status $'output\nstatus 42\nerror\ninput'

missing_command() {
    in_container busybox true
    with_status in_container busybox missing
}
everyday "run: a missing command is 127" missing_command 'Error: PROGRAM: *missing*not found in $PATH*status 127'

directory_as_command() {
    in_container busybox true
    with_status in_container busybox /etc
}
everyday "run: a command that is none is 126" directory_as_command 'Error: *PROGRAM: */etc*status 126'

read_only_init_and_descriptors() {
    with_status in_container --read-only busybox touch /file
    printf '#!/bin/sh\nshift\n"$@"\n' >"$NODE/init"
    chmod +x "$NODE/init"
    in_container --init --init-path "$NODE/init" busybox sh -c 'cat /proc/1/cmdline' | tr '\0' ' '
    echo
    echo inherited >"$NODE/file"
    # podman's own function closes fd 3.
    command podman --log-level error --runtime "$(runtime_name "$VIA" "$RUNTIME")" run --network none --preserve-fds 1 \
        busybox sh -c 'cat <&3' 3<"$NODE/file"
}
everyday "run: --read-only, --init, --preserve-fds" read_only_init_and_descriptors \
    $'touch: /file: Read-only file system\nstatus 1\n/bin/sh /run/podman-init -- sh -c cat /proc/1/cmdline \ninherited'

# --- terminals -------------------------------------------------------------------------------------------------------
in_terminal() {                                          # PODMAN-ARG...
    script --quiet --return --command "stty rows 33 cols 111; podman --log-level error ${*@Q}" /dev/null
}

terminal_of_its_own() {
    local name
    name=$(runtime_name "$VIA" "$RUNTIME")
    with_status in_terminal --runtime "$name" run --tty --interactive --network none --name c --volume "$NODE/tree:/host:rprivate" \
        busybox sh -c 'tty; until test "$(stty size)" = "33 111"; do sleep 0.1; done; echo resized; exit 5'
    podman start c
    with_status in_terminal exec --tty --interactive c sh -c 'test -t 0 -a -t 1; echo $?; exit 6'
}
everyday "run and exec: a terminal, and its size" terminal_of_its_own $'/dev/pts/0\nresized\nstatus 5\nc\n0\nstatus 6'

# --- a container's life ----------------------------------------------------------------------------------------------
executed() {
    in_container --detach --name c busybox sleep 1000
    with_status podman exec c sh -c 'echo hello; exit 7'
    echo input | podman exec --interactive c cat
    podman exec --env WORD=said --user 65534 --workdir /tmp c sh -c 'echo $WORD in $PWD; id -u'
    with_status podman exec c missing
}
everyday "exec" executed $'ID\nhello\nstatus 7\ninput\nsaid in /tmp\n65534\nError: *missing*status 127'

stopped() {
    in_container --detach --name c busybox sh -c 'trap "echo asked; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
    wait_until 20 logs_say ready
    podman stop c
    state_and_status
    podman start c
    podman kill c
    podman wait c
    # After its end podman says "stopped", until it has cleaned up.
    wait_until 20 has_state exited
    state_and_status
    podman logs c
    podman rm c
    podman ps --all --format '{{.Names}}'
}
logs_say() { podman logs c 2>&1 | grep -q "$1"; }
has_state() { [[ $(podman inspect --format '{{.State.Status}}' c) == "$1" ]]; }
state_and_status() { podman inspect --format '{{.State.Status}} {{.State.ExitCode}}' c; }
everyday "stop, start, kill, wait, logs, rm" stopped $'ID\nc\nexited 3\nc\nc\n137\nexited 137\nready\nasked\n*c'

paused() {
    in_container --detach --name c busybox sleep 1000
    podman pause c
    state_and_status
    frozen
    podman unpause c
    state_and_status
    frozen
}
frozen() { grep frozen "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(container_pid c)/cgroup")/cgroup.events"; }
everyday "pause and unpause" paused $'ID\nc\npaused 0\nfrozen 1\nc\nrunning 0\nfrozen 0'

# Without controllers no limit can be set: it is the runtime that says so. What needs none of them succeeds.
updated() {
    in_container --detach --name c busybox sleep 1000
    podman update --restart on-failure c
    podman inspect --format '{{.HostConfig.RestartPolicy.Name}}' c
    with_status podman update --pids-limit 100 c
}
everyday "update" updated $'ID\n*ID\non-failure\n*pids*`PROGRAM update --resources=FILE ID` failed: exit status 1\nstatus 125'

health() {
    in_container --detach --name c --health-cmd 'test -f /healthy' --health-interval disable busybox sleep 1000
    with_status podman healthcheck run c
    podman exec c touch /healthy
    with_status podman healthcheck run c
}
everyday "healthcheck" health $'ID\nunhealthy\nstatus 1\n*status 0'

# --- what a container is given ---------------------------------------------------------------------------------------
volumes() {
    in_container --volume "data-$VIA:/data" busybox sh -c 'echo kept >/data/file'
    in_container --volume "data-$VIA:/data" busybox cat /data/file
    in_container --rm --volume /anonymous busybox touch /anonymous/file
    mkdir -p "$NODE/read-only"
    with_status in_container --volume "$NODE/read-only:/data:ro" busybox touch /data/file
    podman rm --all >/dev/null
    podman volume rm "data-$VIA" >/dev/null
    podman volume ls --quiet
}
everyday "volumes: named, anonymous, read-only" volumes $'kept\ntouch: /data/file: Read-only file system\nstatus 1'

secrets() {
    printf hunter2 | podman secret create word - >/dev/null
    in_container --secret word --secret word,type=env,target=WORD busybox sh -c 'cat /run/secrets/word; echo " $WORD"'
    podman secret rm word >/dev/null
}
everyday "secrets" secrets 'hunter2 hunter2'

user_namespace() {
    in_container --uidmap 0:100000:65536 --gidmap 0:100000:65536 busybox sh -c 'id -u; set -- $(cat /proc/self/uid_map); echo $*'
    in_container --userns auto:size=1000 busybox sh -c 'set -- $(cat /proc/self/uid_map); echo $*'
}
everyday "user namespaces" user_namespace $'0\n0 100000 65536\n0 200000 1000'

# --- pods and images -------------------------------------------------------------------------------------------------
pod() {
    local name inspected
    podman_via "$VIA" "$RUNTIME" pod create --name p --network none --volume "$NODE/tree:/host:rprivate" \
        --infra-image busybox --infra-command "/bin/sleep 1000"
    for name in c d; do podman_via "$VIA" "$RUNTIME" run --detach --pod p --name "$name" busybox sleep 1000; done
    for name in ipc net uts; do
        test "$(podman exec c busybox readlink "/proc/1/ns/$name")" = "$(podman exec d busybox readlink "/proc/1/ns/$name")" &&
            echo "one $name"
    done
    inspected=$(podman pod inspect --format '{{.InfraContainerID}}' p)
    test "$(podman inspect --format '{{.OCIRuntime}}' "$inspected" c d | sort -u)" = "$(runtime_name "$VIA" "$RUNTIME")" &&
        echo "one runtime"
    podman pod rm --force --time 0 p
}
everyday "a pod" pod $'ID\nID\nID\none ipc\none net\none uts\none runtime\nID'

built() {
    mkdir -p "$NODE/context"
    printf 'FROM busybox\nRUN test -d /host && echo made > /made\nRUN exit 9\n' >"$NODE/context/Containerfile"
    with_status build_image
    sed -i '$d' "$NODE/context/Containerfile"
    build_image
    in_container --pull never --rm built cat /made
    podman rmi --force built >/dev/null
}
build_image() {
    podman_via "$VIA" "$RUNTIME" build --quiet --no-cache --network none --volume "$NODE/tree:/host:rprivate" --tag built "$NODE/context"
}
everyday "build" built $'*status 9*status 9\nID\nmade'
