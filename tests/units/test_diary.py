"""The last day of a workstation: kept small, over restarts, sleep and a clock that is set."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.tray.diary import MINUTES, Diary, Kept
from fallow.tray.status import DayState, Span

NOON = 60.0 * 30_000_000


def minutes(diary: Diary, now: float) -> list[tuple[float, float, str]]:
    """Its spans in minutes before noon."""
    return [
        (round((each.start - NOON) / 60, 2), round((each.end - NOON) / 60, 2), each.state)
        for each in diary.spans(now)
    ]


def test_a_morning() -> None:
    diary = Diary()
    for minute in range(60):
        diary.note("paused" if minute < 20 else "ran", NOON + 60 * minute)
    assert minutes(diary, NOON + 59.5 * 60) == [(0, 20, "paused"), (20, 59.5, "ran")]


def test_a_minute_counts_as_the_most_that_was_in_it() -> None:
    diary = Diary()
    states: list[DayState] = ["free", "ran", "paused", "free"]
    for second, state in enumerate(states):
        diary.note(state, NOON + second)
    assert minutes(diary, NOON + 30) == [(0, 0.5, "ran")]


def test_sleep_was_off_and_a_restart_was_not() -> None:
    diary = Diary()
    diary.note("ran", NOON)
    diary.note("ran", NOON + 120)
    diary.note("free", NOON + 3600)
    assert minutes(diary, NOON + 3660) == [(0, 3, "ran"), (3, 60, "off"), (60, 61, "free")]


def test_it_is_written_down_and_read_again() -> None:
    diary = Diary()
    for minute in range(10):
        diary.note("ran", NOON + 60 * minute)
    text = msgspec.json.encode(diary.kept())
    again = Diary(msgspec.json.decode(text, type=Kept))
    again.note("free", NOON + 660)
    assert minutes(again, NOON + 660) == [(0, 11, "ran"), (11, 11, "free")]


@pytest.mark.parametrize("letters", ["nonsense", "r" * (MINUTES + 1)])
def test_what_is_damaged_is_forgotten(letters: str) -> None:
    assert Diary(Kept(5, letters)).spans(NOON) == ()


def test_after_a_day_the_oldest_is_forgotten() -> None:
    diary = Diary()
    for minute in range(2 * MINUTES):
        diary.note("free" if minute < MINUTES else "ran", NOON + 60 * minute)
    end = NOON + 60 * (2 * MINUTES - 1)
    assert [each.state for each in diary.spans(end)] == ["ran"]
    assert len(diary.kept().letters) == MINUTES
    assert diary.spans(end + 2 * 86400) == ()


def test_a_clock_that_is_set() -> None:
    diary = Diary()
    for minute in range(10):
        diary.note("ran", NOON + 60 * minute)
    diary.note("free", NOON + 300)
    assert minutes(diary, NOON + 310) == [(0, 5, "ran"), (5, 5.17, "free")]
    diary.note("free", NOON - 86400)
    assert [each.state for each in diary.spans(NOON - 86400)] == ["free"]
    diary.note("paused", NOON + 2 * 86400)
    assert [each.state for each in diary.spans(NOON + 2 * 86400)] == ["paused"]


@given(
    st.lists(
        st.tuples(st.integers(-5000, 5000), st.sampled_from(["ran", "paused", "free"])), max_size=40
    )
)
def test_spans_follow_each_other(notes: list[tuple[int, DayState]]) -> None:
    diary = Diary()
    now = NOON
    for minute, state in notes:
        now = NOON + 60 * minute
        diary.note(state, now)
        assert len(diary.kept().letters) <= MINUTES
        spans: tuple[Span, ...] = diary.spans(now)
        assert spans[-1].end == now
        assert spans[-1].start >= now - 86400
        assert all(one.end == other.start for one, other in itertools.pairwise(spans))
        assert all(one.state != other.state for one, other in itertools.pairwise(spans))
