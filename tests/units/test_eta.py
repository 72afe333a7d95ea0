"""How long a batch will still take, from what is known of its jobs."""

import pytest

from fallow.coordinator.eta import Pace, of_batch, of_job


@pytest.mark.parametrize(
    ("pace", "mean", "left"),
    [
        (Pace(10.0, 0.25), None, 30.0),
        (Pace(10.0, 0.25), 12.0, 30.0),  # its own word before that of others
        (Pace(10.0, 1.0), 100.0, 0.0),
        (Pace(10.0, 0.0), 25.0, 15.0),  # a job that has just begun says nothing yet
        (Pace(10.0), 25.0, 15.0),
        (Pace(30.0), 25.0, 0.0),
        (Pace(10.0), None, None),
        (Pace(0.0, 0.0), None, None),
    ],
)
def test_of_a_job(pace: Pace, mean: float | None, left: float | None) -> None:
    assert of_job(pace, mean) == left


@pytest.mark.parametrize(
    ("waiting", "paces", "mean", "slots", "left"),
    [
        (0, [], 10.0, 2, 0.0),
        (4, [], 10.0, 2, 20.0),
        (4, [Pace(5.0), Pace(5.0)], 10.0, 2, 25.0),
        # The longest one is not helped by an idle workstation.
        (0, [Pace(10.0, 0.1), Pace(9.0, 0.9)], 10.0, 2, 90.0),
        # Nothing is done yet, but a job says how far it is.
        (2, [Pace(10.0, 0.5)], None, 1, 50.0),
        (2, [Pace(10.0, 0.5), Pace(1.0)], None, 2, (10.0 + 19.0 + 40.0) / 2),
        (2, [Pace(10.0)], None, 1, None),
        (0, [Pace(10.0)], None, 1, None),
        (3, [], 10.0, 0, None),
    ],
)
def test_of_a_batch(
    waiting: int, paces: list[Pace], mean: float | None, slots: int, left: float | None
) -> None:
    assert of_batch(waiting, paces, mean, slots) == left
