"""Instants in words, and when tomorrow begins, also in the nights when the clocks change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fallow.tray.hours import say, until_tomorrow

BERLIN = ZoneInfo("Europe/Berlin")


def wall(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


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
