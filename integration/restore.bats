#!/usr/bin/env bats
# At restore the engine has written config.json anew, without what the create changed: the rewrite must be made again, and CRIU must not mind.
# shellcheck disable=SC2016  # jq programs

load helpers

# No volume below the bind while CRIU looks: it cannot dump a host submount of an external mount.
bundle_to_checkpoint() {
    make_bundle restored
    add_bind "$ROOT" rbind,rprivate
    set_args sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.1; done'
    edit_spec '.mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}]'
    cp "$BUNDLE/config.json" "$NODE/as-the-engine-writes-it.json"
    # CRIU would otherwise copy the node's whole cgroup tree; old runc knows no word for that on its command line.
    mkdir -p /etc/criu
    echo manage-cgroups=ignore >/etc/criu/runc.conf
}

count_of_container() { cat "/proc/$(container_pid "$1")/root/tmp/count"; }

checkpoint() {                                           # VIA RUNTIME
    oci "$1" "$2" checkpoint --image-path "$NODE/image" --work-path "$NODE/work" "${mode[@]}" "$(id_of_bundle)"
}

checkpoint_and_restore() {                               # VIA RUNTIME
    local mode=()
    [[ $2 != crun ]] || mode=(--manage-cgroups-mode ignore)
    mkdir -p "$NODE/image" "$NODE/work"
    oci "$1" "$2" create --bundle "$BUNDLE" "$(id_of_bundle)" </dev/null >/dev/null 2>&1
    oci "$1" "$2" start "$(id_of_bundle)"
    wait_until 10 count_of_container "$2"
    checkpoint "$@" || { grep -q Timeout "$NODE/work/dump.log" && checkpoint "$@"; }         # of the freezer, on a loaded machine
    cp "$NODE/as-the-engine-writes-it.json" "$BUNDLE/config.json"
    oci "$1" "$2" restore --detach --bundle "$BUNDLE" --image-path "$NODE/image" --work-path "$NODE/work" "${mode[@]}" \
        "$(id_of_bundle)" </dev/null >/dev/null 2>&1
}

goes_on_and_is() {                                       # RUNTIME VIA PROPAGATION
    bundle_to_checkpoint
    checkpoint_and_restore "$2" "$1"
    assert_equal "propagation" "$(propagation_in_container "$1" /host)" "$3"
    wait_until 10 counted_beyond "$1" "$(count_of_container "$1")"
}
counted_beyond() { (($(count_of_container "$1") > $2)); }

test_with_each_runtime "restored without the guard, the bind is private" goes_on_and_is bare private
test_with_each_runtime "restored through the guard, the bind is a slave and the process goes on" goes_on_and_is guard slave
