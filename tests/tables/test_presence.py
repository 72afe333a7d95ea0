"""Every row of the presence table, and the stories that people complain about elsewhere."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fallow.shared.moments import Moment
from fallow.tray.presence import Facts, Judgement, Pause, Policy, Reading, judge
from fallow.tray.windows import parse_window

WALL = 1_800_000_000.0
POLICY = Policy(idle_after=600.0, settle=30.0)


def keyboard(last: float | None = None) -> Reading:
    return Reading("keyboard", "input", healthy=True, last_activity=last)


def broken(name: str = "keyboard") -> Reading:
    return Reading(name, "input", healthy=False, why="no display")


def seats(vacant: bool) -> Reading:
    return Reading("logind", "session", healthy=True, vacant=vacant)


def terminal(last: float | None) -> Reading:
    return Reading("terminals", "terminal", healthy=True, last_activity=last)


def at(boot: float, *readings: Reading, policy: Policy = POLICY, **facts: object) -> Judgement:
    """The judgement `boot` seconds after the computer started; the agent started at 1000."""
    given = {"started": 1000.0, "readings": readings, **facts}
    return judge(Facts(**given), policy, Moment(boot, WALL + boot))  # type: ignore[arg-type]


ROWS = [
    # rule, facts, verdict, kind of the deciding reason, again at
    ("manual pause", at(5000, keyboard(1.0), pause=Pause(5100.0)), "barred", "pause", 5100.0),
    ("pause for ever", at(5000, keyboard(1.0), pause=Pause()), "barred", "pause", None),
    ("pause is over", at(5100, keyboard(1.0), pause=Pause(5100.0)), "away", None, None),
    ("battery", at(5000, keyboard(1.0), on_battery=True), "barred", "battery", None),
    ("exclusive", at(5000, keyboard(1.0), exclusive=("Paraview",)), "barred", "exclusive", None),
    ("lent", at(5000, keyboard(4999.0), lent_until=5100.0), "away", "lend", 5100.0),
    ("lent, blind", at(5000, broken(), lent_until=5100.0), "away", "lend", 5100.0),
    ("lending is over", at(5100, keyboard(5099.0), lent_until=5100.0), "present", "input", 5699.0),
    (
        "a pause is stronger than lending",
        at(5000, keyboard(1.0), pause=Pause(5050.0), lent_until=5100.0),
        *("barred", "pause", 5050.0),
    ),
    (
        "so is the battery",
        at(5000, keyboard(1.0), on_battery=True, lent_until=5100.0),
        *("barred", "battery", 5100.0),
    ),
    ("no sensor at all", at(5000), "barred", "blind", None),
    ("broken sensor", at(5000, broken()), "barred", "blind", None),
    ("terminals alone do not see a desk", at(5000, terminal(1.0)), "barred", "blind", None),
    ("somebody's session, nobody watches it", at(5000, seats(False)), "barred", "blind", None),
    ("input", at(5000, keyboard(4900.0)), "present", "input", 5500.0),
    ("input just before the threshold", at(5499, keyboard(4900.0)), "present", "input", 5500.0),
    ("settling", at(5500, keyboard(4900.0)), "settling", "settle", 5530.0),
    ("free", at(5530, keyboard(4900.0)), "away", None, None),
    ("one blind, one seeing", at(5000, broken(), keyboard(4990.0)), "present", "input", 5590.0),
    ("freshest of two wins", at(5000, keyboard(1.0), keyboard(4000.0)), "away", None, None),
    ("ssh", at(5000, keyboard(1.0), terminal(4990.0)), "present", "busy", 5590.0),
    ("ssh at a vacant desk", at(5000, seats(True), terminal(4990.0)), "present", "busy", 5590.0),
    ("a film", at(5000, keyboard(1.0), inhibitors=("mpv",)), "present", "inhibitor", None),
    ("others work here", at(5000, keyboard(1.0), foreign_cpu=0.6), "present", "busy", None),
    (
        "others have just stopped working",
        at(5000, keyboard(1.0), undisturbed=4990.0),
        *("settling", "settle", 5020.0),
    ),
    ("a film ended long ago", at(5000, keyboard(1.0), undisturbed=4000.0), "away", None, None),
    ("others work a little", at(5000, keyboard(1.0), foreign_cpu=0.5), "away", None, None),
    ("jobs sent elsewhere", at(5000, keyboard(1.0), ejected=4900.0), "present", "eject", 5500.0),
    ("no more jobs", at(5000, keyboard(1.0), finishing=True), "away", "finish", None),
    ("nobody logged in", at(5000, seats(True), terminal(2000.0)), "away", None, None),
    ("no input since the start", at(1200, keyboard(None)), "present", "input", 1600.0),
    (
        "a tray that has seen nobody yet",
        at(5000, keyboard(None), keyboard(1.0), watched=4900.0),
        *("present", "input", 5500.0),
    ),
    ("nobody since the start, for long", at(1630, keyboard(None)), "away", None, None),
    ("vacant desk, just started", at(1010, seats(True)), "settling", "settle", 1030.0),
    ("just woken", at(9000, keyboard(1.0), woke=8990.0), "settling", "settle", 9020.0),
]


@pytest.mark.parametrize(
    ("judged", "verdict", "why", "again"),
    [pytest.param(*row[1:], id=row[0]) for row in ROWS],
)
def test_row(judged: Judgement, verdict: str, why: str | None, again: float | None) -> None:
    assert judged.verdict.kind == verdict
    assert (judged.verdict.reasons[0].kind if judged.verdict.reasons else None) == why
    assert judged.again_at == again


def test_runs_and_new_jobs() -> None:
    """Frozen while present or barred; thawed but closed to new jobs while settling."""
    assert not at(5000, keyboard(4900.0)).verdict.runs
    settling = at(5500, keyboard(4900.0)).verdict
    assert settling.runs
    assert not settling.accepts
    away = at(5530, keyboard(4900.0)).verdict
    assert away.runs
    assert away.accepts


def test_weaker_reasons_follow_the_deciding_one() -> None:
    judged = at(5000, keyboard(4900.0), pause=Pause(5600.0))
    assert [reason.kind for reason in judged.verdict.reasons] == ["pause", "input"]
    assert judged.again_at == 5500.0, "what is said changes when the weaker reason ends"


def test_that_no_more_jobs_are_wanted_is_said_last() -> None:
    judged = at(5000, keyboard(4900.0), finishing=True)
    assert [reason.kind for reason in judged.verdict.reasons] == ["input", "finish"]
    lent = at(5000, keyboard(4900.0), finishing=True, lent_until=5100.0)
    assert [reason.kind for reason in lent.verdict.reasons] == ["lend", "finish"]


def test_until_is_wall_time() -> None:
    assert at(5000, keyboard(4900.0)).verdict.until == WALL + 5500.0


def test_a_desk_where_nobody_sits_needs_no_sensor() -> None:
    nobody = Policy(desk=False)
    assert at(5000, policy=nobody).verdict.kind == "away"
    assert at(5000, terminal(4990.0), policy=nobody).verdict.kind == "present"


def test_on_battery_only_matters_where_asked() -> None:
    judged = at(5000, keyboard(1.0), on_battery=True, policy=Policy(ac_only=False))
    assert judged.verdict.kind == "away"


NIGHTS = Policy(hours=(parse_window("18:00-08:00"),))
UTC = ZoneInfo("UTC")


def at_hour(hour: float) -> Judgement:
    """The judgement of a free desk at this hour of 2026-11-17, whose nights are lent."""
    wall = datetime(2026, 11, 17, tzinfo=UTC).timestamp() + hour * 3600
    return judge(Facts(1000.0, (keyboard(1.0),)), NIGHTS, Moment(90_000.0, wall), UTC)


def test_outside_the_hours_nothing_runs() -> None:
    judged = at_hour(12.0)
    assert judged.verdict.kind == "barred"
    assert judged.verdict.reasons[0].kind == "hours"
    assert judged.verdict.until == datetime(2026, 11, 17, 18, tzinfo=UTC).timestamp()
    assert judged.again_at == 90_000.0 + 6 * 3600


def test_inside_the_hours_it_is_known_when_they_end() -> None:
    judged = at_hour(19.0)
    assert judged.verdict.kind == "away"
    assert judged.again_at == 90_000.0 + 13 * 3600
