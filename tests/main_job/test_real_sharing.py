"""Jobs that share a workstation, and what is where before, while and after they run.

Not what they leave behind (test_real_outputs.py).
"""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from main_job.conftest import Coordinator
from main_job.real import Group, Sandbox, following, one_job
from waiting import wait_until

BIG = 1 << 20
EMPTY = "blobs/e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.mark.parametrize("sandbox", ["hidden", "plain"])
def test_two_side_by_side(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    text = (
        "meta: {namespace: ana, batch_name: b}\n"
        "command:\n"
        '  run: "echo {i} > mine; echo {i} > distribute_save/x; echo $FALLOW_CPUS; '
        'while :; do /bin/sleep 0.02; test -e distribute_save/go && break; done; cat mine"\n'
        "  sweep: {i: [1, 2, 3]}\n  name: j{i}\n"
        "resources: {cpus: 1, memory: 64MiB}\n"
    )
    group.submit(text)
    # Both processors are taken by two jobs, and the third waits.
    group.coordinator.wait_for("b", {"running": 2, "queued": 1})
    told = place.status()
    assert [run["state"] for run in told["runs"]] == ["running", "running"]
    first, second = (set(run["pids"]) for run in told["runs"])
    assert first
    assert second
    assert not first & second
    (node,) = group.coordinator.verbs.json("nodes")["nodes"]
    assert len(node["runs"]) == 2
    place.let_go(2)
    group.coordinator.wait_for("b", {"succeeded": 2, "running": 1})
    place.let_go()
    group.coordinator.wait_for("b", {"succeeded": 3})
    for number in (1, 2, 3):
        folder = group.coordinator.results / f"ana/b/j{number}"
        assert (folder / "stdout.txt").read_text() == f"1\n{number}\n"
        assert (folder / "x").read_text() == f"{number}\n"


def test_inputs_cross_the_network_once(group: Group) -> None:
    place = group.workstation()
    text = (
        "meta: {namespace: ana, batch_name: NAME}\n"
        "command:\n  initialize: {required_files: [big.bin]}\n"
        "  run: cksum < input/big.bin > distribute_save/sum; echo {i}\n"
        "  sweep: {i: [1, 2, 3, 4]}\n  name: j{i}\n"
        "resources: {cpus: 1, memory: 64MiB}\n"
    )
    big = os.urandom(BIG // 2).hex()
    file = group.write(text.replace("NAME", "one"), **{"big.bin": big})
    assert group.coordinator.verbs.run("submit", file, "--wait").code == 0
    blobs = [path for path in _files(group.coordinator.data_dir / "blobs") if _size(path) == BIG]
    assert len(blobs) == 1
    # What the coordinator has no more, nobody can get from it once more.
    (kept,) = blobs
    aside = group.coordinator.folder / "aside"
    file = group.write(text.replace("NAME", "two"), **{"big.bin": big})
    group.coordinator.verbs.ok("submit", file, "--dry-run")
    (cached,) = [path for path in _files(place.data_dir / "cache") if _size(path) == BIG]
    before = cached.stat()
    place.stop()
    group.coordinator.verbs.ok("submit", file)
    shutil.move(kept, aside)
    place.start()
    group.coordinator.wait_for("two", {"succeeded": 4})
    shutil.move(aside, kept)
    sums = {path.read_text() for path in group.coordinator.results.glob("ana/*/j*/sum")}
    assert len(sums) == 1
    after = cached.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)


def test_logs_are_live(group: Group) -> None:
    place = group.workstation()
    group.submit(
        one_job(
            "echo first; while ! test -e distribute_save/go; do /bin/sleep 0.02; done; "
            "echo second; echo wrong >&2"
        )
    )
    with following(group.coordinator, "logs", "b/j", "--follow") as follower:
        out = follower.stdout
        assert out is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(iter(out.readline, "")))
        reader.start()
        wait_until(lambda: lines == ["first\n"], 20, "the first line")
        assert group.job("b")["state"] == "running"
        assert group.coordinator.verbs.ok("logs", "b/j", "--stderr").out == ""
        place.let_go()
        asked = time.monotonic()
        assert follower.wait(20) == 0
        reader.join(5)
        assert lines == ["first\n", "second\n"]
        assert time.monotonic() - asked < 15
    group.wait_for_state("b", "succeeded")
    assert group.coordinator.verbs.ok("logs", "b/j", "--stderr").out == "wrong\n"
    assert group.coordinator.verbs.ok("logs", "b/j").out == "first\nsecond\n"


def test_nothing_is_left_when_everything_is_removed(group: Group) -> None:
    coordinator = group.coordinator
    place = group.workstation()
    # The empty file is one that is always there.
    before = _layout(coordinator.data_dir) | {EMPTY}
    text = (
        "meta: {namespace: ana, batch_name: b}\n"
        "command:\n"
        '  initialize: {run: "echo built > tool", required_files: [mesh.txt]}\n'
        "  run: cat tool > distribute_save/x; exit {code}\n"
        "  sweep: {code: [0, 0x3]}\n  name: j{index}\n"
    )
    text = text.replace("0x3", "3")
    file = group.write(text, **{"mesh.txt": "a mesh"})
    assert coordinator.verbs.run("submit", file, "--wait").code == 4
    assert _layout(coordinator.data_dir) != before
    wait_until(lambda: not _files(place.data_dir / "builds"), 10, "the built tree to go")
    coordinator.verbs.ok("remove", "b", "--yes")
    wait_until(lambda: _layout(coordinator.data_dir) == before, 10, "nothing of it to be left")
    assert coordinator.verbs.json("status")["batches"] == []
    # Only its inputs stay on the workstation, as long as there is room for them.
    assert not place.left_on_disk()
    assert _files(place.data_dir / "runs") == _files(place.data_dir / "builds") == []
    assert [path.read_text() for path in _files(place.data_dir / "cache") if _size(path)]
    # The name is free again.
    assert coordinator.verbs.run("submit", file, "--wait").code == 4


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _size(path: Path) -> int:
    return path.stat().st_size


def _layout(data_dir: Path) -> set[str]:
    """All that a coordinator keeps outside its database and log."""
    return {
        str(path.relative_to(data_dir))
        for path in _files(data_dir)
        if not path.name.startswith("fallow.sqlite")
    }
