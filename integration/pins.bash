# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034  # $names in jq and awk programs; results are returned in variables
# Volumes of the host, and probes for who still holds them. On a current kernel no rmdir or rename reports a pin: only the
# container's mountinfo and an exclusive open of the device do.

# An ext4 on a loop device, mounted. Sets VOLUME (where), VOLUME_DEVICE, VOLUME_NUMBER (major:minor).
attach_volume() {                                        # DIRECTORY
    local image fd
    VOLUME=$1
    mkdir -p "$VOLUME"
    image=$(mktemp "$NODE/volume-XXXXXX.img")
    cp "$TEMPLATES/ext4.img" "$image"
    VOLUME_DEVICE=$(losetup --find --show "$image")
    # Our open file keeps the device after the umount; when it goes, even by SIGKILL, the device goes too.
    exec {fd}<"$VOLUME_DEVICE"
    OPEN_FDS+=("$fd")
    mount "$VOLUME_DEVICE" "$VOLUME"
    losetup --detach "$VOLUME_DEVICE"
    VOLUME_NUMBER=$(mountpoint --fs-devno "$VOLUME")
}

# What mkfs, e2fsck and cryptsetup do first.
device_is_free() {                                       # DEVICE
    perl -MFcntl -e 'sysopen(my $fd, $ARGV[0], O_RDWR | O_EXCL) or exit 1' "$1"
}

holds_volume() {                                         # RUNTIME
    container_mountinfo "$1" | awk -v number="$VOLUME_NUMBER" '$3 == number { found = 1 } END { exit !found }'
}

# Propagation of a mount, in the container: private, slave, shared, shared+slave, unbindable; or absent.
propagation_in_container() {                             # RUNTIME DESTINATION
    container_mountinfo "$1" | propagation_at "$2"
}

propagation_at() {                                       # DESTINATION; of several mounts at one path the last is seen
    awk -v at="$1" '
        BEGIN { state = "absent" }
        $5 == at {
            state = ""
            for (i = 7; $i != "-"; i++) {
                if ($i ~ /^shared:/) state = "shared"
                if ($i ~ /^master:/) state = state (state ? "+" : "") "slave"
                if ($i == "unbindable") state = "unbindable"
            }
            if (state == "") state = "private"
        }
        END { print state }'
}

# The host lets go of the volume: `released` or `pinned`, by both witnesses at once.
detach_volume() {                                        # RUNTIME [UMOUNT-OPTION...]
    local runtime=$1 listed=no free=no
    umount "${@:2}" "$VOLUME"
    ! holds_volume "$runtime" || listed=yes
    ! device_is_free "$VOLUME_DEVICE" || free=yes
    case $listed/$free in
        no/yes) RESULT=released ;;
        yes/no) RESULT=pinned ;;
        *) fail "listed in the container: $listed, but device free: $free" ;;
    esac
}

# The whole effect of a bind as TOP/STATE: propagation of the bind's top mount in the container, and what a umount on the
# host does: released, pinned, or `without` if the volume never came into the container. `refused`: no container at all.
effect_of_bind() {                                       # VIA RUNTIME [DESTINATION]
    local top
    create_container "$1" "$2" || { EFFECT=refused; return 0; }
    top=$(propagation_in_container "$2" "${3:-/host}")
    if holds_volume "$2"; then
        detach_volume "$2"
        EFFECT=$top/$RESULT
    else
        EFFECT=$top/without
    fi
}

# --- cleaning up ------------------------------------------------------------------------------------------------------
close_fds() {
    local fd
    for fd in "${OPEN_FDS[@]}"; do exec {fd}>&-; done
    OPEN_FDS=()
}

mounts_below() {                                         # DIRECTORY; in the order of mounting
    local path
    awk -v below="$1/" 'index($5 "/", below) == 1 { print $5 }' /proc/self/mountinfo |
        while IFS= read -r path; do printf '%b\n' "$path"; done          # \040 and its like
}

unmount_below() {
    local path
    while IFS= read -r path; do
        # A umount takes the peers' copies along: what was listed may be gone.
        ! mountpoint --quiet "$path" || umount --lazy "$path"
    done < <(mounts_below "$1" | tac)
}
