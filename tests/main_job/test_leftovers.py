"""Runs of which an agent knows less than it should: nothing of them is left to itself.

Not the good restarts: those are in `test_workstation`.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from main_job.conftest import Coordinator
from main_job.workstation import Workstation, alive
from waiting import wait_until

ONE_JOB = (
    "meta: {namespace: ana, batch_name: b}\n"
    "command: {jobs: [{name: j, run: 'sleep 1000 & sleep 1000'}]}\n"
    "resources: {cpus: 1, memory: 64MiB}\n"
)


def record_of(workstation: Workstation) -> Path:
    (folder,) = (workstation.data_dir / "runs").iterdir()
    return folder / "run.json"


def damage(workstation: Workstation) -> None:
    place = record_of(workstation)
    place.write_bytes(place.read_bytes()[:-40])


def kill_the_wrapper(workstation: Workstation) -> None:
    wrapper = json.loads(record_of(workstation).read_bytes())["run"]["phase"]["process"]["pid"]
    os.kill(wrapper, signal.SIGKILL)


@pytest.mark.parametrize("harm", [damage, kill_the_wrapper])
def test_what_a_run_left_behind_is_ended_and_the_job_runs_again(
    coordinator: Coordinator,
    workstation: Workstation,
    batch_file: Callable[..., Path],
    harm: Callable[[Workstation], None],
) -> None:
    coordinator.verbs.ok("submit", batch_file(ONE_JOB))
    before = workstation.wait_for_run("running").pids
    workstation.kill()
    harm(workstation)
    assert all(map(alive, before))
    workstation.start()
    wait_until(lambda: not any(map(alive, before)), 20, "the old processes to be ended")
    wait_until(
        lambda: coordinator.verbs.json("status", "b")["batches"][0]["jobs"][0]["attempts"] == 2,
        30,
        "another attempt",
    )
    workstation.wait_for_run("running")
    coordinator.verbs.ok("kill", "b")
    wait_until(lambda: not workstation.left_on_disk(), 20, "the workstation to keep nothing")
