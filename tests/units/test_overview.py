"""What the window says, second by second, of every state that a person can meet."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from fallow.shared.runs import Progress, Reason
from fallow.tray.overview import DAY, Overview, lasting, overview
from fallow.tray.status import (
    AgentStatus,
    CoordinatorStatus,
    RunStatus,
    SensorStatus,
    Span,
)

NOW = 1_800_000_000.0
RUN = RunStatus("sweep", "re100", "ana", "running", "a/0/1")
HERE = Reason("input", "you are here", NOW + 600)
PAUSE = Reason("pause", "you asked for a pause", NOW + 60)
FOREVER = Reason("pause", "you asked for a pause")
SETTLE = Reason("settle", "the desk has just become free", NOW + 30)
HOURS = Reason("hours", "these are your own hours", NOW + 7200)
LENT = Reason("lend", "you lend this computer while you work", NOW + 3600)


def shown(status: AgentStatus, after: float = 0.0) -> Overview:
    return overview(status, NOW, NOW + after, lambda wall: f"{wall - NOW:.0f}", UTC)


def paused(*reasons: Reason, runs: tuple[RunStatus, ...] = ()) -> AgentStatus:
    return AgentStatus("paused", "online", "present", reasons, runs)


@pytest.mark.parametrize(
    ("status", "after", "countdown"),
    [
        (AgentStatus("idle", "online", "away"), 0, ""),
        (
            paused(HERE, runs=(RUN,)),
            1,
            "Jobs go on in 9 min 59 s if nobody touches keyboard or mouse.",
        ),
        (paused(HERE), 1, "Jobs may come in 9 min 59 s if nobody touches keyboard or mouse."),
        (paused(HOURS), 0, "Jobs may come in 2 h 00 min."),
        (
            paused(PAUSE, HERE),
            0,
            "Jobs may come in 10 min 00 s if nobody touches keyboard or mouse.",
        ),
        (paused(FOREVER, HERE), 0, ""),
        (paused(HERE), 601, "Jobs may come in a moment."),
        (AgentStatus("idle", "online", "settling", (SETTLE,)), 1, "Jobs may come in 29 s."),
        (
            AgentStatus("running", "online", "away", (LENT,), (RUN,), lent_until=NOW + 3600),
            0,
            "Lent while you work for another 1 h 00 min.",
        ),
        (AgentStatus("finishing", "online", "away", (SETTLE,), finishing=True), 0, ""),
    ],
)
def test_the_countdown(status: AgentStatus, after: float, countdown: str) -> None:
    assert shown(status, after).countdown == countdown


def test_further_reasons_are_told() -> None:
    assert shown(paused(PAUSE, HERE)).reasons == ("Also: you are here, until 600",)
    assert shown(paused(HERE)).reasons == ()


@pytest.mark.parametrize(
    ("run", "after", "state", "facts"),
    [
        (RUN, 0, "for ana: running", ""),
        (RUN, 61, "for ana: running", "ran 1 min 01 s"),
        (
            RunStatus(
                *("sweep", "re100", "ana", "running", "a/0/1"),
                run_seconds=10.0,
                eta_seconds=130.0,
                cores=0.5,
                memory=500,
            ),
            20,
            "for ana: running",
            "ran 30 s · about 1 min 50 s left · 0.5 cores · 500B of memory",
        ),
        (
            RunStatus(
                *("sweep", "re100", "ana", "paused", "a/0/1"),
                run_seconds=10.0,
                paused_seconds=5.0,
                eta_seconds=7200.0,
                cores=0.0,
                memory=20 << 30,
                why="its turn comes later",
            ),
            20,
            "for ana: paused, its turn comes later",
            "ran 10 s · about 2 h 00 min of work left · paused 25 s · 20 GiB of memory",
        ),
        (
            RunStatus("sweep", "re100", "ana", "ending", leaving=True),
            0,
            "for ana: moves to another computer",
            "",
        ),
        (
            RunStatus("sweep", "re100", "ana", "running", progress=Progress(1.7, "odd")),
            0,
            "for ana: running",
            "100% odd",
        ),
    ],
)
def test_a_run_in_words(run: RunStatus, after: float, state: str, facts: str) -> None:
    status = AgentStatus("running", "online", "away", runs=(run,))
    (found,) = shown(status, after).runs
    assert (found.title, found.state, found.facts) == ("re100 of sweep", state, facts)


def test_builds_are_runs_and_what_is_over_is_none() -> None:
    build = RunStatus("sweep", "", "ana", "building")
    over = RunStatus("sweep", "re1", "ana", "finished")
    status = AgentStatus("running", "online", "away", runs=(build, over))
    assert [run.title for run in shown(status).runs] == ["Build of sweep"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (86399, "23 h 59 min"),
        (200000, "2 d 7 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_sensors_and_coordinator_in_words() -> None:
    status = AgentStatus(
        "idle",
        "offline",
        "away",
        sensors=(SensorStatus("evdev", True, last_activity=NOW - 2), SensorStatus("new", False)),
        coordinator=CoordinatorStatus("tcp://lab:8952", "", "no route"),
    )
    found = shown(status)
    assert [f"{each.name}: {each.text}" for each in found.sensors] == [
        "Input devices: works; last saw somebody just now",
        "new: sees nothing: it does not answer",
    ]
    assert found.coordinator == "Looking for tcp://lab:8952; jobs that are here go on (no route)"
    assert shown(AgentStatus("idle", "unjoined", "away")).coordinator.endswith("tray join TOKEN")
    assert found.sight == "1 of 2 sensors can tell whether you are here"
    assert shown(AgentStatus("idle", "online", "away")).sight.startswith("Nothing tells")


def test_the_day_is_cut_to_a_day_and_gaps_are_off() -> None:
    spans = (
        Span(NOW - 2 * DAY, NOW - DAY / 2, "ran"),
        # Two that overlap, as after a wall clock that was set back.
        Span(NOW - DAY / 4, NOW - DAY / 8, "paused"),
        Span(NOW - DAY / 4, NOW + 100, "free"),
    )
    status = AgentStatus("idle", "online", "away", day=spans)
    day = shown(status).day
    assert day is not None
    assert [(bar.start, bar.end, bar.state) for bar in day.bars] == [
        (0.0, 0.5, "ran"),
        (0.75, 0.875, "paused"),
        (0.875, 1.0, "free"),
    ]
    assert "jobs ran 12 h 00 min" in day.text
    assert "off 6 h 00 min" in day.text


def test_hours_are_marked_where_the_clock_shows_them() -> None:
    status = AgentStatus("idle", "online", "away", day=(Span(NOW - 100, NOW, "ran"),))
    east = timezone(timedelta(hours=5, minutes=30))
    day = overview(status, NOW, NOW, str, east).day
    assert day is not None
    assert [text for _, text in day.marks] == ["18:00", "00:00", "06:00", "12:00"]
    for share, text in day.marks:
        then = datetime.fromtimestamp(NOW - DAY + share * DAY, east)
        assert f"{then:%H:%M}" == text


def test_a_day_of_a_clock_change_has_its_noon_at_noon() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 3, 29, 20, 0, tzinfo=berlin).timestamp()
    status = AgentStatus("idle", "online", "away", day=(Span(now - 100, now, "ran"),))
    day = overview(status, now, now, str, berlin).day
    assert day is not None
    marked = {
        text: datetime.fromtimestamp(now - DAY + share * DAY, berlin) for share, text in day.marks
    }
    assert {f"{then:%H:%M}" for then in marked.values()} == set(marked)
    assert "12:00" in marked
