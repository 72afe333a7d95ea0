"""Starts a job as an agent would, says which process it is, and waits to be killed.

    spawner.py LAYOUT GROUND FOLDER ARG...

LAYOUT as in SandboxPlan; GROUND is where the run gets a control group, or empty; FOLDER has work/
and scratch/ in it.
"""

import sys
import time
from pathlib import Path

import msgspec

from fallow.shared.work.ground import Ground
from fallow.shared.work.processes import Spawn, spawn
from fallow.shared.work.sandbox import SandboxAbility, plan_for, probe

layout, ground, folder = sys.argv[1], Ground(sys.argv[2]), Path(sys.argv[3])
ability = SandboxAbility("none") if layout == "plain" else probe()
plan = plan_for(
    ability, "auto" if layout == "hidden" else "none", folder / "work", folder / "scratch"
)
assert plan.layout == layout
words = folder / "stdout.txt", folder / "stderr.txt"
one = Spawn(tuple(sys.argv[4:]), plan, *words, folder / "status", nice=0, ground=ground)
run = spawn(one)
print(msgspec.json.encode(run.identity).decode(), flush=True)
while True:
    time.sleep(60)
