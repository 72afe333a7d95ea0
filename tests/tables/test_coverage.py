"""Which sessions are seen by whom, what the presence rule makes of it, and sensors that differ."""

import pytest

from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover, Desk, Witness, disagreements, unwatched
from fallow.tray.presence import Facts, Policy, Reading, judge

ANA = Desk("2", "ana", 1000, "seat0", ":0")
BEN = Desk("5", "ben", 1001, "seat0", ":1")
WAYLAND = Desk("7", "ana", 1000, "seat1")


@pytest.mark.parametrize(
    ("cover", "desk", "seen"),
    [
        (Cover(everything=True), ANA, True),
        (Cover(session="2", uid=1000), ANA, True),
        (Cover(session="2", uid=1000, display=":0"), ANA, True),
        (Cover(session="3", uid=1000, display=":0"), ANA, True),  # an old number in a terminal
        (Cover(session="3", uid=1000, display=":9"), ANA, False),
        (Cover(session="3", uid=1000), ANA, False),
        (Cover(uid=1000, display=":0.0"), ANA, True),
        (Cover(uid=1000, display="unix:0"), ANA, True),
        (Cover(uid=1000, display=":1"), ANA, False),
        (Cover(uid=1000), ANA, True),
        (Cover(uid=1001, display=":0"), ANA, False),  # on another's screen, by xhost
        (Cover(), ANA, False),
        (Cover(session="7", uid=1000), WAYLAND, True),
        (Cover(session="2", uid=1000, display=":0"), WAYLAND, False),
        (Cover(uid=1000, display=":0"), WAYLAND, True),  # which of them it is, nobody knows
    ],
)
def test_who_sees_whom(cover: Cover, desk: Desk, seen: bool) -> None:
    assert cover.covers(desk) is seen


def test_every_session_needs_a_sensor() -> None:
    ana = Cover(session="2", uid=1000)
    assert unwatched([], []) == ()
    assert unwatched([ANA], []) == (ANA,)
    assert unwatched([ANA, BEN], [ana]) == (BEN,)
    assert unwatched([ANA, BEN], [ana, Cover(everything=True)]) == ()


def verdict(*readings: Reading) -> tuple[str, str]:
    now = Moment(1e6, 1e9 + 1e6)
    judgement = judge(Facts(0.0, readings), Policy(), now).verdict
    return judgement.kind, judgement.reasons[0].text if judgement.reasons else ""


def keys(cover: Cover | None, healthy: bool = True) -> Reading:
    return Reading("pynput", "input", healthy, "", 10.0, covers=cover)


def seats(*desks: Desk) -> Reading:
    return Reading("logind", "session", True, "somebody is logged in", desks=desks)


def test_a_session_that_nothing_watches_bars_all_jobs() -> None:
    ana = keys(Cover(session="2", uid=1000))
    assert verdict(seats(ANA), ana)[0] == "away"
    kind, text = verdict(seats(ANA, BEN), ana)
    assert kind == "barred"
    assert "nothing watches ben's session 5 at seat0" in text


@pytest.mark.parametrize("eye", [keys(None), keys(Cover(session="2", uid=1000), healthy=False)])
def test_what_may_not_see_the_session_does_not_count(eye: Reading) -> None:
    assert verdict(seats(ANA), eye)[0] == "barred"


def test_without_logind_any_sensor_of_input_will_do() -> None:
    assert verdict(keys(None))[0] == "away"


def test_sensors_that_differ() -> None:
    now = 10_000.0
    fresh = Witness("xscreensaver", now - 30.0)
    deaf = Witness("pynput", now - 301.0)
    assert disagreements([deaf, fresh], now) == {
        "pynput": "xscreensaver saw input 30 s ago, this one none for 5 minutes"
    }
    assert disagreements([fresh, deaf], now).keys() == {"pynput"}
    assert not disagreements([deaf, Witness("xscreensaver", now - 31.0)], now)
    assert not disagreements([Witness("pynput", now - 300.0), fresh], now)
    assert not disagreements([fresh], now)


def test_a_sensor_that_has_just_begun_contradicts_nobody() -> None:
    begun = Witness("mutter", 9_995.0, saw_input=False)
    assert not disagreements([Witness("pynput", 1.0), begun], 10_000.0)
    # ... but one that has looked for long and saw nothing does.
    deaf = Witness("pynput", 1.0, saw_input=False)
    assert disagreements([deaf, Witness("mutter", 9_990.0)], 10_000.0).keys() == {"pynput"}
