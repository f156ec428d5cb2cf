#!/usr/bin/env bats
# The shipped binary itself: static, without rights of its own, at no loss with a document of 100 MB (promises P5, P12, P14).
# shellcheck disable=SC2016  # $0 in a script

load helpers

# A root directory in which there is nothing but the program.
bare_root() {                                            # PROGRAM
    rm -rf "$NODE/bare"
    mkdir "$NODE/bare"
    cp "$1" "$NODE/bare/program"
}

@test "it runs where there is no library, no /proc, no /dev and no settings" {
    bare_root "$GUARD"
    run chroot "$NODE/bare" /program state x
    assert_equal "status" "$status" 1
    assert_equal "message" "$output" "runc-guard: find the real runtime: none of the candidates can be used (runc: not in PATH; crun: not in PATH); name one in the setting runtimes"
    # The control: a program that is not static.
    bare_root "$(readlink -f "$(command -v runc)")"
    run -127 chroot "$NODE/bare" /program --version
}

@test "started setuid, setgid or with file capabilities it refuses, and writes nothing for its caller" {
    local mode
    cp "$GUARD" "$NODE/guard"
    chmod 755 "$(dirname "$BATS_RUN_TMPDIR")" "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$NODE" 2>/dev/null || true
    touch "$NODE/log"
    for mode in 4755 2755 6755 capability; do
        if [[ $mode == capability ]]; then
            chmod 755 "$NODE/guard"
            python3 -c 'import os, sys; os.setxattr(sys.argv[1], "security.capability", bytes.fromhex("0100000200002000" + 24 * "0"))' "$NODE/guard"
        else
            chmod "$mode" "$NODE/guard"
        fi
        run setpriv --reuid 65534 --regid 65534 --clear-groups "$NODE/guard" --log "$NODE/log" state x
        assert_equal "$mode: status" "$status" 1
        assert_contains "$mode" "$output" "refuse to run with more rights than the caller has: EPERM"
        assert_equal "$mode: log" "$(stat -c %s "$NODE/log")" 0
    done
    # The control: without the bits and the capability nothing is refused for them.
    python3 -c 'import os, sys; os.removexattr(sys.argv[1], "security.capability")' "$NODE/guard"
    write_guard_settings runc
    chmod 644 "$NODE/guard-runc.toml"
    RUNC_GUARD_CONFIG=$NODE/guard-runc.toml run setpriv --reuid 65534 --regid 65534 --clear-groups "$NODE/guard" --version
    assert_equal "status" "$status" 0
    assert_contains "runc" "$output" "runc version"
}

# Of CPU time, so that a loaded machine stretches nothing; the runtime does nothing.
hundredths() { awk '{ printf "%d", ($1 + $2) * 100 }' <<<"$1"; }
large_bundle() {
    make_bundle large
    add_bind "$ROOT" rbind,rprivate
    mv "$BUNDLE/config.json" "$NODE/small.json"
    { printf '{"annotations":{"x":"'; head -c 100000000 /dev/zero | tr '\0' y; printf '"},'; cut -c2- "$NODE/small.json"; } >"$BUNDLE/config.json"
}

@test "a config.json of 100 MB takes less than two seconds" {
    local took before TIMEFORMAT='%U %S'
    large_bundle
    before=$(sha256sum <"$BUNDLE/config.json")
    printf 'runtimes = ["/bin/true"]\nflavour = "runc"\nprotected_roots = ["%s"]\nlog = ""\n' "$ROOT" >"$NODE/true.toml"
    took=$({ time RUNC_GUARD_CONFIG=$NODE/true.toml "$GUARD" create --bundle "$BUNDLE" x 3>&-; } 2>&1)
    [[ $(sha256sum <"$BUNDLE/config.json") != "$before" ]] || fail "it was not rewritten"
    echo "# 100 MB: $took s of CPU time" >&3
    (($(hundredths "$took") < 200)) || fail "it took $took s"
}
