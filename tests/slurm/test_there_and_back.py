"""Batches that go to a real SLURM and come back: the whole path."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm.exported import ExportedFolder

pytestmark = pytest.mark.xdist_group("slurm")
Export = Callable[..., ExportedFolder]

SWEEP = """\
meta: {namespace: n, batch_name: b}
command:
  initialize: {run: "cp input/base.txt built.txt; echo building", required_files: [base.txt]}
  required_files: [{path: "cases/{re}.txt", alias: case.txt}, {path: data, alias: tables}]
  run: "cat built.txt case.txt tables/deep/x > distribute_save/all.txt; echo {re}; test {re} != 30"
  sweep: {re: [10, 20, 30]}
  name: "re{re}"
resources: {cpus: 1, memory: 64MiB}
"""


@pytest.fixture
def inputs(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("base\n")
    (tmp_path / "cases").mkdir()
    for number in (10, 20, 30):
        (tmp_path / "cases" / f"{number}.txt").write_text(f"case {number}\n")
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "x").write_text("x\n")


@pytest.mark.usefixtures("inputs")
def test_a_sweep_with_a_build_aliases_a_folder_and_a_failing_job(exported: Export) -> None:
    folder = exported(SWEEP)
    done = folder.run()
    assert done["counts"]["succeeded"] == 2
    assert done["counts"]["failed"] == 1
    assert done["problems"] == [{"job": "re30", "state": "failed", "reason": "exit code 1"}]
    assert folder.output("re10", "all.txt") == "base\ncase 10\nx\n"
    assert folder.output("re30", "all.txt") == "base\ncase 30\nx\n"
    assert folder.output("re20") == "20\n"
    (build,) = folder.results().glob("build_output_*.txt")
    assert build.read_text() == "building\n"
    record = json.loads(folder.output("re30", "attempt.json"))
    assert record["exit"] == {"type": "exited", "code": 1}
    assert not record["succeeded"]
    assert (folder.results() / "re30" / ".attempts" / "1" / "all.txt").is_file()
    again = folder.collect()
    assert (again["taken"], again["unchanged"]) == (0, 3)


@pytest.mark.usefixtures("inputs")
def test_other_values_and_another_name_from_the_command_line(exported: Export) -> None:
    folder = exported(SWEEP, "--name", "b2", "--set", "command.sweep.re=[20]")
    assert (folder.told["batch"], folder.told["jobs"]) == ("b2", 1)
    assert folder.run()["counts"]["succeeded"] == 1
    assert (folder.results(batch="b2") / "re20" / "all.txt").is_file()


def test_before_it_is_submitted_all_is_exported(exported: Export) -> None:
    batch = "meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: a, run: 'true'}]}\n"
    done = exported(batch).collect()
    assert done["counts"]["exported"] == 1
    assert not done["over"]
