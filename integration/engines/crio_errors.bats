#!/usr/bin/env bats
# What CRI-O would tell the kubelet when the guard refuses or fails, what it asks of its runtimes, and every word of its calls.
# shellcheck disable=SC2016  # jq programs

load crio

# CRI-O's error is "container create failed: " and the message that conmon sends; that is the guard's sentence, and no more.
assert_conmon_reports() {                                # PART...
    local said part
    assert_equal "pid" "$(jq .pid <<<"$SYNC")" -1
    said=$(message)
    [[ $said == "runc-guard: "* ]] || fail "conmon: $said"
    for part in "$@"; do assert_contains "conmon" "$said" "$part"; done
    assert_equal "lines" "$(wc -l <<<"$said")" 1
}

refused_bind() {                                         # RUNTIME
    mkdir "$NODE/tree"
    make_container bare sleep 1000
    make_container guard sleep 1000
    # The kubelet's volumes are private, and below its root: only the test's own tree is protected here.
    write_guard_settings "$1" "protected_roots = []"$'\n''policy = "reject"'
    add_host_path bare "$NODE/tree" /host rprivate
    add_host_path guard "$NODE/tree" /host rprivate
    start_container bare "$1" bare
    ! conmon_create guard "$1" guard || fail "created"
    assert_conmon_reports "/host: its source $NODE/tree" rslave
}
test_with_each_runtime "a bind that is refused" refused_bind

missing_runtime() {                                      # RUNTIME
    make_container guard sleep 1000
    write_guard_settings "$1"
    sed -i 's|^runtimes = .*|runtimes = ["/nonesuch/runc"]|' /etc/runc-guard/config.toml
    ! conmon_create guard "$1" guard || fail "created"
    assert_conmon_reports "find the real runtime" "/nonesuch/runc: ENOENT"
}
test_with_each_runtime "a runtime that is not there" missing_runtime

# Pods that run already are looked after and cleaned up.
broken_settings() {                                      # RUNTIME
    local id
    write_guard_settings "$1"
    make_container before sleep 1000
    make_container after sleep 1000
    start_container guard "$1" before
    echo 'policy = "rewrit"' >>/etc/runc-guard/config.toml
    ! conmon_create guard "$1" after || fail "created"
    assert_conmon_reports /etc/runc-guard/config.toml "line 4" policy rewrit
    id=$(id_of before)
    assert_equal state "$(status_of guard "$1" before)" running
    exec_sync guard "$1" before echo word
    assert_equal exec "$(exec_output)" "stdout word"
    crio_runtime guard "$1" kill "$id" KILL
    wait_until 20 has_exited before
    assert_equal "exit code" "$(exit_code_of before)" 137
    crio_runtime guard "$1" delete --force "$id"
    ! crio_runtime bare "$1" state "$id" 2>/dev/null || fail "not deleted"
}
test_with_each_runtime "settings that cannot be read: an error at create, and nothing else" broken_settings

impossible_restore() {                                   # RUNTIME
    write_guard_settings "$1"
    mkdir "$NODE/a"
    make_container box sleep 1000
    add_host_path box "$NODE/a" /test rprivate
    add_tmpfs box /test/lower
    start_container guard "$1" box
    checkpoint_by_crio guard "$1" box
    wait_until 20 has_exited box
    crio_runtime guard "$1" delete --force "$(id_of box)" 2>/dev/null || true
    rm -r "$NODE/a/lower"
    touch "$NODE/a/lower"
    ! restore_by_conmon guard "$1" box || fail "restored"
    assert_conmon_reports "/test/lower: a directory is needed at $NODE/a/lower"
}
test_with_each_runtime "a restore that is impossible" impossible_restore

# --- probes ----------------------------------------------------------------------------------------------------------
# CRI-O reads stdout and stderr together: one word too many, and the JSON of `features` is none.
probes() {                                               # RUNTIME
    local question
    write_guard_settings "$1"
    for question in --version features "checkpoint --help" "restore --lsm-mount-context"; do
        diff <(answer_of bare "$1" "$question") <(answer_of guard "$1" "$question") || fail "another answer to: $question"
    done
    answer_of guard "$1" features | sed '$d' | jq -e .ociVersionMin >/dev/null
    assert_contains "checkpoint --help" "$(answer_of guard "$1" "checkpoint --help")" "status 0"
}
# The runtimes write their own file name into their help, and runc the time before an error.
answer_of() {                                            # VIA RUNTIME QUESTION
    local -a words
    read -ra words <<<"$3"
    as_crio "$(program_of "$1" "$2")" "${words[@]}" 2>&1 | sed -E 's/runc-guard/'"$2"'/g; s/^(time="[^"]*"|[0-9T:.-]+Z:?)//'
    echo "status ${PIPESTATUS[0]}"
}
test_with_each_runtime "--version, features, help and a missing value are answered by the runtime" probes

# --- the calls -------------------------------------------------------------------------------------------------------
# A runtime that writes down what it is called with.
install_recorder() {                                     # RUNTIME
    mkdir -p "$NODE/bin"
    printf '#!/bin/sh\nfor word; do printf "<%%s> " "$word"; done >>%s/recorded\necho >>%s/recorded\nexec %s "$@"\n' \
        "$NODE" "$NODE" "$(command -v "$1")" >"$NODE/bin/$1"
    chmod +x "$NODE/bin/$1"
}

calls_of_a_life() {                                      # VIA RUNTIME
    local id
    id=$(id_of box)
    rm -f "$NODE/recorded"
    make_container box sleep 1000
    start_container "$1" "$2" box
    status_of "$1" "$2" box >/dev/null
    exec_sync "$1" "$2" box true
    echo '{"pids": {"limit": 50}}' | crio_runtime "$1" "$2" update --resources - "$id"
    checkpoint_by_crio "$1" "$2" box 2>/dev/null || true
    crio_runtime "$1" "$2" kill "$id" KILL 2>/dev/null || true
    wait_until 20 has_exited box
    crio_runtime "$1" "$2" delete --force "$id" 2>/dev/null || true
    # Whether it can be restored does not matter here: this node has no SELinux.
    restore_by_conmon "$1" "$2" box --runtime-opt --lsm-profile=selinux:system_u:system_r:container_t:s0:c1,c2 \
        --runtime-opt --lsm-mount-context=system_u:object_r:container_file_t:s0:c1,c2 || true
    sed -E 's|(exec-[a-z]*\|pid)[0-9a-zA-Z.]*>|\1N>|g' "$NODE/recorded"
    remove_all_containers
}

every_word() {                                           # RUNTIME
    local bare guarded command
    install_recorder "$1"
    write_guard_settings "$1"
    sed -i "s|^runtimes = .*|runtimes = [\"$NODE/bin/$1\"]|" /etc/runc-guard/config.toml
    PATH=$NODE/bin:$PATH
    bare=$(calls_of_a_life bare "$1")
    guarded=$(calls_of_a_life guard "$1")
    assert_equal "calls" "$guarded" "$bare"
    for command in create start state exec update pause checkpoint delete restore "--lsm-mount-context=system_u:object_r:container_file_t:s0:c1,c2"; do
        assert_contains "calls" "$guarded" "<$command>"
    done
}
test_with_each_runtime "every word of CRI-O's calls reaches the runtime" every_word
