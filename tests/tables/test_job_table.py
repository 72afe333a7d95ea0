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
    "Held": Held("held by ana", "hand"),
    "Stuck": Held("mesh failed", "after"),
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
    "failed once": jobs.Over(2, "failed", "desk", SOON, again=True),
    "succeeded": jobs.Succeeded(2),
    "kill": jobs.Kill(),
    "hold": jobs.Hold("failed builds"),
    "by hand": jobs.Hold("held by ana", "hand"),
    "release": jobs.Release(),
    "to wait": jobs.Release(("mesh",)),
    "retry": jobs.Retry(),
    "handed over": jobs.HandOver("e2"),
    "unmet": jobs.Unmet(("grid",)),
    "met": jobs.Unmet(()),
}

HEAD = "Waiting Queued Active Two Held Stuck Exported Succeeded Failed Killed"
TABLE = """
placed      | !      Active    !         !         !         !         Active !      !         !
doubted     | !      !         Queued    Active    !         !         !      -      -         -
found       | !      Active    ~         ~         Active+h  ~         !      -      -         -
failed      | !      +f        failed+f  Active+f  -         -         !      -      -         -
failed once | !      +f        Queued+f  Active+f  -         -         !      -      -         -
crashed     | !      +c        Queued+c  Active+c  -         -         !      -      -         -
evicted     | !      +e        Queued+e  Active+e  -         -         !      -      -         -
lost        | !      ~         Queued    Active    -         -         !      -      -         -
declined    | !      ~         Queued    Active    -         -         !      -      -         -
superseded  | !      ~         Queued    Active    -         -         !      -      -         -
succeeded   | !      succeeded succeeded succeeded succeeded succeeded !      ~      succeeded ~
kill        | killed killed    kill      kill      killed    killed    killed -      -         -
hold        | Held   Held      ~         ~         ~         ~         Held   -      -         -
by hand     | Held   Held      +h        +h        ~         Held      Held   -      -         -
release     | ~      ~         ~         ~         Queued    Queued    Queued -      -         -
to wait     | ~      ~         ~         ~         Waiting   Queued    Queued -      -         -
retry       | -      -         -         -         -         -         -      Queued Queued Queued
handed over | Exported Exported -        -         Exported  Exported  -      -      -         -
unmet       | Waiting -        -         -         ~         Waiting   -      -      -         -
met         | Queued -         -         -         ~         Queued    -      -      -         -
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
    if new.hold and not job.hold:
        word += "+h"
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


def test_a_hold_while_it_runs_holds_it_once_it_would_start_again() -> None:
    job = after(make(Active((2,))), EVENTS["by hand"])
    assert job.state == Active((2,))
    for ends in ("evicted", "lost", "declined", "crashed", "failed once"):
        held = after(job, EVENTS[ends])
        assert (held.state, held.hold) == (Held("held by ana", "hand"), "")
    assert after(job, jobs.Doubted(2)).state == Held("held by ana", "hand")
    assert after(job, EVENTS["succeeded"]).state == Done("succeeded", 2)
    assert after(job, EVENTS["failed"]).state == Done("failed", 2)
    assert after(job, EVENTS["release"], EVENTS["evicted"]).state == Queued()


def test_a_held_job_whose_silent_run_is_found_goes_on_and_stays_held_for_later() -> None:
    job = after(make(Active((2,))), EVENTS["by hand"], EVENTS["doubted"], EVENTS["found"])
    assert (job.state, job.hold) == (Active((2,)), "held by ana")


def test_a_retry_counts_anew_but_never_gives_a_number_twice() -> None:
    job = after(make(Active((2,))), EVENTS["crashed"], jobs.Placed(3))
    job = after(job, jobs.Over(3, "failed", "desk"), jobs.Retry())
    assert (job.state, job.attempts, job.earlier) == (Queued(), 3, 3)
    assert (job.failures, job.crashes, job.evictions, job.crashed_on) == (0, 0, 0, ())
    killed = after(make(Queued()), jobs.Kill(), jobs.Retry())
    assert (killed.state, killed.killed) == (Queued(), False)


def test_what_was_killed_while_it_waited_waits_again_when_retried() -> None:
    again = jobs.Retry(("mesh",))
    never_ran = replace(make(Waiting(("mesh",))), attempts=0)
    assert after(never_ran, jobs.Kill(), again).state == Waiting(("mesh",))
    assert after(make(Queued()), jobs.Kill(), again).state == Queued()


def test_what_crashed_everywhere_starts_from_nought_when_released() -> None:
    job = replace(make(Held("a, b, c all died", "crashes")), crashed_on=("a", "b", "c"))
    assert after(job, jobs.Release()).crashed_on == ()
