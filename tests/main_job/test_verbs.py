"""The verbs of the coordinator through the installed script: what goes in, what comes out.

Not the workstation's side, which is scripted here.
"""

import contextlib
import json
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from fallow.shared.errors import FallowError
from fallow.shared.messages import JobSpec, JobStateName
from fallow.shared.runs import Exited
from main_job.conftest import Coordinator
from main_job.scripted_agent import Result, ScriptedAgent
from waiting import wait_until

WriteBatch = Callable[..., Path]

SWEEP = """
meta: {namespace: ana, batch_name: sweep}
command:
  run: "cat ./input/mesh.txt; echo {x}"
  required_files: [mesh.txt]
  sweep: {x: [1, 2, 3]}
  name: "x{x}"
"""


def test_a_batch_from_submit_to_pull(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    def work(job: JobSpec, attempt: int) -> Result:
        # A job that fails brings its partial results back, too.
        failed = job.job == "x2"
        files = {
            "stdout.txt": f"{job.job}\n".encode(),
            "stderr.txt": b"",
            "out/field.vtk": b"vtk" * 1000,
            "tool": b"#!/bin/sh\n",
        }
        return Result(files, Exited(3 if failed else 0), executable="tool")

    batch = batch_file(SWEEP, **{"mesh.txt": "a mesh\n"})
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), work):
        done = coordinator.verbs.run("submit", batch, "--wait", "--json")
    assert done.code == 4, done.err
    assert done.json["jobs"] == 3
    assert done.json["counts"]["succeeded"] == 2
    assert done.json["counts"]["failed"] == 1
    dest = tmp_path / "here"
    pulled = coordinator.verbs.json("pull", batch, "--dest", dest)
    assert pulled["unfinished_jobs"] == 0
    for job in ("x1", "x2", "x3"):
        folder = dest / "ana/sweep" / job
        assert (folder / "stdout.txt").read_text() == f"{job}\n"
        assert (folder / "stderr.txt").read_text() == ""
        assert (folder / "out/field.vtk").read_bytes() == b"vtk" * 1000
        assert (folder / "tool").stat().st_mode & 0o100
        record = json.loads((folder / "attempt.json").read_text())
        assert record["workstation"] == "dino"
        assert set(record["inputs"]) == {"mesh.txt"}
        assert record["succeeded"] == (job != "x2")
    assert (dest / "ana/sweep/x2/.attempts/1/stdout.txt").read_text() == "x2\n"
    # The same layout as in the coordinator's own tree.
    theirs = coordinator.results / "ana/sweep"
    ours = dest / "ana/sweep"
    assert {str(path.relative_to(ours)) for path in ours.rglob("*")} == {
        str(path.relative_to(theirs)) for path in theirs.rglob("*")
    }


def test_pull_takes_what_is_asked_for_and_goes_on(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    def work(job: JobSpec, attempt: int) -> Result:
        return Result({"a.vtk": job.job.encode(), "b.log": b"log", "stdout.txt": b""})

    batch = batch_file(SWEEP, **{"mesh.txt": "a mesh\n"})
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), work):
        assert coordinator.verbs.run("submit", batch, "--wait").code == 0
    dest = tmp_path / "here"
    planned = coordinator.verbs.json("pull", "sweep", "--dest", dest, "--dry-run")
    assert len(planned["files"]) == 12
    assert not dest.exists()
    words = ("pull", "sweep", "--dest", dest, "--include", r"\.vtk$", "--exclude", "^x1/")
    assert coordinator.verbs.json(*words)["files"] == ["x2/a.vtk", "x3/a.vtk"]
    assert coordinator.verbs.json(*words)["unchanged"] == 2
    (dest / "ana/sweep/x2/a.vtk").write_text("zz")
    assert coordinator.verbs.json(*words)["files"] == ["x2/a.vtk"]
    assert (dest / "ana/sweep/x2/a.vtk").read_text() == "x2"
    one = coordinator.verbs.json("pull", "ana:sweep/x1", "--dest", dest)
    assert sorted(one["files"]) == ["x1/a.vtk", "x1/attempt.json", "x1/b.log", "x1/stdout.txt"]
    bad = coordinator.verbs.run("pull", "sweep", "--include", "(")
    assert bad.code == 2
    assert "not a regular expression" in bad.err


def test_pull_never_writes_through_a_link(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    batch = batch_file(SWEEP, **{"mesh.txt": "a mesh\n"})
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")):
        assert coordinator.verbs.run("submit", batch, "--wait").code == 0
    dest, outside = tmp_path / "here", tmp_path / "outside"
    outside.mkdir()
    (dest / "ana/sweep").mkdir(parents=True)
    (dest / "ana/sweep/x1").symlink_to(outside)
    done = coordinator.verbs.run("pull", "sweep", "--dest", dest)
    assert done.code == 1
    assert "symbolic link" in done.err
    assert list(outside.iterdir()) == []


def test_a_dry_run_changes_nothing(coordinator: Coordinator, batch_file: WriteBatch) -> None:
    batch = batch_file(SWEEP, **{"mesh.txt": "a mesh\n"})
    blobs = set((coordinator.data_dir / "blobs").rglob("*"))
    said = coordinator.verbs.json("submit", batch, "--dry-run")
    assert said["jobs"] == 3
    assert coordinator.verbs.json("status")["batches"] == []
    assert set((coordinator.data_dir / "blobs").rglob("*")) == blobs


def test_a_name_is_taken_once(coordinator: Coordinator, batch_file: WriteBatch) -> None:
    batch = batch_file(SWEEP, **{"mesh.txt": "a mesh\n"})
    coordinator.verbs.ok("submit", batch)
    again = coordinator.verbs.run("submit", batch)
    assert again.code == 1
    assert "sweep" in again.err
    assert "hint:" in again.err
    coordinator.verbs.ok("submit", batch, "--name", "sweep_2")
    names = [each["batch"] for each in coordinator.verbs.json("status")["batches"]]
    assert sorted(names) == ["sweep", "sweep_2"]


BAD = {
    "no file": (None, 2, "cannot be read"),
    "unknown key": ("meta: {namespace: a, batch_nam: b}\n", 2, "batch_name"),
    "missing input": (SWEEP.replace("mesh.txt]", "mush.txt]"), 2, "mush.txt"),
    "a way out": (SWEEP.replace("[mesh.txt]", "[{path: mesh.txt, alias: ../m}]"), 2, "leave"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_batch_is_refused_before_anything_is_sent(
    coordinator: Coordinator, batch_file: WriteBatch, case: str
) -> None:
    text, code, said = BAD[case]
    batch = batch_file(text or "", **{"mesh.txt": "a mesh\n"})
    if text is None:
        batch.unlink()
    done = coordinator.verbs.run("submit", batch)
    assert done.code == code, done.err
    assert said in done.err
    assert str(batch) in done.err
    assert coordinator.verbs.json("status")["batches"] == []


def test_status_has_its_schema(coordinator: Coordinator, batch_file: WriteBatch) -> None:
    coordinator.verbs.ok("submit", batch_file(SWEEP, **{"mesh.txt": "a mesh\n"}))
    whole = coordinator.verbs.json("status")
    assert whole["schema"] == 1
    (batch,) = whole["batches"]
    assert set(batch) == {
        "namespace",
        "batch",
        "owner",
        "submitted",
        "state",
        "counts",
        "eta_seconds",
    }
    assert sum(batch["counts"].values()) == 3
    assert set(batch["counts"]) == set(get_args(JobStateName))
    (batch,) = coordinator.verbs.json("status", "ana:sweep")["batches"]
    assert len(batch["jobs"]) == 3
    assert set(batch["jobs"][0]) == {
        "name",
        "state",
        "attempts",
        "failures",
        "crashes",
        "evictions",
        "workstation",
        "run_seconds",
        "paused_seconds",
        "progress",
        "exit",
        "reason",
        "progress_text",
        "eta_seconds",
    }
    (batch,) = coordinator.verbs.json("status", "sweep", "--limit", "1", "--after", "1")["batches"]
    assert [job["name"] for job in batch["jobs"]] == ["x2"]
    (batch,) = coordinator.verbs.json("status", "sweep/x3")["batches"]
    assert [job["name"] for job in batch["jobs"]] == ["x3"]
    unknown = coordinator.verbs.run("status", "sweeep")
    assert unknown.code == 1
    assert "sweep" in unknown.err


def test_nodes_has_its_schema(coordinator: Coordinator, tmp_path: Path) -> None:
    def online() -> bool:
        nodes = coordinator.verbs.json("nodes")["nodes"]
        return len(nodes) == 1 and nodes[0]["verdict"] == "away"

    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")):
        wait_until(online, 10, "the workstation to be online")
        (node,) = coordinator.verbs.json("nodes")["nodes"]
    assert set(node) == {
        "name",
        "state",
        "verdict",
        "why",
        "until",
        "since",
        "cpus",
        "memory",
        "gpus",
        "capabilities",
        "runs",
        "last_report_seconds",
    }
    assert node["name"] == "dino"
    assert node["capabilities"] == ["gfortran"]


def test_logs_live_and_kept(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    batch = batch_file(SWEEP.replace("[1, 2, 3]", "[1]"), **{"mesh.txt": "m"})
    token = coordinator.token("dino")
    with ScriptedAgent(tmp_path / "dino", token, lambda job, attempt: None) as agent:
        agent.live_output = b"step 1\n"
        coordinator.verbs.ok("submit", batch)
        coordinator.wait_for("sweep", {"running": 1})
        assert coordinator.verbs.ok("logs", "sweep").out == "step 1\n"
        following = coordinator.verbs.start("logs", "sweep/x1", "--follow")
        assert following.stdout is not None
        assert following.stdout.readline() == "step 1\n"
        agent.live_output += b"step 2\n"
        assert following.stdout.readline() == "step 2\n"
        whole = agent.live_output + b"the end\n"
        agent.change_work(lambda job, attempt: Result({"stdout.txt": whole, "stderr.txt": b"e"}))
        rest, _ = following.communicate(timeout=20)
        assert rest == "the end\n"
        assert following.returncode == 0
        coordinator.wait_for("sweep", {"succeeded": 1})
    assert coordinator.verbs.ok("logs", "ana:sweep/x1").out == whole.decode()
    assert coordinator.verbs.json("logs", "ana:sweep/x1", "--stderr")["text"] == "e"
    none = coordinator.verbs.run("logs", "sweep/x1", "--attempt", "7")
    assert none.code == 1
    assert "no attempt 7" in none.err


def test_kill_and_remove(coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path) -> None:
    batch = batch_file(SWEEP, **{"mesh.txt": "m"})
    token = coordinator.token("dino")

    def work(job: JobSpec, attempt: int) -> Result | None:
        return None if job.job == "x2" else Result({"stdout.txt": b"x"})

    with ScriptedAgent(tmp_path / "dino", token, work) as agent:
        coordinator.verbs.ok("submit", batch)
        coordinator.wait_for("sweep", {"succeeded": 1, "running": 1, "queued": 1})
        refused = coordinator.verbs.run("remove", "sweep", "--yes")
        assert refused.code == 1
        assert "kill" in refused.err
        coordinator.verbs.ok("kill", "sweep")
        coordinator.wait_for("sweep", {"succeeded": 1, "killed": 2})
        assert list(agent.withdrawn.values()) == ["kill"]
    unasked = coordinator.verbs.run("remove", "sweep")
    assert unasked.code == 2
    assert "--yes" in unasked.err
    assert (coordinator.results / "ana/sweep/x1/stdout.txt").exists()
    coordinator.verbs.ok("remove", "sweep", "--yes")
    wait_until(lambda: not (coordinator.results / "ana").exists(), 10, "the results to go")
    assert coordinator.verbs.json("status")["batches"] == []
    coordinator.verbs.ok("submit", batch)


def test_a_build_output_lies_beside_the_jobs(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    from fallow.shared.blobs import BlobStore
    from fallow.shared.messages import BuildReport

    text = SWEEP.replace("  run:", "  initialize: {run: make}\n  run:")
    log = b"cc -O2\n"
    hash = BlobStore(tmp_path / "dino/blobs", durable=False).put_bytes(log)
    build = BuildReport("", "", "built", hash, len(log))

    def work(job: JobSpec, attempt: int) -> Result:
        return Result({"stdout.txt": log})  # the same blob, so that the coordinator has it

    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), work, build=build):
        batch = batch_file(text, **{"mesh.txt": "m"})
        assert coordinator.verbs.run("submit", batch, "--wait").code == 0
        place = coordinator.results / "ana/sweep/build_output_dino.txt"
        wait_until(place.exists, 10, "the build's output")
    assert place.read_bytes() == log
    pulled = coordinator.verbs.json("pull", "sweep", "--dest", tmp_path / "here")
    assert "build_output_dino.txt" in pulled["files"]


def test_nobody_is_there(tmp_path: Path, coordinator: Coordinator) -> None:
    coordinator.kill()
    done = coordinator.verbs.run("status")
    assert done.code == 3
    assert "hint:" in done.err
    assert coordinator.verbs.run("status", "--coordinator", tmp_path / "nowhere").code == 3
    stranger = coordinator.verbs.run("status", "--coordinator", "tcp://127.0.0.1:9")
    assert stranger.code == 1
    assert "not joined" in stranger.err


def test_a_dry_run_checks_the_file_where_nobody_answers(
    tmp_path: Path, coordinator: Coordinator, batch_file: WriteBatch
) -> None:
    coordinator.kill()
    batch = batch_file(SWEEP, **{"mesh.txt": "m"})
    done = coordinator.verbs.run("submit", batch, "--dry-run")
    assert done.code == 0
    assert "3 jobs would be submitted" in done.out
    assert "checked here alone" in done.err
    named = coordinator.verbs.run("submit", batch, "--dry-run", "--coordinator", tmp_path / "no")
    assert named.code == 3, "who names a coordinator wants its word"


def test_ctrl_c_while_waiting_says_how_to_come_back(
    coordinator: Coordinator, batch_file: WriteBatch
) -> None:
    batch = batch_file(SWEEP, **{"mesh.txt": "m"})
    waiting = coordinator.verbs.start("submit", batch, "--wait")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "ana:sweep: 3 jobs submitted\n"
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert "coordinator status ana:sweep" in said
    assert "Traceback" not in said
    assert coordinator.counts("sweep") == {"queued": 3}


def test_follow_shows_what_every_job_writes(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    batch = batch_file(SWEEP, **{"mesh.txt": "m"})
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")):
        done = coordinator.verbs.run("submit", batch, "--follow")
    assert done.code == 0, done.err
    for job in ("x1", "x2", "x3"):
        assert f"{job} | hello from {job}\n" in done.out
    assert "ana:sweep: 3 succeeded" in done.out


def test_doctor_finds_a_key_that_others_can_read(coordinator: Coordinator) -> None:
    assert coordinator.verbs.json("doctor")["ok"]
    ana = coordinator.account("ana")
    assert ana.json("doctor")["ok"]
    (key,) = (ana.folder / "config/fallow/keys").iterdir()
    key.chmod(0o644)
    done = ana.run("doctor")
    assert done.code == 1
    assert f"chmod 600 {key}" in done.out
    refused = ana.run("status")
    assert refused.code == 1
    assert "read the secret key" in refused.err


def test_words_that_are_no_verb(coordinator: Coordinator) -> None:
    done = coordinator.verbs.run("statsu")
    assert done.code == 2
    assert "'status'" in done.err
    assert coordinator.verbs.run("status", "--jsn").code == 2
    assert coordinator.verbs.run("status", "a/b/c").code == 2
    assert coordinator.verbs.run("invite", "--expires", "soon").code == 2


def test_a_file_that_changes_after_it_was_read_is_not_sent(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    """The race between the reading and the sending, without the race: the file is another one."""
    from fallow.coordinator.client import Client
    from fallow.coordinator.handing_in import upload
    from fallow.shared.blobs import hash_file
    from fallow.shared.inputs import Gathered
    from fallow.shared.messages import Content

    mesh = tmp_path / "mesh.h5"
    mesh.write_bytes(b"as it was read")
    hash, size = hash_file(mesh)
    mesh.write_bytes(b"as it is now  ")
    gathered = Gathered({"mesh.h5": (Content("", hash, size),)}, {hash: mesh})
    with (
        Client(str(coordinator.data_dir)) as client,
        pytest.raises(FallowError, match="could not be moved") as refused,
    ):
        upload(client, gathered, (hash,), quiet=True)
    assert str(mesh) in str(refused.value)
    assert "submit again" in refused.value.hint
    assert not (coordinator.data_dir / "blobs" / hash[:2] / hash[2:]).exists()


def test_a_pull_that_was_cut_off_goes_on(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    big = random.Random(7).randbytes(64 << 20)
    batch = batch_file(SWEEP.replace("[1, 2, 3]", "[1]"), **{"mesh.txt": "m"})
    with ScriptedAgent(
        tmp_path / "dino", coordinator.token("dino"), lambda job, n: Result({"big": big})
    ):
        assert coordinator.verbs.run("submit", batch, "--wait").code == 0
    for once_more in range(10):
        dest = tmp_path / f"here {once_more}"
        if half_pulled(coordinator, dest):
            break
    else:
        pytest.fail("every pull was through before it could be cut off")
    coordinator.verbs.ok("pull", "sweep", "--dest", dest)
    assert (dest / "ana/sweep/x1/big").read_bytes() == big
    assert not (dest / "ana/sweep/.fallow-pull").exists()


def half_pulled(coordinator: Coordinator, dest: Path) -> bool:
    """Kill a pull after its first bytes; False when it was quicker."""
    arriving = dest / "ana/sweep/.fallow-pull/tmp"

    def received() -> int:
        sizes = [0]
        for path in arriving.glob("*"):
            with contextlib.suppress(FileNotFoundError):  # all here by now, and in its place
                sizes.append(path.stat().st_size)
        return max(sizes)

    pulling = coordinator.verbs.start("pull", "sweep", "--dest", dest)
    wait_until(lambda: pulling.poll() is not None or received(), 20, "the first bytes")
    pulling.kill()
    pulling.communicate()
    return received() > 0 and not (dest / "ana/sweep/x1/big").exists()
