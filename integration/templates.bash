# shellcheck shell=bash
# What root file systems and volumes are copied from.

make_rootfs_template() {
    local rootfs=$TEMPLATES/rootfs applet
    mkdir -p "$rootfs"/{bin,etc,proc,sys,dev,tmp,run,var,root,host}
    ln -s ../run "$rootfs/var/run"                       # as in real images
    cp "$(command -v busybox)" "$rootfs/bin/busybox"
    for applet in sh sleep cat echo ls mkdir mount umount true false id test touch; do
        ln -s busybox "$rootfs/bin/$applet"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$rootfs/etc/passwd"
}

make_volume_template() {
    truncate -s 2M "$TEMPLATES/ext4.img"
    mkfs.ext4 -q -m 0 "$TEMPLATES/ext4.img"
}
