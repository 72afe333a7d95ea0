"""The life of one job, as a table: (state, event) -> record.

Not the attempts' lives (`attempt`), whose ends are this table's events; not the placing (`plan`).
A pair in RULES is a transition, one in STALE is dropped without a word, any other is Impossible.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fallow.coordinator.attempt import Impossible
from fallow.coordinator.records import (
    Active,
    Avoid,
    Done,
    Exported,
    Held,
    How,
    JobRecord,
    JobState,
    Queued,
    Waiting,
)
from fallow.shared.moments import Deadline

POISON = 3
"""A job that so many different workstations died under is held."""

# --- events ---------------------------------------------------------------------------------------


class Placed(Struct, frozen=True, gc=False):
    """An attempt of this number was made for it."""

    attempt: int


class Doubted(Struct, frozen=True, gc=False):
    """The workstation of this attempt is silent; another may start."""

    attempt: int


class Found(Struct, frozen=True, gc=False):
    """An attempt that was doubtful was heard of again."""

    attempt: int


class Over(Struct, frozen=True, gc=False):
    """An attempt ended without a success; `not_before` and `avoid` are for the next one."""

    attempt: int
    how: How
    node: str
    not_before: Deadline | None = None
    avoid: Avoid | None = None


class Succeeded(Struct, frozen=True, gc=False):
    """The result of this attempt is in the results tree."""

    attempt: int


class Kill(Struct, frozen=True, gc=False):
    """Its owner or an admin wants it ended."""


class Hold(Struct, frozen=True, gc=False):
    """It cannot go on until a person says so; `why` is a sentence."""

    why: str


Event: TypeAlias = Placed | Doubted | Found | Over | Succeeded | Kill | Hold
Rule: TypeAlias = Callable[[JobRecord, Any], JobRecord]


def step(job: JobRecord, event: Event) -> JobRecord | None:
    """The job after the event, None when it is stale; Impossible when it cannot be."""
    pair = (type(job.state), type(event))
    rule = RULES.get(pair)
    if rule is not None:
        return rule(job, event)
    if pair in STALE:
        return None
    raise Impossible(f"{pair[0].__name__} job {job.id}: {pair[1].__name__}")


# --- rules ----------------------------------------------------------------------------------------


def _place(job: JobRecord, event: Placed) -> JobRecord:
    assert type(job.state) is Queued
    state = Active((event.attempt,), job.state.avoid)
    return replace(job, state=state, attempts=max(job.attempts, event.attempt))


def _doubt(job: JobRecord, event: Doubted) -> JobRecord:
    state = job.state
    assert type(state) is Active
    left: JobState | None = _without(state, event.attempt)
    if left is None:
        left = Done("killed", event.attempt) if job.killed else Queued(None, state.avoid)
    return replace(job, state=left)


def _find(job: JobRecord, event: Found) -> JobRecord:
    state = job.state
    assert type(state) is Queued or type(state) is Active
    others = state.attempts if type(state) is Active else ()
    return replace(job, state=Active(tuple(sorted({*others, event.attempt})), state.avoid))


def _over(job: JobRecord, event: Over) -> JobRecord:
    state = job.state
    assert type(state) is Active
    job = _count(job, event)
    return replace(job, state=_without(state, event.attempt) or _after_last(job, state, event))


def _after_last(job: JobRecord, state: Active, event: Over) -> JobState:
    """Where a job goes whose last live attempt has ended without a success."""
    if job.killed:
        return Done("killed", event.attempt)
    if event.how == "failed":
        return Done("failed", event.attempt)
    if event.how == "crashed" and len(job.crashed_on) >= POISON:
        return Held(f"{', '.join(job.crashed_on)} all died while they ran it")
    avoid = state.avoid
    if event.avoid is not None:
        avoid = (*(each for each in avoid if each.node != event.avoid.node), event.avoid)
    return Queued(event.not_before, avoid)


def _count(job: JobRecord, event: Over) -> JobRecord:
    match event.how:
        case "failed":
            return replace(job, failures=job.failures + 1)
        case "crashed":
            known = event.node in job.crashed_on
            on = job.crashed_on if known else (*job.crashed_on, event.node)
            return replace(job, crashes=job.crashes + 1, crashed_on=on)
        case "evicted":
            return replace(job, evictions=job.evictions + 1)
    return job


def _without(state: Active, attempt: int) -> Active | None:
    left = tuple(each for each in state.attempts if each != attempt)
    return replace(state, attempts=left) if left else None


def _succeed(job: JobRecord, event: Succeeded) -> JobRecord:
    return replace(job, state=Done("succeeded", event.attempt))


def _upgrade(job: JobRecord, event: Succeeded) -> JobRecord:
    assert type(job.state) is Done
    return _succeed(job, event) if job.state.outcome == "failed" else job


def _intend_kill(job: JobRecord, event: Kill) -> JobRecord:
    return job if job.killed else replace(job, killed=True)


def _kill(job: JobRecord, event: Kill) -> JobRecord:
    return replace(job, killed=True, state=Done("killed", job.attempts or None))


def _hold(job: JobRecord, event: Hold) -> JobRecord:
    return replace(job, state=Held(event.why))


RULES: dict[tuple[type, type], Rule] = {
    (Waiting, Kill): _kill,
    (Waiting, Hold): _hold,
    (Queued, Placed): _place,
    (Queued, Found): _find,
    # A doubtful attempt turned out to be gone.
    (Queued, Over): _count,
    # A doubtful attempt had its commit under way.
    (Queued, Succeeded): _succeed,
    (Queued, Kill): _kill,
    (Queued, Hold): _hold,
    (Active, Doubted): _doubt,
    (Active, Found): _find,
    (Active, Over): _over,
    (Active, Succeeded): _succeed,
    (Active, Kill): _intend_kill,
    (Held, Succeeded): _succeed,
    (Held, Kill): _kill,
    (Exported, Kill): _kill,
    (Exported, Hold): _hold,
    (Done, Succeeded): _upgrade,
}

STALE: frozenset[tuple[type, type]] = frozenset(
    {
        # Doubtful attempts outlive the state of their job; when found, they are withdrawn.
        (Held, Found),
        (Held, Over),
        (Held, Hold),
        (Done, Doubted),
        (Done, Found),
        (Done, Over),
        (Done, Kill),
        (Done, Hold),
    }
)
