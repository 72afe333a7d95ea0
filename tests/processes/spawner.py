"""Starts a job as an agent would, says which process it is, and waits to be killed.

spawner.py LAYOUT FOLDER ARG...     LAYOUT as in SandboxPlan, FOLDER with work/ and scratch/ in it
"""

import sys
import time
from pathlib import Path

import msgspec

from fallow.shared.work.processes import Spawn, spawn
from fallow.shared.work.sandbox import SandboxAbility, plan_for, probe

layout, folder = sys.argv[1], Path(sys.argv[2])
ability = SandboxAbility("none") if layout == "plain" else probe()
plan = plan_for(
    ability, "auto" if layout == "hidden" else "none", folder / "work", folder / "scratch"
)
assert plan.layout == layout
words = folder / "stdout.txt", folder / "stderr.txt"
run = spawn(Spawn(tuple(sys.argv[3:]), plan, *words, folder / "status", nice=0))
print(msgspec.json.encode(run.identity).decode(), flush=True)
while True:
    time.sleep(60)
