"""What a person sees of a batch while it runs: the event stream, live output, bars.

The workstation is scripted; the real one's pauses are in test_real_desks.py.
"""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fallow.shared.messages import JobSpec
from fallow.shared.runs import Exited, Progress
from main_job.conftest import Coordinator
from main_job.scripted_agent import Result, ScriptedAgent
from main_job.test_terminal import Terminal
from main_job.workstation import Workstation
from waiting import wait_until

WriteBatch = Callable[..., Path]
BATCH = """
meta: {namespace: ana, batch_name: b}
command: {run: "echo {x}", sweep: {x: [1, 2, 3]}, name: "x{x}"}
"""
ONE = BATCH.replace("[1, 2, 3]", "[1]")


def works_on(job: JobSpec, attempt: int) -> None:
    return None


def test_the_stream_tells_each_thing_once(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    watching = coordinator.verbs.start("watch", "--json")
    token = coordinator.token("dino")

    def fails(job: JobSpec, attempt: int) -> Result:
        return Result({"stdout.txt": b"", "stderr.txt": b"no\n"}, Exited(3 * (job.job == "x2")))

    with ScriptedAgent(tmp_path / "dino", token, fails):
        assert coordinator.verbs.run("submit", batch_file(BATCH), "--wait").code == 4
        coordinator.kill()
        coordinator.start()
        coordinator.verbs.ok("submit", batch_file(ONE), "--name", "later", "--wait")
    seen: list[Any] = []
    assert watching.stdout is not None
    while not seen or (seen[-1]["kind"], seen[-1]["ref"]) != ("done", "ana:later/x1"):
        seen.append(json.loads(watching.stdout.readline()))
    watching.send_signal(signal.SIGINT)
    _, complaint = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert "Traceback" not in complaint
    assert {event["schema"] for event in seen} == {1}
    ids = [event["id"] for event in seen]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    done = {event["ref"]: event["text"] for event in seen if event["kind"] == "done"}
    assert done == {
        "ana:b/x1": "succeeded",
        "ana:b/x2": "failed",
        "ana:b/x3": "succeeded",
        "ana:later/x1": "succeeded",
    }
    finished = [event for event in seen if event["kind"] == "finished"]
    assert [(event["run_seconds"], event["node"]) for event in finished] == [(1.0, "dino")] * 4
    # Said again from the audit, whole and by batch.
    again = coordinator.verbs.ok("watch", "--once", "--json").out.splitlines()
    told = [json.loads(line) for line in again]
    # The workstation has gone without a word, which may have been noticed since.
    assert [event for event in told if ids[0] <= event["id"] <= ids[-1]] == seen
    of_one = coordinator.verbs.ok("watch", "b/x2", "--once", "--json").out.splitlines()
    assert {json.loads(line)["ref"] for line in of_one} == {"ana:b/x2"}
    lines = coordinator.verbs.ok("watch", "ana:b", "--once").out
    assert "submitted" in lines
    assert "later" not in lines
    assert "ran 1 s" in lines
    assert coordinator.verbs.ok("watch", "--since", "2100-01-01", "--once").out == ""
    bad = coordinator.verbs.run("watch", "--since", "yesterday")
    assert bad.code == 2
    assert "2026-11-22" in bad.err
    assert coordinator.verbs.run("watch", "nobody:knows").code != 0


def test_the_stream_of_a_removed_batch_is_still_there(
    coordinator: Coordinator, batch_file: WriteBatch
) -> None:
    coordinator.verbs.ok("submit", batch_file(ONE))
    coordinator.verbs.ok("kill", "b")
    coordinator.verbs.ok("remove", "b", "--yes")
    lines = coordinator.verbs.ok("watch", "ana:b", "--once").out.splitlines()
    assert [line.split()[1] for line in lines] == ["submitted", "done", "killed", "removed"]


def test_submit_follow_tells_what_it_waits_for(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    needs_julia = ONE.replace("batch_name: b", "batch_name: b, capabilities: [julia]")
    following = coordinator.verbs.start("submit", batch_file(needs_julia), "--follow")
    assert following.stderr is not None
    assert following.stderr.readline().startswith("warning: ")
    told = following.stderr.readline()
    assert told == "[queued: no workstation has joined yet; what helps: coordinator why ana:b]\n"
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")):
        while (told := following.stderr.readline()) == "[queued: dino has only just connected]\n":
            pass
        assert told == "[queued: dino has no julia]\n"
        coordinator.verbs.ok("kill", "b")
        out, rest = following.communicate(timeout=30)
    assert following.returncode == 4
    assert out.splitlines()[-1] == "ana:b: 1 killed"
    assert rest.startswith("error: Not every job of ana:b succeeded")


def test_logs_follow_tells_why_nothing_comes(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    coordinator.verbs.ok("submit", batch_file(ONE))
    following = coordinator.verbs.start("logs", "b/x1", "--follow")
    assert following.stderr is not None
    assert following.stdout is not None
    assert "queued because" in following.stderr.readline()
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), works_on) as agent:
        agent.live_output = b"step 1\n"
        assert following.stderr.readline() == "[running]\n"
        assert following.stdout.readline() == "step 1\n"
        (attempt,) = agent.runs
        agent.runs[attempt] = replace(agent.runs[attempt], frozen=True)
        assert "paused because" in following.stderr.readline()
        # What it wrote before the pause is to be had, and the coordinator may come and go.
        agent.live_output += b"step 2\n"
        assert following.stdout.readline() == "step 2\n"
        coordinator.kill()
        coordinator.start()
        agent.live_output += b"step 3\n"
        assert following.stdout.readline() == "step 3\n"
        agent.runs[attempt] = replace(agent.runs[attempt], frozen=False)
        whole = agent.live_output + b"end\n"
        agent.change_work(lambda job, attempt: Result({"stdout.txt": whole, "stderr.txt": b""}))
        rest, said = following.communicate(timeout=60)
    assert rest == "end\n"
    assert following.returncode == 0
    assert "Traceback" not in said


def test_status_shows_what_a_job_says_of_itself(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    coordinator.verbs.ok("submit", batch_file(BATCH))
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), works_on, cpus=1) as agent:
        wait_until(lambda: agent.runs, 30, "a job to run")
        (attempt,) = agent.runs
        running = replace(
            agent.runs[attempt], run_seconds=25.0, progress=Progress(0.25, "mesh \x1b[31mdone")
        )
        agent.runs[attempt] = running
        wait_until(
            lambda: coordinator.verbs.json("status", "b")["batches"][0]["jobs"][0]["progress"],
            30,
            "its progress to be known",
        )
        (batch,) = coordinator.verbs.json("status", "b")["batches"]
        job = batch["jobs"][0]
        assert (job["progress"], job["eta_seconds"]) == (0.25, 75.0)
        assert batch["eta_seconds"] == 75.0 + 2 * 100.0
        plain = coordinator.verbs.start("status", "b", "--watch")
        assert plain.stdout is not None
        assert "ana:b: running, 2 queued, 1 running, 4 min 35 s left" in plain.stdout.readline()
        watching = Terminal(coordinator, "status", "b", "--watch")
        watching.until("25 %")
        assert "mesh ?[31mdone" in watching.read()
        assert "━" in watching.text
        assert "8 %" in watching.text  # a quarter of one of three
        agent.runs[attempt] = replace(running, progress=Progress(0.5))
        watching.until("50 %")
        watching.process.send_signal(signal.SIGINT)
        assert watching.ended() == 130
        assert watching.text.rstrip().endswith("interrupted")
        assert "\x1b[?25h" in watching.text  # the cursor is there again
        agent.runs[attempt] = replace(running, progress=None)
        plain.send_signal(signal.SIGINT)
        _, said = plain.communicate(timeout=30)
        assert "Traceback" not in said


def test_a_report_of_what_happened(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    def fails(job: JobSpec, attempt: int) -> Result:
        bad = job.job == "x2"
        words = b"".join(b"line %d of <b>many</b>\n" % number for number in range(2000))
        files = {"stdout.txt": b"", "stderr.txt": words if bad else b""}
        return Result(files, Exited(3 if bad else 0))

    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), fails):
        assert coordinator.verbs.run("submit", batch_file(BATCH), "--wait").code == 4
        coordinator.verbs.ok("submit", batch_file(ONE), "--name", "later", "--wait")
        # Into a pipe, what is over is not watched for ever.
        assert coordinator.verbs.ok("status", "later", "--watch").out.endswith("1 succeeded\n")
        whole = coordinator.verbs.json("report", "-o", "all.html")
        assert (whole["jobs"], whole["succeeded"], whole["failed"]) == (4, 3, 1)
        of_one = coordinator.verbs.json("report", "b", "-o", "b.html")
        assert (of_one["jobs"], of_one["run_seconds"]) == (3, 3.0)
    page = (coordinator.verbs.folder / "b.html").read_text()
    assert "<h1>ana:b</h1>" in page
    assert "line 1999 of &lt;b&gt;many&lt;/b&gt;" in page
    assert "line 1900" not in page
    assert "exit code 3; attempt 1 on dino" in page
    assert coordinator.verbs.ok("report", "b/x1", "-o", "-").out.startswith("<!DOCTYPE html>")
    nowhere = coordinator.verbs.run("report", "-o", "no/such/folder.html")
    assert nowhere.code == 1
    assert "cannot be written" in nowhere.err


def test_a_real_job_is_followed_over_a_pause(
    coordinator: Coordinator, batch_file: WriteBatch, new_workstation: Callable[..., Workstation]
) -> None:
    batch = batch_file(
        """
meta: {namespace: ana, batch_name: b}
command:
  run: 'echo one; echo "0.25 a quarter" > $FALLOW_PROGRESS; sleep 600'
  jobs: [{name: j}]
"""
    )
    workstation = new_workstation("ws1")
    coordinator.verbs.ok("submit", batch)
    following = coordinator.verbs.start("logs", "b/j", "--follow")
    assert following.stdout is not None
    assert following.stderr is not None
    assert following.stdout.readline() == "one\n"

    def job() -> dict[str, Any]:
        found: dict[str, Any] = coordinator.verbs.json("status", "b")["batches"][0]["jobs"][0]
        return found

    wait_until(lambda: job()["progress"] == 0.25, 30, "its progress")
    assert job()["progress_text"] == "a quarter"
    assert job()["eta_seconds"] is not None
    assert workstation.verb("pause").returncode == 0
    said = ""
    while "paused because" not in said:
        said = following.stderr.readline()
        assert said
    assert "ws1" in said
    # What it wrote before is still to be had while it stands still.
    assert coordinator.verbs.ok("logs", "b/j").out == "one\n"
    assert workstation.verb("resume").returncode == 0
    assert following.stderr.readline() == "[running]\n"
    coordinator.verbs.ok("kill", "b/j")
    following.communicate(timeout=60)
    assert following.returncode == 0
