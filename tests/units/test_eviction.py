"""When a paused run goes elsewhere: what its batch says, how long, and short memory."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fallow.shared.batch import Checkpoint, OnOwnerReturn
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Argv, JobSpec
from fallow.shared.runs import Exited
from fallow.shared.work import machine
from fallow.shared.work.eviction import LITTLE, crowding, due, leaves_at_once, moves
from fallow.shared.work.phases import Alive, Process, Run, Saving, Spooled

GIB = 1 << 30
PLAIN = JobSpec("ana", "b", "j", "ana", Argv(("true",)), 1)
SAVES = replace(PLAIN, checkpoint=Checkpoint())
PROCESS = Process("boot", 1, 1)


def wish(job: JobSpec, **words: object) -> JobSpec:
    return replace(job, on_owner_return=OnOwnerReturn(**words))  # type: ignore[arg-type]


def paused(job: JobSpec, since: float = 100.0, index: int = 0) -> Run:
    return Run(AttemptId("b", index, 1), job, Alive(PROCESS, 0.0), frozen=True, frozen_at=since)


@pytest.mark.parametrize(
    ("job", "answer"),
    [
        (PLAIN, False),
        (SAVES, False),
        (replace(PLAIN, gpus=1), False),
        (replace(SAVES, gpus=1), True),
        (wish(replace(SAVES, gpus=1), do="freeze"), False),
        (wish(PLAIN, do="evict"), True),
    ],
)
def test_who_leaves_at_once(job: JobSpec, answer: bool) -> None:
    assert leaves_at_once(job) == answer


@pytest.mark.parametrize(
    ("job", "answer"),
    [
        (PLAIN, False),
        (SAVES, True),
        (wish(SAVES, then="wait"), False),
        (wish(PLAIN, then="move"), True),
    ],
)
def test_who_moves_in_the_end(job: JobSpec, answer: bool) -> None:
    assert moves(job) == answer


@pytest.mark.parametrize(
    ("job", "ceiling", "answer"),
    [
        (PLAIN, None, None),
        (SAVES, None, None),
        (wish(SAVES, max_pause=60.0), None, 160.0),
        (wish(PLAIN, max_pause=60.0), None, None),
        (wish(PLAIN, max_pause=60.0, then="move"), None, 160.0),
        (wish(SAVES, max_pause=60.0, then="wait"), None, None),
        (wish(SAVES, max_pause=60.0, then="wait"), 30.0, 130.0),
        (wish(SAVES, max_pause=60.0), 30.0, 130.0),
        (wish(SAVES, max_pause=60.0), 90.0, 160.0),
        (PLAIN, 90.0, 190.0),
        (wish(PLAIN, do="evict"), None, 100.0),
    ],
)
def test_how_long_a_pause_may_be(job: JobSpec, ceiling: float | None, answer: float | None) -> None:
    assert due(paused(job), ceiling) == answer
    assert due(replace(paused(job), frozen=False), ceiling) is None
    assert due(replace(paused(job), phase=Saving(PROCESS, 0.0, 5.0)), ceiling) is None


def test_a_run_that_came_to_life_while_the_desk_was_in_use_is_counted_from_then() -> None:
    run = replace(paused(wish(SAVES, max_pause=60.0)), frozen_at=None, since=500.0)
    assert due(run, None) == 560.0


RUNS = st.lists(st.tuples(st.integers(0, 16 * GIB), st.booleans(), st.booleans()), max_size=8)


@given(RUNS, st.integers(0, 64 * GIB))
def test_no_more_go_than_must_and_the_largest_first(
    runs: list[tuple[int, bool, bool]], available: int
) -> None:
    total = 64 * GIB
    made, held = [], {}
    for index, (size, frozen, over) in enumerate(runs):
        phase = Spooled(Exited(0), "ab", 1, False, 0.0, 0.0) if over else Alive(PROCESS, 0.0)
        run = replace(paused(PLAIN, index=index), frozen=frozen, phase=phase)
        made.append(run)
        held[run.attempt] = size
    going = crowding(made, held, available, total)
    by_name = {run.attempt: run for run in made}
    assert all(by_name[each].frozen and isinstance(by_name[each].phase, Alive) for each in going)
    sizes = [held[each] for each in going]
    assert sizes == sorted(sizes, reverse=True)
    if available >= LITTLE * total:
        assert going == []
    elif going:
        # Without the last of them it would not have been enough.
        assert available + sum(sizes[:-1]) < LITTLE * total
        left = [held[run.attempt] for run in made if run.attempt not in going and run.frozen]
        alive = [run for run in made if run.attempt not in going and isinstance(run.phase, Alive)]
        assert all(held[run.attempt] <= sizes[-1] for run in alive if run.frozen) or not left


def test_free_memory_is_what_the_kernel_says(tmp_path: Path) -> None:
    facts = tmp_path / "meminfo"
    facts.write_text("MemTotal:       16 kB\nMemFree: 1 kB\nMemAvailable:    7 kB\n")
    assert machine.available_memory(facts) == 7 * 1024
    assert 0 < machine.available_memory() <= machine.total_memory()
    for nothing in ("", "MemAvailable:", "MemAvailable: x kB"):
        facts.write_text(nothing)
        assert machine.available_memory(facts) == machine.total_memory()
    assert machine.available_memory(tmp_path / "none") == machine.total_memory()
