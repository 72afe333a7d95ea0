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
from main_job.real import WAITS, Birth, Group, RealWorkstation, Sandbox, one_job
from waiting import wait_until

CRASHING = Path(__file__).with_name("crashing_serve.py")
LINES = 20
# Says half of it, waits, says the rest.
COUNTS = "while [ $i -lt {end} ]; do echo line $i; echo err $i >&2; i=$((i+1)); done"
GROWING = (
    f"i=0; {COUNTS.format(end=LINES // 2)}; {WAITS}; {COUNTS.format(end=LINES)}; "
    "echo done > distribute_save/end.txt"
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


def running(group: Group, place: RealWorkstation) -> set[Birth]:
    """Submits the job; the processes it has once it has said half of what it has to say."""
    group.submit(one_job(GROWING))
    group.wait_for_state("b", "running")
    (said,) = (place.data_dir / "runs").glob("*/stdout.txt")
    wait_until(lambda: f"line {LINES // 2 - 1}\n" in said.read_text(), 10, "half of the lines")
    return place.births()


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


def survivors(before: set[Birth], place: RealWorkstation) -> set[Birth]:
    """What of the job is the very same process as before (its `sleep` comes and goes)."""
    return before & place.births()


def test_the_agent(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    before = running(group, place)
    place.kill()
    place.start()
    place.wait_for_run("running")
    assert survivors(before, place)
    place.let_go()
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
    place.let_go()
    whole(group, place)


def test_both_while_the_job_ends(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    running(group, place)
    place.kill()
    group.coordinator.kill()
    (status,) = place.wrappers()
    place.let_go()
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
    place.let_go()
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


BUILT = (
    "meta: {namespace: ana, batch_name: b}\n"
    "command:\n"
    "  initialize:\n"
    f"    run: 'echo begun; {WAITS}; "
    "cat /proc/sys/kernel/random/uuid > token; cat token'\n"
    "  run: cat token\n  sweep: {n: [1, 2, 3]}\n  name: j{n}\n"
    "resources: {cpus: 1, memory: 64MiB}\n"
)


@pytest.mark.parametrize("victim", ["agent", "coordinator", "both"])
def test_while_it_is_built(group: Group, sandbox: Sandbox, victim: str) -> None:
    place = group.workstation(sandbox=sandbox)
    group.submit(BUILT)
    before = place.wait_for_processes()
    if victim != "coordinator":
        place.kill()
    if victim != "agent":
        group.coordinator.kill()
        group.coordinator.start()
    if victim != "coordinator":
        place.start()
    assert survivors(before, place)
    place.let_go()
    group.coordinator.wait_for("b", {"succeeded": 3})
    log = group.coordinator.results / "ana/b/build_output_ws1.txt"
    wait_until(log.exists, 10, "the log")
    begun, token = log.read_text().splitlines()
    assert begun == "begun"
    for job in group.jobs("b").values():
        said = group.coordinator.results / "ana/b" / job["name"] / "stdout.txt"
        assert said.read_text() == f"{token}\n"
        assert (job["failures"], job["crashes"], job["evictions"]) == (0, 0, 0)
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")


def test_a_job_whose_build_was_not_reported_yet(group: Group, sandbox: Sandbox) -> None:
    """Nobody has taken the build's log, and what is done about that leaves the job alone."""
    place = group.workstation(sandbox=sandbox)
    group.submit(
        one_job(
            f"cat token; {WAITS}; cat token > distribute_save/x",
            more=f'  initialize: {{run: "{WAITS}; echo built > token; cat token"}}\n',
        )
    )
    place.wait_for_processes()
    group.coordinator.kill()
    place.let_go()
    place.wait_for_run("running")
    before = place.births()
    place.kill()
    place.start()
    assert survivors(before, place)
    group.coordinator.start()
    log = group.coordinator.results / "ana/b/build_output_ws1.txt"
    wait_until(log.exists, 20, "the log")
    place.let_go()
    job = group.wait_for_state("b", "succeeded")
    assert (job["attempts"], job["failures"]) == (1, 0)
    assert (group.coordinator.results / "ana/b/j/x").read_text() == "built\n"
