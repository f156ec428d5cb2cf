#!/usr/bin/env bats
# What cannot be restored is said before CRIU starts, all of it at once, and nothing is touched.
# The columns are explained in restore_rows.bash; what follows them is in the error.
# shellcheck disable=SC2034  # makers return in variables

load helpers
load restore_rows

two_missing_sources() {
    directory_at a
    file_at f
    on_each_host directory_at b
    bind a /test
    bind f /file
    bind b /test/x
}

directory_on_directory() {
    on_each_host directory_at a
    on_each_host directory_at b
    bind a /test
    bind b /test/x/y
}

file_on_directory() {
    on_each_host directory_at a
    on_each_host file_at f
    bind a /test
    bind f /test/x/y
}

file_for_directory() { directory_on_directory; on_next_host file_at a/x/y; }
directory_for_file() { file_on_directory; on_next_host directory_at a/x/y; }
file_on_the_way() { directory_on_directory; on_next_host file_at a/x; }
fifo_on_the_way() { directory_on_directory; on_next_host fifo_at a/x; }
fifo_at() { mkfifo "$HOST/$1"; }

missing_in_read_only_source() {
    on_each_host tmpfs_at a
    on_next_host read_only_at a
    directory_at a/lower
    bind a /test
    tmpfs /test/lower
}

# Everything that is wrong, in one error.
several_things() {
    directory_on_directory
    directory_at gone
    on_each_host directory_at c
    on_each_host file_at f
    bind gone /gone
    bind c /other
    bind f /other/file
    on_next_host file_at a/x
    on_next_host directory_at c/file
}

#           description                        maker                       1.1.15    1.3.6     1.21      1.28
refusal_row "two missing sources"              two_missing_sources         source    source    source    source \
    "/test: its bind source @/a is missing: ENOENT" "/file: its bind source @/f is missing: ENOENT"
refusal_row "a file for a directory"           file_for_directory          kind      kind      move      move \
    "/test/x/y: a directory is needed at @/a/x/y, where a file is"
refusal_row "a directory for a file"           directory_for_file          kind      kind      move      move \
    "/test/x/y: a file is needed at @/a/x/y, where a directory is"
refusal_row "a file on the way"                file_on_the_way             kind      kind      stat-kind stat-kind \
    "/test/x/y: a directory is needed at @/a/x/y, and @/a/x is no directory"
refusal_row "a FIFO on the way"                fifo_on_the_way             kind      kind      stat-kind stat-kind \
    "/test/x/y: a directory is needed at @/a/x/y, and @/a/x is no directory"
refusal_row "missing in a read-only source"    missing_in_read_only_source read-only read-only stat      stat \
    "/test/lower: a directory is needed at @/a/lower, where nothing is and nothing can be made: EROFS"
refusal_row "all that is wrong in one error"   several_things              kind      kind      source    source \
    "/gone: its bind source @/gone is missing: ENOENT" "/other/file: a file is needed at @/c/file, where a directory is" \
    "/test/x/y: a directory is needed at @/a/x/y, and @/a/x is no directory"

# --- sources that the settings allow to create -----------------------------------------------------------------------
allow_sources_below() { SETTINGS="create_sources = [\"$NODE/$1-bare\", \"$NODE/$1-guarded\"]"; }

# As the container's image has them at their mountpoints: podman fills a new volume so.
missing_like_their_mountpoints() {
    OWNER=7:8
    allow_sources_below host
    mkdir -m 750 "$BUNDLE/rootfs/data"
    touch "$BUNDLE/rootfs/data.conf"
    chmod 640 "$BUNDLE/rootfs/data.conf"
    chown 7:8 "$BUNDLE"/rootfs/data{,.conf}
    directory_at data
    file_at file
    bind data /data
    bind file /data.conf
}

missing_with_their_parents() {
    allow_sources_below host
    mkdir "$BUNDLE/rootfs/data"
    directory_at volumes/one
    bind volumes/one /data
}

# A root file system from a bare image: what is mounted below tells that it was a directory.
missing_below_other_mounts() {
    allow_sources_below host
    directory_at a
    bind a /test
    tmpfs /test/lower
    on_next_host fresh_rootfs
}

missing_and_unknown() {
    allow_sources_below host
    directory_at a
    bind a /test
    on_next_host fresh_rootfs
}

missing_elsewhere() {
    allow_sources_below another-host
    directory_at a
    bind a /test
}

restore_row "create_sources: as the mountpoint is"   missing_like_their_mountpoints source source source source data/=750 file=640
restore_row "create_sources: with its parents"       missing_with_their_parents     source source source source volumes/=755 volumes/one/=755
restore_row "create_sources: by what is mounted below" missing_below_other_mounts   source source source source a/=755 a/lower/ rootfs/test/
refusal_row "create_sources: the kind is unknown"    missing_and_unknown            source source source source \
    "/test: its bind source @/a is missing: ENOENT, and nothing tells whether it was a directory or a file"
refusal_row "create_sources: not below that prefix"  missing_elsewhere              source source source source \
    "/test: its bind source @/a is missing: ENOENT"
