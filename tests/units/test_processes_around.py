"""Other people's load and exclusive programs: from tables, and from this computer's own list."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.shared.clock import SystemClock
from fallow.shared.moments import Moment
from fallow.tray.sensors import proctable
from fallow.tray.sensors.around import LOOK_EVERY, SHARE, Around
from fallow.tray.sensors.load import Load, idle_seconds, used
from fallow.tray.sensors.proctable import Row, Table
from fallow.tray.sensors.programs import running
from waiting import wait_until

HZ = os.sysconf("SC_CLK_TCK")


def row(own: int = 0, parent: int = 1, reaped: int = 0, name: str = "x", started: int = 5) -> Row:
    return Row(name, parent, started, own, reaped)


def test_own_process_is_in_the_list() -> None:
    table = proctable.read()
    mine = table[os.getpid()]
    assert mine.parent == os.getppid()
    assert mine.name == Path("/proc/self/comm").read_text().strip()
    assert abs(mine.own / HZ - time.process_time()) < 1.0
    assert 2 not in table or table[2].name != "kthreadd"


def test_a_name_with_brackets_and_no_list_at_all(tmp_path: Path) -> None:
    fields = "S 1 7 7 0 -1 4194560 0 0 0 0 11 4 30 2 39 19 1 0 555 0 0"
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 (a) b (c)) {fields}\n")
    (tmp_path / "8").mkdir()  # It has ended meanwhile.
    (tmp_path / "9").mkdir()
    (tmp_path / "9" / "stat").write_text("torn")
    assert proctable.read(tmp_path) == {7: Row("a) b (c)", 1, 555, 15, 32, 19)}
    assert proctable.read(tmp_path / "none") == {}


def test_descendants() -> None:
    table = {2: row(parent=1), 3: row(parent=2), 4: row(parent=3), 5: row(parent=1)}
    assert set(proctable.below(table, [2, 77])) == {2, 3, 4}
    loop = {2: row(parent=3), 3: row(parent=2)}
    assert set(proctable.below(loop, [2])) == {2, 3}


STORIES: dict[str, tuple[Table, Table, int]] = {
    "work": ({2: row(10)}, {2: row(70)}, 60),
    "ours does not count": ({9: row(10)}, {9: row(500)}, 0),
    "what asks for nothing but the rest": (
        {2: row(10), 3: row(10)._replace(nice=19)},
        {2: row(30), 3: row(500)._replace(nice=19)},
        20,
    ),
    "a new one": ({2: row(0)}, {2: row(0), 3: row(40, parent=2)}, 40),
    "the number is another's now": ({2: row(900)}, {2: row(30, started=6)}, 30),
    "one that ended, with its parent's count": (
        {2: row(0), 3: row(40, parent=2)},
        {2: row(0, reaped=100)},
        60,
    ),
    "a family that ended": (
        {2: row(0), 3: row(5, parent=2, reaped=20), 4: row(40, parent=3)},
        {2: row(0, reaped=70)},
        5,
    ),
    "short lives between two looks": ({2: row(0)}, {2: row(1, reaped=300)}, 301),
    "nobody waited for it": ({2: row(0), 3: row(40, parent=2)}, {2: row(0)}, 0),
    "ours that ended": ({2: row(0), 9: row(40, parent=2)}, {2: row(7)}, 7),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_others_used(story: str) -> None:
    before, after, ticks = STORIES[story]
    assert used(before, after, frozenset({9})) == ticks


def test_the_share_is_of_a_whole_window() -> None:
    load = Load(window=60, cores=4)
    shares = []
    for look in range(10):
        # From the fourth look on somebody uses two of the four cores.
        ticks = max(look - 3, 0) * 20 * 2 * HZ
        now = Moment(1000.0 + 20 * look, 0.0)
        shares.append(load.look(now, {2: row(ticks)}, frozenset()))
    assert shares[:3] == [None, None, None]
    assert shares[3:] == pytest.approx([0.0, 1 / 6, 2 / 6, 0.5, 0.5, 0.5, 0.5])


def test_a_pause_in_looking_is_averaged() -> None:
    load = Load(window=60, cores=1)
    load.look(Moment(0.0, 0.0), {2: row(0)}, frozenset())
    share = load.look(Moment(600.0, 0.0), {2: row(60 * HZ)}, frozenset())
    assert share == pytest.approx(0.1)


def test_how_busy_all_together_were() -> None:
    idle: list[float | None] = [100.0, 130.0, 130.0, None, 140.0, 160.0]
    load = Load(cores=4, idle=lambda: idle.pop(0))
    busy = [load.busy(Moment(1000.0 + 10 * look, 0.0)) for look in range(6)]
    assert busy == [1.0, 0.25, 1.0, 1.0, 1.0, 0.5], "what is not known counts as busy"


def test_this_computer_tells_how_long_it_had_nothing_to_do() -> None:
    before = idle_seconds()
    assert before is not None
    wait_until(lambda: (idle_seconds() or 0.0) > before, 60, "a moment of rest on any core")


class Noting(Load):
    """Notes at which looks it was shown the processes."""

    def __init__(self, busy: list[float]) -> None:
        super().__init__(window=20)
        self._busy = busy
        self.shown: list[float] = []

    def busy(self, now: Moment) -> float:
        return self._busy.pop(0)

    def look(self, now: Moment, table: Table, ours: frozenset[int]) -> float | None:
        self.shown.append(now.boot)
        return super().look(now, table, ours)


def test_nobody_is_looked_at_where_nothing_can_follow() -> None:
    ours: set[int] = set()
    names: list[str] = []
    load = Noting([1.0, 0.2, 0.3, 0.2, 0.2, 0.2])
    around = Around(lambda: ours, lambda: names, load, lambda: 0.0, limit=lambda: 0.5)
    for look, boot in enumerate((100.0, 110.0, 120.0, 130.0, 140.0, 150.0)):
        ours.update({1} if look == 3 else ())
        names.extend(["cat"] if look == 5 else ())
        ours.difference_update({1} if look == 4 else ())
        assert around.look(Moment(boot, 0.0)).foreign_cpu < 0.5
    # Not known, quiet, too busy, a job of ours, quiet again, a program to look for.
    assert load.shown == [100.0, 120.0, 130.0, 150.0]


def test_what_was_passed_over_is_part_of_the_window() -> None:
    load = Load(window=60, cores=4)
    load.look(Moment(0.0, 0.0), {2: row(0)}, frozenset())
    assert load.pass_over(Moment(50.0, 0.0)) is None
    assert load.pass_over(Moment(60.0, 0.0)) == 0.0
    # What it used before is not known any more, and so is not taken for new.
    load.look(Moment(70.0, 0.0), {2: row(9000 * HZ)}, frozenset())
    share = load.look(Moment(100.0, 0.0), {2: row(9120 * HZ)}, frozenset())
    assert share == pytest.approx(120 / (4 * 100))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "1000"])
    wait_until(lambda: proctable.read()[child.pid].name == "sleep", 10, "sleep to be itself")
    yield child
    child.kill()
    child.wait()


def test_a_program_that_runs(sleeper: subprocess.Popen[bytes]) -> None:
    table = proctable.read()
    assert running(["sleep", "matlab"], table, ours=()) == ("sleep",)
    others = proctable.below(table, [os.getpid()])
    assert "sleep" not in running(["sleep"], {n: table[n] for n in others}, ours={sleeper.pid})
    assert running([], table, ours=()) == ()


def test_a_program_goes_by_the_name_of_its_file_too() -> None:
    table = {os.getpid(): row(name="another name")}
    file = Path(os.path.realpath(sys.executable)).name
    assert running([file], table, ours=()) == (file,)


def test_a_long_name_is_not_taken_for_a_longer_one(tmp_path: Path) -> None:
    table = {7: row(name="gnome-terminal-"), 8: row(name="gnome-terminal-")}
    for number, program in ((7, "gnome-terminal-server"), (8, "other (deleted)")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "exe").symlink_to(f"/usr/libexec/{program}")
    names = ["gnome-terminal-server", "gnome-terminal-preview", "other"]
    assert running(names, table, (), tmp_path) == ("gnome-terminal-server", "other")


def test_a_dear_look_is_made_more_seldom(sleeper: subprocess.Popen[bytes]) -> None:
    spent = iter(range(100))
    names = ["sleep"]
    around = Around(names=lambda: names, ours=lambda: {1}, cost=lambda: 0.01 * next(spent))
    assert around.look(Moment(100.0, 0.0)).exclusive == (), "our own children do not count"
    around = Around(names=lambda: names, cost=lambda: 0.01 * next(spent))
    around.look(Moment(100.0, 0.0))
    names.append("cat")
    again = 100.0 + 0.01 / SHARE
    assert again > 100.0 + LOOK_EVERY
    before = next(spent)
    around.look(Moment(again - 0.1, 0.0))
    assert next(spent) == before + 1, "it does not look before its time"
    around.look(Moment(again, 0.0))
    assert next(spent) == before + 4


def test_a_look_is_cheap() -> None:
    around = Around(names=lambda: ["matlab"])
    began, now = time.thread_time(), SystemClock().now()
    around.look(now)
    assert time.thread_time() - began < 0.25, "the pause before the next look is in proportion"
