# A privileged Kubernetes container's config.json (the shape containerd's CRI plugin writes), about 17 kB.
#   jq -n -c --arg work DIR --arg kind KIND --argjson mounts N -f config.jq
# KIND: keep       nothing that the guard could want to change, and every bind decided by its path or by being a file
#       rewrite    one more bind, of the protected root itself, rbind,rprivate
#       undecided  one more bind, of a directory that overlaps by path with nothing: only the mount table can tell
#       mounts     N mounts in all: plain binds of directories and tmpfs in turn

def capabilities:
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    | split(" ") | map("CAP_" + .);

def id: "e6b8666aa6ef29e57866cb26bb787b6520cd86b0661fe7c5dbaae67865b78589";

def process:
    { user: {uid: 0, gid: 0, additionalGids: [0]}, args: ["/bin/agent", "--config", "/etc/agent/agent.yaml"],
      env: (["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=worker-1"]
            + [range(24) | "SERVICE_\(.)_PORT_443_TCP=tcp://10.96.0.\(.):443"]),
      cwd: "/", capabilities: {bounding: capabilities, effective: capabilities, permitted: capabilities}, oomScoreAdj: 999 };

def kernel_mounts:
    [ {destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]},
      {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]},
      {destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
      {destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]},
      {destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "rw"]},
      {destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "relatime", "rw"]} ];

def pod_files:
    ["hostname", "hosts", "resolv.conf"]
    | map({destination: "/etc/\(.)", type: "bind", source: "\($work)/sandboxes/\(id)/\(.)", options: ["rbind", "rprivate", "rw"]});

def filler:
    [ range($mounts - (kernel_mounts | length))
      | if . % 2 == 0
        then {destination: "/data/\(.)", type: "bind", source: "\($work)/sources/\(.)", options: ["bind", "ro"]}
        else {destination: "/data/\(.)", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "size=64k"]} end ];

def mounts:
    kernel_mounts
    + if $kind == "mounts" then filler else pod_files end
    + if $kind == "rewrite" then [{destination: "/host", type: "bind", source: "\($work)/protected", options: ["rbind", "rprivate", "rw"]}] else [] end
    + if $kind == "undecided" then [{destination: "/data", type: "bind", source: "\($work)/elsewhere", options: ["rbind", "rprivate", "rw"]}] else [] end;

def devices:
    [ range(118) | {path: "/dev/disk/by-bench/vd\(.)", type: "b", major: 254, minor: ., fileMode: 432, uid: 0, gid: 6} ];

{ ociVersion: "1.2.0", process: process, root: {path: "rootfs"}, mounts: mounts,
  annotations: {"io.kubernetes.cri.container-name": "agent", "io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.sandbox-id": id, "io.kubernetes.cri.sandbox-name": "agent-x7k2p", "io.kubernetes.cri.sandbox-namespace": "monitoring"},
  linux: {resources: {devices: [{allow: true, access: "rwm"}], memory: {limit: 268435456}, cpu: {shares: 256, quota: 50000, period: 100000}},
          cgroupsPath: "/kubepods/burstable/\(id)",
          namespaces: [{type: "pid"}, {type: "ipc", path: "/proc/854/ns/ipc"}, {type: "uts", path: "/proc/854/ns/uts"}, {type: "mount"},
                       {type: "network", path: "/proc/854/ns/net"}],
          devices: devices} }
