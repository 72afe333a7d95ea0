"""The workbench between two orders: what is moved, kept and removed when they cross.

Not processes (tests/processes) nor a whole agent (tests/main_job).
"""

import hashlib
import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from fallow.shared.blobs import BlobStore
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Argv, BuildSpec, Input, JobSpec, Tail
from fallow.shared.runs import Exited
from fallow.shared.transfer import Delivered, NotMoved
from fallow.shared.work import files, run_words
from fallow.shared.work.build import build_id
from fallow.shared.work.deliveries import Deliveries
from fallow.shared.work.sandbox import SandboxAbility
from fallow.shared.work.settings import Jobs
from fallow.shared.work.spool import Spool
from fallow.shared.work.staging import make_work_folder
from fallow.shared.work.workbench import Workbench
from fallow.tray.records import Records
from waiting import wait_until

EMPTY = hashlib.sha256(b"").hexdigest()
ONE, TWO, THREE, FOUR = (AttemptId("abcd1234", index, 1) for index in range(4))


class Carried:
    """A carrier that only remembers what it was asked."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.asked: list[str] = []

    def download(self, hash: str, size: int) -> None:
        self.asked.append(hash)

    def upload(self, hash: str, size: int, path: Path | None = None) -> None:
        self.asked.append(hash)

    def cancel(self, hash: str) -> None:
        self.cancelled.append(hash)


class Nobody:
    """Watches no process, since none is started."""

    def watch(self, source: int, ready: Callable[[], None]) -> None:
        pass

    def unwatch(self, source: int) -> None:
        pass


class Bench:
    def __init__(self, folder: Path, in_place: bool = False) -> None:
        self.records = Records(folder, "boot")
        self.spool = Spool(folder / "spool")
        self.carrier = Carried()
        self.facts: list[tuple[AttemptId, run_words.Event]] = []
        self.bench = Workbench(
            folders=self.records,
            cache=BlobStore(folder / "cache", durable=False),
            spool=self.spool,
            jobs=Jobs(sandbox="none"),
            ability=SandboxAbility("none"),
            in_place=in_place,
            boot_id="boot",
            watcher=Nobody(),
            post=lambda attempt, fact: self.facts.append((attempt, fact)),
            tell=lambda attempt, fact: self.facts.append((attempt, fact)),
        )
        self.bench.deliveries.carry_with(self.carrier)


@pytest.fixture
def desk(tmp_path: Path) -> Generator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.bench.close()


def job(*inputs: Input, words: tuple[str, ...] = ("true",)) -> JobSpec:
    return JobSpec("ana", "sweep", "j", "ana", Argv(words), 1, inputs=inputs)


def has_ended(desk: Bench, attempt: AttemptId, text: str) -> None:
    work = desk.records.folder(attempt) / "work"
    work.parent.mkdir()
    make_work_folder(work)
    (work / "distribute_save" / "result").write_text(text)


def test_a_run_killed_while_it_is_collected_leaves_nothing_in_the_spool(desk: Bench) -> None:
    has_ended(desk, ONE, "a result")
    desk.bench.order(ONE, run_words.Collect(Exited(0)), job())
    desk.bench.order(ONE, run_words.Drop(), job())
    wait_until(lambda: desk.facts, 10, "the outputs to be collected")
    assert isinstance(desk.facts[0][1], run_words.OutputsHashed)
    wait_until(lambda: desk.spool.blobs.hashes() == {EMPTY}, 10, "the spool to be empty")


def test_a_blob_that_another_run_waits_for_is_not_cancelled(desk: Bench) -> None:
    has_ended(desk, ONE, "shared")
    desk.bench.order(ONE, run_words.Collect(Exited(0)), job())
    desk.bench.close()
    ((_, hashed),) = desk.facts
    assert isinstance(hashed, run_words.OutputsHashed)
    shared = hashlib.sha256(b"shared").hexdigest()
    wanted = job(Input("a", shared, 6))
    desk.bench.order(ONE, run_words.Upload(hashed.manifest), job())
    desk.bench.order(TWO, run_words.Fetch(), wanted)
    desk.bench.order(ONE, run_words.Drop(), job())
    assert shared not in desk.carrier.cancelled
    assert hashed.manifest in desk.carrier.cancelled
    desk.bench.order(TWO, run_words.Drop(), wanted)
    assert shared in desk.carrier.cancelled


def test_what_belongs_to_nothing_is_out_of_the_way_at_once(desk: Bench) -> None:
    place = desk.records.build_folder("abcd1234")
    (place / "work").mkdir(parents=True)
    strays = desk.records.strays([])
    desk.bench.clean_up(strays)
    assert not place.exists()
    assert desk.records.load_builds() == []
    # A build of the same name begins while the old one is still being removed.
    (place / "work").mkdir(parents=True)
    desk.bench.close()
    assert [each.name for each in place.parent.iterdir()] == ["abcd1234"]


def test_a_command_with_a_nul_in_it_is_refused(desk: Bench) -> None:
    has_ended(desk, ONE, "")
    desk.bench.order(ONE, run_words.Spawn(), job(words=("true", "x\0--bind\0/\0/")))
    ((_, refused),) = desk.facts
    assert isinstance(refused, run_words.NotSpawned)
    assert "NUL" in refused.text


def test_outputs_that_cannot_be_taken_in_end_the_run_all_the_same(desk: Bench) -> None:
    has_ended(desk, ONE, "a result")

    def fails(folder: Path, work: Path) -> tuple[str, int]:
        raise ValueError("a fault of ours")

    desk.spool.take_run = fails  # type: ignore[method-assign]
    desk.bench.order(ONE, run_words.Collect(Exited(0)), job())
    wait_until(lambda: desk.facts, 10, "a word about the outputs")
    ((_, failed),) = desk.facts
    assert isinstance(failed, run_words.CollectFailed)
    assert "a fault of ours" in failed.text


@pytest.mark.parametrize("offset", [5, 100, 1 << 63, (1 << 64) - 1])
def test_an_output_is_shown_from_any_place(desk: Bench, offset: int) -> None:
    has_ended(desk, ONE, "")
    (desk.records.folder(ONE) / "stdout.txt").write_bytes(b"0123456789")
    answer = desk.bench.tail(Tail(1, ONE, "stdout", offset, 100))
    assert (answer.data, answer.offset, answer.size) == (
        b"56789"[: 10 - min(offset, 10)],
        min(offset, 10),
        10,
    )


def test_a_folder_as_deep_as_a_job_likes_is_removed(tmp_path: Path) -> None:
    place = tmp_path / "work"
    deepest = str(place)
    for _ in range(1500):
        os.mkdir(deepest)
        deepest += "/a"
    files.remove(place)
    assert not place.exists()


def test_outputs_with_an_empty_file_are_whole_after_those_of_another_run_went(desk: Bench) -> None:
    roots = {}
    for attempt, text in ((ONE, "one"), (TWO, "two")):
        has_ended(desk, attempt, text)
        (desk.records.folder(attempt) / "work" / "distribute_save" / "empty").touch()
        desk.bench.order(attempt, run_words.Collect(Exited(0)), job())
    wait_until(lambda: len(desk.facts) == 2, 10, "the outputs to be collected")
    for attempt, fact in desk.facts:
        assert isinstance(fact, run_words.OutputsHashed)
        roots[attempt] = fact.manifest
    desk.bench.order(ONE, run_words.Drop(), job())
    wait_until(lambda: not desk.spool.blobs.has(roots[ONE]), 10, "the first to be gone")
    assert desk.spool.whole(roots[TWO], build=False)


def test_a_build_begun_again_is_not_removed_with_the_old_one(tmp_path: Path) -> None:
    desk = Bench(tmp_path, in_place=True)
    built = JobSpec(
        "ana", "sweep", "j", "ana", Argv(("true",)), 1, build=BuildSpec("key", Argv(("true",)))
    )
    name = build_id("abcd1234")
    old = desk.records.folder(name)
    (old / "tree").mkdir(parents=True)
    for number in range(2000):
        (old / "tree" / f"f{number}").touch()
    desk.bench.order(name, run_words.Forget(), None)
    desk.bench.order(name, run_words.Place(), built)
    wait_until(lambda: (name, run_words.Placed()) in desk.facts, 20, "the new one to be placed")
    desk.bench.close()
    assert (old / "work" / "distribute_save").is_dir()
    assert not (old / "tree").exists()


@pytest.mark.parametrize("spoiled", [False, True])
def test_an_output_that_is_refused_is_looked_at_once(desk: Bench, spoiled: bool) -> None:
    has_ended(desk, ONE, "a result")
    desk.bench.order(ONE, run_words.Collect(Exited(0)), job())
    wait_until(lambda: desk.facts, 10, "the outputs to be collected")
    _, hashed = desk.facts.pop()
    assert isinstance(hashed, run_words.OutputsHashed)
    desk.bench.order(ONE, run_words.Upload(hashed.manifest), job())
    result = hashlib.sha256(b"a result").hexdigest()
    if spoiled:
        place = desk.spool.blobs.path(result)
        place.chmod(0o600)
        place.write_bytes(b"a rotten")
    for _ in range(3):
        desk.bench.deliveries.moved(NotMoved(result, "what arrived is not what its hash says"))
    if spoiled:
        wait_until(lambda: desk.facts, 10, "the damage to be told")
    else:
        desk.bench.close()
    assert [type(fact) for _, fact in desk.facts] == [run_words.Damaged] * spoiled


def test_from_a_desk_in_use_nothing_moves_but_a_checkpoint() -> None:
    carrier, told = Carried(), []
    here = Deliveries(Nothing(), Nothing(), lambda attempt, fact: told.append((attempt, fact)))
    here.carry_with(carrier)
    here.fetch(ONE, {"in": 5}, True)
    here.upload(TWO, {"out": 5, "both": 1})
    assert carrier.asked == ["in", "out", "both"]
    carrier.asked.clear()
    here.upload(THREE, {"saved": 5, "both": 1}, urgent=True)
    here.move_only_urgent(True)
    assert carrier.cancelled == ["in", "out"]
    carrier.asked.clear()
    here.offer_again()
    here.fetch(THREE, {"in too": 1}, True)
    here.upload(FOUR, {"out too": 1})
    assert carrier.asked == ["saved", "both"]
    here.moved(Delivered("saved"))
    here.moved(Delivered("both"))
    assert told == [(THREE, run_words.Uploaded())]
    carrier.asked.clear()
    here.move_only_urgent(False)
    assert carrier.asked == ["in", "in too", "out", "out too"]


class Nothing(BlobStore):
    """A store that has none of the blobs it is asked for."""

    def __init__(self) -> None:
        pass

    def has(self, hash: str) -> bool:
        return False

    def path(self, hash: str) -> Path:
        return Path("/nowhere") / hash
