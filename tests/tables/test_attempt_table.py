"""Every cell of the table of one attempt, as the coordinator sees it: event by state.

A cell is the state it leads to and, after a slash, the order; `~` stays as it is, `-` is stale
(dropped), `!` is refused.
"""

import pytest
from msgspec.structs import replace

from fallow.coordinator import attempt
from fallow.coordinator.attempt import RULES, STALE, Event, Impossible, step
from fallow.coordinator.records import (
    Assigned,
    AttemptRecord,
    AttemptState,
    Collecting,
    Ended,
    Live,
    Stopping,
)
from fallow.shared.ids import AttemptId
from fallow.shared.runs import Crashed, Declined, Exited, Finished, Signalled, Stopped, StopReason

WALL = 5000.0
MANIFEST = "ab" * 32

STATES: dict[str, AttemptState] = {
    "Assigned": Assigned(),
    "Live": Live("running"),
    "Collecting": Collecting(Exited(0), MANIFEST, 7),
    "Stopping": Stopping("superseded"),
    "Evicting": Stopping("evict"),
    "Ended": Ended("lost"),
}
EVENTS: dict[str, Event] = {
    "seen building": attempt.Seen("building", False),
    "seen running": attempt.Seen("running", False),
    "seen paused": attempt.Seen("running", True),
    "seen, told": attempt.Seen("running", False, told=True),
    "exit 0, coming": attempt.SeenFinished(Finished(Exited(0), MANIFEST, 7)),
    "exit 0, here": attempt.SeenFinished(Finished(Exited(0), MANIFEST, 7, stored=True)),
    "exit 0, late": attempt.SeenFinished(Finished(Exited(0), MANIFEST, 7, stored=True), False),
    "exit 3, coming": attempt.SeenFinished(Finished(Exited(3), MANIFEST, 7)),
    "exit 3, here": attempt.SeenFinished(Finished(Exited(3), MANIFEST, 7, stored=True)),
    "signal, here": attempt.SeenFinished(Finished(Signalled(11), MANIFEST, 7, stored=True)),
    "crash, files": attempt.SeenFinished(Finished(Crashed(), MANIFEST, 7, stored=True)),
    "crash, nothing": attempt.SeenFinished(Finished(Crashed())),
    "evicted there": attempt.SeenFinished(Finished(Stopped("evict"))),
    "evicted, coming": attempt.SeenFinished(Finished(Stopped("evict"), MANIFEST, 7)),
    "evicted, saved": attempt.SeenFinished(Finished(Stopped("evict"), MANIFEST, 7, stored=True)),
    "ran too long": attempt.SeenFinished(Finished(Stopped("run_time"), MANIFEST, 7, stored=True)),
    "stopped there": attempt.SeenFinished(Finished(Stopped("lost"))),
    "declined": attempt.SeenDeclined(Declined("owner")),
    "absent": attempt.Absent(),
    "silent": attempt.Silent(),
    "shut down": attempt.ShutDown(),
    "stop kill": attempt.Stop("kill"),
    "stop superseded": attempt.Stop("superseded"),
    "stop evict": attempt.Stop("evict"),
    "kept result": attempt.Kept("result"),
    "kept failed": attempt.Kept("failed"),
    "kept checkpoint": attempt.Kept("checkpoint"),
    "unusable": attempt.Unusable("a path that leaves its folder"),
}

HEAD = "Assigned Live Collecting Stopping Evicting Ended"
TABLE = """
seen building   | Live Live ! ~/withdraw ~/withdraw ~/withdraw
seen running    | Live ~ ! ~/withdraw ~/withdraw ~/withdraw
seen paused     | Live Live ! ~/withdraw ~/withdraw ~/withdraw
seen, told      | Live ~ ! ~ ~ ~
exit 0, coming  | Collecting Collecting ~ superseded/discarded Collecting ~/discarded
exit 0, here    | Collecting/commit Collecting/commit ~/commit superseded/discarded Collecting/commit ~/discarded
exit 0, late    | superseded/superseded superseded/superseded superseded/superseded superseded/discarded superseded/superseded ~/discarded
exit 3, coming  | Collecting Collecting ~ superseded/discarded Collecting ~/discarded
exit 3, here    | Collecting/commit Collecting/commit ~/commit superseded/discarded Collecting/commit ~/discarded
signal, here    | Collecting/commit Collecting/commit ~/commit superseded/discarded Collecting/commit ~/discarded
crash, files    | Collecting/commit Collecting/commit ~/commit superseded/discarded Collecting/commit ~/discarded
crash, nothing  | lost/discarded lost/discarded lost/discarded superseded/discarded lost/discarded ~/discarded
evicted there   | evicted/discarded evicted/discarded evicted/discarded superseded/discarded evicted/discarded ~/discarded
evicted, coming | Collecting Collecting ~ superseded/discarded Collecting ~/discarded
evicted, saved  | Collecting/commit Collecting/commit ~/commit superseded/discarded Collecting/commit ~/discarded
ran too long    | Collecting/commit Collecting/commit ~/commit superseded/discarded Collecting/commit ~/discarded
stopped there   | lost/discarded lost/discarded lost/discarded superseded/discarded lost/discarded ~/discarded
declined        | declined/discarded declined/discarded ! superseded/discarded evicted/discarded ~/discarded
absent          | lost lost lost superseded evicted -
silent          | lost doubtful doubtful superseded evicted -
shut down       | evicted evicted - superseded evicted -
stop kill       | Stopping/withdraw Stopping/withdraw Stopping/withdraw Stopping/withdraw Stopping/withdraw -
stop superseded | Stopping/withdraw Stopping/withdraw ~ ~ Stopping/withdraw -
stop evict      | Stopping/withdraw Stopping/withdraw ~ ~ ~ -
kept result     | ! ! succeeded/committed succeeded/committed succeeded/committed -
kept failed     | ! ! failed/kept failed/kept failed/kept -
kept checkpoint | ! ! evicted/kept evicted/kept evicted/kept -
unusable        | ! ! failed/discarded - - -
"""  # noqa: E501


def make(state: AttemptState) -> AttemptRecord:
    exit = state.exit if isinstance(state, Collecting) else None
    return AttemptRecord(
        id=AttemptId("b1", 3, 1),
        node="desk",
        state=state,
        cpus=2,
        memory=1 << 30,
        assigned=4000.0,
        exit=exit,
    )


def cells() -> list[tuple[str, str, str]]:
    found = []
    for row in TABLE.strip().splitlines():
        event, _, rest = row.partition("|")
        for state, cell in zip(HEAD.split(), rest.split(), strict=True):
            found.append((state, event.strip(), cell))
    return found


def outcome(record: AttemptRecord, event: Event) -> str:
    try:
        change = step(record, event, WALL)
    except Impossible:
        return "!"
    if change is None:
        return "-"
    new = change.record
    if new == record:
        word = "~"
    elif isinstance(new.state, Ended):
        word = new.state.how
        assert new.closed == WALL
    elif new.doubtful:
        word = "doubtful"
    else:
        word = type(new.state).__name__
    return f"{word}/{change.order}" if change.order else word


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


@pytest.mark.parametrize("state", ["Live", "Collecting"])
def test_doubt_ends_when_it_is_heard_of(state: str) -> None:
    record = replace(make(STATES[state]), doubtful=True)
    event = EVENTS["seen running" if state == "Live" else "exit 0, coming"]
    change = step(record, event, WALL)
    assert change is not None
    assert not change.record.doubtful
    assert change.record.state == record.state


@pytest.mark.parametrize("state", ["Live", "Collecting"])
def test_silence_doubts_only_once(state: str) -> None:
    record = replace(make(STATES[state]), doubtful=True)
    change = step(record, attempt.Silent(), WALL)
    assert change is not None
    assert change.record is record


@pytest.mark.parametrize("why", ["kill", "superseded", "evict", "lost"])
@pytest.mark.parametrize("then", ["kill", "superseded", "evict", "lost"])
def test_the_stronger_reason_stays(why: StopReason, then: StopReason) -> None:
    strength = ["evict", "lost", "superseded", "kill"]
    change = step(make(Stopping(why)), attempt.Stop(then), WALL)
    assert change is not None
    assert change.record.state == Stopping(max(why, then, key=strength.index))


@pytest.mark.parametrize(
    ("how", "order"),
    [
        ("succeeded", "committed"),
        ("failed", "kept"),
        ("crashed", "kept"),
        ("superseded", "superseded"),
        ("killed", "discarded"),
        ("evicted", "discarded"),
    ],
)
def test_a_lost_acceptance_is_said_again(how: str, order: str) -> None:
    record = make(Ended(how))  # type: ignore[arg-type]
    change = step(record, EVENTS["exit 0, here"], WALL)
    assert change is not None
    assert (change.record, change.order) == (record, order)


def test_a_job_that_saves_itself_and_exits_0_when_killed_has_not_finished() -> None:
    change = step(make(Stopping("kill")), EVENTS["exit 0, here"], WALL)
    assert change is not None
    assert change.record.state == Ended("killed")
    assert change.order == "discarded"


def test_a_checkpoint_that_is_no_good_costs_the_job_nothing() -> None:
    record = replace(
        make(Collecting(Stopped("evict"), MANIFEST, 7)), exit=Stopped("evict"), manifest=MANIFEST
    )
    change = step(record, attempt.Unusable("its list cannot be read"), WALL)
    assert change is not None
    assert change.record.state == Ended("evicted", "its list cannot be read")
    assert change.order == "discarded"


def test_what_filled_the_disk_has_failed_and_nothing_of_it_is_waited_for() -> None:
    change = step(make(Live("running")), attempt.SeenFinished(Finished(Stopped("disk"))), WALL)
    assert change is not None
    assert change.order == "discarded"
    assert isinstance(change.record.state, Ended)
    assert change.record.state.how == "failed"
    assert "disk" in change.record.state.text


def test_what_ran_for_too_long_has_failed() -> None:
    change = step(make(Live("running")), EVENTS["ran too long"], WALL)
    assert change is not None
    kept = step(change.record, attempt.Kept("failed"), WALL)
    assert kept is not None
    assert (kept.record.state, kept.record.exit) == (Ended("failed"), Stopped("run_time"))
