"""The store: what is saved comes back, dropping takes all, one transaction is all or nothing.

Not how records change: that is the core's.
"""

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from fallow.coordinator.deposits import Deposited
from fallow.coordinator.people import KeyRecord, TokenRecord
from fallow.coordinator.records import (
    Active,
    Assigned,
    Avoid,
    BuildRecord,
    Collecting,
    Done,
    DropBatch,
    Ended,
    EventRecord,
    Held,
    JobState,
    NodeRecord,
    Queued,
)
from fallow.coordinator.store import (
    NAME,
    BuildOutputKept,
    Cleared,
    Committing,
    DataDirLock,
    Doomed,
    ForgetEvents,
    Store,
)
from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Resources
from fallow.shared.moments import Deadline
from fallow.shared.runs import Exited, OutputFile, Signalled
from store import made
from store.made import UID, a_batch, a_deposit, a_job, an_attempt

LATER = Deadline("boot", 5.0, 6.0, 7.0)


def events(store: Store) -> list[str]:
    return [each.text for each in store.events(0, store.last_event(), 1000, None)]


def test_old_events_go_a_few_at_a_time_and_numbers_never_come_twice(store: Store) -> None:
    walls = [10.0, 11.0, 12.0, 50.0, 13.0, 60.0]
    store.commit([EventRecord(wall=wall, kind="done", text=f"{wall:.0f}") for wall in walls])
    store.commit([ForgetEvents(20.0, most=2)])
    assert events(store) == ["12", "50", "13", "60"]
    store.commit([ForgetEvents(20.0, most=2)])
    assert events(store) == ["50", "13", "60"]
    assert store.event_before(55.0) == 5
    store.commit([ForgetEvents(20.0, most=2)])
    assert events(store) == ["50", "60"]
    store.commit([ForgetEvents(100.0)])
    store.commit([ForgetEvents(100.0)])
    assert events(store) == ["60"]
    store.commit([EventRecord(wall=70.0, kind="done", text="70")])
    assert store.last_event() == 7


def test_no_more_events_are_kept_than_are_wanted(store: Store) -> None:
    store.commit([EventRecord(wall=float(each), kind="done", text=str(each)) for each in range(9)])
    store.commit([ForgetEvents(0.0, keep=4)])
    assert events(store) == ["5", "6", "7", "8"]


def test_everything_comes_back(store: Store, tmp_path: Path) -> None:
    build = BuildRecord(batch=UID, node="dino", key="k", state="failed", log="ab", text="no cc")
    offer = Resources(4, 8, 2, 9, ("gpu",), ("bob",))
    node = NodeRecord(name="dino", joined=5.0, resources=offer, sessions=3, drained="root")
    attempt = replace(
        an_attempt(), state=Collecting(Signalled(9), "m", 5), exit=Signalled(9), gpus=1, disk=7
    )
    batch = replace(a_batch(), after=("ana:mesh",), rebuilds=2, retried="once")
    job = replace(a_job(1), hold="held by ana", earlier=4)
    store.commit([batch, a_job(0), job, attempt, build, node])
    with Store(tmp_path / NAME) as again:
        loaded = again.load()
    assert loaded.batches == (batch,)
    assert loaded.jobs == (a_job(0), job)
    assert loaded.attempts == (attempt,)
    assert loaded.builds == (build,)
    assert loaded.nodes == (node,)


STATES: list[JobState] = [
    Queued(LATER, (Avoid("dino", LATER),)),
    Active((1, 2)),
    Held("two builds failed", "build"),
    Done("failed", 3),
]


@pytest.mark.parametrize("state", STATES)
def test_a_job_changes_its_state_and_keeps_its_attempts(store: Store, state: JobState) -> None:
    store.commit([a_batch(), a_job(), an_attempt()])
    changed = replace(a_job(), state=state, attempts=2, crashed_on=("a", "b"), killed=True)
    ended = replace(an_attempt(), state=Ended("lost", "its workstation forgot it"), closed=9.0)
    store.commit([changed, ended])
    assert store.load().jobs == (changed,)
    assert store.load().attempts == (ended,)


def test_a_change_that_is_not_forced_to_disk_is_there_for_the_next_process(
    store: Store, tmp_path: Path
) -> None:
    store.commit([a_batch(), a_job(), replace(an_attempt(), state=Assigned())])
    store.commit([an_attempt(), EventRecord(wall=1.0, kind="running")])
    # Not closed, as in a crash.
    with Store(tmp_path / NAME) as next_process:
        assert next_process.load().attempts == (an_attempt(),)
    store.commit([replace(an_attempt(), state=Ended("lost", ""))])
    with Store(tmp_path / NAME) as next_process:
        assert next_process.load().attempts[0].state == Ended("lost", "")


def test_a_dropped_batch_takes_all_with_it_but_the_audit(store: Store, tmp_path: Path) -> None:
    deposited = Deposited(a_deposit(), (OutputFile("a", made.HASH, 3),), ())
    kept = BuildOutputKept(UID, OutputFile("build_output_dino.txt", made.HASH, 3))
    event = EventRecord(wall=1.0, kind="removed", ref="ana:sweep")
    build = BuildRecord(batch=UID, node="dino", key="k", state="built")
    store.commit([a_batch(), a_job(), an_attempt(), build, deposited, kept, event])
    store.commit([DropBatch(UID), Doomed(UID, "ana", "sweep")])
    with sqlite3.connect(tmp_path / NAME) as db:
        for table in ("batch", "job", "attempt", "build", "result", "result_file", "build_output"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        assert db.execute("SELECT kind FROM event").fetchall() == [("removed",)]
    assert store.doomed() == [Doomed(UID, "ana", "sweep")]
    store.commit([Cleared(UID)])
    assert store.doomed() == []


def test_a_commit_is_known_until_it_is_done(store: Store) -> None:
    deposit = a_deposit(exit=Exited(0), manifest=made.HASH)
    store.commit([a_batch(), a_job(), an_attempt(), Committing(deposit)])
    assert store.committing() == [deposit]
    assert store.results(UID, 0, 9) == {}
    files = (OutputFile("a/b", made.HASH, 3, True), OutputFile("attempt.json", "cd" * 32, 9))
    store.commit([Deposited(deposit, files, ("empty",))])
    assert store.committing() == []
    assert store.results(UID, 0, 9) == {0: [(1, "result", ("empty",))]}
    assert store.result_files(UID, 0, 9) == {(0, 1): list(files)}
    assert set(store.used_hashes()) == {made.HASH, "cd" * 32}


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(FallowError) as refused:
        store.commit([a_batch(), a_job(), replace(a_batch("zzzz9999"), name="sweep")])
    assert "database" in refused.value.title
    assert store.load().batches == ()
    assert store.load().jobs == ()


def test_the_order_within_a_transaction_does_not_matter(store: Store) -> None:
    store.commit([an_attempt(), a_job(), a_batch()])
    assert len(store.load().attempts) == 1


def test_keys_and_tokens_come_back(store: Store) -> None:
    key = KeyRecord(public="k" * 40, name="dino", role="workstation", created=1.0, token="t" * 40)
    token = TokenRecord(
        public="t" * 40, role="workstation", name=None, created=0.0, expires=9.0, uses=2
    )
    store.commit([key, token])
    changed = [replace(key, revoked=5.0), replace(token, used_by=("k" * 40,))]
    store.commit(changed)  # type: ignore[arg-type]
    assert store.people() == ([changed[0]], [changed[1]])


def test_a_second_coordinator_is_told_who_has_the_folder(tmp_path: Path) -> None:
    lock = DataDirLock(tmp_path)
    with pytest.raises(FallowError) as refused:
        DataDirLock(tmp_path)
    assert "already runs" in refused.value.title
    assert any(part.strip(".").isdigit() for part in refused.value.detail.split())
    lock.release()
    DataDirLock(tmp_path).release()


def test_a_newer_file_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(FallowError) as refused:
        Store(tmp_path / NAME)
    assert "newer" in refused.value.title


def test_a_damaged_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"this is no database, and longer than a header " * 50)
    with pytest.raises(FallowError) as refused:
        Store(tmp_path / NAME)
    assert "file is not a database" in refused.value.detail


def test_an_attempt_id_is_unique(store: Store) -> None:
    other = replace(an_attempt(), id=AttemptId(UID, 0, 2))
    store.commit([a_batch(), a_job(), an_attempt(), other, replace(other, node="rex")])
    assert [found.node for found in store.load().attempts] == ["dino", "rex"]
