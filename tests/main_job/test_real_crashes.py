"""Agents and coordinators are killed under real jobs, which run on: one attempt, one commit.

Not the steps of a commit in full (test_crashes.py, with a scripted workstation) nor what a person
at the desk does (test_real_desks.py).
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from main_job.conftest import Coordinator
from main_job.real import Group, RealWorkstation, Sandbox, one_job
from waiting import wait_until

CRASHING = Path(__file__).with_name("crashing_serve.py")
LINES = 40
# Without `sleep` as the last word, so that the shell itself stays and counts.
GROWING = (
    f"i=0; while [ $i -lt {LINES} ]; do echo line $i; echo err $i >&2; i=$((i+1)); "
    "/bin/sleep 0.05; done; echo done > distribute_save/end.txt"
)
OUT = "".join(f"line {n}\n" for n in range(LINES))
ERR = "".join(f"err {n}\n" for n in range(LINES))


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture(params=["hidden", "plain"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    found: Sandbox = request.param
    return found


def running(group: Group, place: RealWorkstation, line: str = GROWING) -> set[tuple[int, int]]:
    """Submits the job; the processes it has once it has said something."""
    group.submit(one_job(line))
    place.wait_for_run("running")
    said = group.coordinator.data_dir.parent / "workstations" / place.name / "runs"
    wait_until(
        lambda: any(path.stat().st_size for path in said.glob("*/stdout.txt")), 10, "a first line"
    )
    return set(place.births())


def whole(group: Group, place: RealWorkstation) -> None:
    """One attempt, one commit, and all of its output; nothing is kept on the workstation."""
    job = group.wait_for_state("b", "succeeded")
    assert (job["attempts"], job["failures"]) == (1, 0)
    assert (job["crashes"], job["evictions"]) == (0, 0)
    folder = group.coordinator.results / "ana/b/j"
    assert (folder / "stdout.txt").read_text() == OUT
    assert (folder / "stderr.txt").read_text() == ERR
    assert (folder / "end.txt").read_text() == "done\n"
    told = json.loads((folder / "attempt.json").read_text())
    assert (told["attempt"], told["exit"]) == (1, {"type": "exited", "code": 0})
    assert not (folder / ".attempts").exists()
    assert group.committed() == [(1, "result", "committed")]
    assert group.rows("SELECT number, node FROM attempt") == [(1, place.name)]
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")


def survivors(before: set[tuple[int, int]], place: RealWorkstation) -> set[tuple[int, int]]:
    """What of the job is the very same process as before (its `sleep` comes and goes)."""
    return before & set(place.births())


def test_the_agent(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    before = running(group, place)
    place.kill()
    place.start()
    place.wait_for_run("running")
    assert survivors(before, place)
    whole(group, place)


def test_the_coordinator(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    before = running(group, place)
    group.coordinator.kill()
    wait_until(lambda: place.quick_status().connection == "offline", 10, "it to be missed")
    assert survivors(before, place)
    group.coordinator.start()
    group.wait_for_state("b", "running")
    assert survivors(before, place)
    whole(group, place)


def test_both_while_the_job_ends(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    running(group, place)
    place.kill()
    group.coordinator.kill()
    (status,) = place.wrappers()
    wait_until(status.exists, 20, "the job to end with nobody there")
    group.coordinator.start()
    place.start()
    whole(group, place)


def test_the_agent_is_stopped_in_good_order(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    before = running(group, place)
    assert place.stop() == 0
    assert any(each.alive for each in place.seen)
    place.start()
    place.wait_for_run("running")
    assert survivors(before, place)
    whole(group, place)


STEPS = ("committing saved", "assembled", "renamed", "committed saved", "acknowledged")


@pytest.mark.parametrize("step", STEPS)
def test_the_coordinator_in_a_commit(group: Group, step: str) -> None:
    place = group.workstation()
    coordinator = group.coordinator
    coordinator.stop()
    coordinator.start([sys.executable, CRASHING, step])
    group.submit(one_job("for i in 1 2 3; do echo line $i; done; echo done > distribute_save/x"))
    assert coordinator.ended() == -9
    # What it said last is lost, and the workstation may only throw away what was acknowledged.
    if step != "acknowledged":
        assert place.left_on_disk()
    coordinator.start()
    job = group.wait_for_state("b", "succeeded")
    assert job["attempts"] == 1
    folder = coordinator.results / "ana/b/j"
    assert (folder / "stdout.txt").read_text() == "line 1\nline 2\nline 3\n"
    assert (folder / "x").read_text() == "done\n"
    assert group.committed() == [(1, "result", "committed")]
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")
    assert not list((coordinator.results / ".staging").iterdir())


def test_the_coordinator_in_a_commit_while_the_agent_dies_too(group: Group) -> None:
    place = group.workstation()
    coordinator = group.coordinator
    coordinator.stop()
    coordinator.start([sys.executable, CRASHING, "committed saved"])
    group.submit(one_job("echo once; echo done > distribute_save/x"))
    assert coordinator.ended() == -9
    place.kill()
    place.start()
    coordinator.start()
    job = group.wait_for_state("b", "succeeded")
    assert job["attempts"] == 1
    assert (coordinator.results / "ana/b/j/stdout.txt").read_text() == "once\n"
    assert group.committed() == [(1, "result", "committed")]
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")
