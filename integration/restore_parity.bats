#!/usr/bin/env bats
# Promise P7: what the guard makes for a restore is what the runtime's own create had made: paths, kinds, modes, owners, extended attributes.
# The umask of the restore is 077 (run_guard_alone), that of the create 022: runc obeys it at its create, the guard and crun never do.
# shellcheck disable=SC2016  # jq programs

load helpers
load parity

setup_file() { record_groups everything read_only_root user_namespace bare_root newline; }

# --- the groups ------------------------------------------------------------------------------------------------------
fresh() { on_next_host fresh_rootfs; }
in_source() { on_each_host directory_at "$1"; }
file_in_source() { on_each_host file_at "$1"; }
changed_in_source() { on_each_host "${@:2}" "$HOST/$1"; }

default_acl() {                                          # DIRECTORY: rwx for user 1000 in whatever is made in it
    python3 -c 'import os, struct, sys
entry = lambda tag, permissions, who=0xffffffff: struct.pack("<HHI", tag, permissions, who)
acl = struct.pack("<I", 2) + entry(1, 7) + entry(2, 7, 1000) + entry(4, 5) + entry(16, 7) + entry(32, 5)
os.setxattr(sys.argv[1], "system.posix_acl_default", acl)' "$1"
}

mounts_in() {                                            # SOURCE DESTINATION: a tmpfs, a directory and a file
    tmpfs "$2/tmpfs"
    bind empty "$2/directory"
    bind file "$2/file" bind,rprivate
}

odd_parents() {
    in_source d/setgid
    changed_in_source d/setgid chown 0:2000
    changed_in_source d/setgid chmod 2775
    in_source d/acl
    changed_in_source d/acl default_acl
    in_source d/open
    changed_in_source d/open chmod 1777
    in_source d/foreign
    changed_in_source d/foreign chown 1234:5678
    mounts_in empty /d/setgid/deep
    mounts_in empty /d/acl/deep
    tmpfs /d/open/x
    mounts_in empty /d/foreign/deep
}

odd_names() {
    bind empty '/d/with space/and another'
    bind empty '/d/süß/ÿ'
    bind empty '/d/up/../dots'
    bind empty '/d//twice/./plain/'
    bind file '/d/"quoted"/\back/*'
}

there_already() {
    in_source d/there
    changed_in_source d/there chmod 711
    file_in_source d/there-file
    changed_in_source d/there-file chmod 600
    file_in_source d/fifo-to-be
    tmpfs /d/there
    bind file /d/there-file
    in_source ro/x
    bind ro /ro rbind,rprivate,ro
    tmpfs /ro/x
}

in_one_another() {
    in_source b1
    in_source b2
    in_source late
    bind b1 /t/b1
    bind b2 /t/b1/in/b2
    bind file /t/b1/in/b2/in/b3
    tmpfs /d/inner
    bind empty /d/inner/bound/here
    bind b1 /again
    tmpfs /again/x
    bind empty /late/sub
    bind late /late
}

shared_parents() {
    tmpfs /d/shared/one
    bind empty /d/shared/two
    bind file /d/file-first/file
    bind empty /d/file-first/directory
    bind empty /d/directory-first/directory
    bind file /d/directory-first/file
    bind empty /d/l1/l2/l3/l4/l5
    bind file /t/f1/f2/f3/f4
}

over_a_mount_of_the_host() {
    in_source p
    on_each_host tmpfs_at p/sub
    bind p /p bind,private
    tmpfs /p/sub/x
    bind file /p/sub/file
}

everything() {
    fresh
    in_source d
    on_each_host tmpfs_at t
    in_source empty
    file_in_source file
    bind d /d
    bind t /t
    mounts_in empty /d/plain
    mounts_in empty /t/plain
    mounts_in empty /in-root
    bind file /etc/conf.d/app
    bind empty /var/run/secrets/app
    add_bind /dev/null bind,rprivate /t/null
    edit_spec '.linux.maskedPaths += ["/etc/none"] | .linux.readonlyPaths += ["/srv/none"]'
    shared_parents
    odd_names
    odd_parents
    there_already
    in_one_another
    over_a_mount_of_the_host
}

# CRIU reads the kernel's `\012` as four characters and restores such a mount at another place; config.json knows the name.
newline() {
    fresh
    in_source d
    in_source empty
    file_in_source file
    bind d /d
    mounts_in empty $'/d/new\nline'
}

without_defaults() { rmdir "$BUNDLE"/rootfs/{proc,sys,dev,run}; }

bare_root() {
    fresh
    on_each_host without_defaults
    file_in_source file
    in_source empty
    bind file /run/.containerenv
    bind empty /var/lib/app/data
}

read_only_root() {
    fresh
    edit_spec '.root.readonly = true'
    in_source d
    in_source empty
    file_in_source file
    bind d /srv/d
    mounts_in empty /srv/d/deep
    mounts_in empty /in-root
}

own_rootfs() { find "$BUNDLE/rootfs" -type d -exec chown 100000:100000 {} +; }

user_namespace() {
    fresh
    edit_spec '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
        | .linux.gidMappings = .linux.uidMappings | .mounts |= map(select(.type != "sysfs"))'
    on_each_host own_rootfs
    chmod o+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "${BATS_FILE_TMPDIR%/*}"
    in_source own
    changed_in_source own chown 100000:100000
    in_source foreign
    changed_in_source foreign chown 101234:105678
    in_source empty
    file_in_source file
    bind own /own
    bind foreign /foreign
    mounts_in empty /own/deep
    mounts_in empty /foreign/deep
    mounts_in empty /in-root
}

# --- the rows --------------------------------------------------------------------------------------------------------
shape "a tmpfs in a directory source"                everything source/d/plain/tmpfs
shape "a directory in a directory source"            everything source/d/plain/directory
shape "a file in a directory source"                 everything source/d/plain/file
shape "a tmpfs in a tmpfs source"                    everything source/t:plain/tmpfs
shape "a directory in a tmpfs source"                everything source/t:plain/directory
shape "a file in a tmpfs source"                     everything source/t:plain/file
shape "a tmpfs in the root file system"              everything rootfs/in-root/tmpfs
shape "a directory in the root file system"          everything rootfs/in-root/directory
shape "a file in the root file system"               everything rootfs/in-root/file
shape "a file in an existing directory"              everything rootfs/etc
shape "a destination through a symlink (/var/run)"   everything rootfs/run rootfs/var
shape "the sources' own mountpoints"                 everything rootfs/d/ rootfs/t/ rootfs/again/
shape "a device on a file"                           everything source/t:null
shape "parents shared by two directories"            everything source/d/shared
shape "parents shared, the file first"               everything source/d/file-first
shape "parents shared, the directory first"          everything source/d/directory-first
shape "a directory five levels down"                 everything source/d/l1
shape "a file four levels down"                      everything source/t:f1
shape "names with blanks"                            everything 'source/d/with space'
shape "names beyond ASCII"                           everything 'source/d/s\xfc\xdf'
shape "a name with a newline, without an image"      newline    'source/d/new\nline'
shape "quotes, a backslash and a star in names"      everything 'source/d/"quoted"'
shape "a destination with .."                        everything source/d/dots
shape "a destination with //, . and a last /"        everything source/d/twice
shape "below a set-group-ID directory"               everything source/d/setgid
shape "below a directory with a default ACL"         everything source/d/acl
shape "below a sticky directory of everybody's"      everything source/d/open
shape "below a directory of somebody else"           everything source/d/foreign
shape "a directory that is there keeps its mode"     everything source/d/there/
shape "a file that is there keeps its mode"          everything source/d/there-file
shape "a read-only bind with its mountpoint"         everything source/ro
shape "a bind in a bind"                             everything source/b1
shape "a file in a bind in a bind"                   everything source/b2
shape "below an internal tmpfs"                      everything source/d/inner/
shape "the same source twice"                        everything source/b1/x
shape "a child before its parent in the list"        everything rootfs/late source/late
shape "beneath a mount of the host, a plain bind"    everything source/p
shape "/proc, /sys and /dev are missing"             bare_root  rootfs/proc rootfs/sys rootfs/dev
shape "/run is missing, for a file"                  bare_root  rootfs/run
shape "no parent is there"                           bare_root  rootfs/var
shape "read-only root: in a source"                  read_only_root source/d
shape "read-only root: in the root"                  read_only_root rootfs/in-root rootfs/srv
shape "user namespace: in a source of its own"       user_namespace source/own
shape "user namespace: in a source of somebody else" user_namespace source/foreign
shape "user namespace: in the root"                  user_namespace rootfs/in-root

whole "all else is the same, too, and goes on"               everything
whole "a newline: all else is the same"                      newline
whole "a bare root: all else is the same, and goes on"       bare_root
whole "read-only root: all else is the same, and goes on"    read_only_root
whole "user namespace: all else is the same, and goes on"    user_namespace
