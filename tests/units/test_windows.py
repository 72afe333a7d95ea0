"""Hours in which a desk is lent: overnight, by weekday, and on the days of a clock change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fallow.tray.windows import Window, inside, next_change, parse_window

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = (parse_window("18:00-08:00"),)
WEEKEND = (parse_window("sat-sun"),)


def at(text: str, fold: int = 0) -> float:
    """UNIX seconds of a civil time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("18:00-08:00", Window(tuple(range(7)), 18 * 60, 32 * 60)),
        ("9:30-17:00", Window(tuple(range(7)), 9 * 60 + 30, 17 * 60)),
        ("00:00-24:00", Window(tuple(range(7)), 0, 24 * 60)),
        ("sat-sun", Window((5, 6))),
        ("fri-mon", Window((0, 4, 5, 6))),
        ("Mon,Wed 19:00-07:30", Window((0, 2), 19 * 60, 31 * 60 + 30)),
    ],
)
def test_reading(text: str, window: Window) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize(
    "text", ["", "always", "18-08", "25:00-08:00", "18:60-19:00", "mon-", "08:00-08:00", "a b c"]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_window(text)


@pytest.mark.parametrize(
    ("when", "free"),
    [
        ("2026-11-17 17:59:59", False),
        ("2026-11-17 18:00:00", True),
        ("2026-11-18 00:00:00", True),
        ("2026-11-18 07:59:59", True),
        ("2026-11-18 08:00:00", False),
    ],
)
def test_overnight(when: str, free: bool) -> None:
    assert inside(NIGHT, at(when), BERLIN) is free


def test_a_window_over_midnight_belongs_to_the_day_it_starts_on() -> None:
    friday_night = (parse_window("fri 20:00-06:00"),)
    assert inside(friday_night, at("2026-11-21 05:59"), BERLIN), "Saturday morning"
    assert not inside(friday_night, at("2026-11-20 05:59"), BERLIN), "Friday morning"


def test_weekend_follows_weekend_and_nothing_else() -> None:
    assert next_change(WEEKEND, at("2026-11-18 12:00"), BERLIN) == at("2026-11-21 00:00")
    assert next_change(WEEKEND, at("2026-11-21 12:00"), BERLIN) == at("2026-11-23 00:00")


def test_windows_that_touch_are_one() -> None:
    both = (parse_window("18:00-24:00"), parse_window("00:00-08:00"))
    assert next_change(both, at("2026-11-17 19:00"), BERLIN) == at("2026-11-18 08:00")


def test_always_never_changes() -> None:
    assert next_change((parse_window("00:00-24:00"),), at("2026-11-17 19:00"), BERLIN) is None


def test_the_night_of_the_change_to_summer_is_an_hour_shorter() -> None:
    closes = next_change(NIGHT, at("2026-03-28 18:00"), BERLIN)
    assert closes == at("2026-03-29 08:00")
    assert closes - at("2026-03-28 18:00") == 13 * 3600


def test_the_night_of_the_change_to_winter_is_an_hour_longer() -> None:
    closes = next_change(NIGHT, at("2026-10-24 18:00"), BERLIN)
    assert closes == at("2026-10-25 08:00")
    assert closes - at("2026-10-24 18:00") == 15 * 3600


def test_the_hour_that_comes_twice_counts_twice() -> None:
    twice = (parse_window("02:00-03:00"),)
    assert inside(twice, at("2026-10-25 02:30", fold=0), BERLIN)
    assert inside(twice, at("2026-10-25 02:30", fold=1), BERLIN)
