"""A run is held to what it asked for, as far as this computer can."""

import os
from pathlib import Path

import pytest

from fallow.shared.work import cgroup
from fallow.shared.work.ground import Ground
from fallow.shared.work.processes import ExitStatus, Handle, Spawn, adopt, spawn, sweep
from fallow.shared.work.sandbox import SandboxPlan
from fallow.shared.work.signalling import Wrapper
from processes.started import Start, marked, new_mark, stands_still
from waiting import wait_until


def begin(
    plan: SandboxPlan,
    ground: Ground,
    folder: Path,
    line: str,
    processors: frozenset[int] = frozenset(),
) -> Handle:
    return spawn(
        Spawn(
            argv=("/bin/sh", "-c", line),
            sandbox=plan,
            stdout=folder / "stdout.txt",
            stderr=folder / "stderr.txt",
            status=folder / "status",
            nice=10,
            ground=ground,
            processors=processors,
        )
    )


def test_processors_disk_and_files(plan: SandboxPlan, ground: Ground, tmp_path: Path) -> None:
    one = frozenset({max(os.sched_getaffinity(0))})
    line = (
        "sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status; ulimit -c; ulimit -S -n;"
        " ionice; setsid -w sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status"
    )
    handle = begin(plan, ground, tmp_path, line, processors=one)
    assert handle.processors() == one
    assert wait_until(handle.poll, 20, "the end") == ExitStatus(0)
    handle.close()
    (number,) = one
    said = (tmp_path / "stdout.txt").read_text().split()
    assert said == [str(number), "0", "1024", "idle", str(number)]
    assert os.sched_getaffinity(0) != one or os.cpu_count() == 1


def test_a_processor_that_is_gone_keeps_nothing_from_running(
    plan: SandboxPlan, ground: Ground, tmp_path: Path
) -> None:
    handle = begin(plan, ground, tmp_path, "exit 3", processors=frozenset({8191}))
    assert wait_until(handle.poll, 20, "the end") == ExitStatus(3)
    handle.close()


def test_a_group_is_held_to_what_its_controllers_can(tmp_path: Path) -> None:
    """On files named like those of a group: not every kernel that tests has the controllers."""
    for name in ("memory.max", "memory.oom.group", "pids.max"):
        (tmp_path / name).write_text("max\n")
    cgroup.hold(tmp_path, None)
    assert (tmp_path / "memory.max").read_text() == "max\n"
    cgroup.hold(tmp_path, 4096)
    held = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert held == {"memory.max": "4096", "memory.oom.group": "1", "pids.max": "16384"}


def test_a_group_tells_that_its_memory_was_not_enough(start: Start, tmp_path: Path) -> None:
    """Likewise; the last two lines tell of the whole computer's memory as well."""
    run = start("/bin/sleep", "60")
    group = cgroup.ControlGroup(
        tmp_path, run.tree, Wrapper(run.handle.identity.pid, run.handle.pidfd), only_job=True
    )
    assert not group.out_of_memory()
    events = "low 0\nhigh 0\nmax 12\noom {}\noom_kill 1\noom_group_kill 1\n"
    (tmp_path / "memory.events").write_text(events.format(0))
    assert not group.out_of_memory()
    (tmp_path / "memory.events").write_text(events.format(1))
    assert group.out_of_memory()


def test_a_group_goes_with_its_run(start: Start, ground: Ground) -> None:
    if not ground.folder:
        return
    run = start("/bin/sleep", "60")
    group = Path(ground.folder) / run.group
    wait_until(lambda: run.tree.members(), 20, "the job")
    assert group.is_dir()
    # Whoever lets go of a run that goes on must leave it its group.
    other = adopt(run.handle.identity, run.status)
    assert other is not None
    other.close()
    assert group.is_dir()
    run.tree.kill()
    run.handle.close()
    assert not group.exists()


def test_a_daemon_that_lost_its_wrapper_and_its_agent_is_ended_with_the_group(
    plan: SandboxPlan, ground: Ground, tmp_path: Path
) -> None:
    if not ground.folder:
        return
    mark = new_mark()
    line = f"echo {mark} >/proc/self/oom_score_adj; setsid -f sleep 60; sleep 60"
    handle = begin(plan, ground, tmp_path, line)
    wait_until(lambda: len(marked(mark)) == 3, 20, "three processes")
    os.kill(handle.identity.pid, 9)
    wait_until(handle.poll, 20, "the wrapper's end")
    handle.containment.freeze()
    assert stands_still(marked(mark), 0.1)
    handle.close()
    assert sweep(tmp_path / "status")
    assert marked(mark) == set()
    assert not Path((tmp_path / "status.group").read_text()).exists()


def test_a_group_that_was_taken_away_is_no_fault_of_the_job(
    plan: SandboxPlan, ability: object, tmp_path: Path
) -> None:
    nowhere = Ground(str(tmp_path / "not" / "there"))
    handle = begin(plan, nowhere, tmp_path, "exit 4")
    assert wait_until(handle.poll, 20, "the end") == ExitStatus(4)
    assert not (tmp_path / "status.group").exists()
    handle.close()


@pytest.mark.parametrize("layout", ["hidden"], indirect=True)
def test_a_job_in_the_sandbox_cannot_thaw_itself(start: Start, ground: Ground) -> None:
    if not ground.folder:
        return
    group = Path(ground.folder) / "run"
    run = start(
        "/bin/sh",
        "-c",
        f"for file in {group}-*/cgroup.freeze {group}-*/cgroup.procs {ground.folder}/cgroup.procs;"
        " do ( echo 0 >$file ) 2>/dev/null && echo wrote $file; done; echo done",
    )
    assert run.said("done") == "done\n"
