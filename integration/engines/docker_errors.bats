#!/usr/bin/env bats
# What docker shows its user when the guard refuses or fails, and what dockerd asks its runtimes.

load docker

setup_file() { start_docker_with_image; }
teardown_file() { stop_docker; }

# The guard's sentence, in docker's own; and no container runs.
assert_docker_says() {                                   # START-OF-DOCKER'S-SENTENCE PART...
    local said part
    said=$(<"$NODE/stderr")
    assert_contains "docker" "$said" "Error response from daemon: $1runc-guard: "
    for part in "${@:2}"; do assert_contains "docker" "$said" "$part"; done
    [[ $said != *"unable to retrieve OCI runtime error"* ]] || fail "docker: $said"
    ! box_is running || fail "it runs"
}
AT_CREATE="failed to create task for container: failed to create shim task: OCI runtime create failed: "

run_fails() {                                            # OPTION...
    local status=0
    run_box guard "$@" busybox true 2>"$NODE/stderr" || status=$?
    # 125: docker's own failure; 126 and 127 would blame the command.
    assert_equal "status" "$status" 125
}

@test "a bind that is refused" {
    mkdir "$NODE/tree"
    run_box bare --volume "$NODE/tree:/host" busybox true
    remove_box
    write_guard_settings runc 'policy = "reject"'
    run_fails --volume "$NODE/tree:/host"
    assert_docker_says "$AT_CREATE" "/host: its source $NODE/tree" rslave
    remove_box
    run_box guard --volume "$NODE/tree:/host:rslave" busybox true
}

@test "a runtime that is not there" {
    write_guard_settings runc
    sed -i 's|^runtimes = .*|runtimes = ["/nonesuch/runc"]|' /etc/runc-guard/config.toml
    run_fails
    assert_docker_says "$AT_CREATE" "find the real runtime" "/nonesuch/runc: ENOENT"
}

@test "settings that cannot be read: an error at create, and nothing else" {
    running_box guard
    echo 'policy = "rewrit"' >>/etc/runc-guard/config.toml
    docker exec box true
    docker pause box
    docker unpause box
    docker top box >/dev/null
    assert_equal "logs" "$(docker logs box)" ""
    docker stop --time 1 box
    assert_equal "status" "$(docker inspect --format '{{.State.ExitCode}}' box)" 137
    ! docker start box 2>"$NODE/stderr" || fail "it starts"
    assert_docker_says "$AT_CREATE" /etc/runc-guard/config.toml policy rewrit
    docker rm box
}

# The source of the bind was a directory of which the container mounted a part; on the next host a file is in its place.
@test "a restore that is impossible" {
    mkdir -p "$NODE/a"
    start_box guard runc --volume "$NODE/a:/test" --tmpfs /test/lower busybox sleep 1000
    checkpoint_box
    rm -r "$NODE/a/lower"
    touch "$NODE/a/lower"
    ! restore_box || fail "it restores"
    assert_docker_says "OCI runtime restore failed: " "/test/lower: a directory is needed at $NODE/a/lower"
}

# --- probes ----------------------------------------------------------------------------------------------------------
@test "docker info: the runtimes, and the version of runc" {
    local version
    version=$(runc --version | sed -n '1s/runc version //p')
    change_default_runtime runc-guard
    # dockerd asks the default runtime for its version.
    assert_contains "docker info" "$(docker info)" "runc version: $version"
    # docker puts them in any order.
    assert_equal "runtimes" "$(docker info | sed -n 's/^ Runtimes: //p' | tr ' ' '\n' | sort | paste -sd' ')" "crun io.containerd.runc.v2 runc runc-guard"
    assert_equal "its own" "$(docker version --format '{{range .Server.Components}}{{.Name}} {{.Version}}{{"\n"}}{{end}}' | grep '^runc-guard')" \
        "runc-guard $version"
    docker run --name box --network none busybox true
    assert_equal "runtime" "$(docker inspect --format '{{.HostConfig.Runtime}}' box)" runc-guard
    change_default_runtime runc
}
change_default_runtime() {                               # NAME
    write_docker_settings ".\"default-runtime\" = \"$1\""
    kill -HUP "$(<"$BATS_FILE_TMPDIR/dockerd.pid")"
    wait_until 20 default_runtime_is "$1"
}
default_runtime_is() { [[ $(docker info --format '{{.DefaultRuntime}}') == "$1" ]]; }

@test "docker info: what the runtime says of its features" {
    local bare
    bare=$(docker info --format '{{json .Runtimes}}' | jq -c '.runc.status')
    assert_contains "features" "$bare" ociVersionMin
    assert_equal "through the guard" "$(docker info --format '{{json .Runtimes}}' | jq -c '."runc-guard".status')" "$bare"
}

@test "features, --version and a question for help are answered by the runtime" {
    local question
    for question in features --version "checkpoint --help" "restore --lsm-mount-context" ""; do
        diff <(answer_of runc "$question") <(answer_of runc-guard "$question") || fail "another answer to: $question"
    done
}
# runc writes its own file name into its help, and the time before an error.
answer_of() {                                            # PROGRAM QUESTION
    local -a words
    read -ra words <<<"$2"
    "$1" "${words[@]}" 2>&1 | sed -E 's/runc-guard/runc/g; s/^time="[^"]*"//'
    echo "status ${PIPESTATUS[0]}"
}
