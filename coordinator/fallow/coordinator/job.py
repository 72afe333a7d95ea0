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
    HeldBy,
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
    """An attempt ended without a success; `not_before` and `avoid` are for the next one.

    `again`: although it failed, the job has another try.
    """

    attempt: int
    how: How
    node: str
    not_before: Deadline | None = None
    avoid: Avoid | None = None
    again: bool = False


class Succeeded(Struct, frozen=True, gc=False):
    """The result of this attempt is in the results tree."""

    attempt: int


class Kill(Struct, frozen=True, gc=False):
    """Its owner or an admin wants it ended: `by` is the name, "" where nobody knows it."""

    by: str = ""


class Hold(Struct, frozen=True, gc=False):
    """It is not to go on until a person says so; `why` is a sentence."""

    why: str
    by: HeldBy = "other"


class Release(Struct, frozen=True, gc=False):
    """A person says so; `unmet` is what it still has to wait for."""

    unmet: tuple[str, ...] = ()


class Retry(Struct, frozen=True, gc=False):
    """A person wants it tried anew, as if for the first time; `unmet` is what it follows still."""

    unmet: tuple[str, ...] = ()


class HandOver(Struct, frozen=True, gc=False):
    """It is handed to a cluster in this export."""

    export: str


class Unmet(Struct, frozen=True, gc=False):
    """Of what it follows, this has not succeeded yet, and may still."""

    batches: tuple[str, ...]


Event: TypeAlias = (
    Placed | Doubted | Found | Over | Succeeded | Kill | Hold | Release | Retry | HandOver | Unmet
)
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
    if left is not None:
        return replace(job, state=left)
    if job.killed:
        return replace(job, state=Done("killed", event.attempt))
    return _queue(job, Queued(None, state.avoid))


def _find(job: JobRecord, event: Found) -> JobRecord:
    state = job.state
    assert type(state) is Queued or type(state) is Active
    others = state.attempts if type(state) is Active else ()
    return replace(job, state=Active(tuple(sorted({*others, event.attempt})), state.avoid))


def _find_held(job: JobRecord, event: Found) -> JobRecord:
    state = job.state
    assert type(state) is Held
    if state.by != "hand":
        return job  # it will be withdrawn
    return replace(job, state=Active((event.attempt,)), hold=state.why)


def _over(job: JobRecord, event: Over) -> JobRecord:
    state = job.state
    assert type(state) is Active
    job = _count(job, event)
    left = _without(state, event.attempt)
    return replace(job, state=left) if left is not None else _after_last(job, state, event)


def _after_last(job: JobRecord, state: Active, event: Over) -> JobRecord:
    """A job whose last live attempt has ended without a success."""
    if job.killed:
        return replace(job, state=Done("killed", event.attempt))
    if event.how == "failed" and not event.again:
        return replace(job, state=Done("failed", event.attempt), hold="")
    if event.how == "crashed" and len(job.crashed_on) >= POISON:
        why = f"{', '.join(job.crashed_on)} all died while they ran it"
        return replace(job, state=Held(why, "crashes"), hold="")
    avoid = state.avoid
    if event.avoid is not None:
        avoid = (*(each for each in avoid if each.node != event.avoid.node), event.avoid)
    return _queue(job, Queued(event.not_before, avoid))


def _queue(job: JobRecord, state: Queued) -> JobRecord:
    """Ready for another attempt, unless somebody has held it meanwhile."""
    if job.hold:
        return replace(job, state=Held(job.hold, "hand"), hold="")
    return replace(job, state=state)


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
    return replace(job, state=Done("succeeded", event.attempt), hold="")


def _upgrade(job: JobRecord, event: Succeeded) -> JobRecord:
    assert type(job.state) is Done
    return _succeed(job, event) if job.state.outcome == "failed" else job


def _intend_kill(job: JobRecord, event: Kill) -> JobRecord:
    return job if job.killed else replace(job, killed=True, killed_by=event.by)


def _kill(job: JobRecord, event: Kill) -> JobRecord:
    done = Done("killed", job.attempts or None)
    return replace(job, killed=True, killed_by=event.by, state=done)


def _hold(job: JobRecord, event: Hold) -> JobRecord:
    return replace(job, state=Held(event.why, event.by))


def _intend_hold(job: JobRecord, event: Hold) -> JobRecord:
    return replace(job, hold=event.why) if event.by == "hand" and not job.killed else job


def _drop_hold(job: JobRecord, event: Release) -> JobRecord:
    return replace(job, hold="") if job.hold else job


def _release(job: JobRecord, event: Release) -> JobRecord:
    state = job.state
    assert type(state) is Held
    # Who releases what was held because of another batch does not want to wait for that.
    waits = bool(event.unmet) and state.by != "after"
    return replace(job, state=Waiting(event.unmet) if waits else Queued(), crashed_on=())


def _hold_too(job: JobRecord, event: Hold) -> JobRecord:
    """What waits for another batch's mending does not go on by itself any more."""
    state = job.state
    assert type(state) is Held
    by_hand = event.by == "hand" and state.by == "after"
    return replace(job, state=Held(event.why, event.by)) if by_hand else job


def _take_back(job: JobRecord, event: Release) -> JobRecord:
    return replace(job, state=Queued())


def _retry(job: JobRecord, event: Retry) -> JobRecord:
    # What never ran was killed while it waited; the rest had been let go.
    waits = bool(event.unmet) and not job.attempts
    return replace(
        job,
        state=Waiting(event.unmet) if waits else Queued(),
        failures=0,
        crashes=0,
        evictions=0,
        killed=False,
        killed_by="",
        crashed_on=(),
        hold="",
        earlier=job.attempts,
    )


def _wait(job: JobRecord, event: Unmet) -> JobRecord:
    state = job.state
    if type(state) is Held and state.by != "after":
        return job
    if type(state) is Waiting and state.batches == event.batches:
        return job
    return replace(job, state=Waiting(event.batches) if event.batches else Queued())


def _unchanged(job: JobRecord, event: Release) -> JobRecord:
    return job


def _hand_over(job: JobRecord, event: HandOver) -> JobRecord:
    return replace(job, state=Exported(event.export))


def _see_back(job: JobRecord, event: Placed) -> JobRecord:
    """An attempt that ran on the cluster is first heard of when it is over."""
    return replace(job, state=Active((event.attempt,)), attempts=max(job.attempts, event.attempt))


def can_be_exported(job: JobRecord) -> bool:
    """Whether it could be handed to a cluster now."""
    return (type(job.state), HandOver) in RULES


RULES: dict[tuple[type, type], Rule] = {
    (Waiting, HandOver): _hand_over,
    (Queued, HandOver): _hand_over,
    (Held, HandOver): _hand_over,
    (Exported, Placed): _see_back,
    (Waiting, Kill): _kill,
    (Waiting, Hold): _hold,
    (Waiting, Release): _unchanged,
    (Waiting, Unmet): _wait,
    (Queued, Placed): _place,
    (Queued, Found): _find,
    # A doubtful attempt turned out to be gone.
    (Queued, Over): _count,
    # A doubtful attempt had its commit under way.
    (Queued, Succeeded): _succeed,
    (Queued, Kill): _kill,
    (Queued, Hold): _hold,
    (Queued, Release): _unchanged,
    (Active, Doubted): _doubt,
    (Active, Found): _find,
    (Active, Over): _over,
    (Active, Succeeded): _succeed,
    (Active, Kill): _intend_kill,
    # What runs goes on to its end; nothing starts after it.
    (Active, Hold): _intend_hold,
    (Active, Release): _drop_hold,
    (Held, Found): _find_held,
    (Held, Succeeded): _succeed,
    (Held, Kill): _kill,
    (Held, Hold): _hold_too,
    (Held, Release): _release,
    (Held, Unmet): _wait,
    (Exported, Kill): _kill,
    (Exported, Hold): _hold,
    (Exported, Release): _take_back,
    (Done, Succeeded): _upgrade,
    (Done, Retry): _retry,
}

STALE: frozenset[tuple[type, type]] = frozenset(
    {
        # Doubtful attempts outlive the state of their job; when found, they are withdrawn.
        (Held, Over),
        (Done, Doubted),
        (Done, Found),
        (Done, Over),
        (Done, Kill),
        (Done, Hold),
        (Done, Release),
        # Only what is over can be tried anew.
        (Waiting, Retry),
        (Queued, Retry),
        (Active, Retry),
        (Held, Retry),
        (Exported, Retry),
        # What runs or is over stays here.
        (Active, HandOver),
        (Exported, HandOver),
        (Done, HandOver),
        # Told to all jobs of a batch, whatever has become of them.
        (Queued, Unmet),
        (Active, Unmet),
        (Exported, Unmet),
        (Done, Unmet),
    }
)
