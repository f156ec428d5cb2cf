#!/usr/bin/env bats
# podman container checkpoint and restore. The columns are explained in podman_restore.bash.
# shellcheck disable=SC2016,SC2034,SC2054  # the containers' shell programs; makers return in variables; podman's commas

load podman_restore

setup_file() {
    prepare_podman
    wrap_crun
}
teardown_file() { unwrap_crun; }

# --- shapes of mounts ------------------------------------------------------------------------------------------------
# https://github.com/opencontainers/runc/issues/2748
nested_mounts() {
    tmpfs_at ext
    mkdir "$HOST/sec"
    OPTIONS=(--volume "$HOST/ext:/test" --mount type=tmpfs,dst=/test/lower/directory --volume "$HOST/sec:/test/sec")
}

nested_slaves() {
    nested_mounts
    OPTIONS=(--volume "$HOST/ext:/test:rslave" --mount type=tmpfs,dst=/test/lower/directory --volume "$HOST/sec:/test/sec:rslave")
}

file_in_directory() {
    mkdir "$HOST/ext"
    echo content >"$HOST/file"
    OPTIONS=(--volume "$HOST/ext:/test" --volume "$HOST/file:/test/etc/app.conf")
}

# In the image /var/run is a symlink to ../run.
service_account() {
    mkdir "$HOST/token"
    OPTIONS=(--volume "$HOST/token:/var/run/secrets/kubernetes.io/serviceaccount")
}

below_tmpfs_of_container() {
    mkdir "$HOST/a" "$HOST/b"
    OPTIONS=(--mount type=tmpfs,dst=/scratch --volume "$HOST/a:/scratch/a" --volume "$HOST/b:/scratch/a/b")
}

volumes() {
    OPTIONS=(--volume named:/data --volume /anonymous)
}

volume_in_directory() {
    mkdir "$HOST/ext"
    OPTIONS=(--volume "$HOST/ext:/test" --volume named:/test/data)
}

#            description                         maker                    way      1.1.15 1.3.6 1.21 1.28
restore_row "nested mounts"                      nested_mounts            in_place ok     ok    stat stat
restore_row "nested mounts"                      nested_mounts            kept     ok     ok    stat stat
restore_row "nested mounts"                      nested_mounts            imported ok     ok    stat stat
restore_row "nested mounts"                      nested_mounts            renamed  ok     ok    stat stat
restore_row "nested rslave mounts"               nested_slaves            in_place ok     ok    stat stat
restore_row "a file in a directory"              file_in_directory        imported ok     ok    stat stat
restore_row "a destination through a symlink"    service_account          imported ok     ok    CK-key ok
restore_row "mounts in a tmpfs of the container" below_tmpfs_of_container in_place stat   stat  stat stat
restore_row "volumes"                            volumes                  imported ok     ok    ok   ok
restore_row "a volume in a directory"            volume_in_directory      imported ok     ok    stat stat

# --- options that are the runtime's ----------------------------------------------------------------------------------
# The checkpoint fails without the option, with and without the guard, and for CRIU's reason.
needs_option() {                                         # RUNTIME OPTION MAKER REASON
    RUNTIME=$1 MAKER=$3
    write_guard_settings "$1"
    for VIA in bare guard; do
        start_counter
        ! checkpoint || fail "$VIA: a checkpoint without $2" || return 1
        criu_errors | grep -qF "$4" || fail "$VIA: not for the reason '$4': $(criu_errors)" || return 1
        checkpoint "$2" || fail "$VIA: $(criu_errors)" || return 1
        next_host
        container_command restore "$2" "$NAME" || fail "$VIA: $(cat "$NODE/podman.log"; criu_errors)" || return 1
        assert_goes_on
        forget_everything
    done
}

# The image has no flock; the tree's needs only its libc.
locked_file() {
    OPTIONS=(--volume /usr:/tools:ro)
    PREFIX='exec 9>/dev/shm/lock
        /tools/lib64/ld-linux-x86-64.so.2 --library-path /tools/lib/x86_64-linux-gnu /tools/bin/flock 9; '
}

connection() {
    OPTIONS=()
    PREFIX='sleep 1000 | busybox nc -l -p 1234 >/dev/null &
        until busybox grep -q ":04D2 .* 0A " /proc/net/tcp6; do sleep 0.1; done
        sleep 1000 | busybox nc 127.0.0.1 1234 >/dev/null &
        until busybox grep -q ":04D2 01 " /proc/net/tcp; do sleep 0.1; done; '
}

test_with_each_runtime "--file-locks" needs_option --file-locks locked_file "Some file locks are hold by dumping tasks"
test_with_each_runtime "--tcp-established" needs_option --tcp-established connection "consider using --tcp-established option"
