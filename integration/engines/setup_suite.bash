# shellcheck shell=bash
# Made once for a run of engine tests: image archives, folders that an overlay can live on, the guard installed where the
# README installs it.

load ../templates

setup_suite() {
    # The tests configure and start engines: only where all of it is thrown away.
    [[ -n ${IN_TREE:-} ]] || { echo "use integration/run" >&2; return 1; }
    export TEMPLATES=$BATS_RUN_TMPDIR/templates
    mkdir -p "$TEMPLATES"
    make_rootfs_template
    make_volume_template
    make_image_archives
    mount_storage
    install -m 755 "$GUARD" /usr/local/bin/runc-guard
    # Wherever an engine looks for CRIU's settings: it would otherwise copy the node's cgroup tree.
    mkdir -p /etc/criu
    echo manage-cgroups=ignore | tee /etc/criu/{default,runc,crun}.conf >/dev/null
}

teardown_suite() {
    local strays
    strays=$(find /run /var/lib /srv -name '.config.json.runc-guard*' 2>/dev/null || true)
    [[ -z $strays ]] || { printf 'temporary files of the guard:\n%s\n' "$strays" >&2; return 1; }
}

# The tree's root is itself an overlay, which cannot carry the upper directory of another.
mount_storage() {
    local folder
    for folder in /var/lib/containers /var/lib/containerd /var/lib/docker; do
        mkdir -p "$folder"
        mount -t tmpfs -o mode=711 storage "$folder"
    done
}

# rootfs.tar for `podman import`; image.tar and pause.tar, docker archives, for `ctr image import` and `docker load`.
make_image_archives() {
    tar -C "$TEMPLATES/rootfs" --numeric-owner --owner 0 --group 0 -cf "$TEMPLATES/rootfs.tar" .
    make_docker_archive image docker.io/library/busybox:latest '["sh"]'
    make_docker_archive pause localhost/pause:1 '["sleep", "100000"]'
}

make_docker_archive() {                                  # NAME REFERENCE COMMAND
    local folder=$TEMPLATES/archive-$1 layer config
    mkdir "$folder"
    layer=$(sha256sum "$TEMPLATES/rootfs.tar" | cut -d' ' -f1)
    cp "$TEMPLATES/rootfs.tar" "$folder/$layer.tar"
    jq -nc --arg layer "sha256:$layer" --argjson command "$3" '{architecture: "amd64", os: "linux",
        config: {Cmd: $command, Env: ["PATH=/bin"]}, rootfs: {type: "layers", diff_ids: [$layer]}}' >"$folder/config.json"
    config=$(sha256sum "$folder/config.json" | cut -d' ' -f1)
    mv "$folder/config.json" "$folder/$config.json"
    jq -nc --arg layer "$layer.tar" --arg config "$config.json" --arg reference "$2" \
        '[{Config: $config, RepoTags: [$reference], Layers: [$layer]}]' >"$folder/manifest.json"
    tar -C "$folder" -cf "$TEMPLATES/$1.tar" .
    rm -r "$folder"
}
