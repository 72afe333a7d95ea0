"""What a job holds of the memory is what nobody else can have meanwhile."""

import sys

import pytest

from fallow.shared.work import memory
from fallow.shared.work.sandbox import SandboxPlan
from processes.started import Start, Started
from waiting import wait_until

MIB = 1 << 20
TAKES = "held = b'x' * (100 << 20)"
SHARES = f"import os; {TAKES}; os.fork(); os.fork()"
MAPS = (
    "import mmap; file = open('big', 'w+b'); file.truncate(100 << 20);"
    "held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ);"
    "[held[place] for place in range(0, len(held), 4096)]"
)


def holding(start: Start, plan: SandboxPlan, line: str) -> Started:
    python = sys.executable if plan.layout == "plain" else "/usr/bin/python3"
    run = start(python, "-c", f"{line}; print('holds', flush=True); import time; time.sleep(60)")
    run.said("holds")
    return run


@pytest.mark.parametrize("line", [TAKES, SHARES])
def test_what_it_has_taken_counts_once(start: Start, plan: SandboxPlan, line: str) -> None:
    run = holding(start, plan, line)
    count = 4 if line == SHARES else 1
    wait_until(lambda: len(run.tree.members()) >= count, 20, "all its processes")
    assert memory.exceeds(90 * MIB, *run.tree.listed())
    assert not memory.exceeds(180 * MIB, *run.tree.listed())


def test_a_file_that_it_has_mapped_does_not_count(start: Start, plan: SandboxPlan) -> None:
    run = holding(start, plan, MAPS)
    assert run.tree.memory_bytes() > 90 * MIB
    assert not memory.exceeds(90 * MIB, *run.tree.listed())


def test_nothing_is_held_after_the_end(start: Start) -> None:
    run = start("/bin/true")
    run.ending()
    assert not memory.exceeds(0, *run.tree.listed())
