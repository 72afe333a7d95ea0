"""A store that an earlier release wrote is read as what it says, and can be gone on with.

Run as a program, this writes the file of the newest version, once, when that is released: files of
older versions are never written again.
"""

import shutil
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from fallow.coordinator.core import Core
from fallow.coordinator.deposits import Deposited
from fallow.coordinator.people import KeyRecord, TokenRecord
from fallow.coordinator.records import (
    Active,
    BuildRecord,
    Done,
    Ended,
    EventRecord,
    Loaded,
    NodeRecord,
)
from fallow.coordinator.schema import MIGRATIONS
from fallow.coordinator.store import AnySave, BuildOutputKept, Committing, Doomed, Store
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import Resources
from fallow.shared.moments import Moment
from fallow.shared.runs import Exited, OutputFile
from store.made import HASH, UID, a_batch, a_deposit, a_job, an_attempt

FOLDER = Path(__file__).parent / "golden"
VERSIONS = sorted(FOLDER.glob("version_*.sqlite"))

BATCH = a_batch()
JOBS = (
    replace(a_job(0), state=Active((1,)), attempts=1),
    replace(a_job(1), state=Done("failed", 1), attempts=1, failures=1),
)
ATTEMPTS = (
    an_attempt(0),
    replace(an_attempt(1), state=Ended("failed"), exit=Exited(3), manifest=HASH, closed=1005.0),
)
NODE = NodeRecord(
    name="dino", joined=900.0, resources=Resources(4, 8 << 30), sessions=3, seen=999.0
)
BUILD = BuildRecord(batch=UID, node="dino", key="k", state="built", log=HASH, log_size=3)
KEY = KeyRecord(public="k" * 40, name="dino", role="workstation", created=900.0, token="t" * 40)
TOKEN = TokenRecord(
    public="t" * 40,
    role="workstation",
    name="dino",
    created=899.0,
    expires=4499.0,
    uses=1,
    used_by=("k" * 40,),
)
DEPOSIT = a_deposit(attempt=AttemptId(UID, 1, 1), job="job_1", outcome="failed", exit=Exited(3))
FILES = (OutputFile("stdout.txt", HASH, 7), OutputFile("attempt.json", "cd" * 32, 9))
BEGUN = a_deposit()
SAVES: list[AnySave] = [
    BATCH,
    *JOBS,
    *ATTEMPTS,
    NODE,
    BUILD,
    KEY,
    TOKEN,
    Deposited(DEPOSIT, FILES, ("empty",)),
    Committing(BEGUN),
    BuildOutputKept(UID, OutputFile("build_output_dino.txt", HASH, 3)),
    Doomed("gone1234", "ana", "old"),
    EventRecord(wall=1005.0, kind="done", ref="ana:sweep/job_1", text="failed"),
]


def test_every_version_has_its_file() -> None:
    assert [path.stem for path in VERSIONS] == [
        f"version_{number + 1}" for number in range(len(MIGRATIONS))
    ]


@pytest.mark.parametrize("golden", VERSIONS, ids=lambda path: path.stem)
def test_an_old_store_says_the_same(tmp_path: Path, golden: Path) -> None:
    path = tmp_path / "fallow.sqlite"
    shutil.copyfile(golden, path)
    with Store(path) as store:
        assert store.load() == Loaded(
            batches=(BATCH,), jobs=JOBS, attempts=ATTEMPTS, builds=(BUILD,), nodes=(NODE,)
        )
        assert store.people() == ([KEY], [TOKEN])
        assert store.committing() == [BEGUN]
        assert store.doomed() == [Doomed("gone1234", "ana", "old")]
        assert store.results(UID, 0, 9) == {1: [(1, "failed", ("empty",))]}
        assert set(store.result_files(UID, 0, 9)[1, 1]) == set(FILES)
        assert [file.path for file in store.build_outputs(UID)] == ["build_output_dino.txt"]
        core = Core("a boot")
        step = core.restore(store.load(), Moment(5.0, 2000.0))
        store.commit(step.save)
        assert core.check() == []
        assert [attempt.id for attempt in core.attempts_of(JobId(UID, 0))] == [ATTEMPTS[0].id]
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


if __name__ == "__main__":
    newest = FOLDER / f"version_{len(MIGRATIONS)}.sqlite"
    newest.unlink(missing_ok=True)
    with Store(newest) as store:
        store.commit(SAVES)
    with sqlite3.connect(newest) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
