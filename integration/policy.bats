#!/usr/bin/env bats
# The settings that decide: policy reject and warn, the opt-out of a container, and settings that cannot be read.
# shellcheck disable=SC2016,SC2034  # jq programs; SETTINGS is read by write_guard_settings

load helpers

bundle_with_bind() {                                     # OPTIONS [PROPAGATION]
    make_bundle policy
    attach_volume "$ROOT/volume"
    add_bind "$ROOT" "$1"
    set_rootfs_propagation "${2:--}"
    BEFORE=$(spec_identity)
}

# The engine's view of a failure of the guard: exit 1, one line in the log it asked for, the same text on stderr.
assert_refused_by_guard() {                              # RUNTIME PART-OF-MESSAGE...
    local status=0 message part
    create_container guard "$1" || status=$?
    assert_equal "exit status" "$status" 1
    assert_equal "lines in --log" "$(wc -l <"$BUNDLE/oci.log")" 1
    assert_equal "level" "$(jq -r .level "$BUNDLE/oci.log")" error
    date --date "$(jq -r .time "$BUNDLE/oci.log")" >/dev/null
    message=$(jq -r .msg "$BUNDLE/oci.log")
    for part in "${@:2}"; do assert_contains "message" "$message" "$part"; done
    [[ $message == "runc-guard: "* ]] || fail "message: $message"
    assert_equal "stderr" "$(cat "$BUNDLE/stderr")" "$message"
    assert_equal "config.json" "$(spec_identity)" "$BEFORE"
    assert_no_container "$1"
}

# --- reject ----------------------------------------------------------------------------------------------------------
rejected() {                                             # RUNTIME OPTIONS
    SETTINGS='policy = "reject"'
    bundle_with_bind "$2"
    assert_refused_by_guard "$1" /host
}

accepted() {                                             # RUNTIME OPTIONS PROPAGATION OPTIONS-AFTER EFFECT
    SETTINGS='policy = "reject"'
    bundle_with_bind "$2" "$3"
    effect_of_bind guard "$1"
    assert_equal "effect" "$EFFECT" "$5"
    assert_equal "options" "$(options_of /host)" "$4"
}

for options in rbind,private rbind,rprivate rbind,slave rbind,shared rbind,unbindable rbind,runbindable rbind,rprivate,rslave; do
    test_with_each_runtime "reject: $options is an error" rejected "$options"
done
bats_test_function --description "crun: reject: bind,rprivate is an error" -- rejected crun bind,rprivate
test_with_each_runtime "reject: no word becomes rslave" accepted rbind - rbind,rslave slave/released
test_with_each_runtime "reject: rslave stays, rootfsPropagation is repaired" accepted rbind,rslave private rbind,rslave slave/released
test_with_each_runtime "reject: rshared stays" accepted rbind,rshared rshared rbind,rshared shared/released
test_with_each_runtime "reject: bind,private stays" accepted bind,private - bind,private private/without
test_with_each_runtime "reject: private and rro stays" accepted rbind,rprivate,rro - rbind,rprivate,rro private/pinned

reject_without_json_log() {                              # RUNTIME
    local status=0
    SETTINGS='policy = "reject"'
    bundle_with_bind rbind,rprivate
    LOG_FORMAT=text create_container guard "$1" || status=$?
    assert_equal "exit status" "$status" 1
    assert_equal "lines in --log" "$(wc -l <"$BUNDLE/oci.log")" 1
    assert_contains "log" "$(cat "$BUNDLE/oci.log")" "level=error msg=\"runc-guard: "
}
test_with_each_runtime "reject: a text log gets a text line" reject_without_json_log

private_host_parent_is_rejected() {                      # RUNTIME
    SETTINGS='policy = "reject"'
    make_bundle policy
    mkdir "$ROOT/directory"
    mount --bind "$ROOT" "$ROOT"
    mount --make-private "$ROOT"
    add_bind "$ROOT/directory" rbind
    BEFORE=$(spec_identity)
    assert_refused_by_guard "$1" /host shared
}
test_with_each_runtime "reject: host parent not shared is an error" private_host_parent_is_rejected

# --- warn ------------------------------------------------------------------------------------------------------------
only_warned() {                                          # RUNTIME OPTIONS
    SETTINGS='policy = "warn"'
    bundle_with_bind "$2"
    effect_of_bind guard "$1"
    assert_equal "effect" "$EFFECT" private/pinned
    assert_equal "config.json" "$(spec_identity)" "$BEFORE"
    assert_equal "log" "$(guard_log_kind)" warning:notices
    assert_contains "notices" "$(guard_notices)" /host
}
test_with_each_runtime "warn: rbind,rprivate stays, with a notice" only_warned rbind,rprivate
test_with_each_runtime "warn: rbind,private stays, with a notice" only_warned rbind,private

# --- opt-out ---------------------------------------------------------------------------------------------------------
opt_out() {                                              # RUNTIME SETTINGS VALUE EFFECT
    SETTINGS=$2
    bundle_with_bind rbind,rprivate
    edit_spec '.annotations["runc-guard/slave-protected-binds"] = $value' --arg value "$3"
    effect_of_bind guard "$1"
    assert_equal "effect" "$EFFECT" "$4"
}
allow='allow_opt_out = ["slave-protected-binds"]'
test_with_each_runtime "opt-out: honoured when allowed" opt_out "$allow" off private/pinned
test_with_each_runtime "opt-out: without permission it changes nothing" opt_out "" off slave/released
test_with_each_runtime "opt-out: permission alone changes nothing" opt_out "$allow" on slave/released
test_with_each_runtime "a rule can be switched off" opt_out 'rules.slave-protected-binds.enabled = false' on private/pinned
test_with_each_runtime "force_rro forces a private rro bind" forced_rro
forced_rro() {                                           # RUNTIME
    SETTINGS='force_rro = true'
    bundle_with_bind rbind,rprivate,rro
    effect_of_bind guard "$1"
    assert_equal "effect" "$EFFECT" slave/released
    assert_equal "options" "$(options_of /host)" rbind,rro,rslave
}

# --- settings where they usually are ---------------------------------------------------------------------------------
# config.toml, then conf.d in the order of names: a later file wins. Nothing sets an environment variable for the guard.
settings_in_etc() {                                      # RUNTIME
    SETTINGS_IN_ETC=yes
    mkdir -p /etc/runc-guard/conf.d
    write_guard_settings "$1"
    mv "$NODE/guard-$1.toml" /etc/runc-guard/config.toml
    echo 'policy = "reject"' >/etc/runc-guard/conf.d/10-site.toml
    echo 'policy = "warn"' >/etc/runc-guard/conf.d/20-node.toml
    bundle_with_bind rbind,rprivate
    create_container guard "$1"
    assert_equal "config.json" "$(spec_identity)" "$BEFORE"
    assert_equal "log" "$(guard_log_kind)" warning:notices

    rm /etc/runc-guard/conf.d/20-node.toml
    oci guard "$1" delete --force "$(id_of_bundle)"
    assert_refused_by_guard "$1" /host
}
test_with_each_runtime "settings in /etc/runc-guard and conf.d" settings_in_etc

# --- settings that cannot be read ------------------------------------------------------------------------------------
# The container is there already; the settings break; a new one is refused, the old one can still be looked at and removed.
broken_settings() {                                      # RUNTIME BROKEN-LINE
    make_bundle old
    start_container bare "$1"
    bundle_with_bind rbind,rprivate
    # Nothing else may be found by the default names when the file does not tell the runtime.
    mkdir "$NODE/path"
    ln -s "$(command -v "$1")" "$NODE/path/$1"
    printf '# one\nruntimes = ["%s"]\n%s\n' "$(command -v "$1")" "$2" >"$NODE/guard-$1.toml"
    local PATH=$NODE/path:$PATH
    assert_refused_by_guard "$1" "$NODE/guard-$1.toml"
    [[ $(jq -r .msg "$BUNDLE/oci.log") =~ (:|line\ )3([^0-9]|$) ]] || fail "no line number: $(cat "$BUNDLE/oci.log")"

    BUNDLE=$NODE/bundle-old
    PATH=$NODE/path oci guard "$1" state "$(id_of_bundle)" >"$NODE/state.json"
    assert_equal "status" "$(jq -r .status "$NODE/state.json")" running
    PATH=$NODE/path oci guard "$1" kill "$(id_of_bundle)" KILL
    wait_until 10 has_status "$1" stopped
    PATH=$NODE/path oci guard "$1" delete "$(id_of_bundle)"
    assert_no_container "$1"
}
test_with_each_runtime "broken settings: unknown key" broken_settings 'polcy = "warn"'
test_with_each_runtime "broken settings: unknown value" broken_settings 'policy = "often"'
test_with_each_runtime "broken settings: no TOML" broken_settings 'policy = "warn'
