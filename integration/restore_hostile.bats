#!/usr/bin/env bats
# The workload owns its sources, the image may be a stranger's: nothing outside a source comes into being, and nothing that only an
# image asks for where the settings or a read-only bind forbid it.
# The columns are explained in restore_rows.bash; what follows them is in the error.
# shellcheck disable=SC2034  # makers return in variables

load helpers
load restore_rows

on_directory() {                                         # KIND
    mkdir -p "$NODE/outside"
    on_each_host directory_at a
    on_each_host "$1_at" b
    bind a /test
    bind b /test/x/y
}

# --- symlinks in the way: followed, they would lead out of the source ------------------------------------------------
absolute_symlink() { on_directory directory; on_next_host symlink_at a/x "$NODE/outside"; }
relative_symlink() { on_directory directory; on_next_host symlink_at a/x ../../outside; }
dangling_symlink() { on_directory directory; on_next_host symlink_at a/x "$NODE/nowhere"; }
symlink_for_file() { on_directory file; on_next_host directory_at a/x; on_next_host symlink_at a/x/y "$NODE/outside/file"; }

inside_symlink() {
    on_directory directory
    on_next_host directory_at a/real
    on_next_host symlink_at a/x real
}

symlink_at_the_end() {
    on_directory directory
    on_next_host directory_at a/x
    on_next_host symlink_at a/x/y "$NODE/outside"
}

#           description                        maker                       1.1.15    1.3.6     1.21      1.28
refusal_row "an absolute symlink"              absolute_symlink            stat      stat      stat      stat \
    "/test/x/y: a directory is needed at @/a/x/y, and @/a/x is a symlink"
refusal_row "a relative symlink"               relative_symlink            stat      stat      stat      stat \
    "/test/x/y: a directory is needed at @/a/x/y, and @/a/x is a symlink"
refusal_row "a dangling symlink"               dangling_symlink            stat      stat      stat      stat \
    "/test/x/y: a directory is needed at @/a/x/y, and @/a/x is a symlink"
refusal_row "a symlink that stays inside"      inside_symlink              elsewhere elsewhere stat      stat \
    "/test/x/y: a directory is needed at @/a/x/y, and @/a/x is a symlink"
refusal_row "a symlink at the end"             symlink_at_the_end          real      real      real      real \
    "/test/x/y: a directory is needed at @/a/x/y, and @/a/x/y is a symlink"
refusal_row "a symlink for a file"             symlink_for_file            stat      stat      stat      stat \
    "/test/x/y: a file is needed at @/a/x/y, and @/a/x/y is a symlink"

# --- a source that changes meanwhile ---------------------------------------------------------------------------------
# A process swaps the directory for a symlink all the time. What is made by name (the control) ends up outside before long.
swapped_all_the_time() {
    local swapper result
    make_case bare "on_directory directory"
    checkpoint_container bare crun
    on_next_host directory_at a/x
    on_next_host symlink_at a/link "$NODE/outside"
    migrate
    perl -e 'chdir shift or die; while (1) {
        rename "x", "real"; rename "link", "x"; select undef, undef, undef, 0.0003;
        rename "x", "link"; rename "real", "x"; select undef, undef, undef, 0.0003 }' "$HOST/a" 3>&- &
    swapper=$!
    result=$(race)
    kill "$swapper"
    wait "$swapper" || true
    assert_equal "outcome" "$result" "nothing outside"
}

race() {
    local end=$((SECONDS + 4))
    wait_until 20 escapes by_name || { echo "the control never escapes"; return; }
    rmdir "$NODE/outside/y"
    # Four seconds, and longer on a busy machine: until the guard has created in the directory as well as met the symlink.
    until ((SECONDS > end)) && meets created "$GUARD_LOG" && meets 'is a symlink' "$BUNDLE/oci.log"; do
        ! escapes through_guard || { echo "created outside: $(ls -R "$NODE/outside")"; return; }
        ((SECONDS < end + 30)) || { echo "the guard never saw both"; return; }
    done
    echo "nothing outside"
}

escapes() {                                              # HOW
    "$1" || true
    [[ -n $(ls -A "$NODE/outside") ]]
}
by_name() { rmdir "$HOST"/a/*/y; mkdir -p "$HOST/a/x/y"; } 2>/dev/null
through_guard() {
    rmdir "$HOST"/a/*/y 2>/dev/null || true
    # As an engine does before each restore: a destination once spelt by way of the symlink would stay so.
    cp "$NODE/as-migrated.json" "$BUNDLE/config.json"
    run_guard_alone crun
}
meets() { grep -q "$1" "$2" 2>/dev/null; }               # WORDS FILE
bats_test_function --description "a directory swapped for a symlink all the time" -- swapped_all_the_time

# --- what only the image asks for ------------------------------------------------------------------------------------
mounted_by_process() {                                   # OPTIONS
    edit_spec '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
    on_each_host directory_at a
    directory_at a/made
    bind a /test "$1"
    set_args_before_counting 'mount -t tmpfs tmpfs /test/made'
}
made_below_read_only_bind() { mounted_by_process rbind,rprivate,ro; }
not_from_image() { SETTINGS='create_from_image = false'; mounted_by_process rbind,rprivate; }

refusal_row "the image alone, a read-only bind"  made_below_read_only_bind   stat      stat      stat      stat \
    "/test/made: a directory is needed at @/a/made, where nothing is"
refusal_row "the image alone, and switched off"  not_from_image              stat      stat      stat      stat \
    "/test/made: a directory is needed at @/a/made, where nothing is; only the image asks for it"

# --- sources that the settings allow to create, and a symlink above them ---------------------------------------------
symlink_above_source() {
    SETTINGS="create_sources = [\"$NODE/host-bare\"]"
    mkdir -p "$NODE/outside" "$BUNDLE/rootfs/test"
    directory_at volumes/one
    bind volumes/one /test
    on_next_host symlink_at volumes "$NODE/outside"
}
refusal_row "create_sources: a symlink above"    symlink_above_source        source    source    source    source \
    "/test: its bind source" "/outside/one is missing: ENOENT"
