#!/usr/bin/env python3
"""The fault lab's two halves. Prints a line for each command and runtime, and what failed; the last line counts.

lab.py rewrite TOOLS GUARD WORK EXTENT      create, run and restore; in a mount namespace of its own; WORK is an empty directory
lab.py running TOOLS GUARD WORK EXTENT      heal and release; called by `container`
EXTENT: short, full, or TITLE TASK NAME COUNT FAULT
"""

import itertools
import os
import subprocess
import sys

import rewrite
import running
import sweep

# Of the control for both halves: what it must show, or else the lab finds nothing.
MUST_SHOW = {"naive create runc": ["torn", "silent"], "naive heal runc": ["third states", "false successes"]}


class Half:
    def __init__(self, tools, work, extent):
        self.lab = sweep.Lab(os.path.join(tools, "inject"), work)
        self.extent = extent
        self.passed = self.failed = 0

    def sweep(self, scenario, is_sampled):
        if len(self.extent) > 1:
            return self.only(scenario)
        if self.extent == ["full"]:
            return sweep.sweep(self.lab, scenario, sweep.FAULTS)
        return sweep.sweep(self.lab, scenario, ["SIGKILL", "EIO"], sweep.first_of_each_name if is_sampled else list)

    def only(self, scenario):
        title, task, name, count, fault = self.extent
        chosen = sweep.Call(int(task), name, int(count), "")
        wanted = lambda calls: [call for call in calls if call[:3] == chosen[:3]] if scenario.title == title else []
        return sweep.sweep(self.lab, scenario, [fault], wanted)

    def tell(self, tally):
        if not tally.faults:
            return
        must = MUST_SHOW.get(tally.label)
        if must:
            tally.failed = sum(tally.found[kind] == 0 for kind in must)
            tally.lines = [f"  the control shows nothing {kind}" for kind in must if tally.found[kind] == 0]
        print("\n".join([("control: " if must else "") + tally.line(), *tally.lines]), flush=True)
        self.failed += tally.failed
        self.passed += (1 if must else tally.faults) - min(tally.failed, 1 if must else tally.faults)


def rewriting(half, tools, guard, work):
    runtime, naive = os.path.join(tools, "runtime"), os.path.join(tools, "naive")
    numbers = itertools.count()

    def scenario(program, flavour, variant, is_control=False):
        directory = os.path.join(work, str(next(numbers)))
        os.mkdir(directory)
        return rewrite.Scenario(directory, program, runtime, flavour, variant, is_control)

    # Shared, as systemd leaves a real node: every rslave needs it.
    subprocess.run(["mount", "-t", "tmpfs", "faults", work], check=True)
    subprocess.run(["mount", "--make-shared", work], check=True)
    half.tell(half.sweep(scenario(naive, "runc", ("create", "pass"), is_control=True), is_sampled=False))
    for name, flavour in itertools.product(["create", "run", "restore"], ["runc", "crun"]):
        tallies = [half.sweep(scenario(guard, flavour, key), name == "restore") for key in rewrite.VARIANTS if key[0] == name]
        for tally in tallies[1:]:
            tallies[0].add(tally)
        half.tell(tallies[0])


def main():
    which, tools, guard, work, *extent = sys.argv[1:]
    half = Half(tools, work, extent)
    if which == "rewrite":
        half.lab.report = os.path.join(work, "report")
        rewriting(half, tools, guard, work)
    else:
        for scenario in running.scenarios(guard, os.path.join(tools, "naive_heal")):
            half.tell(half.sweep(scenario, is_sampled=not scenario.title.startswith("naive")))
    print(f"{half.passed} passed, {half.failed} failed")
    return 1 if half.failed else 0


sys.exit(main())
