"""Jobs that are ended, builds that fail, workstations that go: what it costs, and what remains.

Not deaths of the programs that a job outlives (test_real_crashes.py).
"""

import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from fallow.coordinator.deposits import RECORD
from fallow.coordinator.records import BatchRecord
from fallow.shared.clock import boot_id
from fallow.shared.work import processes
from main_job.conftest import Coordinator
from main_job.real import Group, RealWorkstation, Sandbox, alive, config, files_with, one_job
from waiting import wait_until

MARK = b"left-by-the-job"
# The shell joins it, so that the batch file itself does not have it.
SAY_MARK = "left-by'-the-'job"


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture(params=["hidden", "plain"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    found: Sandbox = request.param
    return found


def out_of(place: RealWorkstation) -> Path:
    """Where the only run here says what it says."""
    (found,) = (place.data_dir / "runs").glob("*/stdout.txt")
    return found


def wait_for_word(place: RealWorkstation, word: str) -> None:
    place.wait_for_run("running")
    wait_until(lambda: word in out_of(place).read_text(), 20, f"the job to say {word!r}")


def nothing_stays(group: Group, *places: RealWorkstation) -> None:
    """No byte of what the job wrote is on a disk, nor anything else of its runs."""
    for place in places:
        wait_until(lambda at=place: not at.left_on_disk(), 10, "nothing to be kept")  # type: ignore[misc]
        assert place.files_with(MARK) == []
    assert files_with(group.coordinator.data_dir, MARK) == []
    assert group.committed() == []
    assert not (group.coordinator.results / "ana/b/j").exists()


def test_one_that_saves_itself_when_killed_has_not_finished(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    line = (
        f"echo {SAY_MARK} > distribute_save/state; "
        "trap 'echo saved; echo saved >> distribute_save/state; exit 0' TERM; "
        "echo ready; while :; do /bin/sleep 0.05; done"
    )
    group.submit(one_job(line))
    wait_for_word(place, "ready")
    births = place.births()
    with out_of(place).open() as said:
        group.coordinator.verbs.ok("kill", "b")
        job = group.wait_for_state("b", "killed")
        # Its name is gone from the disk, its last words are not.
        assert said.read() == "ready\nsaved\n"
    assert (job["attempts"], job["failures"], job["evictions"]) == (1, 0, 0)
    assert not any(each.alive for each in births)
    nothing_stays(group, place)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_its_workstation_was_away(
    group: Group, sandbox: Sandbox, number: signal.Signals
) -> None:
    place = group.workstation(sandbox=sandbox)
    line = (
        f"echo {SAY_MARK}; echo {SAY_MARK} > distribute_save/{SAY_MARK}; "
        f"echo {SAY_MARK} > more; (while :; do :; done) & echo ready; wait"
    )
    group.submit(one_job(line))
    wait_for_word(place, "ready")
    births = place.births()
    if number == signal.SIGKILL:
        place.kill()
    else:
        place.stop()
    assert place.files_with(MARK)
    group.coordinator.verbs.ok("kill", "b")
    assert group.job("b")["state"] == "stopping"
    assert any(each.alive for each in births)
    place.start()
    wait_until(lambda: not any(each.alive for each in births), 15, "the job to be ended")
    group.wait_for_state("b", "killed")
    nothing_stays(group, place)


BUILT = """
meta: {{namespace: ana, batch_name: built}}
command:
  initialize: {{run: "echo trying; test ! -e {marker}/bad"}}
  run: echo {{i}} > distribute_save/i
  sweep: {{i: [1, 2, 3, 4]}}
  name: j{{i}}
resources: {{cpus: 1, memory: 64MiB}}
"""


def test_a_build_that_fails_on_one_of_two(group: Group, tmp_path: Path) -> None:
    marker = tmp_path / "only-here"
    marker.mkdir()
    (marker / "bad").write_text("")
    bad = group.workstation("bad", config(read_only=marker))
    good = group.workstation("good")
    # Four jobs of one processor fill both, so that both have to build.
    done = group.coordinator.verbs.run("submit", group.write(BUILT.format(marker=marker)), "--wait")
    assert done.code == 0, done.err
    for name, job in group.jobs("built").items():
        assert (job["state"], job["workstation"]) == ("succeeded", "good")
        assert (job["failures"], job["crashes"], job["evictions"]) == (0, 0, 0)
        told = json.loads((group.coordinator.results / "ana/built" / name / RECORD).read_text())
        assert told["workstation"] == "good"
    for name in ("bad", "good"):
        log = group.coordinator.results / f"ana/built/build_output_{name}.txt"
        wait_until(log.exists, 10, "the log, which need not be here before the last result")
        assert log.read_text() == "trying\n"
    assert {(1, "result", "committed"), (2, "result", "committed")} >= set(group.committed())
    for place in (bad, good):
        wait_until(lambda at=place: not at.left_on_disk(), 10, "nothing to be kept")  # type: ignore[misc]


def test_a_build_that_fails_everywhere(group: Group, tmp_path: Path) -> None:
    marker = tmp_path / "everywhere"
    marker.mkdir()
    (marker / "bad").write_text("")
    for name in ("one", "two"):
        group.workstation(name, config(read_only=marker))
    done = group.coordinator.verbs.run("submit", group.write(BUILT.format(marker=marker)), "--wait")
    assert done.code == 4, done.err
    assert "4 held" in done.err
    for job in group.jobs("built").values():
        assert job["state"] == "held"
        assert (job["failures"], job["crashes"], job["evictions"]) == (0, 0, 0)
        assert "build_output_" in job["reason"]
    (batch,) = group.coordinator.verbs.json("status")["batches"]
    assert batch["state"] == "held"
    dest = tmp_path / "pulled"
    group.coordinator.verbs.ok("pull", "built", "--dest", dest)
    for name in ("one", "two"):
        assert (dest / f"ana/built/build_output_{name}.txt").read_text() == "trying\n"


# It ends where it is run again, and nowhere else.
ONCE_MORE = (
    f"echo {SAY_MARK} > distribute_save/x; echo ready; "
    'test "$FALLOW_ATTEMPT" = 2 || exec /bin/sleep 600'
)


def test_a_workstation_that_dies_for_good(group: Group, sandbox: Sandbox) -> None:
    coordinator = group.coordinator
    dead = group.workstation("dead", sandbox=sandbox)
    group.submit(one_job(ONCE_MORE))
    wait_for_word(dead, "ready")
    births = dead.births()
    coordinator.stop()
    _lose_after(group, 4.0)
    coordinator.start()
    group.wait_for_state("b", "running")
    dead.kill()
    group.workstation("alive", sandbox=sandbox)
    job = group.wait_for_state("b", "succeeded")
    assert (job["workstation"], job["attempts"]) == ("alive", 2)
    assert (job["failures"], job["crashes"], job["evictions"]) == (0, 0, 0)
    assert any(each.alive for each in births)
    # It was not dead after all: what it has is wanted no more.
    dead.start()
    wait_until(lambda: not any(each.alive for each in births), 15, "its run to be ended")
    wait_until(lambda: not dead.left_on_disk(), 10, "nothing to be kept")
    assert dead.files_with(MARK) == []
    assert group.committed() == [(2, "result", "committed")]
    assert group.job("b")["attempts"] == 2


def test_a_computer_that_was_started_anew(group: Group, sandbox: Sandbox) -> None:
    first = group.workstation("first", sandbox=sandbox)
    group.submit(one_job(ONCE_MORE))
    wait_for_word(first, "ready")
    first.kill()
    _power_off(first)
    second = group.workstation("second", sandbox=sandbox)
    first.start()
    job = group.wait_for_state("b", "succeeded")
    assert (job["attempts"], job["crashes"]) == (2, 1)
    assert (job["failures"], job["evictions"]) == (0, 0)
    assert group.committed()[-1] == (2, "result", "committed")
    for place in (first, second):
        wait_until(lambda at=place: not at.left_on_disk(), 10, "nothing to be kept")  # type: ignore[misc]


def _power_off(place: RealWorkstation) -> None:
    """No process is left, no last word either, and what was saved is of another boot."""
    wrappers = place.wrappers()
    assert wrappers
    for status in wrappers:
        identity = processes.find(status)
        assert identity is not None
        place.births_below(identity.pid)
        os.kill(identity.pid, signal.SIGKILL)
        wait_until(lambda pid=identity.pid: not alive(pid), 10, "the wrapper to end")  # type: ignore[misc]
    place.end_jobs()
    noted = (status.with_name("status.wrapper") for status in wrappers)
    for saved in (*place.data_dir.glob("*/*/*.json"), *noted):
        other = boot_id()[::-1]
        saved.write_text(saved.read_text().replace(boot_id(), other))


def _lose_after(group: Group, seconds: float) -> None:
    """No verb sets this yet, so it is written where the coordinator keeps it."""
    place = group.coordinator.data_dir / "fallow.sqlite"
    with contextlib.closing(sqlite3.connect(place)) as db, db:
        ((uid, record),) = db.execute("SELECT uid, record FROM batch").fetchall()
        batch = msgspec.json.decode(record, type=BatchRecord)
        fresh = msgspec.json.encode(replace(batch, lost_after=seconds))
        db.execute("UPDATE batch SET record = ? WHERE uid = ?", (fresh, uid))
