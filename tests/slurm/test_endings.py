"""How jobs end on a real SLURM, and that `collect` says so: each in its own words.

Not that they come back at all: that is test_there_and_back.py.
"""

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from slurm.cluster import NODE, Cluster
from slurm.exported import ExportedFolder
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("slurm")
Export = Callable[..., ExportedFolder]

HEAD = "meta: {namespace: n, batch_name: b}\nresources: {cpus: 1, memory: 64MiB}\n"


def record_of(folder: ExportedFolder, job: str) -> Any:
    return json.loads(folder.output(job, "attempt.json"))


def reasons(done: Any) -> dict[str, tuple[str, str]]:
    return {each["job"]: (each["state"], each["reason"]) for each in done["problems"]}


def begun(folder: ExportedFolder, index: int, attempt: int = 1) -> None:
    stdout = folder.path / "runs" / f"{index:06}" / str(attempt) / "stdout.txt"

    def has_begun() -> bool:
        # What it wrote in the attempts before comes first.
        return stdout.is_file() and stdout.read_text().count("begun") >= attempt

    wait_until(has_begun, 60, f"{stdout} to begin")


def begun_again(folder: ExportedFolder, cluster: Cluster, attempt: int) -> None:
    """A requeued job would begin two minutes later; an admin may say now."""
    place = folder.path / "runs" / "000000" / str(attempt) / "began"
    said = 0.0

    def nudged() -> bool:
        nonlocal said
        # Said at every look, it would be put off at every look.
        if time.monotonic() > said + 1.5:
            said = time.monotonic()
            for job, task, _ in folder.tasks("PENDING"):
                cluster.run("scontrol", "update", f"JobId={job}_{task}", "StartTime=now")
        return place.is_file()

    wait_until(nudged, 60, f"attempt {attempt}")
    begun(folder, 0, attempt)


def test_a_signal_a_code_a_run_time_and_a_missing_program(exported: Export) -> None:
    folder = exported(
        HEAD
        + """\
limits: {run_time: 1.5s}
checkpoint: {grace: 1s}
command:
  jobs:
    - {name: code, run: "echo said; exit 3"}
    - {name: signal, run: "kill -SEGV $$"}
    - {name: slow, run: "echo begun; sleep 60"}
    - {name: stubborn, run: "trap '' TERM; echo begun; echo kept > distribute_save/x; sleep 60"}
    - {name: missing, run: [no-such-program]}
    - {name: quick, run: "true"}
"""
    )
    # The stubborn one is killed a second after it was told to end.
    done = folder.run()
    assert done["counts"]["succeeded"] == 1
    assert done["counts"]["failed"] == 5
    assert reasons(done) == {
        "code": ("failed", "exit code 3"),
        "signal": ("failed", "it was ended by signal 11"),
        "slow": ("failed", "it ran longer than its run_time"),
        "stubborn": ("failed", "it ran longer than its run_time"),
        "missing": ("failed", "exit code 127"),
    }
    assert record_of(folder, "signal")["exit"] == {"type": "signalled", "signal": 11}
    assert record_of(folder, "slow")["exit"] == {"type": "stopped", "why": "run_time"}
    assert 1.4 < record_of(folder, "slow")["run_seconds"] < 10
    assert folder.output("stubborn", "x") == "kept\n"
    assert folder.output("code") == "said\n"
    assert "no-such-program" in folder.output("missing", "stderr.txt")


def test_retries_keep_every_failed_attempt(exported: Export) -> None:
    folder = exported(
        HEAD
        + """\
on_failure: {retries: 2, back_off: 1s}
command:
  jobs:
    - {name: third, run: "echo $FALLOW_ATTEMPT > distribute_save/n; test $FALLOW_ATTEMPT = 3"}
    - {name: never, run: "exit 9"}
"""
    )
    done = folder.run()
    assert done["counts"]["succeeded"] == 1
    assert reasons(done) == {"never": ("failed", "exit code 9")}
    assert folder.output("third", "n") == "3\n"
    kept = sorted(path.name for path in (folder.results() / "third" / ".attempts").iterdir())
    assert kept == ["1", "2"]
    assert folder.output("third", ".attempts/2/n") == "2\n"
    assert record_of(folder, "never")["attempt"] == 3


def test_cancelled_while_it_runs_and_while_it_waits(exported: Export, cluster: Cluster) -> None:
    folder = exported(
        HEAD
        + """\
command:
  jobs:
    - {name: runs, run: "echo begun; sleep 300"}
    - {name: waits, run: "true", resources: {cpus: 64}}
"""
    )
    folder.submit()
    begun(folder, 0)
    early = folder.collect()
    assert early["counts"]["running"] == 1
    assert early["counts"]["queued"] == 1
    assert not early["over"]
    assert "cancelled" in folder.ok("cancel.sh")
    folder.wait()
    assert "nothing waits or runs" in folder.ok("cancel.sh")
    done = folder.collect()
    assert done["counts"]["killed"] == 2
    assert reasons(done)["runs"] == ("killed", "it was cancelled")
    assert "CANCELLED" in reasons(done)["waits"][1]
    assert done["over"]


def test_a_failed_build_cancels_the_jobs(exported: Export) -> None:
    folder = exported(
        HEAD
        + """\
command:
  initialize: {run: "echo no compiler >&2; exit 4"}
  run: "true"
  sweep: {a: [1, 2, 3]}
  name: "a{a}"
"""
    )
    done = folder.run()
    assert done["counts"]["killed"] == 3
    assert done["build"] == "the build failed with exit code 4 (see build/1/log.txt)"
    assert reasons(done)["a1"] == ("killed", f"it was cancelled, since {done['build']}")
    (log,) = folder.results().glob("build_output_*.txt")
    assert log.read_text() == "no compiler\n"
    assert "FAILED" in folder.ok("status.sh")


def test_requeued_by_slurm_it_begins_again_with_its_output_appended(
    exported: Export, cluster: Cluster
) -> None:
    folder = exported(
        HEAD
        + """\
command:
  jobs:
    - name: a
      run: "echo begun $FALLOW_ATTEMPT; if [ $FALLOW_ATTEMPT = 1 ]; then sleep 300; fi"
"""
    )
    folder.submit()
    begun(folder, 0)
    ((job, task, _),) = folder.tasks()
    cluster.run("scontrol", "requeue", f"{job}_{task}")
    begun_again(folder, cluster, 2)
    folder.wait()
    done = folder.collect()
    assert done["counts"]["succeeded"] == 1, done
    assert folder.output("a") == "begun 1\nbegun 2\n"
    assert record_of(folder, "a")["attempt"] == 2


CHECKPOINT = (
    HEAD
    + """\
checkpoint: {signal: USR1, grace: 20s, files: [saved/, one.txt]}
command:
  jobs:
    - {name: a, run: [/bin/bash, input/solver], required_files: [solver]}
"""
)
SOLVER = """\
mkdir -p saved/deep
step=$(cat saved/deep/step 2>/dev/null || echo 7)
save() {
  step=$((step + 1))
  echo $step > saved/deep/step
  echo one > one.txt
  echo saved at $step
  exit 0
}
trap save USR1
echo begun at $step
while [ $FALLOW_ATTEMPT -lt 3 ]; do sleep 0.05; step=$((step + 1)); done
cp -R saved one.txt distribute_save/
"""


def test_a_checkpoint_goes_on_in_the_next_attempt_when_the_time_is_nearly_over(
    exported: Export, cluster: Cluster, tmp_path: Any
) -> None:
    (tmp_path / "solver").write_text(SOLVER)
    folder = exported(CHECKPOINT)
    assert "--signal=B:USR1@35" in (folder.path / "class1.sbatch").read_text()
    folder.submit()
    begun(folder, 0)
    for attempt in (1, 2):
        ((job, task, _),) = folder.tasks()
        # What SLURM itself does 35 seconds before the end.
        cluster.run("scancel", "--batch", "--signal=USR1", f"{job}_{task}")
        status = folder.path / "runs" / "000000" / str(attempt) / "status"
        wait_until(status.is_file, 60, "the end of the attempt")
        assert "how=requeued" in status.read_text()
        begun_again(folder, cluster, attempt + 1)
    folder.wait()
    done = folder.collect()
    assert done["counts"]["succeeded"] == 1, done
    lines = folder.output("a").splitlines()
    assert lines[0] == "begun at 7"
    assert lines[1].startswith("saved at ")
    # Each begins with the step that the one before has saved.
    assert lines[2].split()[-1] == lines[1].split()[-1] != "7"
    assert lines[4].split()[-1] == lines[3].split()[-1]
    assert folder.output("a", "one.txt") == "one\n"
    assert folder.output("a", "saved/deep/step").strip() == lines[3].split()[-1]


def test_a_cancelled_job_has_saved_itself(
    exported: Export, cluster: Cluster, tmp_path: Any
) -> None:
    (tmp_path / "solver").write_text(SOLVER.replace("save USR1", "save TERM"))
    folder = exported(CHECKPOINT.replace("USR1", "TERM"))
    folder.submit()
    begun(folder, 0)
    folder.ok("cancel.sh")
    folder.wait()
    assert folder.collect()["counts"]["killed"] == 1
    assert (folder.path / "runs" / "000000" / "checkpoint" / "one.txt").is_file()
    # Submitted again it goes on from there.
    assert "submitted as" in folder.submit("--again")
    begun(folder, 0, 2)
    text = (folder.path / "runs" / "000000" / "2" / "stdout.txt").read_text()
    assert text.splitlines()[-1] != "begun at 7"
    folder.ok("cancel.sh")


def test_a_node_that_dies_is_named_with_slurms_last_word(
    exported: Export, cluster: Cluster
) -> None:
    folder = exported(
        HEAD
        + """\
on_lost: {then: wait}
command:
  jobs:
    - {name: a, run: "echo begun; sleep 300"}
"""
    )
    folder.submit()
    begun(folder, 0)
    began = (folder.path / "runs" / "000000" / "1" / "began").read_text()
    try:
        cluster.stop_daemon("slurmd", signal.SIGKILL)
        cluster.end_step(began)
        cluster.run("scontrol", "update", f"NodeName={NODE}", "State=DOWN", "Reason=test")
        wait_until(lambda: not folder.tasks("RUNNING,COMPLETING"), 60, "SLURM to give it up")
    finally:
        cluster.start()
    done = folder.collect()
    assert done["counts"]["failed"] == 1, done
    _, reason = reasons(done)["a"]
    assert "without leaving a status. SLURM's last word: NODE_FAIL" in reason
    assert folder.output("a") == "begun\n"
    assert record_of(folder, "a")["exit"] == {"type": "crashed"}
