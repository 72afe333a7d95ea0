"""Batches through a real coordinator and real workstations, and what a person at the desk does."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from main_job.conftest import Coordinator
from main_job.workstation import (
    FREE_DESK,
    JOBS,
    SCRIPT,
    WITHOUT_BUBBLEWRAP,
    Workstation,
    alive,
    ticks,
)
from processes.started import standing
from waiting import wait_until

BUSY_TREE = Path(__file__).parents[1] / "processes" / "busy_tree.py"

ORIGINAL = """
meta: {namespace: ana_cfd, batch_name: channel, capabilities: [], matrix: ~}
python:
  initialize:
    build_file: {path: build.py}
    required_files: [{path: mesh.txt, alias: mesh.h5}]
  jobs:
    - {name: one, file: {path: run.py}, required_files: [{path: case1.json, alias: case.json}]}
    - {name: two, file: {path: run.py}, required_files: [{path: case2.json, alias: case.json}]}
    - {name: bad, file: {path: run.py}, required_files: [{path: case3.json, alias: case.json}]}
"""
BUILD = """
import pathlib
assert pathlib.Path("input/mesh.h5").read_text() == "a mesh"
pathlib.Path("solver.txt").write_text("built")
print("building")
"""
RUN = """
import json, pathlib, sys
case = json.loads(pathlib.Path("input/case.json").read_text())
assert pathlib.Path("input/mesh.h5").read_text() == "a mesh"
assert pathlib.Path("solver.txt").read_text() == "built"
out = pathlib.Path("distribute_save")
(out / "deep").mkdir()
(out / "deep" / "result.txt").write_text(f"{case['n']} {sys.argv[1]}")
print("case", case["n"])
print("complaint", file=sys.stderr)
sys.exit(case["code"])
"""


def one_job(line: str, name: str = "b", more: str = "") -> str:
    return (
        f"meta: {{namespace: ana, batch_name: {name}}}\n"
        f"command:\n  jobs:\n    - name: j\n      run: {json.dumps(line)}\n{more}"
        "resources: {cpus: 1, memory: 64MiB}\n"
    )


def submit(coordinator: Coordinator, file: Path) -> None:
    coordinator.verbs.ok("submit", file)


def test_a_batch_in_the_original_format(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    cases = {f"case{n}.json": json.dumps({"n": n, "code": 3 if n == 3 else 0}) for n in (1, 2, 3)}
    file = batch_file(ORIGINAL, **{"build.py": BUILD, "run.py": RUN, "mesh.txt": "a mesh"}, **cases)
    waited = coordinator.verbs.run("submit", file, "--wait")
    assert waited.code == 4, waited.err
    assert coordinator.counts("channel") == {"succeeded": 2, "failed": 1}
    dest = coordinator.folder / "pulled"
    coordinator.verbs.ok("pull", "channel", "--dest", dest)
    batch = dest / "ana_cfd" / "channel"
    for name, number in (("one", 1), ("two", 2), ("bad", 3)):
        assert (batch / name / "deep" / "result.txt").read_text().split() == [str(number), "2"]
        assert (batch / name / "stdout.txt").read_text() == f"case {number}\n"
        assert (batch / name / "stderr.txt").read_text() == "complaint\n"
        told = json.loads((batch / name / "attempt.json").read_text())
        assert told["workstation"] == "ws1"
        assert told["exit"] == {"type": "exited", "code": 3 if number == 3 else 0}
    assert (batch / "build_output_ws1.txt").read_text() == "building\n"
    wait_until(lambda: not workstation.left_on_disk(), 10, "the workstation to keep nothing")


GROWING = """
i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); /bin/sleep 0.05; done
echo done > distribute_save/end.txt
"""
WHOLE = "".join(f"line {n}\n" for n in range(60))


def finished_whole(coordinator: Coordinator, batch: str) -> None:
    """One attempt, and all of its output."""
    coordinator.wait_for(batch, {"succeeded": 1}, 30)
    folder = coordinator.results / "ana" / batch / "j"
    assert (folder / "stdout.txt").read_text() == WHOLE
    assert (folder / "end.txt").read_text() == "done\n"
    assert json.loads((folder / "attempt.json").read_text())["attempt"] == 1
    (state,) = coordinator.verbs.json("status", batch)["batches"][0]["jobs"]
    assert (state["attempts"], state["crashes"], state["evictions"]) == (1, 0, 0)


def test_the_agent_is_killed_mid_job(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    submit(coordinator, batch_file(one_job(GROWING)))
    before = workstation.wait_for_run("running").pids
    workstation.kill()
    # Its shell lives on; the sleeps that it starts come and go.
    assert any(map(alive, before))
    workstation.start()
    assert set(before) & set(workstation.wait_for_run("running").pids)
    finished_whole(coordinator, "b")


def test_the_agent_is_stopped_in_good_order_mid_job(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    submit(coordinator, batch_file(one_job(GROWING)))
    workstation.wait_for_run("running")
    assert workstation.stop() == 0
    workstation.start()
    finished_whole(coordinator, "b")


def test_the_coordinator_is_killed_mid_job(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    submit(coordinator, batch_file(one_job(GROWING)))
    workstation.wait_for_run("running")
    coordinator.kill()
    coordinator.start()
    finished_whole(coordinator, "b")


def test_both_are_killed_while_the_job_ends(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    submit(coordinator, batch_file(one_job(GROWING)))
    pids = workstation.wait_for_run("running").pids
    workstation.kill()
    coordinator.kill()
    wait_until(lambda: not any(map(alive, pids)), 20, "the job to end")
    coordinator.start()
    workstation.start()
    finished_whole(coordinator, "b")
    wait_until(lambda: not workstation.left_on_disk(), 10, "the workstation to keep nothing")


def test_a_key_press_stops_every_process_of_an_adopted_job(
    coordinator: Coordinator, new_workstation: Callable[..., Workstation], tmp_path: Path
) -> None:
    desk = '[presence]\nidle_after = "6s"\nsettle = "0s"\nac_only = false\nforeign_cpu = 1.0\n'
    workstation = new_workstation("ws1", desk + JOBS)
    person = workstation.person()
    person.touch()
    wait_until(lambda: workstation.quick_status().verdict == "away", 20, "the desk to be free")
    folder = tmp_path / "batches"
    folder.mkdir()
    (folder / "tree.py").write_text(BUSY_TREE.read_text())
    (folder / "batch.yaml").write_text(
        "meta: {namespace: ana, batch_name: tree}\n"
        "command:\n  required_files: [tree.py]\n"
        "  jobs: [{name: j, run: python3 input/tree.py 777}]\n"
    )
    submit(coordinator, folder / "batch.yaml")
    workstation.wait_for_run("running")
    wait_until(lambda: len(workstation.pids()) >= 20, 60, "all twenty processes")
    workstation.kill()
    workstation.start()
    person = workstation.person()
    person.touch()
    wait_until(lambda: workstation.quick_status().verdict == "away", 20, "the desk to be free")
    run = workstation.wait_for_run("running")
    pids = set(run.pids)
    assert len(pids) >= 20
    assert len([pid for pid in pids if not Path(f"/proc/{pid}/environ").read_bytes()]) == 1
    person.touch()
    # Each has its stop by now; one that waits for a processor is only seen stopped a little later.
    before = ticks(pids)
    wait_until(lambda: standing(pids), 20, "all of them to be seen stopped")
    assert ticks(pids) <= before + 2
    before = ticks(pids)
    told = workstation.status()
    assert told["state"] == "paused"
    assert told["reasons"][0]["kind"] == "input"
    assert told["reasons"][0]["until"] > time.time()
    assert told["runs"][0]["state"] == "paused"
    wait_until(
        lambda: coordinator.counts("tree") == {"paused": 1}, 10, "the coordinator to say paused"
    )
    assert ticks(pids) == before
    wait_until(lambda: workstation.wait_for_run("running"), 20, "it to go on by itself")
    wait_until(lambda: ticks(pids) > before, 10, "the processes to run again")
    coordinator.verbs.ok("kill", "tree")
    wait_until(lambda: not any(map(alive, pids)), 20, "the job to be ended")


def test_a_job_that_saves_itself_when_killed_has_not_finished(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    line = (
        "trap 'echo saved > distribute_save/state; exit 0' TERM; "
        "echo ready; while :; do /bin/sleep 0.05; done"
    )
    submit(coordinator, batch_file(one_job(line)))
    workstation.wait_for_run("running")
    wait_until(
        lambda: "ready" in coordinator.verbs.run("logs", "b/j").out, 10, "the trap to be set"
    )
    coordinator.verbs.ok("kill", "b")
    coordinator.wait_for("b", {"killed": 1})
    wait_until(lambda: not workstation.left_on_disk(), 10, "the workstation to keep nothing")
    assert not (coordinator.results / "ana" / "b" / "j" / "state").exists()


def test_killed_while_the_workstation_was_offline(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    submit(coordinator, batch_file(one_job("echo x > distribute_save/x; exec /bin/sleep 600")))
    pids = workstation.wait_for_run("running").pids
    workstation.kill()
    coordinator.verbs.ok("kill", "b")
    assert all(map(alive, pids))
    workstation.start()
    wait_until(lambda: not any(map(alive, pids)), 20, "the job to be ended")
    coordinator.wait_for("b", {"killed": 1})
    wait_until(lambda: not workstation.left_on_disk(), 10, "the workstation to keep nothing")
    assert not (coordinator.results / "ana" / "b" / "j" / "x").exists()


def test_a_build_that_fails_on_one_of_two_workstations(
    coordinator: Coordinator,
    new_workstation: Callable[..., Workstation],
    batch_file: Callable[..., Path],
) -> None:
    bad = tmp = coordinator.folder / "marker"
    tmp.mkdir()
    (bad / "bad").write_text("")
    lame = FREE_DESK + JOBS + f'read_only = ["{bad}"]\n'
    new_workstation("bad", lame)
    new_workstation("good", FREE_DESK + JOBS)
    text = (
        "meta: {namespace: ana, batch_name: built}\n"
        "command:\n"
        f'  initialize: {{run: "echo trying; test ! -e {bad}/bad"}}\n'
        "  run: echo {i}\n  sweep: {i: [1, 2, 3, 4]}\n  name: j{i}\n"
    )
    done = coordinator.verbs.run("submit", batch_file(text), "--wait")
    assert done.code == 0, done.err
    (found,) = coordinator.verbs.json("status", "built")["batches"]
    assert found["counts"]["succeeded"] == 4
    for job in found["jobs"]:
        assert job["workstation"] == "good"
        assert (job["failures"], job["crashes"], job["evictions"]) == (0, 0, 0)
    log = coordinator.results / "ana/built/build_output_bad.txt"
    wait_until(log.exists, 10, "the log of the build that failed")
    assert log.read_text() == "trying\n"


def test_a_pause_by_hand_stops_a_build_and_survives_restarts(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    text = (
        "meta: {namespace: ana, batch_name: slow}\n"
        "command:\n"
        '  initialize: {run: "while :; do :; done"}\n'
        "  jobs: [{name: j, run: echo}]\n"
    )
    submit(coordinator, batch_file(text))
    wait_until(workstation.pids, 20, "the build to run")
    paused = workstation.verb("pause", "1h")
    assert paused.returncode == 0, paused.stderr
    assert "you asked" in paused.stdout
    pids = workstation.pids()
    wait_until(lambda: standing(pids), 20, "the build to stop")
    before = ticks(pids)
    workstation.kill()
    workstation.start()
    told = workstation.status()
    assert told["state"] == "paused"
    assert told["reasons"][0]["kind"] == "pause"
    assert 3500 < told["reasons"][0]["until"] - time.time() <= 3600
    assert workstation.pids() == pids
    assert standing(pids)
    assert ticks(pids) == before
    assert workstation.verb("resume").returncode == 0
    wait_until(lambda: ticks(pids) > before, 10, "the build to go on")
    coordinator.verbs.ok("kill", "slow")
    wait_until(lambda: not any(map(alive, pids)), 20, "the build to be ended")


def test_a_second_agent_says_who_has_the_folder(workstation: Workstation) -> None:
    assert workstation.process is not None
    done = workstation.verb("agent")
    assert done.returncode == 1
    assert str(workstation.process.pid) in done.stderr
    assert "already runs" in done.stderr
    assert f"tray status --data-dir {workstation.data_dir}" in done.stderr


def test_no_agent(tmp_path: Path) -> None:
    nobody = Workstation(tmp_path, "nobody")
    done = nobody.verb("status")
    assert done.returncode == 3
    assert "tray agent" in done.stderr
    assert nobody.verb("pause", "soon").returncode == 2
    assert os.listdir(nobody.data_dir) == ["agent.toml"]
    (nobody.data_dir / "runs").touch()
    started = nobody.verb("agent")
    assert started.returncode == 1
    assert "cannot use its folder" in started.stderr
    nobody.data_dir = nobody.data_dir / "agent.toml" / "below"
    joined = nobody.verb("join", "fallow1-x")
    assert joined.returncode == 1
    assert "cannot be used" in joined.stderr


def test_without_bubblewrap_jobs_run_only_where_the_owner_says_so(
    coordinator: Coordinator,
    new_workstation: Callable[..., Workstation],
    batch_file: Callable[..., Path],
) -> None:
    workstation = new_workstation("ws1", FREE_DESK + JOBS, WITHOUT_BUBBLEWRAP)
    told = workstation.status()
    assert told["accepting"] is False
    assert "bubblewrap" in told["notes"][0]
    words: list[str | Path] = [*WITHOUT_BUBBLEWRAP, SCRIPT, "doctor"]
    words += ["--data-dir", workstation.data_dir]
    doctor = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert doctor.returncode == 1
    assert "bubblewrap" in doctor.stdout
    workstation.stop()
    workstation.configure(FREE_DESK + JOBS + 'sandbox = "none"\n')
    workstation.start()
    # Two fit, but they share the place that the build was made for: one after the other.
    text = (
        "meta: {namespace: ana, batch_name: plain}\n"
        "command:\n"
        '  initialize: {run: "pwd > here; echo 0 > count"}\n'
        '  run: "test $(pwd) = $(cat here) && test $(cat count) = 0 && echo 1 > count"\n'
        "  sweep: {i: [1, 2, 3, 4]}\n  name: j{i}\n"
        "resources: {cpus: 1, memory: 64MiB}\n"
    )
    done = coordinator.verbs.run("submit", batch_file(text), "--wait")
    assert done.code == 0, done.err + workstation.errors
    assert coordinator.counts("plain") == {"succeeded": 4}
    wait_until(lambda: not workstation.left_on_disk(), 10, "the workstation to keep nothing")


def test_joining_while_the_agent_runs(coordinator: Coordinator, tmp_path: Path) -> None:
    workstation = Workstation(tmp_path / "workstations", "late")
    workstation.start()
    try:
        assert workstation.status()["connection"] == "unjoined"
        token = coordinator.token("late")
        done = workstation.verb("join", token)
        assert done.returncode == 0, done.stderr
        assert "late" in done.stdout
        workstation.wait_online()
        assert workstation.quick_status().coordinator.name == "late"
        # The same newcomer gets the same answer; nobody else gets in with it.
        assert workstation.verb("join", token).returncode == 0
        thief = Workstation(tmp_path / "workstations", "thief")
        done = thief.verb("join", token)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        done = thief.verb("join", coordinator.token("bob", "submitter"))
        assert done.returncode == 1
        assert "submitter" in done.stderr
    finally:
        assert workstation.stop() == 0


def test_a_revoked_key_is_shut_out_and_its_runs_go_on(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    submit(coordinator, batch_file(one_job("exec /bin/sleep 600")))
    pids = workstation.wait_for_run("running").pids
    coordinator.verbs.ok("keys", "revoke", "ws1")
    wait_until(
        lambda: workstation.quick_status().connection == "refused", 30, "the agent to be refused"
    )
    assert all(map(alive, pids))
    assert "ws1" not in workstation.status()["coordinator"]["name"]
