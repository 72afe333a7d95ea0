"""Stories at the desk on a manual clock: when jobs stand still, and when they go on again."""

import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from fakes import FakeDesk
from fallow.shared.messages import Ack, Argv, JobSpec, Welcome
from fallow.shared.moments import Moment
from fallow.tray import core_words as words
from fallow.tray.coverage import Cover
from fallow.tray.coverage import Desk as LoggedIn
from fallow.tray.presence import Reading
from fallow.tray.windows import parse_window

JOB = JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1, 1 << 30)
HOUR, DAY = 3600.0, 86400.0
BERLIN = ZoneInfo("Europe/Berlin")
VACANT = Reading("logind", "session", True, vacant=True)


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.online()
    return made


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def verdict(desk: FakeDesk) -> tuple[str, str]:
    """The kind of the verdict, and of the deciding reason."""
    it = desk.core.verdict
    return it.kind, it.reasons[0].kind if it.reasons else ""


def test_one_second_before_the_threshold_nothing_goes_on(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert "Freeze 1-1" in desk.touch()
    assert "Thaw 1-1" not in desk.wait(599)
    assert desk.core.work.frozen
    assert "Thaw 1-1" in desk.wait(1)
    # And only after it has settled may others come.
    assert not desk.core.accepting
    desk.wait(29)
    assert not desk.core.accepting
    desk.wait(1)
    assert desk.core.accepting


def test_the_threshold_is_kept_without_anybody_looking(desk: FakeDesk) -> None:
    """The core asks to be woken at the very second."""
    desk.running(JOB)
    desk.touch()
    thaws = desk.now.boot + 600
    for _ in range(200):
        due = desk.core.deadline()
        assert due is not None
        assert due > desk.now.boot
        said = desk.wait(due - desk.now.boot)
        if "Thaw 1-1" in said:
            break
    assert desk.now.boot == thaws


def test_every_touch_begins_the_wait_anew(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.touch()
    for _ in range(5):
        desk.wait(599)
        desk.touch()
    assert desk.core.work.frozen
    assert "Thaw 1-1" in desk.wait(600)


def test_nobody_has_typed_since_the_agent_started() -> None:
    desk = FakeDesk()

    def unseen() -> list[str]:
        return desk.do(words.Seen("tray-1", (Reading("keys", "input", True),)), words.Expired())

    began = desk.now.boot
    unseen()
    assert verdict(desk) == ("present", "input")
    desk.now = Moment(began + 599, desk.now.wall)
    unseen()
    assert verdict(desk) == ("present", "input"), "a fresh start is no idleness"
    desk.now = Moment(began + 630, desk.now.wall)
    unseen()
    assert verdict(desk) == ("away", "")


def test_who_logs_in_at_night_is_there_before_the_first_key(desk: FakeDesk) -> None:
    """A Wayland desktop tells its new tray nothing of the password that was typed before."""
    seat = LoggedIn("7", "ana", 1000, "seat0")
    logind = replace(VACANT, vacant=False, desks=(seat,))
    fresh = Reading("idle_notify", "input", True, covers=Cover(session="7"))
    desk.running(JOB)
    desk.do(words.SourceGone("tray-1"), words.Seen("agent", (VACANT,)))
    assert verdict(desk)[0] == "away"
    desk.now = desk.now.plus(7 * HOUR)
    assert "Freeze 1-1" in desk.do(words.Seen("agent", (logind,)))

    def later(seconds: float) -> list[str]:
        desk.now = desk.now.plus(seconds)
        return desk.do(words.Seen("agent", (logind,)), words.Seen("tray-2", (fresh,)))

    assert "Thaw 1-1" not in later(5)
    assert verdict(desk) == ("present", "input")
    for _ in range(24):
        assert "Thaw 1-1" not in later(25 - 1e-3)
    assert "Thaw 1-1" in later(1)
    assert verdict(desk) == ("settling", "settle")
    # A tray that dies and comes back has forgotten whom it saw.
    desk.do(words.SourceGone("tray-2"))
    assert "Thaw 1-1" not in later(1)
    assert verdict(desk) == ("present", "input")


def test_the_login_screen_at_night_is_a_free_desk() -> None:
    desk = FakeDesk()
    desk.do(words.Seen("agent", (VACANT,)))
    assert verdict(desk)[0] in {"settling", "away"}
    desk.do(words.Seen("agent", (replace(VACANT, vacant=False),)))
    assert verdict(desk) == ("barred", "blind"), "somebody is logged in, and nobody sees them"


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(words.SourceGone("tray-1"), id="the tray has ended"),
        pytest.param(
            words.Seen("tray-1", (Reading("keys", "input", False, "its thread ended"),)),
            id="its thread has ended",
        ),
        pytest.param(
            words.Seen("tray-1", (Reading("keys", "input", False, "no X server"),)),
            id="the X server has ended",
        ),
        pytest.param(words.Seen("tray-1", ()), id="there is no display"),
    ],
)
def test_a_sensor_that_is_gone_stops_the_jobs_until_it_is_back(
    desk: FakeDesk, gone: words.Event
) -> None:
    desk.running(JOB)
    desk.wait(1)
    assert "Freeze 1-1" in desk.do(gone)
    assert verdict(desk) == ("barred", "blind")
    assert desk.core.verdict.until is None
    desk.wait(3 * HOUR, watched=False)
    assert desk.core.work.frozen, "not seeing anybody is not seeing that nobody is there"
    assert "Thaw 1-1" in desk.look()


def test_a_sensor_that_hangs_is_believed_for_half_a_minute(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.look()
    assert "Freeze 1-1" not in desk.wait(29, watched=False)
    assert "Freeze 1-1" in desk.wait(1, watched=False)


def test_a_film_that_needs_no_hands(desk: FakeDesk) -> None:
    desk.running(JOB)
    film = Reading("inhibitors", "inhibitor", True, "mpv (a film)")
    keys = Reading("keys", "input", True, last_activity=desk.touched)
    assert "Freeze 1-1" in desk.do(words.Seen("tray-1", (keys, film)))
    assert verdict(desk) == ("present", "inhibitor")
    desk.now = desk.now.plus(2 * HOUR)
    desk.do(words.Seen("tray-1", (keys, film)))
    assert desk.core.work.frozen, "nobody has touched anything for two hours"
    assert "Thaw 1-1" in desk.do(words.Seen("tray-1", (keys, replace(film, why=""))))
    assert verdict(desk) == ("settling", "settle")


def test_an_agent_that_was_held_up_believes_what_it_hears_last(desk: FakeDesk) -> None:
    """Not for a moment what it knew before, by which the desk would be free by now."""
    desk.running(JOB)
    desk.touch()
    desk.now = desk.now.plus(700)
    assert "Thaw 1-1" not in desk.touch()
    desk.wait(630)
    desk.now = desk.now.plus(60)
    assert "Freeze 1-1" not in desk.look(), "it was silent, and has just spoken"


def test_waking_from_two_hours_of_sleep(desk: FakeDesk) -> None:
    desk.running(JOB)
    before = desk.now
    desk.now = desk.now.plus(2 * HOUR)
    desk.do(words.Woke(2 * HOUR))
    desk.look()
    assert verdict(desk) == ("settling", "settle"), "whoever opened the lid may be about to type"
    assert not desk.core.accepting
    assert desk.core.work.frozen is False
    desk.wait(30)
    assert verdict(desk) == ("away", "")
    # What was asleep did not run.
    desk.wait(0)
    ran = desk.reports[-1].runs[0].run_seconds
    assert ran < desk.now.boot - before.boot - 2 * HOUR + 1


def test_somebody_opens_the_lid_and_types(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.now = desk.now.plus(2 * HOUR)
    # Until the tray has spoken again, nobody knows who is there.
    assert "Freeze 1-1" in desk.do(words.Woke(2 * HOUR))
    desk.touch()
    assert desk.core.work.frozen
    assert verdict(desk) == ("present", "input")


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "ahead"])
def test_a_wall_clock_that_jumps_by_a_day_makes_nobody_come_or_go(
    desk: FakeDesk, jump: float
) -> None:
    desk.running(JOB)
    desk.touch()
    desk.now = Moment(desk.now.boot, desk.now.wall + jump)
    assert "Thaw 1-1" not in desk.wait(599)
    assert "Thaw 1-1" in desk.wait(1)
    desk.now = Moment(desk.now.boot, desk.now.wall - jump)
    assert "Freeze 1-1" not in desk.wait(60)


def evening(desk: FakeDesk, text: str) -> None:
    """It is this late in Berlin, at a desk whose nights are lent, and that nobody touches."""
    policy = replace(desk.settings.policy, hours=(parse_window("22:00-06:00"),))
    desk.now = Moment(
        desk.now.boot + DAY, datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()
    )
    desk.look()
    desk.do(words.Reconfigured(replace(desk.settings, policy=policy)))


def until_thaw(desk: FakeDesk, other: str = "Thaw 1-1") -> str:
    """Only as often as the core asks for; the civil time at which the jobs go on (or `other`)."""
    for _ in range(20_000):
        due = desk.core.deadline()
        assert due is not None
        if other in desk.wait(max(due - desk.now.boot, 0.001)):
            return datetime.fromtimestamp(desk.now.wall + 0.01, BERLIN).strftime("%d %H:%M")
    raise AssertionError(f"no {other}")


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("begins", "opens", "closes", "hours"),
    [
        ("2026-11-17 21:00", "17 22:00", "18 06:00", 8.0),
        # The clocks jump from two to three: the night is an hour shorter, its ends stay.
        ("2027-03-27 21:00", "27 22:00", "28 06:00", 7.0),
        # The hour from two to three comes twice.
        ("2027-10-30 21:00", "30 22:00", "31 06:00", 9.0),
    ],
)
def test_a_window_over_night_and_the_nights_of_both_clock_changes(
    begins: str, opens: str, closes: str, hours: float
) -> None:
    desk = FakeDesk()
    desk.do(words.Connected())
    desk.do(words.Said(Welcome(1, 600.0, "desk")))
    desk.do(words.Said(Ack(1)))
    desk.look()
    desk.running(JOB)
    evening(desk, begins)
    assert verdict(desk) == ("barred", "hours")
    assert desk.core.work.frozen
    assert until_thaw(desk) == opens
    opened = desk.now.boot
    assert until_thaw(desk, "Freeze 1-1") == closes
    assert (desk.now.boot - opened) / HOUR == pytest.approx(hours, abs=0.01)
