#!/usr/bin/env bats
# What the kubelet gets to read when runc-guard refuses, and the questions that containerd asks a runtime.
# shellcheck disable=SC2016  # $names in jq programs

load cri

setup_file() { start_cri; }
teardown_file() { stop_containerd; }

# SENTENCE must be ours, in what containerd makes of it.
assert_our_sentence() {                                  # TEXT SENTENCE
    assert_contains "the error" "$1" "OCI runtime create failed: runc-guard: $2"
    [[ $1 != *"unable to retrieve OCI runtime error"* ]] || fail "it says more than that: $1"
}

# In the answer to StartContainer, and in the status, where kubectl finds it. The container GUARD is created already.
start_is_refused() {                                     # SENTENCE
    assert_our_sentence "$(error_of start_container guard)" "$1"
    assert_our_sentence "$(status_of guard .status.message)" "$1"
    assert_equal "status" "$(status_of guard '.status | "\(.state) \(.reason) \(.exit_code)"')" "CONTAINER_EXITED StartError 128"
}

# No status holds that: it goes into the event of the kubelet.
pod_is_refused() { assert_our_sentence "$(error_of run_pod another guard "$1")" "$2"; }  # RUNTIME SENTENCE

# The same container runs without the guard.
policy_reject() {                                        # RUNTIME
    run_app bare "$1" "$(volume / /host)"
    write_guard_settings "$1" 'policy = "reject"'
    run_pod guard guard "$1"
    create_container guard "$(volume / /host)"
    start_is_refused "mount /host: its source / contains the protected root /var/lib/containerd and has the propagation rprivate; write rslave"
    run_pod_and_container accepted guard "$1" "$(volume / /host HOST_TO_CONTAINER)"
}
test_with_each_runtime "policy reject: the status says why, and HostToContainer is accepted" policy_reject

missing_runtime() {                                      # RUNTIME
    local sentence="find the real runtime: none of the candidates can be used (/nowhere/$1: "
    write_guard_settings "$1"
    run_pod guard guard "$1"
    create_container guard
    sed -i "s|^runtimes.*|runtimes = [\"/nowhere/$1\"]|" /etc/runc-guard/config.toml
    start_is_refused "$sentence"
    pod_is_refused "$1" "$sentence"
    write_guard_settings "$1"                            # nothing can be stopped without a runtime
}
test_with_each_runtime "a missing runtime" missing_runtime

# What runs already can be looked at, stopped and removed.
broken_settings() {                                      # RUNTIME
    local sentence='read settings /etc/runc-guard/config.toml, line 4: bad value of policy: ' pid
    write_guard_settings "$1"
    run_pod_and_container running guard "$1"
    pid=$(container_pid running)
    run_pod guard guard "$1"
    create_container guard
    echo 'policy = "rejekt"' >>/etc/runc-guard/config.toml
    start_is_refused "$sentence"
    pod_is_refused "$1" "$sentence"
    assert_equal "exec" "$(exec_in running echo alive)" alive
    cri StopContainer "$(container_request running '.timeout = 1')" RemoveContainer "$(container_request running)" \
        StopPodSandbox "$(pod_request running)" RemovePodSandbox "$(pod_request running)" >/dev/null
    process_is_gone "$pid"
    assert_contains "status" "$(error_of status_of running .)" NOT_FOUND
}
test_with_each_runtime "broken settings: nothing new, and what is there can be removed" broken_settings

# --- probes ----------------------------------------------------------------------------------------------------------
# A RuntimeClass names the handler.
@test "the handler runc-guard" {
    run_pod guard guard runc
    assert_equal "handler" "$(cri PodSandboxStatus "$(pod_request guard)" | jq -r .status.runtime_handler)" runc-guard
    # And no other name does: RUNTIME is here what the RuntimeClass says.
    assert_contains "misspelt" "$(error_of run_pod misspelt bare runc-gard)" 'no runtime for "runc-gard" is configured'
}

# containerd 2 asks each runtime once, at its start, what it can do. 1.7 does not ask.
@test "features: the handler runc-guard has those of the runtime" {
    local features
    features=$(cri Status | jq -c '.runtime_handlers | map({key: .name, value: .features}) | from_entries')
    if [[ $(containerd_version) == 1.* ]]; then
        assert_equal "features" "$features" '{}'
    else
        assert_equal "of runc" "$(jq -c .runc <<<"$features")" '{"recursive_read_only_mounts":true,"user_namespaces":true}'
        assert_equal "of runc-guard" "$(jq -c '."runc-guard"' <<<"$features")" "$(jq -c .runc <<<"$features")"
    fi
}
