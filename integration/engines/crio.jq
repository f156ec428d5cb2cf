# config.json of a container, as CRI-O writes it: server/container_create_linux.go. Mounts are in the order of their destinations.
def engine_bind($to; $from; $options): {destination: $to, type: "bind", source: $from, options: (["rw"] + $options)};
def capabilities: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE", "CAP_KILL"];
{
    ociVersion: "1.0.2-dev",
    process: {
        user: {uid: 0, gid: 0, additionalGids: [0]},
        args: $ARGS.positional,
        env: ["PATH=/bin", "TERM=xterm", "HOSTNAME=pod", "KUBERNETES_SERVICE_HOST=10.96.0.1"],
        cwd: "/",
        capabilities: {bounding: capabilities, effective: capabilities, permitted: capabilities},
        noNewPrivileges: true,
        oomScoreAdj: 1000
    },
    root: {path: $merged},
    hostname: "pod",
    mounts: [
        {destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]},
        {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {destination: "/dev/pts", type: "devpts", source: "devpts",
            options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]},
        {destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]},
        engine_bind("/dev/shm"; $pod + "/shm"; ["bind"]),
        engine_bind("/etc/resolv.conf"; $pod + "/resolv.conf"; ["bind", "nodev", "nosuid", "noexec"]),
        engine_bind("/etc/hostname"; $pod + "/hostname"; ["bind"]),
        engine_bind("/run/.containerenv"; $pod + "/.containerenv"; ["bind"]),
        {destination: "/etc/hosts", type: "bind", source: ($volumes | sub("/volumes$"; "/etc-hosts")), options: ["rbind", "rprivate", "rw", "bind"]},
        {destination: "/var/run/secrets/kubernetes.io/serviceaccount", type: "bind",
            source: ($volumes + "/kubernetes.io~projected/kube-api-access"), options: ["rbind", "rprivate", "ro", "bind"]}
    ],
    annotations: {
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.Name": ("k8s_" + $name),
        "io.kubernetes.cri-o.MountPoint": $merged,
        "io.kubernetes.container.name": $name
    },
    linux: {
        resources: {
            devices: [{allow: false, access: "rwm"}],
            memory: {limit: 134217728},
            cpu: {shares: 102, quota: 50000, period: 100000},
            pids: {limit: 100}
        },
        cgroupsPath: ("/kubepods/pod0f1e/crio-" + $id),
        namespaces: [{type: "pid"}, {type: "ipc"}, {type: "uts"}, {type: "mount"}],
        maskedPaths: ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
            "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
        readonlyPaths: ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    }
}
