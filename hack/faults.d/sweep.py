"""Lets every system call of a command fail in every way, and counts what its judge finds."""

import collections
import os
import subprocess
import sys
import typing

ERRORS = ["ENOSPC", "EIO", "EROFS", "EMFILE", "ENFILE", "EACCES", "ENOMEM", "EDQUOT"]
FAULTS = ["SIGKILL", *ERRORS]
# They return nothing or cannot fail (setfsuid(2) gives back the id before, whatever it did; the way back to an id that the process has is never
# barred), or, futex(2), not so: a wake-up that is lost is no fault of a disk or a limit.
WITHOUT_ERRORS = {"exit", "exit_group", "rt_sigreturn", "umask", "setfsuid", "setfsgid", "futex"}
# brk(2) has no errors at all; it fails by changing nothing, as inject lets it.
FAULTS_OF = {"brk": {"SIGKILL", "ENOMEM"}}
LONGEST = 60  # seconds for one run; a restore may take ten
TRIES = 5  # threads do not make the same calls each time


class Call(typing.NamedTuple):
    task: int
    name: str
    count: int
    object: str

    @staticmethod
    def of(line):
        task, name, count, target = line.split(" ")
        return Call(int(task), name, int(count), target)


class Outcome(typing.NamedTuple):
    status: int  # 128 + N: ended by signal N; None: it had no end
    output: str
    hit: typing.Optional[Call]


class Tally:
    """What the faults of one command came to."""

    def __init__(self, label, kinds, notes):
        self.label = label
        self.found = collections.Counter({kind: 0 for kind in kinds})
        self.notes = collections.Counter({note: 0 for note in notes})
        self.calls = self.faults = self.failed = self.unmet = 0
        self.lines = []  # one for each that failed

    def add(self, other):
        for name in ("calls", "faults", "failed", "unmet"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.found.update(other.found)
        self.notes.update(other.notes)
        self.lines += other.lines

    def line(self):
        parts = [f"{count} {what}" for what, count in self.found.items()]
        parts += [f"({count} {what})" for what, count in self.notes.items() if count]
        parts += [f"({self.unmet} not met again)"] if self.unmet else []
        return f"{self.label}: {self.faults} faults at {self.calls} calls: {', '.join(parts)}"


class Lab:
    def __init__(self, inject, work):
        self.inject = inject
        self.report = os.path.join(work, "report")

    def run(self, command, words, environment):
        """COMMAND is (argv, working directory)."""
        argv, directory = command
        full = [self.inject, self.report, *words, *argv]
        process = subprocess.Popen(
            full, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, close_fds=False
        )
        try:
            output, _ = process.communicate(timeout=LONGEST)
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            status = None
        if status == 125:
            sys.exit(f"hack/faults: {' '.join(full)}: {output.decode()}")
        return status, output.decode(errors="replace")

    def calls(self, command, environment):
        self.run(command, ["list"], environment)
        return self.reported()

    def reported(self):
        with open(self.report, encoding="utf-8", errors="replace") as file:
            return [Call.of(line.rstrip("\n")) for line in file]

    def fault(self, command, environment, call, fault):
        status, output = self.run(command, [str(call.task), call.name, str(call.count), fault], environment)
        hits = self.reported()
        return Outcome(status, output, hits[0] if hits else None)


def faults_of(call, faults):
    possible = {"SIGKILL"} if call.name in WITHOUT_ERRORS else FAULTS_OF.get(call.name, set(FAULTS))
    return [fault for fault in faults if fault in possible]


def first_of_each_name(calls):
    return [call for call in calls if call.count == 1]


def sweep(lab, scenario, faults, choose=list):
    """SCENARIO has label, kinds, notes, command, environment, reset() and judge(fault, outcome, notes), which gives back a list of (kind, sentence)."""
    tally = Tally(scenario.label, scenario.kinds, scenario.notes)
    scenario.reset()
    scenario.calls = lab.calls(scenario.command, scenario.environment)
    calls = choose(scenario.calls)
    tally.calls = len(calls)
    for call in calls:
        for fault in faults_of(call, faults):
            for _ in range(TRIES):
                scenario.reset()
                outcome = lab.fault(scenario.command, scenario.environment, call, fault)
                if outcome.hit:
                    break
            tally.faults += 1
            tally.unmet += outcome.hit is None
            problems = scenario.judge(fault, outcome, tally.notes)
            tally.failed += bool(problems)
            tally.found.update({kind for kind, _ in problems})
            tally.lines += describe(scenario, call, fault, outcome, problems)
    return tally


def describe(scenario, call, fault, outcome, problems):
    if not problems:
        return []
    where = f"{fault} at {call.name} {call.count} of task {call.task} ({call.object})"
    again = f"    hack/faults --only '{scenario.title}' {call.task} {call.name} {call.count} {fault}"
    said = f"    status {outcome.status}, said {outcome.output.strip()!r}"
    return [f"  {scenario.title}: {where}", *(f"    {kind}: {sentence}" for kind, sentence in problems), said, again]
