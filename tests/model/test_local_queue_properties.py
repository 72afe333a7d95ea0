"""Whatever the jobs ask for and however they end: never over what is there, each to its end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fallow.coordinator.local_queue import LocalQueue, Room, Slot, slot_for
from fallow.shared.batch import OnFailure, Resources

wishes = st.builds(
    Resources,
    cpus=st.none() | st.integers(1, 12),
    memory=st.none() | st.integers(1, 100),
    gpus=st.none() | st.integers(0, 2),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(wishes, min_size=1, max_size=12),
    st.builds(
        Room, st.integers(1, 8), st.integers(1, 64), st.none() | st.integers(1, 4), st.just(2)
    ),
    st.integers(0, 3),
    st.data(),
)
def test_it_never_takes_more_than_there_is(
    jobs: list[Resources], room: Room, retries: int, data: st.DataObject
) -> None:
    queue = LocalQueue(range(len(jobs)), room, OnFailure(retries=retries, back_off=10.0))
    running: dict[int, Slot] = {}
    tries = dict.fromkeys(range(len(jobs)), 0)
    over: set[int] = set()
    now = 0.0
    while not queue.over():
        while (index := queue.candidate(now)) is not None:
            slot = slot_for(jobs[index], room)
            if not queue.fits(slot):
                break
            queue.start(index, slot, now)
            assert index not in running
            assert index not in over
            running[index] = slot
            tries[index] += 1
        several = len(running) > 1
        assert sum(slot.gpus for slot in running.values()) <= room.gpus
        if room.side_by_side is not None:
            assert len(running) <= room.side_by_side
        elif several:
            assert sum(slot.cpus for slot in running.values()) <= room.cpus
            assert sum(slot.memory or 0 for slot in running.values()) <= room.memory
        if not running:
            # Only a job that waits for its next try can be what is missing.
            due = queue.deadline()
            assert due is not None
            assert due > now
            now = due
            continue
        index = data.draw(st.sampled_from(sorted(running)))
        del running[index]
        now += 1.0
        failed = data.draw(st.booleans())
        again = queue.ended(index, now, failed=failed)
        assert again == (failed and tries[index] <= retries)
        if not again:
            over.add(index)
        assert queue.left == len(jobs) - len(over)
    assert over == set(tries)
    assert all(1 <= number <= retries + 1 for number in tries.values())
