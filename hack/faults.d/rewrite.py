"""create, run and restore: config.json is old or new, what was created is whole, and nothing fails without a word."""

import json
import os
import shutil
import stat
import subprocess

import image

TEMPORARY = ".config.json.runc-guard"
RUNTIME_STATUS = 7
OWNER, MODE, ATTRIBUTE = (12, 34), 0o640, ("trusted.faults", b"kept")
FIRST_ID = 100000  # of the user namespace
KINDS = ["torn", "silent", "false successes", "strays", "not repaired by the next run", "hung"]
LOST = "whose own log, or the process that writes it, was what was hit"
TEMPORARIES = "left a temporary file"
IN_PART = "told that they left one of two binds"

# command, variant -> settings, whether the engine asks for a log, whether a killed run left something, whether there is a user namespace
VARIANTS = {
    ("create", "pass"): ('on_error = "pass"', True, False, False),
    ("create", "fail"): ('on_error = "fail"', True, False, False),
    ("run", "pass"): ('on_error = "pass"', False, True, False),
    ("run", "fail"): ('on_error = "fail"', False, True, False),
    ("restore", "default"): ("", True, False, False),
    ("restore", "fail"): ('on_error = "fail"', True, True, True),
    ("restore", "pass"): ('on_error = "pass"\n[rules.restore-mountpoints]\non_error = "pass"', False, False, True),
}

# What a restore needs: mountpoint, place of the mount that it lies on, from outside. Missing: rootfs/data, data/lower, data/lower/directory,
# data/etc, data/etc/hosts (a file).
MOUNTS = [("/", 0, True), ("/host", 0, True), ("/alias", 0, True), ("/data", 0, True), ("/data/lower/directory", 3, False), ("/data/etc/hosts", 3, True)]


def bind(destination, source):
    return {"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate"]}


class Scenario:
    kinds = KINDS
    notes = [TEMPORARIES, LOST, IN_PART]

    def __init__(self, work, program, runtime, flavour, variant, is_control=False):
        """PROGRAM: what is tried; the control is told where the runtime is."""
        self.name, self.variant = variant
        self.is_control = is_control
        self.settings, self.has_engine_log, self.has_stale, self.has_user_namespace = VARIANTS[variant]
        self.work, self.flavour = work, flavour
        self.label = f"{'naive ' if is_control else ''}{self.name} {flavour}"
        self.title = f"{self.label} {self.variant}"
        self.bundle, self.log, self.engine_log = self.path("bundle"), self.path("guard.log"), self.path("engine.log")
        self.config, self.marker = self.path("bundle/config.json"), self.path("marker")
        self.make_node(runtime)
        self.command = (self.argv(program), work)
        self.environment = {"PATH": self.path("bin"), "RUNC_GUARD_CONFIG": self.path("settings.toml")}
        self.learn()

    def path(self, name):
        return os.path.join(self.work, name)

    def argv(self, program):
        log = ["--log", self.engine_log, "--log-format", "json"] if self.has_engine_log else []
        image_words = ["--image-path", self.path("checkpoint"), "--work-path", self.path("criu/work")] if self.name == "restore" else []
        words = [program, self.path(f"bin/{self.flavour}")] if self.is_control else [program]
        return [*words, "--root", self.path("state"), *log, self.name, *image_words, "--bundle", self.bundle, "x"]

    def make_node(self, runtime):
        for name in ["bin", "bundle/rootfs/host", "bundle/rootfs/alias", "criu", "host/kubelet", "alias"]:
            os.makedirs(self.path(name))
        shutil.copy(runtime, self.path(f"bin/{self.flavour}"))
        # Another mount of a protected root's files: nothing but the mount table tells.
        subprocess.run(["mount", "--bind", self.path("host/kubelet"), self.path("alias")], check=True)
        with open(self.path("hosts"), "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost\n")
        image.write(self.path("checkpoint"), MOUNTS)
        with open(self.path("settings.toml"), "w", encoding="utf-8") as file:
            own = f'runtimes = ["{self.path("bin/" + self.flavour)}"]\nprotected_roots = ["{self.path("host/kubelet")}"]\nlog = "{self.log}"\n'
            file.write(own + self.settings + "\n")
        self.old = self.document()

    def document(self):
        mounts = [bind("/host", self.path("host")), bind("/alias", self.path("alias"))]
        linux = {"namespaces": [{"type": "mount"}]}
        if self.name == "restore":
            tmpfs = {"destination": "/data/lower/directory", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}
            mounts += [bind("/data", self.path("data")), tmpfs, bind("/data/etc/hosts", self.path("hosts"))]
        if self.has_user_namespace:
            mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": 65536}]
            linux.update(uidMappings=mapping, gidMappings=mapping)
        return json.dumps({"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "mounts": mounts, "linux": linux}).encode()

    # --- the node before each run ---------------------------------------------------------------------------------------------
    def reset(self):
        for name in ["bundle/rootfs/data", "data", "criu/work"]:
            shutil.rmtree(self.path(name), ignore_errors=True)
        os.mkdir(self.path("data"))
        os.chmod(self.path("data"), 0o755)
        for name in [self.log, self.engine_log, self.marker, self.path("bundle/" + TEMPORARY)]:
            if os.path.lexists(name):
                os.unlink(name)
        if self.has_stale:
            with open(self.path("bundle/" + TEMPORARY), "wb") as file:
                file.write(self.old[:40])
        if os.path.lexists(self.config):
            os.unlink(self.config)
        with open(self.config, "wb") as file:
            file.write(self.old)
        os.chown(self.config, *OWNER)
        os.chmod(self.config, MODE)
        os.setxattr(self.config, *ATTRIBUTE)

    def learn(self):
        """What a run without a fault comes to; it must come to something."""
        self.reset()
        self.tree_before = self.tree()
        status, output = self.run_without_fault()
        with open(self.config, "rb") as file:
            self.new = file.read()
        self.tree_after = self.tree()
        made = {name for name in self.tree_after if name not in self.tree_before}
        wanted = {"bundle/rootfs/data", "data/lower", "data/lower/directory", "data/etc", "data/etc/hosts"} if self.name == "restore" else set()
        if not self.is_control:
            assert made - {"criu/work"} == wanted, f"{self.title}: {made}"
        assert status == RUNTIME_STATUS and self.ran() == 1 and output == "", f"{self.title}: {status} {output}"
        assert b'"rslave"' in self.new and self.new != self.old, self.title

    def run_without_fault(self):
        argv, directory = self.command
        done = subprocess.run(argv, cwd=directory, env=self.environment, capture_output=True, close_fds=False, check=False)
        return done.returncode, (done.stdout + done.stderr).decode()

    # --- what there is ---------------------------------------------------------------------------------------------------------
    def tree(self):
        """Every inode but those of config.json: its kind, mode and owner."""
        found = {}
        for top in ["bundle", "data", "criu", "host"]:
            for directory, names, files in os.walk(self.path(top)):
                for name in [*names, *files]:
                    path = os.path.join(directory, name)
                    if path != self.config and name != TEMPORARY:
                        facts = os.lstat(path)
                        found[os.path.relpath(path, self.work)] = (oct(facts.st_mode), facts.st_uid, facts.st_gid, facts.st_size * stat.S_ISREG(facts.st_mode))
        return found

    def ran(self):
        return os.path.getsize(self.marker) if os.path.exists(self.marker) else 0

    def lines(self, log):
        """None: a line is torn."""
        try:
            with open(log, encoding="ascii") as file:
                text = file.read()
            return [json.loads(line) for line in text.splitlines()] if text == "" or text.endswith("\n") else None
        except FileNotFoundError:
            return []
        except ValueError:
            return None

    def config_state(self):
        try:
            with open(self.config, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return "missing"
        facts = os.stat(self.config)
        kept = (facts.st_uid, facts.st_gid) == OWNER and stat.S_IMODE(facts.st_mode) == MODE
        if not kept or os.listxattr(self.config) != [ATTRIBUTE[0]] or os.getxattr(self.config, ATTRIBUTE[0]) != ATTRIBUTE[1]:
            return "of another owner, mode or attributes"
        known = {self.old: "old", self.new: "new"}.get(content)
        return known or ("new in part" if self.is_in_part(content) else f"torn, {len(content)} bytes")

    def is_in_part(self, content):
        """One bind was left as it was because nobody knew what it is, the other was not."""
        try:
            found, old, new = json.loads(content), json.loads(self.old), json.loads(self.new)
        except ValueError:
            return False
        mounts = [mount in each for mount, *each in zip(found.pop("mounts"), old.pop("mounts"), new.pop("mounts"))]
        return all(mounts) and len(mounts) == len(json.loads(self.old)["mounts"]) and found in (old, new)

    # --- the verdict ------------------------------------------------------------------------------------------------------------
    def judge(self, fault, outcome, notes):
        if outcome.status is None:
            return [("hung", "it did not end")]
        state, ran, tree = self.config_state(), self.ran(), self.tree()
        problems = [("torn", f"config.json is {state}")] if state not in ("old", "new", "new in part") else []
        notes[IN_PART] += state == "new in part"
        problems += self.judge_status(outcome.status, ran)
        problems += self.judge_strays(tree, notes)
        is_complete = ran and state == "new" and tree == self.tree_after
        if fault != "SIGKILL" or ran:
            problems += self.judge_words(outcome, ran, is_complete, notes)
        return problems + self.judge_next_run()

    def judge_status(self, status, ran):
        if ran > 1 or (ran and status != RUNTIME_STATUS):
            return [("false successes", f"the runtime ran {ran} times, and the status is {status}")]
        return [("false successes", f"status {status} without the runtime")] if not ran and status in (0, RUNTIME_STATUS) else []

    def judge_strays(self, tree, notes):
        known = {name: facts for name, facts in self.tree_after.items() if name in tree}
        problems = [] if {**self.tree_before, **known} == tree else [("strays", f"{set(tree.items()) - set(self.tree_after.items())}")]
        notes[TEMPORARIES] += not self.has_stale and os.path.exists(self.path("bundle/" + TEMPORARY))
        return problems

    def judge_words(self, outcome, ran, is_complete, notes):
        own, engine = self.lines(self.log), self.lines(self.engine_log)
        if own is None or engine is None:
            return [("torn", "a line of a log")]
        if not ran:
            if outcome.output.startswith("runc-guard: ") and self.has_engine_log and len(engine) != 1:
                return [("silent", f"{len(engine)} lines in the engine's log")]
            return [] if outcome.output.strip() else [("silent", f"status {outcome.status} and no word")]
        if outcome.output or engine:
            return [("false successes", "the runtime ran, and an error was told")]
        told = any(line["notices"] for line in own) or (is_complete and any(line["changes"] for line in own))
        if not told and is_complete and outcome.hit and self.hits_own_log(outcome.hit):
            notes[LOST] += 1
            return []
        return [] if told else [("silent", f"the runtime ran, {'all was done' if is_complete else 'not all was done'}, and the own log says {own}")]

    def hits_own_log(self, hit):
        """A process that is not the first writes it where the kernel does not have the file at hand, and does nothing else."""
        writers = {call.task for call in self.calls if call.object == self.log} - {0}
        return hit.object == self.log or hit.task in writers

    def judge_next_run(self):
        os.path.exists(self.marker) and os.unlink(self.marker)
        status, output = self.run_without_fault()
        found = (status, self.ran(), output, self.config_state(), os.path.lexists(self.path("bundle/" + TEMPORARY)), self.tree() == self.tree_after)
        return [] if found == (RUNTIME_STATUS, 1, "", "new", False, True) else [("not repaired by the next run", str(found))]
