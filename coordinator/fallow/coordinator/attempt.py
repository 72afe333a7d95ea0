"""The life of one attempt, as a table: (state, event) -> record and at most one order.

Not the job's life (`job`), which follows from how its attempts end; not the run on the workstation
(`fallow.shared.work.run`). A pair in RULES is a transition, one in STALE is dropped without a
word, any other is Impossible.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fallow.coordinator.records import (
    Assigned,
    AttemptRecord,
    Collecting,
    Ended,
    How,
    Live,
    Phase,
    Stopping,
)
from fallow.shared.runs import (
    Crashed,
    Declined,
    Exited,
    Finished,
    Stopped,
    StopReason,
    stronger,
    too_much,
)

# --- events ---------------------------------------------------------------------------------------


class Seen(Struct, frozen=True, gc=False):
    """A Report has it at work. `told`: it was withdrawn already in this session."""

    phase: Phase
    frozen: bool
    told: bool = False


class SeenFinished(Struct, frozen=True, gc=False):
    """A Report has it finished. `wanted`: no other attempt succeeded and nobody killed the job."""

    run: Finished
    wanted: bool = True


class SeenDeclined(Struct, frozen=True, gc=False):
    """A Report has it given back."""

    run: Declined


class Absent(Struct, frozen=True, gc=False):
    """A Report of this session that has heard all about it does not have it."""


class Silent(Struct, frozen=True, gc=False):
    """Its workstation has said nothing for longer than `lost_after`."""


class ShutDown(Struct, frozen=True, gc=False):
    """Its workstation said that it is being shut down."""


class Stop(Struct, frozen=True, gc=False):
    """It is not wanted any more."""

    why: StopReason


class Kept(Struct, frozen=True, gc=False):
    """Its outcome is in the results tree; or it was evicted, and its checkpoint is here."""

    outcome: Literal["result", "failed", "checkpoint"]


class Unusable(Struct, frozen=True, gc=False):
    """Its outcome can never be put into the results tree."""

    text: str


Event: TypeAlias = (
    Seen | SeenFinished | SeenDeclined | Absent | Silent | ShutDown | Stop | Kept | Unusable
)

# --- what comes out -------------------------------------------------------------------------------

Order = Literal["withdraw", "commit", "committed", "kept", "superseded", "discarded"]
"""What the workstation (or, for commit, the results tree) is to do; the last four are Accepted."""


class Change(Struct, frozen=True, gc=False):
    """The record as it is now (the very same one if nothing changed), and what to do."""

    record: AttemptRecord
    order: Order | None = None


class Impossible(Exception):
    """This cannot happen to an attempt in this state: the other side is wrong, or we are."""


Rule: TypeAlias = Callable[[AttemptRecord, Any, float], Change]

_HOW: dict[StopReason, How] = {
    "kill": "killed",
    "superseded": "superseded",
    "evict": "evicted",
    "lost": "lost",
    "run_time": "failed",
    "memory": "failed",
    "disk": "failed",
}


def step(record: AttemptRecord, event: Event, wall: float) -> Change | None:
    """What the event makes of the attempt, None when it is stale; Impossible when it cannot be."""
    pair = (type(record.state), type(event))
    rule = RULES.get(pair)
    if rule is not None:
        return rule(record, event, wall)
    if pair in STALE:
        return None
    raise Impossible(f"{pair[0].__name__} attempt {record.id}: {pair[1].__name__}")


def is_over(record: AttemptRecord) -> bool:
    """Whether it has ended for good."""
    return type(record.state) is Ended


def takes_room(record: AttemptRecord) -> bool:
    """Whether it holds processors and memory of its workstation."""
    state = record.state
    if type(state) is Stopping:
        return not state.finished
    return type(state) in {Assigned, Live}


# --- rules ----------------------------------------------------------------------------------------


def _end(record: AttemptRecord, how: How, wall: float, text: str = "") -> AttemptRecord:
    return replace(record, state=Ended(how, text), closed=wall)


def _live(record: AttemptRecord, event: Seen, wall: float) -> Change:
    state = record.state
    if (
        type(state) is Live
        and state.phase == event.phase
        and state.frozen == event.frozen
        and not record.doubtful
    ):
        return Change(record)
    return Change(replace(record, state=Live(event.phase, event.frozen), doubtful=False))


def _finish(record: AttemptRecord, event: SeenFinished, wall: float) -> Change:
    run = event.run
    record = replace(
        record,
        exit=run.exit,
        manifest=run.manifest,
        started=run.started,
        ended=run.ended,
        doubtful=False,
    )
    gone = _gone(record, event, wall)
    if gone is not None:
        return gone
    record = replace(record, state=Collecting(run.exit, run.manifest, run.size))
    return Change(record, "commit" if run.stored or run.manifest is None else None)


def _gone(record: AttemptRecord, event: SeenFinished, wall: float) -> Change | None:
    """The end of an attempt of which nothing is to be collected; None when something is."""
    run = event.run
    if not event.wanted:
        return Change(_end(record, "superseded", wall), "superseded")
    match run.exit:
        case Stopped("evict" | "run_time" | "memory") if run.manifest is not None:
            return None
        case Stopped("disk"):
            return Change(_end(record, "failed", wall, too_much(run.exit)), "discarded")
        case Stopped(why):
            # Its workstation stopped it for reasons of its own.
            return Change(_end(record, "evicted" if why == "evict" else "lost", wall), "discarded")
        case Crashed() if run.manifest is None:
            # A crash leaves files; without them, it is they that were lost, by its workstation.
            text = "its outputs were lost on its workstation"
            return Change(_end(record, "lost", wall, text), "discarded")
    return None


def _collect(record: AttemptRecord, event: SeenFinished, wall: float) -> Change:
    if record.doubtful:
        record = replace(record, doubtful=False)
    gone = _gone(record, event, wall)
    if gone is not None:
        return gone
    run = event.run
    return Change(record, "commit" if run.stored or run.manifest is None else None)


def _decline(record: AttemptRecord, event: SeenDeclined, wall: float) -> Change:
    run = event.run
    text = f"{run.reason}: {run.text}" if run.text else run.reason
    return Change(replace(_end(record, "declined", wall, text), doubtful=False), "discarded")


def _lose(record: AttemptRecord, event: Absent | Silent, wall: float) -> Change:
    text = "its workstation does not have it" if type(event) is Absent else "no word of it"
    return Change(_end(record, "lost", wall, text))


def _doubt(record: AttemptRecord, event: Silent, wall: float) -> Change:
    return Change(record if record.doubtful else replace(record, doubtful=True))


def _evict(record: AttemptRecord, event: ShutDown, wall: float) -> Change:
    return Change(_end(record, "evicted", wall, "its computer was shut down"))


def _stop(record: AttemptRecord, event: Stop, wall: float) -> Change:
    return Change(replace(record, state=Stopping(event.why)), "withdraw")


def _stop_collecting(record: AttemptRecord, event: Stop, wall: float) -> Change:
    if event.why != "kill":
        return Change(record)
    return Change(replace(record, state=Stopping(event.why, finished=True)), "withdraw")


def _stop_harder(record: AttemptRecord, event: Stop, wall: float) -> Change:
    state = record.state
    assert type(state) is Stopping
    if stronger(state.why, event.why) == state.why:
        return Change(record)
    return Change(replace(record, state=Stopping(event.why, state.finished)), "withdraw")


def _withdraw_again(record: AttemptRecord, event: Seen, wall: float) -> Change:
    return Change(record, None if event.told else "withdraw")


def _stopped(record: AttemptRecord, event: Event, wall: float) -> Change:
    state = record.state
    assert type(state) is Stopping
    seen = type(event) in {SeenFinished, SeenDeclined}
    if type(event) is SeenFinished and state.why == "evict":
        # Its checkpoint is collected first; or it had ended by itself, and has its result.
        return _finish(record, event, wall)
    if type(event) is SeenFinished:
        run = event.run
        record = replace(record, exit=run.exit, started=run.started, ended=run.ended)
    return Change(_end(record, _HOW[state.why], wall), "discarded" if seen else None)


def _kept(record: AttemptRecord, event: Kept, wall: float) -> Change:
    if event.outcome == "checkpoint":
        return Change(_end(record, "evicted", wall), "kept")
    if event.outcome == "result":
        return Change(_end(record, "succeeded", wall), "committed")
    how: How = "crashed" if type(record.exit) is Crashed else "failed"
    return Change(_end(record, how, wall), "kept")


def _unusable(record: AttemptRecord, event: Unusable, wall: float) -> Change:
    if is_evicted(record):
        # It cost the job nothing to be evicted, and now it just starts anew.
        return Change(_end(record, "evicted", wall, event.text), "discarded")
    return Change(_end(record, "failed", wall, event.text), "discarded")


def _accept_again(record: AttemptRecord, event: SeenFinished | SeenDeclined, wall: float) -> Change:
    state = record.state
    assert type(state) is Ended
    match state.how:
        case "succeeded":
            return Change(record, "committed")
        case "failed" | "crashed":
            return Change(record, "kept")
        case "superseded":
            return Change(record, "superseded")
    return Change(record, "discarded")


RULES: dict[tuple[type, type], Rule] = {
    (Assigned, Seen): _live,
    (Assigned, SeenFinished): _finish,
    (Assigned, SeenDeclined): _decline,
    (Assigned, Absent): _lose,
    (Assigned, Silent): _lose,
    (Assigned, ShutDown): _evict,
    (Assigned, Stop): _stop,
    (Live, Seen): _live,
    (Live, SeenFinished): _finish,
    # While staging or building it can still be given back.
    (Live, SeenDeclined): _decline,
    (Live, Absent): _lose,
    (Live, Silent): _doubt,
    (Live, ShutDown): _evict,
    (Live, Stop): _stop,
    (Collecting, SeenFinished): _collect,
    (Collecting, Absent): _lose,
    (Collecting, Silent): _doubt,
    (Collecting, Stop): _stop_collecting,
    (Collecting, Kept): _kept,
    (Collecting, Unusable): _unusable,
    (Stopping, Seen): _withdraw_again,
    (Stopping, SeenFinished): _stopped,
    (Stopping, SeenDeclined): _stopped,
    (Stopping, Absent): _stopped,
    (Stopping, Silent): _stopped,
    (Stopping, ShutDown): _stopped,
    (Stopping, Stop): _stop_harder,
    # A kill never touches a commit under way, so this is the word of a commit before a restart.
    (Stopping, Kept): _kept,
    (Ended, Seen): _withdraw_again,
    (Ended, SeenFinished): _accept_again,
    (Ended, SeenDeclined): _accept_again,
}

STALE: frozenset[tuple[type, type]] = frozenset(
    {
        # The spool of a finished run survives the shutdown.
        (Collecting, ShutDown),
        (Stopping, Unusable),
        (Ended, Absent),
        (Ended, Silent),
        (Ended, ShutDown),
        (Ended, Stop),
        # A commit is announced again after a restart.
        (Ended, Kept),
        (Ended, Unusable),
    }
)


def is_success(record: AttemptRecord) -> bool:
    """Whether its program ended by itself with code 0."""
    return record.exit == Exited(0)


def is_evicted(record: AttemptRecord) -> bool:
    """Whether its workstation, or we, sent it elsewhere before it had ended by itself."""
    return record.exit == Stopped("evict")
