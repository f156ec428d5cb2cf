#!/usr/bin/env bats
# Mounts of the host below a bind source. CRIU takes each source without them, whether the bind is recursive or not (open_tree(2)
# without AT_RECURSIVE, criu/mount-v2.c): what it looks for lies beneath them, wherever a runtime had made it at create.
# runc's own preparation (a recursive bind over the root file system, and MNT_DETACH) takes the host's submount away, too, where it is
# shared: with the guard or without.
# The columns are explained in restore_rows.bash.
# shellcheck disable=SC2034  # makers return in variables

load helpers
load restore_rows

# The image has the submount as a file system of the container: CRIU makes it anew, with all that was in it.
gone_on_next_host() {                                    # OPTIONS
    on_each_host directory_at a
    tmpfs_at a/sub
    bind a /test "$1"
    tmpfs /test/sub/x
}
gone_private() { MADE_BY_RUNC=/a/sub/x; gone_on_next_host rbind,rprivate; }
gone_slave() { gone_on_next_host rbind,rslave; }

there_on_both_hosts() {
    on_each_host directory_at a
    on_each_host tmpfs_at a/sub
    bind a /test
    tmpfs /test/sub/x
}

# Something is mounted where the first host had a plain directory.
new_on_next_host() {                                     # OPTIONS
    on_each_host directory_at a
    on_each_host directory_at b
    on_next_host tmpfs_at a/sub
    bind a /test "$1"
    bind b /test/sub/x
}
new_below_bind() { new_on_next_host bind,private; }
new_below_rbind() { new_on_next_host rbind,rprivate; }

# The container has the bind without the submount, so what is on top of it lies beneath the submount.
plain_bind() {
    on_each_host directory_at a
    on_each_host tmpfs_at a/sub
    bind a /test bind,private
    tmpfs /test/sub/x
}

# With this option CRIU finds the host's mounts below a source by itself, and looks for them on the next host. Not with runc: it has taken
# them away by then (above).
taken_from_the_host() {
    mkdir -p /etc/criu
    echo 'external mnt[]:ms' >/etc/criu/default.conf
    on_each_host directory_at a
    on_each_host tmpfs_at a/sub
    bind a /test rbind,rslave
    tmpfs /test/sub/x
}

#            description                             maker               1.1.15   1.3.6    1.21 1.28 created
restore_row "rprivate, not on the next host"         gone_private        ok       ok       stat stat a/sub/
restore_row "rslave, not on the next host"           gone_slave          CK-slave CK-slave stat stat a/sub/
restore_row "rprivate, on both hosts"                there_on_both_hosts ok       ok       ok   ok
restore_row "a plain bind over it"                   plain_bind          stat     stat     stat stat a/sub/x/
restore_row "only on the next host, a plain bind"    new_below_bind      stat     stat     stat stat a/sub/x/
restore_row "only on the next host, a recursive bind" new_below_rbind    stat     stat     stat stat a/sub/x/
restore_row "external mnt[]:ms, on both hosts"       taken_from_the_host -        -        stat stat a/sub:x/
