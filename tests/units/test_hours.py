"""Instants in words, and when tomorrow begins, also in the nights when the clocks change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fallow.tray.hours import say, until, until_tomorrow

BERLIN = ZoneInfo("Europe/Berlin")


def wall(text: str) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=BERLIN)).timestamp()


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("2026-11-22 14:30", "14:30"),
        ("2026-11-22 14:29:01", "14:30"),
        ("2026-11-22 23:59:30", "tomorrow 00:00"),
        ("2026-11-23 08:00", "tomorrow 08:00"),
        ("2026-11-24 08:00", "Tuesday 08:00"),
        ("2026-11-28 08:00", "Saturday 08:00"),
        ("2026-11-29 08:00", "29 November 08:00"),
        ("2026-11-21 08:00", "21 November 08:00"),
    ],
)
def test_instants_in_words(then: str, words: str) -> None:
    assert say(wall(then), wall("2026-11-22 13:00"), BERLIN) == words


@pytest.mark.parametrize(
    ("now", "morning"),
    [
        ("2026-11-22 17:10", "2026-11-23 08:00"),
        ("2026-11-22 23:59", "2026-11-23 08:00"),
        ("2026-11-23 02:00", "2026-11-23 08:00"),
        ("2026-11-23 04:00", "2026-11-23 08:00"),
        ("2026-11-23 04:01", "2026-11-24 08:00"),
        ("2026-11-23 08:00", "2026-11-24 08:00"),
        ("2026-12-31 20:00", "2027-01-01 08:00"),
        # The nights in which an hour is missing, or comes twice.
        ("2026-03-28 20:00", "2026-03-29 08:00"),
        ("2026-10-24 20:00", "2026-10-25 08:00"),
    ],
)
def test_tomorrow_begins_at_eight(now: str, morning: str) -> None:
    assert wall(now) + until_tomorrow(wall(now), BERLIN) == wall(morning)


@pytest.mark.parametrize(
    ("now", "clock", "then"),
    [
        ("2026-11-22 17:10", "18:30", "2026-11-22 18:30"),
        ("2026-11-22 17:10", "17:10", "2026-11-23 17:10"),
        ("2026-11-22 23:50", "00:10", "2026-11-23 00:10"),
        ("2026-12-31 20:00", "7:05", "2027-01-01 07:05"),
        # 02:30 does not come on this night: the clocks jump from 02:00 to 03:00.
        ("2026-03-29 01:00", "02:30", "2026-03-29 03:30"),
        ("2026-03-28 20:00", "08:00", "2026-03-29 08:00"),
        ("2026-03-29 03:40", "02:30", "2026-03-30 02:30"),
        # Here it comes twice: the first, and after that the second.
        ("2026-10-25 01:00", "02:30", "2026-10-25 02:30"),
        ("2026-10-25 02:45", "02:30", "2026-10-25 02:30+01:00"),
        ("2026-10-25 02:45+01:00", "02:30", "2026-10-26 02:30"),
        ("2026-10-24 20:00", "08:00", "2026-10-25 08:00"),
    ],
)
def test_until_clocks_show_a_time(now: str, clock: str, then: str) -> None:
    assert wall(now) + until(clock, wall(now), BERLIN) == wall(then)


@pytest.mark.parametrize("text", ["", "24:00", "12:60", "noon", "18", "18:3", "-1:00"])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time of day"):
        until(text, wall("2026-11-22 12:00"), BERLIN)
