"""A local run's inputs on their way in: copied once, and only what was read when the batch was.

And its journal: what it believes of a results folder that somebody has been in.
"""

import json
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.coordinator.local_carrier import LocalCarrier, Moved
from fallow.coordinator.local_journal import Journal, Success, put_back
from fallow.shared.blobs import BlobStore, hash_file
from fallow.shared.transfer import Delivered, NotMoved, Stored


class Carrying:
    """A carrier, and what it tells."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "input.txt"
        self.source.write_text("as it was")
        self.hash, self.size = hash_file(self.source)
        self.cache = BlobStore(folder / "cache", durable=False)
        self.told: queue.SimpleQueue[Moved] = queue.SimpleQueue()
        self.carrier = LocalCarrier({self.hash: self.source}, self.cache, self.told.put)

    def bring(self, hash: str = "") -> Moved:
        self.carrier.download(hash or self.hash, self.size)
        return self.told.get(timeout=30)


@pytest.fixture
def carrying(tmp_path: Path) -> Iterator[Carrying]:
    made = Carrying(tmp_path)
    yield made
    made.carrier.close()


def test_an_input_is_copied(carrying: Carrying) -> None:
    assert carrying.bring() == Stored(carrying.hash)
    carrying.source.write_text("changed while the batch runs")
    assert carrying.cache.path(carrying.hash).read_text() == "as it was"
    # Another job wants it: what is here is not looked for again.
    assert carrying.bring() == Stored(carrying.hash)


def test_an_input_that_is_another_one_by_now_is_none(carrying: Carrying) -> None:
    carrying.source.write_text("changed before it was copied")
    other = hash_file(carrying.source)[0]
    moved = carrying.bring()
    assert isinstance(moved, NotMoved)
    assert "was changed after the batch had been read" in str(moved)
    assert not carrying.cache.has(carrying.hash)
    assert not carrying.cache.has(other)


def test_an_input_that_is_gone(carrying: Carrying) -> None:
    carrying.source.unlink()
    moved = carrying.bring()
    assert isinstance(moved, NotMoved)
    assert "input.txt: No such file" in str(moved)


def test_what_goes_out_is_there_already(carrying: Carrying) -> None:
    carrying.carrier.upload(carrying.hash, carrying.size)
    assert carrying.told.get(timeout=30) == Delivered(carrying.hash)


def result(output: Path, job: str, attempt: str = "abc-0-1", *, succeeded: bool = True) -> Path:
    """A job's folder as a commit leaves it, with one file."""
    folder = output / "ana" / "b" / job
    folder.mkdir(parents=True)
    (folder / "out.txt").write_text("four")
    record = {
        "id": attempt,
        "job": job,
        "attempt": int(attempt[-1]),
        "succeeded": succeeded,
        "outputs": {"out.txt": {"sha256": "?", "size": 4}},
    }
    (folder / "attempt.json").write_text(json.dumps(record))
    return folder


def journal(output: Path) -> Journal:
    return Journal(output / "notes.jsonl", output / "ana" / "b")


def test_a_success_holds_as_long_as_its_files_do(tmp_path: Path) -> None:
    folder = result(tmp_path, "j")
    made = journal(tmp_path)
    assert not made.holds("j", "d1")
    made.add(Success("j", "d1", "abc-0-1"))
    again = journal(tmp_path)
    assert again.holds("j", "d1")
    assert not again.holds("j", "d2")
    assert again.attempts("j") == 1
    (folder / "out.txt").write_text("and five")
    assert not again.holds("j", "d1")


def test_of_two_lines_the_last_one_counts_and_half_a_line_does_not(tmp_path: Path) -> None:
    result(tmp_path, "j", "abc-0-2")
    made = journal(tmp_path)
    made.add(Success("j", "old", "abc-0-1"))
    made.add(Success("j", "new", "abc-0-2"))
    with (tmp_path / "notes.jsonl").open("a") as file:
        file.write('{"job": "j", "dig')
    again = journal(tmp_path)
    assert again.holds("j", "new")
    assert not again.holds("j", "old")
    # What is written after half a line is not lost with it.
    again.add(Success("k", "d", "abc-1-1"))
    assert journal(tmp_path).knows("k")


def test_whose_files_they_are(tmp_path: Path) -> None:
    folder = result(tmp_path, "j")
    made = journal(tmp_path)
    assert made.foreign("j") is None
    assert made.foreign("not there") is None
    (folder / ".attempts" / "1").mkdir(parents=True)
    (folder / ".attempts" / "1" / "out.txt").write_text("")
    assert made.foreign("j") is None
    (folder / "plots").mkdir()
    assert made.foreign("j") is None
    (folder / "plots" / "a.png").write_text("")
    assert made.foreign("j") == "plots/a.png"


def test_a_success_is_set_aside_whole_however_often_it_is_begun(tmp_path: Path) -> None:
    folder = result(tmp_path, "j", "abc-0-2")
    (folder / ".attempts" / "1").mkdir(parents=True)
    # Begun, and cut off after the first file.
    (folder / ".attempts" / "2").mkdir()
    (folder / "first").write_text("")
    (folder / "first").rename(folder / ".attempts" / "2" / "first")
    made = journal(tmp_path)
    made.set_aside("j")
    assert [each.name for each in folder.iterdir()] == [".attempts"]
    aside = folder / ".attempts" / "2"
    assert sorted(each.name for each in aside.iterdir()) == ["attempt.json", "first", "out.txt"]
    made.set_aside("j")
    assert made.attempts("j") == 2
    failed = result(tmp_path, "k", succeeded=False)
    made.set_aside("k")
    assert (failed / "out.txt").exists()


def test_moves_that_were_cut_off(tmp_path: Path) -> None:
    staging = tmp_path / ".staging"
    staging.mkdir()
    batch = tmp_path / "ana" / "b"
    # Killed between the two renames: the old one is all there is.
    result(tmp_path, "a", "abc-0-1").rename(staging / "abc-0-2.old")
    # Killed before the earlier attempts had followed.
    old = result(tmp_path, "c", "abc-1-1")
    (old / ".attempts" / "1").mkdir(parents=True)
    old.rename(staging / "abc-1-2.old")
    result(tmp_path, "c", "abc-1-2")
    # Killed while it was put together; and another batch's, which is none of ours.
    (staging / "abc-3-1.new").mkdir()
    (staging / "xyz-3-1.new").mkdir()
    put_back(staging, "abc", batch)
    assert (batch / "a" / "out.txt").exists()
    assert (batch / "c" / ".attempts" / "1").is_dir()
    assert journal(tmp_path).attempts("c") == 2
    assert [each.name for each in staging.iterdir()] == ["xyz-3-1.new"]
