#!/usr/bin/env bats
# Which binds the rule means: every spelling of a source, every way to overlap a protected root, and nothing beside it.
# shellcheck disable=SC2016,SC2034  # jq programs; makers return in variables

load helpers
load rows

volume_in_root() { attach_volume "$ROOT/volume-$1"; }

relative_source() { volume_in_root "$1"; SOURCE=../root; }
untidy_source() { volume_in_root "$1"; mkdir -p "$NODE/other"; SOURCE=$NODE//other/../root/./; }

symlinked_source() {
    volume_in_root "$1"
    ln -s "$ROOT" "$NODE/link-$1"
    SOURCE=$NODE/link-$1
}

source_through_symlinked_parent() {
    attach_volume "$ROOT/deep/volume-$1"
    ln -s "$ROOT" "$NODE/link-$1"
    SOURCE=$NODE/link-$1/deep
}

symlinked_root() {
    volume_in_root "$1"
    ln -s "$ROOT" "$NODE/link-$1"
    PROTECTED_ROOTS="[\"$NODE/link-$1\"]"
    SOURCE=$ROOT
}

# Peers: what is mounted below the root appears in the alias too, and leaves it with the root's.
alias_of_root() {
    mkdir "$NODE/alias-$1"
    mount --bind "$ROOT" "$NODE/alias-$1"
    volume_in_root "$1"
    SOURCE=$NODE/alias-$1
}

source_below_alias_of_parent() {
    mkdir "$NODE/alias-$1"
    mount --bind "$NODE" "$NODE/alias-$1"
    volume_in_root "$1"
    SOURCE=$NODE/alias-$1/root
}

source_above_alias() {
    mkdir -p "$NODE/above-$1/alias"
    mount --bind "$ROOT" "$NODE/above-$1/alias"
    volume_in_root "$1"
    SOURCE=$NODE/above-$1
}

slash_as_source() { volume_in_root "$1"; SOURCE=/; }
source_above_root() { volume_in_root "$1"; SOURCE=$NODE; }

source_below_root() {
    attach_volume "$ROOT/below/volume-$1"
    SOURCE=$ROOT/below
}

# A data root on a disk of its own: the source is a mountpoint, but the mounts in question are below it.
root_on_own_disk() {
    ROOT=$NODE/disk-$1
    mkdir "$ROOT"
    mount -t tmpfs disk "$ROOT"
    volume_in_root "$1"
    SOURCE=$ROOT
}

# As `ip netns` makes /run/netns: a mountpoint inside the root, and what can be pinned lies below it.
mountpoint_inside_root() {
    SOURCE=$ROOT/netns-$1
    mkdir "$SOURCE"
    mount --bind "$SOURCE" "$SOURCE"
    attach_volume "$SOURCE/volume"
}

missing_protected_root() {
    PROTECTED_ROOTS="[\"$NODE/not/there\", \"$ROOT\"]"
    volume_in_root "$1"
    SOURCE=$ROOT
}

odd_characters_in_source() {
    attach_volume "$ROOT/ö \"x\\y"$'\t'"$1/volume"
    SOURCE=${VOLUME%/volume}
}

neighbour_by_name() {
    PROTECTED_ROOTS="[\"$NODE/docker\"]"
    mkdir -p "$NODE/docker"
    attach_volume "$NODE/docker2/volume-$1"
    SOURCE=$NODE/docker2
}

neighbour_by_cut_name() {
    PROTECTED_ROOTS="[\"$NODE/docker\"]"
    mkdir -p "$NODE/docker"
    attach_volume "$NODE/dock/volume-$1"
    SOURCE=$NODE/dock
}

#          description                      maker                            bare           guarded        options after log
source_row "relative to the bundle"         relative_source                  private/pinned slave/released rbind,rslave  info
source_row "dots and slashes"               untidy_source                    private/pinned slave/released rbind,rslave  info
source_row "a symlink to the root"          symlinked_source                 private/pinned slave/released rbind,rslave  info
source_row "through a symlinked parent"     source_through_symlinked_parent  private/pinned slave/released rbind,rslave  info
source_row "the settings name a symlink"    symlinked_root                   private/pinned slave/released rbind,rslave  info
source_row "bind alias of the root"         alias_of_root                    private/pinned slave/released rbind,rslave  info
source_row "below an alias of the parent"   source_below_alias_of_parent     private/pinned slave/released rbind,rslave  info
source_row "above an alias of the root"     source_above_alias               private/pinned slave/released rbind,rslave  info
source_row "/"                              slash_as_source                  private/pinned slave/released rbind,rslave  info
source_row "above the root"                 source_above_root                private/pinned slave/released rbind,rslave  info
source_row "below the root"                 source_below_root                private/pinned slave/released rbind,rslave  info
source_row "the root on a disk of its own"  root_on_own_disk                 private/pinned slave/released rbind,rslave  info
source_row "a mountpoint inside the root"   mountpoint_inside_root           private/pinned slave/released rbind,rslave  info
source_row "one protected root is missing"  missing_protected_root           private/pinned slave/released rbind,rslave  info
source_row "odd characters"                 odd_characters_in_source         private/pinned slave/released rbind,rslave  info
source_row "neighbour with a longer name"   neighbour_by_name                private/pinned private/pinned =             -
source_row "neighbour with a shorter name"  neighbour_by_cut_name            private/pinned private/pinned =             -

# A bind is one by its word, whatever the type says: CRI-O writes no type.
bind_without_type() {                                    # RUNTIME TYPE
    bind_of_type "$2" bare
    effect_of_bind bare "$1"
    assert_equal "effect without the guard" "$EFFECT" private/pinned
    bind_of_type "$2" guarded
    effect_of_bind guard "$1"
    assert_equal "effect" "$EFFECT" slave/released
    assert_equal "options" "$(options_of /host)" rbind,rslave
}
bind_of_type() {                                         # TYPE NAME
    attach_volume "$ROOT/volume-$2"
    make_bundle "$2"
    add_bind "$ROOT" rbind,rprivate
    edit_spec '.mounts[-1] |= if $type == "" then del(.type) else .type = $type end' --arg type "$1"
}
test_with_each_runtime "rbind without a type" bind_without_type ""
test_with_each_runtime "rbind of type none" bind_without_type none
