"""A coordinator's batch goes to a real SLURM and comes back: marked, run there once, handed in.

The coordinator is real too. Not batches from a file: those are in test_there_and_back.py.
"""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from main_job.conftest import Coordinator
from slurm.cluster import Cluster
from slurm.exported import ExportedFolder

pytestmark = pytest.mark.xdist_group("slurm")
REF = "n:b"

BATCH = """\
meta: {namespace: n, batch_name: b}
resources: {cpus: 1, memory: 64MiB}
on_failure: {retries: 1, back_off: 1s}
command:
  initialize: {run: "cat input/base.txt > built.txt", required_files: [base.txt]}
  run: "cat built.txt > distribute_save/out; echo ran {i}; test {i} != 3"
  sweep: {i: [1, 2, 3]}
  name: "j{i}"
"""


@pytest.fixture
def coordinator(tmp_path: Path) -> Generator[Coordinator, None, None]:
    made = Coordinator(tmp_path)
    made.start()
    yield made
    if made.process is not None:
        assert made.stop() == 0, made.errors
    assert "Traceback" not in made.errors, made.errors


Export = Callable[[str], ExportedFolder]


@pytest.fixture
def exported(
    cluster: Cluster, verb: Callable[..., Any], coordinator: Coordinator, tmp_path: Path
) -> Export:
    """Submits the batch to the coordinator and exports it from there."""

    def make(name: str = "on_cluster") -> ExportedFolder:
        folder = tmp_path / name
        told = verb("export", "slurm", REF, folder, "--coordinator", coordinator.data_dir)
        return ExportedFolder(folder, cluster, verb, told)

    (tmp_path / "base.txt").write_text("base\n")
    (tmp_path / "batch.yaml").write_text(BATCH)
    coordinator.verbs.ok("submit", tmp_path / "batch.yaml")
    return make


def test_there_and_back_with_status_and_retry(exported: Export, coordinator: Coordinator) -> None:
    folder = exported("on_cluster")
    assert folder.told["jobs"] == 3
    assert coordinator.counts(REF) == {"exported": 3}
    # The inputs of a file export are here as well: nothing of the coordinator is needed there.
    assert (folder.path / "inputs" / "000001").read_text() == "base\n"
    done = folder.run()
    assert done["counts"]["succeeded"] == 2
    assert "3 jobs of n:b are back" in done["handed_in"]
    coordinator.wait_for(REF, {"succeeded": 2, "failed": 1})
    again = folder.collect()
    assert again["handed_in"] is None
    assert coordinator.counts(REF) == {"succeeded": 2, "failed": 1}

    results = coordinator.results / "n" / "b"
    assert (results / "j1" / "out").read_text() == "base\n"
    assert (results / "j3" / "stdout.txt").read_text() == "ran 3\n"
    (batch,) = coordinator.verbs.json("status", REF)["batches"]
    failed = next(job for job in batch["jobs"] if job["name"] == "j3")
    assert failed["workstation"] == f"slurm:{folder.id}"
    assert failed["attempts"] == 2  # the second try was made on the cluster
    assert coordinator.verbs.json("nodes")["nodes"] == []
    assert "ran 1" in coordinator.verbs.ok("logs", f"{REF}/j1").out

    coordinator.kill()
    coordinator.start()
    assert coordinator.counts(REF) == {"succeeded": 2, "failed": 1}
    # What failed there may be tried here.
    coordinator.verbs.ok("retry", REF, "--failed")
    assert coordinator.counts(REF) == {"succeeded": 2, "queued": 1}
    assert folder.collect()["handed_in"] is None
    assert coordinator.counts(REF) == {"succeeded": 2, "queued": 1}


def test_in_parts_while_jobs_still_run(
    exported: Export, coordinator: Coordinator, cluster: Cluster, tmp_path: Path
) -> None:
    folder = exported("on_cluster")
    folder.submit()
    folder.wait()
    # As if the third job's files were still on their way.
    third = folder.path / "runs" / "000002"
    third.rename(tmp_path / "elsewhere")
    folder.collect()
    coordinator.wait_for(REF, {"succeeded": 2, "exported": 1})
    (tmp_path / "elsewhere").rename(third)
    folder.collect()
    coordinator.wait_for(REF, {"succeeded": 2, "failed": 1})


def test_release_takes_it_back_and_kill_names_cancel_sh(
    exported: Export, coordinator: Coordinator
) -> None:
    folder = exported("on_cluster")
    coordinator.verbs.ok("release", f"{REF}/j1")
    assert coordinator.counts(REF) == {"exported": 2, "queued": 1}
    said = coordinator.verbs.ok("kill", f"{REF}/j2").out
    assert f"./cancel.sh of export {folder.id}" in said
    folder.run()
    # What was taken back or killed meanwhile is passed over.
    coordinator.wait_for(REF, {"failed": 1, "queued": 1, "killed": 1})


def test_cancelled_there_is_killed_here(exported: Export, coordinator: Coordinator) -> None:
    folder = exported("on_cluster")
    folder.submit()
    folder.ok("cancel.sh")
    folder.wait()
    done = folder.collect()
    assert done["counts"]["killed"] == 3, done
    coordinator.wait_for(REF, {"killed": 3})


def test_nothing_that_waits_is_nothing_to_export(
    exported: Export, coordinator: Coordinator, tmp_path: Path
) -> None:
    exported("on_cluster")
    done = coordinator.verbs.run("export", "slurm", REF, tmp_path / "again")
    assert done.code == 1
    assert "nothing to export" in done.err
    assert not (tmp_path / "again").exists()


def test_a_coordinator_that_is_away_is_told_next_time(
    exported: Export, coordinator: Coordinator
) -> None:
    folder = exported("on_cluster")
    folder.submit()
    folder.wait()
    coordinator.stop()
    away = folder.collect()
    assert away["handed_in"] is None
    assert away["counts"]["succeeded"] == 2
    coordinator.start()
    assert "3 jobs" in folder.collect()["handed_in"]
    coordinator.wait_for(REF, {"succeeded": 2, "failed": 1})
