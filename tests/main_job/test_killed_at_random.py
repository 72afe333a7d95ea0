"""The agent is killed again and again, wherever it is: each job runs once, and is kept whole.

The instants are drawn from a seed that a failure shows; where they fall depends on the computer.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from main_job.conftest import Coordinator
from main_job.workstation import FREE_DESK, JOBS, Workstation
from waiting import wait_until

NUMBER = 16
BATCH = """
meta: {{namespace: ana, batch_name: many}}
command:
  initialize: {{run: "echo built > built; /bin/sleep 0.2"}}
  run: "echo {{i}} >> {starts}; for n in 1 2 3; do echo line $n; /bin/sleep 0.03; done;
        cat built; echo {{i}} > distribute_save/out"
  sweep: {{i: {{from: 1, to: {number}}}}}
  name: "j{{i}}"
resources: {{cpus: 1, memory: 64MiB}}
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random(
    seed: int,
    coordinator: Coordinator,
    new_workstation: Callable[..., Workstation],
    batch_file: Callable[..., Path],
    tmp_path: Path,
) -> None:
    chance = random.Random(seed)
    # In this layout a job can write outside its folder, so that starts can be counted.
    layout = FREE_DESK + "[offer]\ncpus = 2\n" + JOBS + 'sandbox = "none"\n'
    workstation = new_workstation("ws1", layout)
    starts = tmp_path / "starts"
    coordinator.verbs.ok("submit", batch_file(BATCH.format(starts=starts, number=NUMBER)))
    until = time.monotonic() + 60
    while coordinator.counts("many") != {"succeeded": NUMBER}:
        assert time.monotonic() < until, coordinator.counts("many")
        instant = time.monotonic() + chance.random() * 0.5
        wait_until(lambda at=instant: time.monotonic() >= at, 5, "the instant to come")  # type: ignore[misc]
        workstation.kill()
        if chance.random() < 0.2:
            coordinator.kill()
            coordinator.start()
        workstation.start()
    counted = Counter(starts.read_text().split())
    assert counted == {str(number): 1 for number in range(1, NUMBER + 1)}
    for number in range(1, NUMBER + 1):
        folder = coordinator.results / "ana" / "many" / f"j{number}"
        assert (folder / "stdout.txt").read_text() == "line 1\nline 2\nline 3\nbuilt\n"
        assert (folder / "out").read_text() == f"{number}\n"
        assert json.loads((folder / "attempt.json").read_text())["succeeded"] is True
    (found,) = coordinator.verbs.json("status", "many")["batches"]
    for job in found["jobs"]:
        assert (job["failures"], job["crashes"], job["evictions"]) == (0, 0, 0)
    wait_until(lambda: not workstation.left_on_disk(), 10, "the workstation to keep nothing")
