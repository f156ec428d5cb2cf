#!/usr/bin/env bats
# The guard in the runtime's place through a container's whole life: what an engine does must come out as without it.
# shellcheck disable=SC2016  # jq programs

load helpers

bundle_with_private_bind() {
    make_bundle life
    attach_volume "$ROOT/volume"
    add_bind "$ROOT" rbind,rprivate
}

whole_life() {                                           # RUNTIME
    local id
    bundle_with_private_bind
    id=$(id_of_bundle)
    create_container guard "$1"
    assert_equal "status" "$(oci guard "$1" state "$id" | jq -r .status)" created
    oci guard "$1" start "$id"
    assert_equal "status" "$(oci guard "$1" state "$id" | jq -r .status)" running
    assert_equal "list" "$(oci guard "$1" list -q)" "$id"
    assert_equal "exec" "$(oci guard "$1" exec "$id" echo hello)" hello
    local status=0
    oci guard "$1" exec "$id" sh -c 'exit 9' || status=$?
    assert_equal "exit status of exec" "$status" 9
    oci guard "$1" kill "$id" KILL
    wait_until 10 has_status "$1" stopped
    oci guard "$1" delete "$id"
    assert_no_container "$1"
}
test_with_each_runtime "create, start, state, list, exec, kill, delete" whole_life

# --- run -------------------------------------------------------------------------------------------------------------
run_passes_status_and_stdio() {                          # RUNTIME
    local status=0
    bundle_with_private_bind
    set_args sh -c 'read line; echo "out $line"; echo "err $line" >&2; exit 7'
    oci guard "$1" run --bundle "$BUNDLE" "$(id_of_bundle)" <<<hello >"$BUNDLE/stdout" 2>"$BUNDLE/stderr" || status=$?
    assert_equal "exit status" "$status" 7
    assert_equal "stdout" "$(cat "$BUNDLE/stdout")" "out hello"
    assert_equal "stderr" "$(cat "$BUNDLE/stderr")" "err hello"
    assert_equal "options" "$(options_of /host)" rbind,rslave
    assert_no_container "$1"
}
test_with_each_runtime "run: exit status, stdin, stdout, stderr" run_passes_status_and_stdio

run_detached_is_rewritten_too() {                        # RUNTIME
    bundle_with_private_bind
    oci guard "$1" run --detach --pid-file "$NODE/pid" --bundle "$BUNDLE" "$(id_of_bundle)" \
        </dev/null >"$BUNDLE/stdout" 2>"$BUNDLE/stderr"
    assert_equal "pid file" "$(cat "$NODE/pid")" "$(container_pid "$1")"
    detach_volume "$1"
    assert_equal "volume" "$RESULT" released
}
test_with_each_runtime "run --detach: rewritten, pid file" run_detached_is_rewritten_too

run_keeps_preserved_fds() {                              # RUNTIME
    bundle_with_private_bind
    set_args sh -c 'cat <&3'
    echo "through fd 3" >"$NODE/fd3"
    use_guard_settings "$1"
    "$GUARD" --root "$NODE/state/$1" run --preserve-fds 1 --bundle "$BUNDLE" \
        "$(id_of_bundle)" 3<"$NODE/fd3" </dev/null >"$BUNDLE/stdout"
    assert_equal "stdout" "$(cat "$BUNDLE/stdout")" "through fd 3"
}
test_with_each_runtime "run: --preserve-fds" run_keeps_preserved_fds

# Shims wait for the pid they started: it must be the runtime itself.
guard_becomes_the_runtime() {                            # RUNTIME
    local pid
    bundle_with_private_bind
    use_guard_settings "$1"
    "$GUARD" --root "$NODE/state/$1" run --bundle "$BUNDLE" "$(id_of_bundle)" \
        </dev/null >"$BUNDLE/stdout" 2>"$BUNDLE/stderr" 3>&- &
    pid=$!
    wait_until 10 has_status "$1" running
    assert_equal "program" "$(readlink "/proc/$pid/exe")" "$(readlink -f "$(command -v "$1")")"
    assert_equal "argv[0]" "$(head -z -n 1 "/proc/$pid/cmdline" | tr -d '\0')" "$GUARD"
    oci bare "$1" kill "$(id_of_bundle)" KILL
    wait "$pid" || true
}
bats_test_function --description "runc: the guard becomes the runtime" -- guard_becomes_the_runtime runc
# crun renames its foreground process: it is looked at by its program alone.
test_with_each_runtime "create leaves no process of the guard" no_process_of_guard
no_process_of_guard() {                                  # RUNTIME
    bundle_with_private_bind
    start_container guard "$1"
    [[ -z $(pgrep -f "^$GUARD .*$NODE") ]] || fail "still there: $(pgrep -af "^$GUARD ")"
}

# --- how the bundle is named -----------------------------------------------------------------------------------------
bundle_spelled() {                                       # RUNTIME ARG...
    local runtime=$1 argument
    local -a arguments=()
    shift
    bundle_with_private_bind
    for argument in "$@"; do arguments+=("${argument//@/$BUNDLE}"); done
    (cd "$BUNDLE" && oci guard "$runtime" create "${arguments[@]}" "$(id_of_bundle)" </dev/null >stdout 2>stderr)
    assert_equal "options" "$(options_of /host)" rbind,rslave
    detach_volume "$runtime"
    assert_equal "volume" "$RESULT" released
}
test_with_each_runtime "bundle: the current directory" bundle_spelled
test_with_each_runtime "bundle: --bundle=" bundle_spelled --bundle=@
test_with_each_runtime "bundle: -b" bundle_spelled -b @
test_with_each_runtime "bundle: -b and --" bundle_spelled -b @ --
bats_test_function --description "runc: bundle: -bundle" -- bundle_spelled runc -bundle @
bats_test_function --description "crun: bundle: glued to -b" -- bundle_spelled crun -b@

# --- config.json -----------------------------------------------------------------------------------------------------
second_create_writes_nothing() {                         # RUNTIME
    local first
    bundle_with_private_bind
    create_container guard "$1"
    first=$(spec_identity)
    oci guard "$1" delete --force "$(id_of_bundle)"
    create_container guard "$1"
    assert_equal "config.json" "$(spec_identity)" "$first"
    assert_equal "lines in the guard's log" "$(wc -l <"$GUARD_LOG")" 1
}
test_with_each_runtime "a second create writes nothing" second_create_writes_nothing

untouched_config_is_not_written() {                      # RUNTIME
    local before
    make_bundle plain
    before=$(spec_identity)
    create_container guard "$1"
    assert_equal "config.json" "$(spec_identity)" "$before"
    assert_equal "log" "$(guard_log_kind)" -
}
test_with_each_runtime "nothing to do, nothing written" untouched_config_is_not_written

only_the_words_change() {                                # RUNTIME
    local strange
    bundle_with_private_bind
    mkdir "$NODE/neighbour"
    add_bind "$NODE/neighbour" rbind,ro,rprivate /neighbour
    edit_spec '.annotations = {"esc": "> / é"} | .["x-unknown"] = [12345678901234567890, 1.50, 1e3]' --indent 3
    chown 1234:4321 "$BUNDLE/config.json"
    chmod 600 "$BUNDLE/config.json"
    cp "$BUNDLE/config.json" "$NODE/before.json"
    create_container guard "$1"
    assert_equal "options" "$(options_of /host)" rbind,rslave
    strange=$(diff "$NODE/before.json" "$BUNDLE/config.json" | grep '^[<>]' | grep -vE 'rprivate|rslave' || true)
    # The line after which a key or a word was put may have got a comma.
    [[ $(grep -c '^<' <<<"$strange") -le 2 ]] || fail "changed besides: $strange"
    assert_equal "owner and mode" "$(stat -c '%u:%g %a' "$BUNDLE/config.json")" "1234:4321 600"
    diff <(without_the_words "$NODE/before.json") <(without_the_words "$BUNDLE/config.json")
}
without_the_words() {
    jq -S 'del(.linux.rootfsPropagation) | (.mounts[] | select(.destination == "/host").options) |= map(select(test("rprivate|rslave") | not))' "$1"
}
test_with_each_runtime "only the words change; owner and mode stay" only_the_words_change

# A sibling that may send mounts to the host must keep its way: `slave` for the root instead of `rslave`.
sibling_stays_shared() {                                 # RUNTIME
    bundle_with_private_bind
    mkdir "$NODE/sibling"
    add_bind "$NODE/sibling" rbind,rshared /sibling
    create_container guard "$1"
    assert_equal "rootfsPropagation" "$(rootfs_propagation)" slave
    assert_equal "sibling" "$(propagation_in_container "$1" /sibling)" shared+slave
    detach_volume "$1"
    assert_equal "volume" "$RESULT" released
}
test_with_each_runtime "a sibling with rshared stays shared" sibling_stays_shared

# --- what the guard tells --------------------------------------------------------------------------------------------
log_line() {                                             # RUNTIME
    local line
    bundle_with_private_bind
    create_container guard "$1"
    line=$(cat "$GUARD_LOG")
    assert_equal "fields" "$(jq -c '[.level, .command, .id, .bundle]' <<<"$line")" \
        "[\"info\",\"create\",\"$(id_of_bundle)\",\"$BUNDLE\"]"
    date --date "$(jq -r .time <<<"$line")" >/dev/null
    assert_equal "mount" "$(jq -c '.changes[] | select(.mount) | [.rule, .mount, .before, .after]' <<<"$line")" \
        '["slave-protected-binds","/host",["rbind","rprivate"],["rbind","rslave"]]'
    assert_equal "key" "$(jq -c '.changes[] | select(.key) | [.rule, .key, .before, .after]' <<<"$line")" \
        '["slave-protected-binds","linux.rootfsPropagation",null,"rslave"]'
    assert_equal "reasons" "$(jq '[.changes[] | select(.why | length > 10)] | length' <<<"$line")" 2
    assert_equal "environment in the log" "$(grep -c PATH= "$GUARD_LOG" || true)" 0
    [[ ! -s $BUNDLE/stdout && ! -s $BUNDLE/stderr && ! -s $BUNDLE/oci.log ]] || fail "the guard spoke on the engine's channels"
}
test_with_each_runtime "log: one line with before, after and why" log_line

plan_tells_and_touches_nothing() {                       # RUNTIME
    local before status=0
    bundle_with_private_bind
    before=$(spec_identity)
    use_guard_settings "$1"
    "$GUARD" guard plan create --bundle "$BUNDLE" >"$NODE/plan" || status=$?
    assert_equal "exit status" "$status" 2
    assert_contains "plan" "$(cat "$NODE/plan")" /host
    assert_equal "config.json" "$(spec_identity)" "$before"
    create_container guard "$1"
    "$GUARD" guard plan create --bundle "$BUNDLE" --json | jq . >/dev/null
}
test_with_each_runtime "guard plan: exit 2, later 0" plan_tells_and_touches_nothing
