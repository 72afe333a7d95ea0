"""A batch made in Python: run here, submitted, waited for, found again, and its results.

Not the batch itself nor its text: those are in units/.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.coordinator import python
from fallow.shared.batch import Batch, Command, File, Meta, OnFailure, Resources, sweep
from fallow.shared.errors import BatchError, FallowError, Refused, Unreachable
from main_job.conftest import Coordinator
from main_job.real import Group
from waiting import wait_until


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the inputs lie."""
    made = tmp_path / "mine"
    made.mkdir()
    (made / "model.py").write_text(
        "import sys\na, b = map(int, sys.argv[1:])\n"
        "assert (a, b) != (2, 20), 'never both'\n"
        "open('distribute_save/sum.txt', 'w').write(str(a + b))\n"
    )
    return made


def batch(name: str = "sums") -> Batch:
    return Batch(
        meta=Meta(namespace="ana", batch_name=name),
        command=Command(
            run="python3 model.py {a} {b}",
            required_files=(File("model.py"),),
            sweep=sweep(a=[1, 2], b=[10, 20]),
            name="a{a}_b{b}",
        ),
        resources=Resources(cpus=1, memory=64 << 20),
        on_failure=OnFailure(retries=0),
    )


def check(results: python.Results) -> None:
    assert {key: int(path.read_text()) for key, path in results.paths("sum.txt").items()} == {
        (1, 10): 11,
        (1, 20): 21,
        (2, 10): 12,
    }
    assert [job.name for job in results.failed] == ["a2_b20"]
    assert "never both" in results[2, 20].stderr


def test_run_here(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    results = python.run(batch(), tmp_path / "out", folder=folder, home=home)
    check(results)
    assert results.folder == tmp_path / "out" / "ana" / "sums"
    assert [each.suffix for each in home.iterdir()] == [".jsonl"], "only what has succeeded"
    stamp = (results[1, 10].folder / "attempt.json").stat().st_mtime_ns
    check(python.run(batch(), tmp_path / "out", folder=folder, home=home))
    assert (results[1, 10].folder / "attempt.json").stat().st_mtime_ns == stamp


def test_run_in_another_thread(folder: Path, tmp_path: Path) -> None:
    """As in a program with a window, where signals are not ours to hear."""
    found: list[python.Results] = []

    def run() -> None:
        found.append(python.run(batch(), tmp_path / "out", folder=folder, home=tmp_path / "home"))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    check(found[0])


def test_submitted_and_waited_for(
    group: Group, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = group.coordinator.data_dir
    handle = batch().submit(where, folder=folder)
    assert handle.ref == "ana:sums"
    with pytest.raises(TimeoutError):
        handle.wait(0.05)
    group.workstation("lab")
    assert handle.wait(60) is handle
    assert "3 succeeded, 1 failed" in capsys.readouterr().err
    results = handle.results(tmp_path / "got")
    check(results)
    assert results[1, 10].record["workstation"] == "lab"
    frame = results.frame(lambda job: {"sum": int(job.read("sum.txt"))})
    assert frame.pivot(index="a", columns="b", values="sum").loc[1].tolist() == [11, 21]
    # Of large results only some.
    some = handle.results(tmp_path / "some", include=[r"^a1_.*sum\.txt$"])
    assert list(some.paths("sum.txt")) == [(1, 10), (1, 20)]
    assert [job.name for job in some.failed] == ["a2_b20"]
    assert not some.paths("stdout.txt")
    # Another day, another program.
    again = batch().submitted(where)
    assert {state: n for state, n in again.status().counts.items() if n} == {
        "succeeded": 3,
        "failed": 1,
    }
    with pytest.raises(Refused):
        batch().submit(where, folder=folder)
    assert list(again.results(tmp_path / "got")) == list(results)


def test_tried_again(group: Group, folder: Path, tmp_path: Path) -> None:
    handle = batch().submit(group.coordinator.data_dir, folder=folder, progress=False)
    group.workstation("lab")
    handle.wait(60, progress=False).retry()

    def attempts() -> list[int]:
        results = handle.wait(60, progress=False).results(tmp_path / "got")
        return [job.record["attempt"] for job in results.values()]

    wait_until(lambda: attempts() == [1, 1, 1, 2], 40, "another try of the one that failed")
    results = handle.results(tmp_path / "got")
    check(results)


def test_killed(group: Group, folder: Path) -> None:
    handle = batch().submit(group.coordinator.data_dir, folder=folder, progress=False)
    handle.kill()
    assert handle.wait(30).status().counts["killed"] == 4


def test_what_cannot_be(coordinator: Coordinator, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"model\.py does not exist"):
        batch().submit(coordinator.data_dir, folder=tmp_path)
    with pytest.raises(BatchError, match=r"model\.py does not exist"):
        python.run(batch(), tmp_path / "out", folder=tmp_path, home=tmp_path / "home")
    with pytest.raises(Unreachable):
        batch().submit(tmp_path / "nobody", folder=folder)
    with pytest.raises(FallowError):
        batch("never").submitted(coordinator.data_dir)
    assert not os.path.exists(tmp_path / "out")
