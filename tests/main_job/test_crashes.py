"""The coordinator is killed at each step of a commit, and a whole result is there once.

The workstation is scripted: what counts is what it was told, and what is on the coordinator's disk.
"""

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.coordinator.deposits import Deposit
from fallow.coordinator.store import NAME, Committing, Doomed, Store
from fallow.shared.messages import JobSpec
from fallow.shared.runs import Exited
from main_job.conftest import Coordinator
from main_job.scripted_agent import Result, ScriptedAgent
from waiting import wait_until

CRASHING = Path(__file__).with_name("crashing_serve.py")
STEPS = (
    "committing saved",
    "assembled",
    "renamed",
    "parents synced",
    "committed saved",
    "acknowledged",
)
BATCH = """
meta: {namespace: ana, batch_name: b}
command:
  jobs: [{name: j, run: "true"}]
"""
FILES = {"stdout.txt": b"whole output\n", "stderr.txt": b"", "field.vtk": bytes(range(256)) * 40}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "attempt.json"
    }


CASES = [(step, False) for step in STEPS] + [("renamed", True), ("committed saved", True)]


# The steps "old moved" and "attempts moved" need two attempts: tests/store has them.
@pytest.mark.parametrize(("step", "fails"), CASES)
def test_killed_in_a_commit(
    coordinator: Coordinator,
    batch_file: Callable[..., Path],
    tmp_path: Path,
    step: str,
    fails: bool,
) -> None:
    def work(job: JobSpec, attempt: int) -> Result:
        return Result(FILES, Exited(7 if fails else 0))

    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), lambda job, n: None) as agent:
        coordinator.verbs.ok("submit", batch_file(BATCH))
        coordinator.wait_for("b", {"running": 1})
        coordinator.stop()
        coordinator.start([sys.executable, CRASHING, step])
        agent.change_work(work)
        assert coordinator.ended() == -9
        coordinator.start()
        coordinator.wait_for("b", {"failed" if fails else "succeeded": 1})
        wait_until(lambda: agent.accepted, 10, "the workstation to be told")
        outcome = "kept" if fails else "committed"
        assert list(agent.accepted.values()) == [outcome]
        assert list(agent.assigned.values()) == [1], "the job was started once"
        wait_until(lambda: not agent.runs, 10, "the workstation's spool to be empty")
    job = coordinator.results / "ana/b/j"
    expected = dict(FILES)
    if fails:
        expected |= {f".attempts/1/{path}": content for path, content in FILES.items()}
    assert tree(job) == expected
    assert json.loads((job / "attempt.json").read_text())["attempt"] == 1
    wait_until(
        lambda: not list((coordinator.results / ".staging").iterdir()), 10, "an empty staging"
    )
    with sqlite3.connect(coordinator.data_dir / "fallow.sqlite") as db:
        assert db.execute("SELECT outcome, state FROM result").fetchall() == [
            ("failed" if fails else "result", "committed")
        ]


def test_a_submission_survives_a_lost_reply(
    coordinator: Coordinator, batch_file: Callable[..., Path]
) -> None:
    """Killed right after the batch was saved: the client's repetition finds its own batch."""
    from fallow.shared.addresses import find_local_addresses
    from fallow.shared.batch import Batch, Command, CommandJob, Meta
    from fallow.shared.messages import Request, Submit, Submitted, decode_reply, encode
    from fallow.shared.transport import Limits, Wire

    batch = Batch(
        meta=Meta(namespace="ana", batch_name="b"),
        command=Command(jobs=(CommandJob(name="j", run="true"),)),
    )
    request = encode(Request(5, Submit(batch, {}, "the-same-word")))

    def submit() -> object:
        with Wire() as wire:
            socket = wire.connect(find_local_addresses(coordinator.data_dir)[0], Limits())
            return decode_reply(socket.request(request, timeout=10)[0]).body

    first = submit()
    assert isinstance(first, Submitted)
    coordinator.kill()
    coordinator.start()
    again = submit()
    assert isinstance(again, Submitted)
    assert (again.namespace, again.batch, again.jobs) == ("ana", "b", 1)
    assert len(coordinator.verbs.json("status")["batches"]) == 1


def test_a_full_disk_ends_the_coordinator_and_leaves_no_half_batch(
    coordinator: Coordinator, batch_file: Callable[..., Path]
) -> None:
    coordinator.verbs.ok("submit", batch_file(BATCH))
    coordinator.stop()
    coordinator.start([sys.executable, CRASHING.with_name("cramped_serve.py"), "400000"])
    many = batch_file(
        "meta: {namespace: ana, batch_name: many}\n"
        "command: {run: 'echo {x}', sweep: {x: {from: 1, to: 20000}}, name: 'x{x}'}\n",
        "many.yaml",
    )
    done = coordinator.verbs.run("submit", many)
    assert done.code == 3, done.err
    assert coordinator.ended() == 1
    said = coordinator.errors.splitlines()
    assert any(line.startswith("error: The coordinator's database cannot be used") for line in said)
    assert any("disk" in line for line in said)
    coordinator.start()
    assert [each["batch"] for each in coordinator.verbs.json("status")["batches"]] == ["b"]
    coordinator.verbs.ok("submit", many)


def test_a_disk_without_room_for_a_file_says_so(
    coordinator: Coordinator, batch_file: Callable[..., Path]
) -> None:
    coordinator.stop()
    coordinator.start([sys.executable, CRASHING.with_name("cramped_serve.py"), "600000"])
    text = "meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: j, run: 'true'}],"
    batch = batch_file(text + " required_files: [big]}\n", big="x" * 1_000_000)
    done = coordinator.verbs.run("submit", batch)
    assert done.code == 1, done.err
    assert "big" in done.err
    assert "could not be written" in done.err
    assert coordinator.verbs.json("status")["batches"] == []


def test_a_removal_cut_off_does_not_take_the_next_batch_of_that_name(
    coordinator: Coordinator, batch_file: Callable[..., Path], tmp_path: Path
) -> None:
    """As after a cut between the new batch's first result and the row that ends the removal."""
    with ScriptedAgent(
        tmp_path / "dino", coordinator.token("dino"), lambda job, n: Result(FILES)
    ) as agent:
        assert coordinator.verbs.run("submit", batch_file(BATCH), "--wait").code == 0
        (attempt,) = agent.assigned
    coordinator.stop()
    with Store(coordinator.data_dir / NAME) as store:
        (record,) = store.load().attempts
        deposit = Deposit(
            attempt=attempt,
            outcome="result",
            namespace="ana",
            batch="b",
            job="j",
            owner="ana",
            workstation="dino",
            manifest=record.manifest,
            exit=Exited(0),
            started=None,
            ended=None,
            run_seconds=1.0,
            paused_seconds=0.0,
            inputs={},
        )
        store.commit([Doomed("older123", "ana", "b"), Committing(deposit)])
    coordinator.start()
    assert tree(coordinator.results / "ana/b/j") == FILES
    pulled = coordinator.verbs.json("pull", "b", "--dest", tmp_path / "here")
    assert len(pulled["files"]) == len(FILES) + 1


def test_who_waits_goes_on_waiting_over_a_restart(
    coordinator: Coordinator, batch_file: Callable[..., Path], tmp_path: Path
) -> None:
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), lambda job, n: None) as agent:
        waiting = coordinator.verbs.start("submit", batch_file(BATCH), "--wait")
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ana:b: 1 job submitted\n"
        coordinator.wait_for("b", {"running": 1})
        coordinator.kill()
        assert waiting.stderr is not None
        assert "trying again" in waiting.stderr.readline()
        coordinator.start()
        agent.change_work(lambda job, n: Result(FILES))
        out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert out == "ana:b: 1 succeeded\n"
