"""A run is started, followed, found again by another process, and says how it ended."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from fallow.shared.errors import FallowError
from fallow.shared.runs import Exited, Signalled
from fallow.shared.work import procfs
from fallow.shared.work.ground import Ground
from fallow.shared.work.processes import (
    ExitStatus,
    Handle,
    Identity,
    NeverStarted,
    Spawn,
    Vanished,
    adopt,
    ending,
    find,
    spawn,
    spawn_detached,
    sweep,
)
from fallow.shared.work.sandbox import Layout, SandboxPlan
from processes.started import Start, marked, new_mark, script, stands_still
from waiting import wait_until

COUNTS = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo counted"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 77", 77),
        ("kill -9 $$", 137),
        ("kill -11 $$", 139),
        ("kill -15 $$", 143),
    ],
)
def test_exit_codes_and_signals(start: Start, line: str, code: int) -> None:
    assert start("/bin/sh", "-c", line).ending() == ExitStatus(code)


def test_exit_status_in_the_common_words() -> None:
    assert ExitStatus(77).exit == Exited(77)
    assert ExitStatus(128).exit == Exited(128)
    assert ExitStatus(139).exit == Signalled(11)
    assert ExitStatus(255).exit == Exited(255)


def test_a_program_that_does_not_exist(start: Start) -> None:
    run = start("no-such-program")
    assert run.ending() == ExitStatus(127)
    assert "no-such-program" in run.stderr.read_text()


def test_a_sandbox_that_cannot_be_made_is_not_the_job_that_failed(
    start: Start, plan: SandboxPlan, layout: Layout
) -> None:
    Path(plan.work).rmdir()
    if layout == "plain":
        with pytest.raises(FallowError, match="could not start a job"):
            start("/bin/true")
    else:
        run = start("/bin/true")
        assert run.ending() == NeverStarted()
        assert "work" in run.stderr.read_text()


def test_what_an_earlier_run_left_is_not_taken_for_this_ones(
    plan: SandboxPlan, tmp_path: Path
) -> None:
    one = Spawn(("/bin/sleep", "60"), plan, tmp_path / "out", tmp_path / "err", tmp_path / "status")
    (tmp_path / "status").write_text("0\n")
    (tmp_path / "status.wrapper").write_text("another 1 (sh) S 0\n")
    handle = spawn(one)
    wait_until(lambda: handle.containment.members(), 20, "the job")
    assert ending(tmp_path / "status") == Vanished()
    assert find(tmp_path / "status") == handle.identity
    assert handle.containment.kill().left == ()
    handle.close()


def test_what_a_job_inherits(start: Start, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    run = start(
        "/bin/sh",
        "-c",
        "ls /proc/self/fd; grep -E '^Sig(Ign|Blk)' /proc/self/status; ps -o sid= -p $$; tty; env",
        GIVEN="a b'c\"d\n$e",
    )
    assert run.ending() == ExitStatus(0)
    words = run.stdout.read_text().split()
    # 3 is ls itself, reading the folder.
    assert words[: words.index("SigBlk:")] == ["0", "1", "2", "3"]
    masks = [int(words[words.index(name) + 1], 16) for name in ("SigBlk:", "SigIgn:")]
    # The C library keeps two above these for itself, and make hands them on as ignored.
    assert [mask & 0x7FFFFFFF for mask in masks] == [0, 0]
    assert "not a tty" in run.stdout.read_text()
    assert "GIVEN=a b'c\"d\n$e\n" in run.stdout.read_text()
    assert "FALLOW" not in run.stdout.read_text().replace("/fallow/", "")
    listener.close()


def test_a_job_is_nice_and_the_first_to_go_when_memory_is_short(
    plan: SandboxPlan, tmp_path: Path
) -> None:
    words = tmp_path / "stdout.txt", tmp_path / "stderr.txt"
    line = "nice; cat /proc/self/oom_score_adj"
    handle = spawn(Spawn(("/bin/sh", "-c", line), plan, *words, tmp_path / "status"))
    assert wait_until(handle.poll, 20, "the end") == ExitStatus(0)
    handle.close()
    assert words[0].read_text().split() == ["19", "500"]
    assert os.getpriority(os.PRIO_PROCESS, 0) < 19


def test_the_wrapper_holds_nothing_of_ours(start: Start) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    run = start("/bin/sleep", "60")
    wait_until(lambda: run.tree.members(), 20, "the job")
    held = {os.readlink(one) for one in Path(f"/proc/{run.handle.identity.pid}/fd").iterdir()}
    assert held <= {"/dev/null", str(run.stdout), str(run.stderr)}
    listener.close()


def test_output_is_appended(start: Start, plan: SandboxPlan, tmp_path: Path) -> None:
    words = tmp_path / "stdout.txt", tmp_path / "stderr.txt"
    words[0].write_text("before\n")
    for place in ("one", "two"):
        line = f"echo {place}; echo {place}! >&2"
        handle = spawn(Spawn(("/bin/sh", "-c", line), plan, *words, tmp_path / place))
        assert wait_until(handle.poll, 20, "the end") == ExitStatus(0)
        handle.close()
    assert words[0].read_text() == "before\none\ntwo\n"
    assert words[1].read_text() == "one!\ntwo!\n"


def test_a_folder_below_the_work_folder(plan: SandboxPlan, tmp_path: Path) -> None:
    (Path(plan.work) / "input").mkdir()
    words = tmp_path / "stdout.txt", tmp_path / "stderr.txt"
    one = Spawn(("/bin/pwd",), plan, *words, tmp_path / "status", cwd="input")
    handle = spawn(one)
    assert wait_until(handle.poll, 20, "the end") == ExitStatus(0)
    handle.close()
    assert words[0].read_text().strip() == plan.path_inside("input")


def test_signals_to_the_wrapper_lose_nothing(start: Start) -> None:
    run = start("/bin/sh", "-c", "echo started; while [ ! -e go ]; do sleep 0.01; done; exit 7")
    run.said("started")
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(run.handle.identity.pid, number)
    assert run.handle.poll() is None
    (run.work / "go").touch()
    assert run.ending() == ExitStatus(7)


def test_daemons_end_with_the_job(start: Start, plan: SandboxPlan) -> None:
    mark = new_mark()
    run = start(
        "/bin/sh", "-c", f"echo {mark} >/proc/self/oom_score_adj; setsid -f sleep 60; exit 3"
    )
    assert run.ending() == ExitStatus(3)
    assert marked(mark) == set()


def test_the_wrapper_can_be_killed_and_the_rest_found(start: Start, layout: Layout) -> None:
    mark = new_mark()
    line = f"echo {mark} >/proc/self/oom_score_adj; setsid -f sleep 60; echo started; sleep 60"
    run = start("/bin/sh", "-c", line)
    run.said("started")
    wait_until(lambda: len(marked(mark)) == 3, 20, "three processes")
    assert len(run.tree.members()) == 3
    os.kill(run.handle.identity.pid, signal.SIGKILL)
    assert run.ending() == Vanished()
    assert run.tree.freeze().complete
    assert stands_still(marked(mark), 0.1)
    assert run.tree.kill().left == ()
    assert marked(mark) == set()


# --- found again by another process ---------------------------------------------------------------


class Spawner:
    """Another process that starts a run as an agent would, and is then killed."""

    def __init__(self, layout: Layout, ground: Ground, folder: Path, *argv: str) -> None:
        self.folder = folder
        self.status = folder / "status"
        command = [sys.executable, str(Path(__file__).with_name("spawner.py"))]
        self.process = subprocess.Popen(
            [*command, layout, ground.folder, str(folder), *argv], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.identity = msgspec.json.decode(self.process.stdout.readline(), type=Identity)
        self.handles: list[Handle] = []

    def die(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def adopt(self) -> Handle | None:
        handle = adopt(self.identity, self.status)
        if handle is not None:
            self.handles.append(handle)
        return handle


@pytest.fixture
def spawner(
    layout: Layout, ground: Ground, plan: SandboxPlan, tmp_path: Path
) -> Iterator[Callable[..., Spawner]]:
    made: list[Spawner] = []

    def go(*argv: str) -> Spawner:
        made.append(Spawner(layout, ground, tmp_path, *argv))
        return made[-1]

    yield go
    for one in made:
        if one.process.poll() is None:
            one.die()
        handle = one.adopt()
        if handle is not None:
            assert handle.containment.kill().left == ()
        for each in one.handles:
            each.close()


def test_another_process_takes_over(
    spawner: Callable[..., Spawner], plan: SandboxPlan, tmp_path: Path
) -> None:
    mark = new_mark()
    first = spawner(*script(plan, "busy_tree.py"), mark)
    wait_until(lambda: len(marked(mark)) == 20, 20, "20 processes")
    first.die()
    handle = first.adopt()
    assert handle is not None
    assert handle.containment.follows_escapees_over_restart
    assert handle.poll() is None
    assert set(handle.containment.members()) == marked(mark)
    assert handle.containment.freeze().complete
    assert handle.containment.frozen()
    assert stands_still(marked(mark), 0.3)
    handle.close()

    again = first.adopt()
    assert again is not None
    assert again.containment.frozen()
    again.containment.thaw()
    assert not again.containment.frozen()
    assert again.containment.kill().left == ()
    assert marked(mark) == set()
    assert wait_until(again.poll, 20, "the end") == ExitStatus(137)
    assert first.adopt() is None


def test_letting_go_of_a_run_at_its_very_start_does_it_no_harm(start: Start) -> None:
    """As an agent does that is stopped then: the next one finds the run as it would have been."""
    for _ in range(5):
        run = start("/bin/sh", "-c", "exit 7")
        other = adopt(run.handle.identity, run.status)
        if other is not None:
            other.close()
        assert run.ending() == ExitStatus(7)


def test_output_is_whole_over_a_restart(spawner: Callable[..., Spawner], tmp_path: Path) -> None:
    line = "while [ ! -e go ]; do sleep 0.01; done; " + COUNTS + "; exit 4"
    first = spawner("/bin/sh", "-c", "echo started; " + line)
    output = tmp_path / "stdout.txt"
    wait_until(lambda: "started" in output.read_text(), 20, "the job")
    first.die()
    handle = first.adopt()
    assert handle is not None
    (tmp_path / "work" / "go").touch()
    assert wait_until(handle.poll, 20, "the end") == ExitStatus(4)
    lines = ["started", *(f"line {n}" for n in range(2000)), "counted"]
    assert output.read_text().splitlines() == lines


def test_a_run_that_ended_while_nobody_watched(
    spawner: Callable[..., Spawner], tmp_path: Path
) -> None:
    first = spawner("/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; exit 9")
    first.die()
    (tmp_path / "work" / "go").touch()
    wait_until(first.status.exists, 20, "its status")
    wait_until(lambda: first.adopt() is None, 20, "its end")
    assert first.adopt() is None
    assert ending(first.status) == ExitStatus(9)


def test_what_is_left_when_wrapper_and_agent_were_killed(
    spawner: Callable[..., Spawner], tmp_path: Path, layout: Layout, ground: Ground
) -> None:
    mark = new_mark()
    line = f"echo {mark} >/proc/self/oom_score_adj; setsid -f sleep 60; echo started; sleep 60"
    first = spawner("/bin/sh", "-c", line)
    wait_until(lambda: len(marked(mark)) == 3, 20, "three processes")
    first.die()
    os.kill(first.identity.pid, signal.SIGKILL)
    wait_until(lambda: first.adopt() is None, 20, "the wrapper's end")
    assert ending(first.status) == Vanished()
    assert sweep(first.status)
    if layout == "plain" and not ground.folder:
        # Not to be found any more: this is what bubblewrap and control groups are for.
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not marked(mark), 20, "the end of all of it")


def test_a_run_is_found_by_its_status_file(spawner: Callable[..., Spawner], tmp_path: Path) -> None:
    assert find(tmp_path / "status") is None
    first = spawner("/bin/sleep", "60")
    wait_until(lambda: find(tmp_path / "status"), 20, "the note")
    assert find(tmp_path / "status") == first.identity


def test_only_the_very_process_is_adopted(start: Start) -> None:
    run = start("/bin/sh", "-c", "echo started; exec sleep 60")
    # Before it is in its group, who finds no process of it may take the empty group away.
    run.said("started")
    real = run.handle.identity
    later = Identity(real.boot_id, real.pid, real.start + 1)
    other_boot = Identity("another", real.pid, real.start)
    gone = Identity(real.boot_id, max(procfs.pids()) + 4000, real.start)
    for wrong in (later, other_boot, gone):
        assert adopt(wrong, run.status) is None
    right = adopt(real, run.status)
    assert right is not None
    right.close()


def test_a_status_half_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("")
    assert ending(tmp_path / "status") == Vanished()


def test_another_program_of_ours_lives_on(tmp_path: Path) -> None:
    pid = spawn_detached(["/bin/sh", "-c", "echo $A; exec sleep 60"], tmp_path / "log", {"A": "b"})
    wait_until(lambda: (tmp_path / "log").read_text() == "b\n", 20, "its word")
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: procfs.read_stat(pid) is None, 20, "its end, with no zombie left")
    with pytest.raises(FallowError, match="nothing-here could not be started"):
        spawn_detached(["/nothing-here"], tmp_path / "log")
