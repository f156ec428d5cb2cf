# shellcheck shell=bash
# A row of the decision table: one mount, tried without the guard (so that no row passes for a wrong reason), then with it.

# row RUNTIMES OPTIONS PROPAGATION BARE GUARDED OPTIONS-AFTER PROPAGATION-AFTER LOG
#   RUNTIMES           runc, crun or both
#   OPTIONS            of the bind of the protected root
#   PROPAGATION        linux.rootfsPropagation (`-` none, `empty` the empty string)
#   BARE, GUARDED      effect, see effect_of_bind
#   OPTIONS-AFTER      `=` for untouched
#   PROPAGATION-AFTER  `=` for untouched
#   LOG                `-`, info or warning
row() {
    local runtime runtimes=$1
    [[ $runtimes != both ]] || runtimes="runc crun"
    for runtime in $runtimes; do
        bats_test_function --description "$runtime: $2, rootfsPropagation $3: $4 -> $5" -- check_row "$runtime" "${@:2}"
    done
}

check_row() {
    local runtime=$1 options=$2 propagation=$3 bare=$4 guarded=$5 options_after=$6 propagation_after=$7 log=$8
    prepare_row bare "$options" "$propagation"
    effect_of_bind bare "$runtime"
    assert_equal "effect without the guard" "$EFFECT" "$bare"

    prepare_row guarded "$options" "$propagation"
    local before
    before=$(spec_identity)
    effect_of_bind guard "$runtime"
    assert_equal "effect with the guard" "$EFFECT" "$guarded"
    [[ $options_after != = ]] || options_after=$options
    [[ $propagation_after != = ]] || propagation_after=$propagation
    assert_equal "options" "$(options_of /host)" "$(sorted_words "$options_after")"
    assert_equal "rootfsPropagation" "$(rootfs_propagation)" "$propagation_after"
    assert_row_log "$log" "$before"
}

prepare_row() {                                          # NAME OPTIONS PROPAGATION
    attach_volume "$ROOT/volume-$1"
    make_bundle "$1"
    add_bind "$ROOT" "$2"
    [[ $3 != empty ]] || { set_rootfs_propagation ""; return; }
    set_rootfs_propagation "$3"
}

# The log has changes exactly when the file has; a line without changes has a notice, or it would say nothing.
assert_row_log() {                                       # LEVEL IDENTITY-BEFORE
    local kind
    kind=$(guard_log_kind)
    if [[ $(spec_identity) != "$2" ]]; then
        assert_equal "log" "${kind%+notices}" "$1:changes"
    elif [[ $1 == - ]]; then
        assert_equal "log" "$kind" -
    else
        assert_equal "log" "$kind" "$1:notices"
    fi
}

sorted_words() { tr ',' '\n' <<<"$1" | sort | paste -sd,; }

# source_row DESCRIPTION MAKER BARE GUARDED OPTIONS-AFTER LOG
# A row about the source instead of the words, for each runtime. MAKER NAME attaches a volume and sets SOURCE; it may also
# set OPTIONS (else rbind,rprivate), PROTECTED_ROOTS or SETTINGS, or change the bundle. `*` as LOG: not looked at.
source_row() { test_with_each_runtime "$1: $3 -> $4" check_source_row "${@:2}"; }

check_source_row() {
    local runtime=$1 maker=$2 bare=$3 guarded=$4 options_after=$5 log=$6 before
    make_source_row bare "$maker"
    effect_of_bind bare "$runtime"
    assert_equal "effect without the guard" "$EFFECT" "$bare"

    make_source_row guarded "$maker"
    before=$(spec_identity)
    effect_of_bind guard "$runtime"
    assert_equal "effect with the guard" "$EFFECT" "$guarded"
    if [[ $options_after == = ]]; then
        assert_equal "config.json" "$(spec_identity)" "$before"
    else
        assert_equal "options" "$(options_of /host)" "$(sorted_words "$options_after")"
        assert_equal "rootfsPropagation" "$(rootfs_propagation)" rslave
    fi
    [[ $log == '*' ]] || assert_row_log "$log" "$before"
}

make_source_row() {                                      # NAME MAKER
    local OPTIONS=rbind,rprivate
    make_bundle "$1"
    "$2" "$1"
    add_bind "$SOURCE" "$OPTIONS"
}
