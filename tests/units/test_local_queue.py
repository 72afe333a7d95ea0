"""Which job is next on one computer: room, order, further tries, giving up."""

import pytest

from fallow.coordinator.local_queue import LocalQueue, Room, Slot, notes, slot_for
from fallow.shared.batch import Batch, Meta, OnFailure, Resources
from fallow.shared.errors import FallowError

NO = OnFailure()
GIB = 1 << 30


def started(queue: LocalQueue, slot: Slot, now: float = 0.0) -> list[int]:
    """Start as many as fit."""
    found = []
    while (index := queue.candidate(now)) is not None and queue.fits(slot):
        queue.start(index, slot, now)
        found.append(index)
    return found


def test_a_job_that_asks_for_nothing_gets_all() -> None:
    assert slot_for(Resources(), Room(8, GIB)) == Slot(8, None)


def test_side_by_side_all_is_an_equal_share() -> None:
    assert slot_for(Resources(), Room(8, GIB, 3)) == Slot(2, None)
    assert slot_for(Resources(), Room(2, GIB, 5)) == Slot(1, None)


def test_nobody_gets_more_than_there_is() -> None:
    assert slot_for(Resources(cpus=64, memory=9 * GIB), Room(4, GIB)) == Slot(4, GIB)


def test_as_many_run_as_the_processors_allow() -> None:
    queue = LocalQueue(range(5), Room(4, GIB), NO)
    assert started(queue, Slot(2, None)) == [0, 1]
    queue.ended(0, 0.0)
    assert started(queue, Slot(2, None)) == [2]


def test_as_many_run_as_the_memory_allows() -> None:
    queue = LocalQueue(range(5), Room(4, 2 * GIB), NO)
    assert started(queue, Slot(1, GIB)) == [0, 1]


def test_what_the_user_says_goes_before_the_processors() -> None:
    queue = LocalQueue(range(5), Room(1, GIB, 3), NO)
    assert started(queue, Slot(1, GIB)) == [0, 1, 2]


def test_one_job_always_runs() -> None:
    queue = LocalQueue(range(2), Room(1, GIB), NO)
    assert started(queue, Slot(9, 9 * GIB)) == [0]


def test_no_gpu_is_shared_whatever_the_user_says() -> None:
    queue = LocalQueue(range(5), Room(8, GIB, 4, gpus=2), NO)
    assert slot_for(Resources(gpus=1), Room(8, GIB, gpus=2)) == Slot(8, None, 1)
    assert started(queue, Slot(1, None, 1)) == [0, 1]


def test_more_gpus_than_there_are_cannot_be() -> None:
    batch = Batch(meta=Meta(namespace="a", batch_name="b"))
    with pytest.raises(FallowError, match="A job asks for 1 GPU"):
        notes(batch, [Resources(), Resources(gpus=1)], Room(4, GIB))
    assert notes(batch, [Resources(gpus=1)], Room(4, GIB, gpus=1)) == []


def test_a_failed_job_waits_twice_as_long_each_time() -> None:
    queue = LocalQueue([7], Room(1, GIB), OnFailure(retries=2, back_off=10.0))
    assert started(queue, Slot(1, None), 0.0) == [7]
    assert queue.ended(7, 5.0, failed=True)
    assert queue.candidate(14.9) is None
    assert queue.deadline() == 15.0
    assert started(queue, Slot(1, None), 15.0) == [7]
    assert queue.ended(7, 20.0, failed=True)
    assert queue.deadline() == 40.0
    assert started(queue, Slot(1, None), 40.0) == [7]
    assert not queue.over()
    assert not queue.ended(7, 41.0, failed=True)
    assert queue.over()
    assert queue.left == 0


def test_others_go_on_while_one_waits_for_its_next_try() -> None:
    queue = LocalQueue([0, 1], Room(1, GIB), OnFailure(retries=1, back_off=10.0))
    assert started(queue, Slot(1, None), 0.0) == [0]
    queue.ended(0, 1.0, failed=True)
    assert started(queue, Slot(1, None), 1.0) == [1]
    # It waited, but there is no room.
    assert started(queue, Slot(1, None), 11.0) == []
    queue.ended(1, 12.0)
    assert started(queue, Slot(1, None), 12.0) == [0]


def test_giving_up_leaves_what_runs() -> None:
    queue = LocalQueue(range(4), Room(2, GIB), OnFailure(retries=1))
    started(queue, Slot(1, None))
    queue.ended(0, 0.0, failed=True)
    assert queue.give_up() == [2, 3, 0]
    assert not queue.over()
    queue.ended(1, 0.0)
    assert queue.over()
    assert queue.left == 0


def test_what_does_not_hold_here_is_said() -> None:
    batch = Batch(meta=Meta(namespace="a", batch_name="b"), after=("c",), notify=("desktop",))
    said = notes(batch, [Resources(cpus=64, memory=8 * GIB)], Room(4, GIB))
    assert said == [
        "jobs ask for 64 processors, and get the 4 that are here",
        "jobs ask for 8GiB of memory; this computer has 1GiB",
        "`after` is for a coordinator to act on; it means nothing here",
        "`notify` is for a coordinator to act on; it means nothing here",
    ]
    fitting = Batch(meta=Meta(namespace="a", batch_name="b"))
    assert notes(fitting, [Resources(cpus=4, memory=GIB)], Room(4, GIB)) == []
