"""The queue of one batch against a plain list; use of workstations that fades."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.coordinator.fairshare import HALF_LIFE, Usage, charge, fade
from fallow.coordinator.queue import Kind, Queue

USUAL = Kind(1, None)


@given(
    st.sets(st.integers(0, 30)),
    st.lists(st.tuples(st.sampled_from(["add", "avoid", "aside", "drop"]), st.integers(0, 30))),
)
def test_queue_keeps_what_a_plain_dict_keeps(first: set[int], steps: list[tuple[str, int]]) -> None:
    queue = Queue()
    queue.fill(USUAL, first)
    avoiding = USUAL._replace(avoid=("desk",))
    expected: dict[int, Kind | None] = dict.fromkeys(first, USUAL)
    for what, index in steps:
        if what == "drop" and index in expected:
            queue.drop(index, USUAL)
            del expected[index]
        elif what != "drop" and index not in expected:
            if what == "aside":
                queue.set_aside(index)
                expected[index] = None
            else:
                expected[index] = USUAL if what == "add" else avoiding
                queue.add(index, expected[index] or USUAL)
        assert len(queue) == len(expected)
        for kind in (USUAL, avoiding):
            wanted = sorted((i for i, k in expected.items() if k == kind), reverse=True)
            assert queue.groups.get(kind, []) == wanted


def test_dropping_what_is_not_there_is_an_error() -> None:
    queue = Queue()
    queue.add(3, USUAL)
    with pytest.raises(KeyError):
        queue.drop(4, USUAL)


def test_use_counts_half_after_a_day() -> None:
    usage = charge(Usage(), 100.0, 1000.0)
    assert fade(usage, 1000.0) == 100.0
    assert fade(usage, 1000.0 + HALF_LIFE) == pytest.approx(50.0)


def test_a_clock_that_was_set_back_changes_nothing() -> None:
    usage = charge(Usage(), 100.0, 1000.0)
    assert fade(usage, 0.0) == 100.0


def test_use_that_is_told_late_has_faded_too() -> None:
    early = charge(charge(Usage(), 60.0, 0.0), 30.0, HALF_LIFE)
    late = charge(charge(Usage(), 30.0, HALF_LIFE), 60.0, 0.0)
    assert fade(early, HALF_LIFE) == pytest.approx(fade(late, HALF_LIFE))
