#!/usr/bin/env bats
# One document, two readings: what the real runtimes make of a config.json that they read differently, alone and behind the guard, which must
# leave it as it is, say so, and change no verdict (promise P5, SECURITY.md).
# shellcheck disable=SC2016,SC2034  # $names in jq programs; SETTINGS is read by write_guard_settings

load helpers

# BUNDLE: a new bundle, with FIRST the list of mounts that has the protected root at /host, SECOND another that has it at /other.
# The markers @…@ are filled in by the makers of documents below.
make_document_bundle() {                                 # NAME
    make_bundle "$1"
    mkdir -p "$BUNDLE/rootfs/host" "$BUNDLE/rootfs/other"
    add_bind "$ROOT" rbind,rprivate
    FIRST=$(jq -c .mounts "$BUNDLE/config.json")
    SECOND=$(jq -c '.mounts | .[-1].destination = "/other"' "$BUNDLE/config.json")
    # In front of all other keys, so that the order is known.
    jq -c 'del(.mounts)' "$BUNDLE/config.json" >"$NODE/rest.json"
}

# Everything that stands before the first key of REST, and what comes behind the document.
document() {                                             # MEMBERS [BEHIND]
    { printf '{%s,' "$1"; cut -c2- "$NODE/rest.json"; printf '%s' "${2:-}"; } >"$BUNDLE/config.json"
}

capital_mounts() { document "\"Mounts\":$FIRST"; }
mounts_and_capitals() { document "\"mounts\":$FIRST,\"MOUNTS\":$SECOND"; }
mounts_twice() { document "\"mounts\":$FIRST,\"mounts\":$SECOND"; }
capital_options() { document "\"mounts\":${FIRST/'"options":["rbind","rprivate"]'/'"Options":["rbind","rprivate"]'}"; }
trailing_text() { document "\"mounts\":$FIRST" 'x'; }
second_document() { document "\"mounts\":$FIRST" '{}'; }
invalid_utf8() { document "\"annotations\":{\"x\":\"$(printf '\xff')\"},\"mounts\":$FIRST"; }
byte_order_mark() {
    document "\"mounts\":$FIRST"
    { printf '\xef\xbb\xbf'; cat "$BUNDLE/config.json"; } >"$NODE/marked.json"
    mv "$NODE/marked.json" "$BUNDLE/config.json"
}
symlink() {
    document "\"mounts\":$FIRST"
    mv "$BUNDLE/config.json" "$NODE/elsewhere.json"
    ln -s "$NODE/elsewhere.json" "$BUNDLE/config.json"
}
repeated() { head -c "$2" /dev/zero | tr '\0' "$1"; }
deep() { document "\"x\":$(repeated '[' 20000)$(repeated ']' 20000),\"mounts\":$FIRST"; }
large() { document "\"mounts\":$FIRST" && large_annotation; }
large_annotation() {
    { printf '{"annotations":{"x":"'; repeated y 30000000; printf '"},'; cut -c2- "$BUNDLE/config.json"; } >"$NODE/large.json"
    mv "$NODE/large.json" "$BUNDLE/config.json"
}
without_mode() { document "\"mounts\":$FIRST" && chmod 000 "$BUNDLE/config.json"; }

# VERDICT: refused, or where the container has the protected root: host, other, nowhere.
try_document() {                                         # VIA RUNTIME
    local mounts
    VERDICT=refused
    create_container "$1" "$2" || return 0
    mounts=$(container_mountinfo "$2" | cut -d' ' -f5)
    VERDICT=nowhere
    ! grep -qx /host <<<"$mounts" || VERDICT=host
    ! grep -qx /other <<<"$mounts" || VERDICT=other
}

reading() {                                              # RUNTIME MAKER VERDICT UNDERSTOOD
    local before
    make_document_bundle bare
    "$2"
    try_document bare "$1"
    assert_equal "the runtime alone" "$VERDICT" "$3"
    make_document_bundle guarded
    "$2"
    before=$(spec_identity)
    try_document guard "$1"
    assert_equal "behind the guard" "$VERDICT" "$3"
    if [[ $4 == understood ]]; then
        # The control: what is understood is mended, whether or not the runtime takes it.
        assert_contains "config.json" "$(tr -d ' \n' <"$BUNDLE/config.json")" '"options":["rbind","rslave"]'
        return
    fi
    assert_equal "config.json" "$(spec_identity)" "$before"
    assert_equal "log" "$(guard_log_kind)" warning:notices
    assert_contains "notice" "$(guard_notices)" "understand $BUNDLE/config.json: "
    assert_contains "notice" "$(guard_notices)" "; left as it is"
    refused_when_strict "$1" "$2"
}

refused_when_strict() {                                  # RUNTIME MAKER
    local before status=0
    rm -f "$NODE/guard-$1.toml"
    SETTINGS='strict = true'
    make_document_bundle strict
    "$2"
    before=$(spec_identity)
    create_container guard "$1" || status=$?
    assert_equal "strict: exit status" "$status" 1
    assert_equal "strict: lines in --log" "$(wc -l <"$BUNDLE/oci.log")" 1
    assert_contains "strict: message" "$(jq -r .msg "$BUNDLE/oci.log")" "runc-guard: understand $BUNDLE/config.json: "
    assert_equal "strict: config.json" "$(spec_identity)" "$before"
    assert_no_container "$1"
}

document_row() {                                         # DESCRIPTION MAKER RUNC CRUN [understood]
    bats_test_function --description "runc: $1: $3" -- reading runc "$2" "$3" "${5:-}"
    bats_test_function --description "crun: $1: $4" -- reading crun "$2" "$4" "${5:-}"
}

#            description                   maker                runc     crun
document_row '"Mounts" for "mounts"'       capital_mounts       host     refused
document_row '"mounts" and "MOUNTS"'       mounts_and_capitals  other    host
document_row '"mounts" twice'              mounts_twice         other    host
document_row "trailing text"               trailing_text        host     refused
document_row "a second document"           second_document      host     refused
document_row "invalid UTF-8 in a string"   invalid_utf8         host     refused
document_row "a byte order mark"           byte_order_mark      refused  refused
document_row "a symlink"                   symlink              host     host
document_row "depth 20 000"                deep                 refused  host     understood
document_row "30 MB of annotations"        large                host     host     understood
document_row "mode 000"                    without_mode         host     host     understood

# A runtime reads a FIFO and waits; the guard does not, and says so before it becomes the runtime.
nobody_feeds_a_fifo() {                                  # RUNTIME
    local via status
    for via in bare guard; do
        make_document_bundle "$via"
        rm "$BUNDLE/config.json"
        mkfifo "$BUNDLE/config.json"
        use_guard_settings "$1"
        status=0
        start_with_time_limit "$via" "$1" || status=$?
        assert_equal "$via: cut off" "$status" 124
    done
    assert_contains "notice" "$(guard_notices)" "understand $BUNDLE/config.json: it is no regular file; left as it is"
    rm "$NODE"/bundle-*/config.json
}
start_with_time_limit() {                                # VIA RUNTIME
    local program
    program=$(command -v "$2")
    [[ $1 == bare ]] || program=$GUARD
    timeout 3 "$program" --root "$NODE/state/$2" create --bundle "$BUNDLE" "$(id_of_bundle)" </dev/null >"$BUNDLE/stdout" 2>"$BUNDLE/stderr" 3>&-
}
test_with_each_runtime "a FIFO that nobody feeds holds the runtime up, and not the guard" nobody_feeds_a_fifo
