"""Every process of a job stops, runs on and ends on demand, however it tries to get away."""

import signal

import pytest

from fallow.shared.work import procfs
from fallow.shared.work.processes import ExitStatus
from fallow.shared.work.sandbox import SandboxPlan
from processes.started import (
    Start,
    Started,
    marked,
    new_mark,
    script,
    standing,
    stands_still,
    ticks,
)
from waiting import wait_until

SAVES_ITSELF = "trap 'echo saved; exit 0' TERM; echo started; while :; do :; done"
COUNTS = "sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done'"


def busy_tree(start: Start, plan: SandboxPlan, mark: str) -> tuple[Started, set[int]]:
    run = start(*script(plan, "busy_tree.py"), mark)
    run.said("started")
    wait_until(lambda: len(marked(mark)) == 20, 20, "20 processes")
    return run, marked(mark)


def test_freeze_thaw_and_kill_reach_all_of_twenty(start: Start, plan: SandboxPlan) -> None:
    mark = new_mark()
    run, all_of_it = busy_tree(start, plan, mark)
    assert set(run.tree.members()) == all_of_it
    assert not run.tree.frozen()

    tally = run.tree.freeze()
    assert tally.complete
    assert tally.count >= 20
    assert run.tree.frozen()
    wait_until(lambda: standing(all_of_it), 10, "the kernel to show all of them stopped")
    assert stands_still(all_of_it, 0.5)

    assert run.tree.thaw().complete
    assert not run.tree.frozen()
    before = {pid: ticks({pid}) for pid in all_of_it}
    wait_until(lambda: all(ticks({p}) > before[p] for p in all_of_it), 60, "all to run on")

    killed = run.tree.kill()
    assert killed.left == ()
    assert marked(mark) == set()
    assert run.ending() == ExitStatus(137)


def test_a_frozen_job_is_killed_frozen(start: Start, plan: SandboxPlan) -> None:
    mark = new_mark()
    run, all_of_it = busy_tree(start, plan, mark)
    run.tree.freeze()
    used = ticks(all_of_it)
    assert run.tree.kill().left == ()
    assert marked(mark) == set()
    assert used > 0
    assert run.ending() == ExitStatus(137)


def test_freezing_twice_changes_nothing(start: Start, plan: SandboxPlan) -> None:
    mark = new_mark()
    run, all_of_it = busy_tree(start, plan, mark)
    assert run.tree.freeze().complete
    again = run.tree.freeze()
    assert again.complete
    wait_until(lambda: standing(all_of_it), 10, "the kernel to show all of them stopped")


def test_a_fork_storm_ends_frozen(start: Start, plan: SandboxPlan) -> None:
    mark = new_mark()
    run = start(*script(plan, "fork_storm.py"), mark)
    run.said("started")
    seen: set[int] = set()

    def storms() -> bool:
        """Many processes one after the other: on a busy computer few of them live at a time."""
        seen.update(marked(mark))
        return len(seen) > 20

    wait_until(storms, 30, "the storm")
    assert run.tree.freeze(within=20).complete
    frozen = marked(mark)
    wait_until(lambda: standing(frozen), 10, "the kernel to show all of them stopped")
    assert stands_still(frozen, 0.3)
    # Fewer is right: some were at their end already.
    assert marked(mark) <= frozen
    run.tree.thaw()
    wait_until(lambda: marked(mark) - frozen, 10, "the storm to go on")
    assert run.tree.kill(within=20).left == ()
    assert marked(mark) == set()


def test_a_job_that_is_frozen_while_it_starts_does_nothing_until_thawed(start: Start) -> None:
    for spin in range(0, 40_000, 2_000):
        run = start("/bin/sh", "-c", "while :; do echo word; done")
        for _ in range(spin):
            pass
        assert run.tree.freeze().complete
        size = run.stdout.stat().st_size
        assert run.tree.frozen()
        assert run.handle.poll() is None
        assert run.stdout.stat().st_size == size
        run.tree.thaw()
        run.said("word")
        run.tree.kill()
        assert run.ending() == ExitStatus(137)


def test_a_job_that_is_killed_while_it_starts_is_gone(start: Start) -> None:
    for spin in range(0, 40_000, 4_000):
        run = start("/bin/sh", "-c", "while :; do :; done")
        for _ in range(spin):
            pass
        assert run.tree.kill().left == ()
        assert run.ending() == ExitStatus(137)
        # Not even half a sandbox, which would wait for its other half for ever.
        leader = run.handle.identity.pid
        wait_until(lambda of=leader: not session(of), 10, "nothing of it to be left")  # type: ignore[misc]


def session(leader: int) -> list[int]:
    table = procfs.table().items()
    return [pid for pid, stat in table if stat.session == leader and not stat.gone]


@pytest.mark.parametrize("frozen", [False, True])
def test_a_job_can_save_itself_on_sigterm(start: Start, frozen: bool) -> None:
    run = start("/bin/sh", "-c", SAVES_ITSELF)
    run.said("started")
    if frozen:
        run.tree.freeze()
    assert run.tree.terminate() == 1
    run.said("saved")
    assert run.ending() == ExitStatus(0)


def test_a_shell_line_that_dies_at_once_leaves_its_programs_time_to_save(start: Start) -> None:
    saves = "trap 'sleep 0.3; echo saved; exit 0' TERM; echo started; while :; do :; done"
    inner = saves.replace("'", "'\\''")
    run = start("/bin/sh", "-c", f"setsid -f sh -c '{inner}'; sleep 60; echo slept; exit 5")
    run.said("started")
    wait_until(lambda: len(run.tree.members()) == 3, 20, "shell, sleep and the one that saves")
    assert run.tree.terminate(signal.SIGTERM) >= 3
    run.said("saved")
    assert run.ending() == ExitStatus(143)


def test_a_job_that_does_not_obey_is_killed(start: Start) -> None:
    ignores = "trap '' TERM; echo started; while :; do sleep 0.01; done"
    run = start("/bin/sh", "-c", ignores)
    run.said("started")
    assert run.tree.terminate() >= 1
    assert run.handle.poll() is None
    assert run.tree.kill().left == ()
    assert run.ending() == ExitStatus(137)


def test_output_is_whole_however_often_it_was_frozen(start: Start) -> None:
    run = start("/bin/sh", "-c", "i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i; done; exit 3")
    run.said("1\n")
    for _ in range(20):
        assert run.tree.freeze().complete
        size = run.stdout.stat().st_size
        assert run.tree.frozen()
        assert run.stdout.stat().st_size == size
        run.tree.thaw()
        wait_until(lambda s=size: run.stdout.stat().st_size > s, 20, "more output")  # type: ignore[misc]
    (run.work / "stop").touch()
    assert run.ending() == ExitStatus(3)
    numbers = [int(line) for line in run.stdout.read_text().splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_what_a_job_uses_is_counted(start: Start) -> None:
    run = start(
        "/bin/sh", "-c", "sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done'; sleep 60"
    )
    wait_until(lambda: len(run.tree.members()) == 2, 20, "the job")
    wait_until(lambda: run.tree.cpu_seconds() > 0.1, 20, "the first child's time, after its end")
    assert run.tree.memory_bytes() > 100_000


def test_nothing_to_stop_after_the_end(start: Start) -> None:
    run = start("/bin/true")
    assert run.ending() == ExitStatus(0)
    assert run.tree.members() == ()
    assert run.tree.freeze().complete
    assert not run.tree.frozen()
    assert run.tree.thaw().complete
    assert run.tree.terminate() == 0
    assert run.tree.kill().left == ()
