"""The network between a workstation and its coordinator is cut while a job runs or its result goes.

Not the death of either (test_real_crashes.py); tests/sockets has the faults of single messages.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from main_job.conftest import Coordinator
from main_job.real import WAITS, Group, RealWorkstation, files_with, one_job
from main_job.relay import Relay
from waiting import wait_until

MARK = b"left-by-the-job"
SAY_MARK = "left-by'-the-'job"


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture
def network(coordinator: Coordinator) -> Iterator[Relay]:
    with Relay(coordinator.address) as relay:
        yield relay


@pytest.fixture
def place(group: Group, network: Relay) -> RealWorkstation:
    made = group.workstation()
    made.stop()
    known = made.data_dir / "coordinator.json"
    membership = json.loads(known.read_text())
    known.write_text(json.dumps(membership | {"addresses": [network.address]}))
    made.start()
    made.wait_online()
    assert network.carried
    return made


def wait_until_missed(place: RealWorkstation) -> None:
    wait_until(lambda: place.quick_status().connection == "offline", 10, "the cut to be noticed")


def test_a_job_runs_on_and_ends_while_it_is_cut(
    group: Group, place: RealWorkstation, network: Relay
) -> None:
    group.submit(one_job(f"echo ready; {WAITS}; echo done"))
    group.wait_for_state("b", "running")
    births = place.births()
    network.cut()
    wait_until_missed(place)
    assert births & place.births()
    place.let_go()
    place.wait_for_run("finished")
    assert group.job("b")["state"] == "running"
    network.heal()
    job = group.wait_for_state("b", "succeeded")
    assert (job["attempts"], job["crashes"]) == (1, 0)
    assert (group.coordinator.results / "ana/b/j/stdout.txt").read_text() == "ready\ndone\n"
    assert group.committed() == [(1, "result", "committed")]
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")


def test_killed_while_it_is_cut(group: Group, place: RealWorkstation, network: Relay) -> None:
    group.submit(one_job(f"echo {SAY_MARK} > distribute_save/{SAY_MARK}; echo ready; {WAITS}"))
    group.wait_for_state("b", "running")
    births = place.births()
    network.cut()
    wait_until_missed(place)
    group.coordinator.verbs.ok("kill", "b")
    assert group.job("b")["state"] == "stopping"
    assert any(each.alive for each in births)
    network.heal()
    group.wait_for_state("b", "killed")
    wait_until(lambda: not any(each.alive for each in births), 10, "the job to be ended")
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")
    assert place.files_with(MARK) == files_with(group.coordinator.data_dir, MARK) == []
    assert group.committed() == []


def test_killed_after_it_ended_while_it_is_cut(
    group: Group, place: RealWorkstation, network: Relay
) -> None:
    """Its result lies on the workstation, and nobody wants it any more."""
    group.submit(one_job(f"echo {SAY_MARK} > distribute_save/{SAY_MARK}; {WAITS}"))
    place.wait_for_run("running")
    network.cut()
    wait_until_missed(place)
    place.let_go()
    place.wait_for_run("finished")
    assert place.files_with(MARK)
    group.coordinator.verbs.ok("kill", "b")
    network.heal()
    group.wait_for_state("b", "killed")
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")
    assert place.files_with(MARK) == files_with(group.coordinator.data_dir, MARK) == []
    assert group.committed() == []


def test_killed_when_half_of_its_result_is_there(
    group: Group, place: RealWorkstation, network: Relay
) -> None:
    script = (
        f"{WAITS}; for i in 1 2 3 4; do (echo {SAY_MARK}; head -c {SIZE // 4} /dev/urandom) "
        "> distribute_save/$i; done"
    )
    group.submit(one_job(script))
    place.wait_for_run("running")
    network.cut_at = network.carried + SIZE // 2
    place.let_go()
    wait_until(lambda: network.is_cut, 20, "half of the result to be there")
    group.wait_for_state("b", "collecting")
    wait_until(lambda: _whole(group), 10, "a whole file of it")
    group.coordinator.verbs.ok("kill", "b")
    network.heal()
    group.wait_for_state("b", "killed")
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")
    wait_until(lambda: not place.files_with(MARK), 5, "nothing to be there")
    wait_until(lambda: not _whole(group), 5, "nothing to be here either")
    assert group.committed() == []


def _whole(group: Group) -> list[Path]:
    """Files of the job that the coordinator has; what came of half a file goes another day."""
    found = files_with(group.coordinator.data_dir, MARK)
    return [path for path in found if path.parent.name != "tmp"]


SIZE = 12 << 20


def test_cut_twice_while_a_result_goes(
    group: Group, place: RealWorkstation, network: Relay
) -> None:
    script = (
        f"{WAITS}; head -c {SIZE} /dev/urandom > distribute_save/big;"
        "sha256sum < distribute_save/big"
    )
    group.submit(one_job(script))
    place.wait_for_run("running")
    before = network.carried
    network.cut_at = before + SIZE // 3
    place.let_go()
    wait_until(lambda: network.is_cut, 20, "a third of the result to be there")
    network.heal()
    network.cut_at = network.carried + SIZE // 3
    wait_until(lambda: network.is_cut, 20, "another third")
    assert group.committed() == []
    network.heal()
    job = group.wait_for_state("b", "succeeded")
    assert job["attempts"] == 1
    folder = group.coordinator.results / "ana/b/j"
    content = (folder / "big").read_bytes()
    assert len(content) == SIZE
    assert (folder / "stdout.txt").read_text().split()[0] == hashlib.sha256(content).hexdigest()
    # What had come before a cut has not come again.
    assert network.carried - before < SIZE * 1.3
    assert group.committed() == [(1, "result", "committed")]
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")
