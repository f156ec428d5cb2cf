"""heal and release: whatever fails, the container runs on, each of its mounts is in the old or the new state, and the host's are untouched."""

import collections
import ctypes
import os
import re
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_OPEN_TREE, SYS_MOVE_MOUNT = 428, 429
OPEN_TREE_CLONE, AT_EMPTY_PATH, AT_FDCWD, MOVE_MOUNT_F_EMPTY_PATH = 1, 0x1000, -100, 4
MS_PRIVATE, MNT_DETACH = 1 << 18, 2
KINDS = ["third states", "silent", "false successes", "containers hurt", "host mounts changed", "not finished by the next run", "hung"]
PATIENCE = 20  # seconds for the container's next number


def checked(result, what):
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")
    return result


def mount(source, at, kind, flags=0):
    encode = lambda text: text.encode() if text else None
    checked(LIBC.mount(encode(source), encode(at), encode(kind), ctypes.c_ulong(flags), None), f"mount {at}")


def unmount(at):
    checked(LIBC.umount2(at.encode(), MNT_DETACH), f"umount {at}")


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def by_id(table):
    return {line.split(" ")[0]: line for line in table.splitlines()}


def without_ids(table):
    """How often each mount is there, whatever the kernel numbered it."""
    return collections.Counter(" ".join(line.split(" ")[2:]) for line in table.splitlines())


class Container:
    def __init__(self, pid):
        self.pid = pid
        self.born = self.birth()

    def birth(self):
        try:
            return read(f"/proc/{self.pid}/stat").rsplit(")", 1)[1].split()[19]
        except FileNotFoundError:
            return None

    def table(self):
        return read(f"/proc/{self.pid}/mountinfo")

    def count(self):
        return int(read(f"/proc/{self.pid}/root/counter") or 0)

    def runs_on(self, before):
        end = time.monotonic() + PATIENCE
        while self.birth() == self.born and time.monotonic() < end:
            if self.count() > before:
                return True
            time.sleep(0.002)
        return False

    def inside(self, work):
        """Does WORK in the container's mount namespace."""
        child = os.fork()
        if child == 0:
            try:
                os.setns(os.open(f"/proc/{self.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), os.CLONE_NEWNS)
                work()
                os._exit(0)
            except OSError as error:
                print(f"hack/faults: {error}", file=sys.stderr, flush=True)
                os._exit(1)
        if os.waitpid(child, 0)[1]:
            sys.exit("hack/faults: the container could not be put back")


class Scenario:
    kinds = KINDS
    notes = ()

    def __init__(self, label, argv, container):
        self.label = self.title = label
        self.container, self.command = container, (argv, "/")
        self.environment = {"PATH": os.environ["PATH"], "RUNC_GUARD_CONFIG": os.environ["RUNC_GUARD_CONFIG"]}
        self.learn()

    def learn(self):
        self.new = None
        self.reset()
        self.old, self.host = self.container.table(), read("/proc/self/mountinfo")
        status, output = self.run_without_fault()
        self.new = self.container.table()
        assert status == 0 and self.new != self.old, f"{self.title}: {status}: {output}"

    def run_without_fault(self):
        argv, directory = self.command
        done = subprocess.run(argv, cwd=directory, env=self.environment, capture_output=True, close_fds=False, check=False)
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def judge(self, fault, outcome, _notes):
        if outcome.status is None:
            return [("hung", "it did not end")]
        problems = self.judge_mounts() + self.judge_words(fault, outcome)
        if not self.container.runs_on(self.count_before):
            problems.append(("containers hurt", f"no new number after {self.count_before} in {PATIENCE} s, or another process"))
        if read("/proc/self/mountinfo") != self.host:
            problems.append(("host mounts changed", str(set(read("/proc/self/mountinfo").splitlines()) ^ set(self.host.splitlines()))))
        status, output = self.run_without_fault()
        if status != 0 or not self.is_complete():
            problems.append(("not finished by the next run", f"status {status}: {output.strip()!r}"))
        return problems

    def judge_mounts(self):
        strange = self.strange_mounts()
        self.was_complete = self.is_complete()
        return [("third states", str(strange))] if strange else []

    def judge_words(self, fault, outcome):
        if outcome.status == 0:
            return [] if self.was_complete else [("false successes", "status 0, and not all was done")]
        # The first process tells of all the others.
        if outcome.status == 137 and fault == "SIGKILL" and (outcome.hit is None or outcome.hit.task == 0):
            return []
        return [] if outcome.output.strip() else [("silent", f"status {outcome.status} and no word")]


class Heal(Scenario):
    """Every mount is as it was, or the slave that it became: the same mount by its id."""

    def reset(self):
        old = by_id(self.old) if self.new else {}
        changed = [line for number, line in by_id(self.container.table()).items() if old.get(number, line) != line]
        if changed:
            self.container.inside(lambda: [mount(None, line.split(" ")[4], None, MS_PRIVATE) for line in changed])
        if self.new and self.container.table() != self.old:
            sys.exit("hack/faults: the container could not be put back")
        self.count_before = self.container.count()

    def strange_mounts(self):
        old, new, now = by_id(self.old), by_id(self.new), by_id(self.container.table())
        missing = [old[number] for number in old if number not in now]
        return missing + [line for number, line in now.items() if line not in (old.get(number), new.get(number))]

    def is_complete(self):
        return self.container.table() == self.new


class Release(Scenario):
    """Every copy is there or gone, and all others are as they were."""

    def __init__(self, label, argv, container, device, copies):
        self.device, self.copies = device, copies
        self.keep = os.path.join(os.environ["NODE"], "keep")
        os.makedirs(self.keep, exist_ok=True)
        mount("keep", self.keep, "tmpfs")
        mount(None, self.keep, None, MS_PRIVATE)
        super().__init__(label, argv, container)

    def reset(self):
        there = {line.split(" ")[4] for line in self.container.table().splitlines()}
        missing = [copy for copy in self.copies if copy not in there]
        if missing:
            self.attach(missing)
        if self.new and without_ids(self.container.table()) != without_ids(self.old):
            sys.exit("hack/faults: the container could not be put back")
        self.count_before = self.container.count()

    def attach(self, missing):
        volume = os.path.join(self.keep, "volume")
        os.makedirs(volume, exist_ok=True)
        mount(self.device, volume, "ext4")
        tree = lambda: checked(LIBC.syscall(SYS_OPEN_TREE, AT_FDCWD, volume.encode(), OPEN_TREE_CLONE | os.O_CLOEXEC), "open_tree")
        trees = [(tree(), copy) for copy in missing]
        unmount(volume)

        def move():
            for handle, copy in trees:
                checked(LIBC.syscall(SYS_MOVE_MOUNT, handle, b"", AT_FDCWD, copy.encode(), MOVE_MOUNT_F_EMPTY_PATH), f"move_mount {copy}")

        self.container.inside(move)
        for handle, _ in trees:
            os.close(handle)

    def strange_mounts(self):
        old, new, now = (without_ids(table) for table in (self.old, self.new, self.container.table()))
        return [*(now - old), *(new - now)]

    def is_complete(self):
        return without_ids(self.container.table()) == without_ids(self.new)


def scenarios(guard, naive):
    """One after the other: release needs a volume that the host has unmounted."""
    container = Container(int(os.environ["PID"]))
    yield Heal("naive heal runc", [naive, os.environ["PID"], "/", "/host"], container)
    yield Heal("heal runc", [guard, "guard", "heal", os.environ["ID"]], container)
    volume = os.environ["VOLUME"]
    inner = os.path.join(volume, "inner")
    copies, inner_copies = copies_of(container, volume), copies_of(container, inner)
    container.inside(lambda: [mount(None, copy, None, MS_PRIVATE) for copy in [*copies, *inner_copies]])
    container.inside(lambda: [unmount(copy) for copy in inner_copies])
    unmount(inner)
    unmount(volume)
    device = os.environ["VOLUME_DEVICE"]
    yield Release("release runc", [guard, "guard", "release", device], container, device, copies)


def copies_of(container, at):
    """Where the container sees the place AT of the protected root."""
    below = os.path.relpath(at, os.environ["ROOT"])
    wanted = re.compile(rf"/(host|second)/{re.escape(below)}$")
    return [line.split(" ")[4] for line in container.table().splitlines() if wanted.match(line.split(" ")[4])]
