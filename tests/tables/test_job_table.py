"""Every cell of the table of one job: event by state.

A cell is the state it leads to; `~` stays as it is, `-` is stale (dropped), `!` is refused.
"""

import pytest
from msgspec.structs import replace

from fallow.coordinator import job as jobs
from fallow.coordinator.attempt import Impossible
from fallow.coordinator.job import RULES, STALE, Event, step
from fallow.coordinator.records import (
    Active,
    Avoid,
    Done,
    Exported,
    Held,
    JobRecord,
    JobState,
    Queued,
    Waiting,
)
from fallow.shared.ids import JobId
from fallow.shared.moments import Deadline

SOON = Deadline("boot", 10.0, 1010.0, 1.0)
STATES: dict[str, JobState] = {
    "Waiting": Waiting(("mesh",)),
    "Queued": Queued(),
    "Active": Active((2,)),
    "Two": Active((1, 2)),
    "Held": Held("by hand"),
    "Exported": Exported("e1"),
    "Succeeded": Done("succeeded", 1),
    "Failed": Done("failed", 1),
    "Killed": Done("killed", 1),
}
EVENTS: dict[str, Event] = {
    "placed": jobs.Placed(3),
    "doubted": jobs.Doubted(2),
    "found": jobs.Found(2),
    "failed": jobs.Over(2, "failed", "desk"),
    "crashed": jobs.Over(2, "crashed", "desk"),
    "evicted": jobs.Over(2, "evicted", "desk"),
    "lost": jobs.Over(2, "lost", "desk", SOON),
    "declined": jobs.Over(2, "declined", "desk", None, Avoid("desk", SOON)),
    "superseded": jobs.Over(2, "superseded", "desk"),
    "succeeded": jobs.Succeeded(2),
    "kill": jobs.Kill(),
    "hold": jobs.Hold("failed builds"),
}

HEAD = "Waiting Queued Active Two Held Exported Succeeded Failed Killed"
TABLE = """
placed     | !      Active    !         !         !         !      !      !         !
doubted    | !      !         Queued    Active    !         !      -      -         -
found      | !      Active    ~         ~         -         !      -      -         -
failed     | !      +f        failed+f  Active+f  -         !      -      -         -
crashed    | !      +c        Queued+c  Active+c  -         !      -      -         -
evicted    | !      +e        Queued+e  Active+e  -         !      -      -         -
lost       | !      ~         Queued    Active    -         !      -      -         -
declined   | !      ~         Queued    Active    -         !      -      -         -
superseded | !      ~         Queued    Active    -         !      -      -         -
succeeded  | !      succeeded succeeded succeeded succeeded !      ~      succeeded ~
kill       | killed killed    kill      kill      killed    killed -      -         -
hold       | Held   Held      !         !         -         Held   -      -         -
"""


def make(state: JobState) -> JobRecord:
    return JobRecord(id=JobId("b1", 3), name="j3", state=state, attempts=2)


def cells() -> list[tuple[str, str, str]]:
    found = []
    for row in TABLE.strip().splitlines():
        event, _, rest = row.partition("|")
        for state, cell in zip(HEAD.split(), rest.split(), strict=True):
            found.append((state, event.strip(), cell))
    return found


def outcome(job: JobRecord, event: Event) -> str:
    try:
        new = step(job, event)
    except Impossible:
        return "!"
    if new is None:
        return "-"
    if new == job:
        return "~"
    word = ""
    if new.state != job.state:
        word = new.state.outcome if isinstance(new.state, Done) else type(new.state).__name__
    elif new.killed and not job.killed:
        word = "kill"
    counted = [
        letter
        for letter, counter in (("f", "failures"), ("c", "crashes"), ("e", "evictions"))
        if getattr(new, counter) == getattr(job, counter) + 1
    ]
    return word + "".join(f"+{letter}" for letter in counted)


@pytest.mark.parametrize(("state", "event", "cell"), cells())
def test_cell(state: str, event: str, cell: str) -> None:
    assert outcome(make(STATES[state]), EVENTS[event]) == cell


def test_table_has_every_cell() -> None:
    assert {(state, event) for state, event, _ in cells()} == {
        (state, event) for state in STATES for event in EVENTS
    }


def test_rules_and_stale_are_apart_and_samples_reach_all() -> None:
    assert not RULES.keys() & STALE
    walked = {(type(state), type(event)) for state in STATES.values() for event in EVENTS.values()}
    assert walked >= RULES.keys() | STALE


def after(job: JobRecord, *events: Event) -> JobRecord:
    for event in events:
        new = step(job, event)
        assert new is not None
        job = new
    return job


def test_a_killed_job_is_done_only_when_its_last_attempt_has_ended() -> None:
    job = after(make(Active((1, 2))), jobs.Kill())
    assert job.killed
    job = after(job, jobs.Over(2, "killed", "desk"))
    assert job.state == Active((1,))
    assert after(job, jobs.Over(1, "lost", "loft", SOON)).state == Done("killed", 1)


def test_a_killed_job_whose_last_attempt_is_doubted_is_done() -> None:
    job = after(make(Active((2,))), jobs.Kill(), jobs.Doubted(2))
    assert job.state == Done("killed", 2)


def test_a_success_that_was_on_disk_before_the_kill_stays_one() -> None:
    job = after(make(Active((2,))), jobs.Kill(), jobs.Succeeded(2))
    assert job.state == Done("succeeded", 2)


def test_crashes_on_three_different_workstations_hold_it() -> None:
    job = make(Queued())
    for number, node in enumerate(("a", "b", "a", "c"), 3):
        assert isinstance(job.state, Queued)
        job = after(job, jobs.Placed(number), jobs.Over(number, "crashed", node))
    assert isinstance(job.state, Held)
    assert "a, b, c" in job.state.why
    assert (job.crashes, job.failures, job.evictions) == (4, 0, 0)


def test_evictions_cost_nothing() -> None:
    job = make(Queued())
    for number in range(3, 30):
        job = after(job, jobs.Placed(number), jobs.Over(number, "evicted", "desk"))
    assert job.state == Queued()
    assert (job.failures, job.crashes, job.evictions) == (0, 0, 27)


def test_a_back_off_and_whom_to_avoid_are_kept() -> None:
    job = after(make(Active((2,))), EVENTS["declined"])
    assert job.state == Queued(None, (Avoid("desk", SOON),))
    later = replace(SOON, boot=99.0)
    job = after(job, jobs.Placed(3), jobs.Over(3, "lost", "desk", later, Avoid("desk", later)))
    assert job.state == Queued(later, (Avoid("desk", later),))
