"""The terminal sensor with real pseudo terminals and the times that the kernel keeps of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.shared.clock import SystemClock
from fallow.shared.moments import Moment
from fallow.tray.sensors.terminals import LIST_CONSOLES_EVERY, ROUNDED, Terminals

LONG = 1000.0


class Terminal:
    """A pseudo terminal that nobody has typed in for `LONG` seconds."""

    def __init__(self) -> None:
        self.person, self.program = os.openpty()
        self.path = Path(os.ttyname(self.program))
        now = SystemClock().now()
        os.utime(self.path, (now.wall - LONG, now.wall - LONG))

    def type(self) -> None:
        os.write(self.person, b"x\n")
        os.read(self.program, 10)

    def print(self) -> None:
        os.write(self.program, b"x\n")
        os.read(self.person, 10)

    def close(self) -> None:
        os.close(self.person)
        os.close(self.program)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


@pytest.fixture
def devices(tmp_path: Path, terminal: Terminal) -> Path:
    """A folder like /dev with this one terminal, so that other terminals here do not matter."""
    (tmp_path / "pts").mkdir()
    (tmp_path / "pts" / "7").symlink_to(terminal.path)
    (tmp_path / "null").symlink_to("/dev/null")
    return tmp_path


def test_a_quiet_terminal(devices: Path) -> None:
    now = SystemClock().now()
    reading = Terminals(devices).read(now)
    assert reading.healthy
    assert reading.kind == "terminal"
    assert not reading.vacant
    assert reading.last_activity == pytest.approx(now.boot - LONG + ROUNDED, abs=1)


def test_typing_counts(devices: Path, terminal: Terminal) -> None:
    sensor = Terminals(devices)
    typed = SystemClock().now()
    terminal.type()
    reading = sensor.read(SystemClock().now())
    assert reading.last_activity is not None
    assert reading.last_activity >= typed.boot
    later = SystemClock().now().plus(60)
    after = sensor.read(later).last_activity
    assert after is not None
    assert typed.boot <= after <= typed.boot + ROUNDED + 1, "and then the terminal grows quiet"


def test_output_does_not_count(devices: Path, terminal: Terminal) -> None:
    terminal.print()
    now = SystemClock().now()
    last = Terminals(devices).read(now).last_activity
    assert last is not None
    assert last < now.boot - LONG / 2


def test_a_closed_terminal_is_remembered(devices: Path, terminal: Terminal) -> None:
    sensor = Terminals(devices)
    terminal.type()
    seen = sensor.read(SystemClock().now()).last_activity
    (devices / "pts" / "7").unlink()
    reading = sensor.read(SystemClock().now().plus(60))
    assert not reading.healthy
    assert reading.last_activity == seen


def test_a_clock_set_back_makes_no_time_to_come(devices: Path, terminal: Terminal) -> None:
    terminal.type()
    now = SystemClock().now()
    set_back = Moment(now.boot, now.wall - 3600)
    assert Terminals(devices).read(set_back).last_activity == now.boot


def test_a_clock_set_back_keeps_nobody_at_the_desk(devices: Path, terminal: Terminal) -> None:
    """As of a computer whose clock is found to be an hour fast, soon after it started."""
    sensor = Terminals(devices)
    terminal.type()
    now = SystemClock().now()
    set_back = Moment(now.boot, now.wall - 3600)
    assert sensor.read(set_back).last_activity == now.boot
    assert sensor.read(set_back.plus(900)).last_activity == now.boot
    # Somebody who types then has a time of then.
    wall = set_back.wall + 1000
    os.utime(terminal.path, (wall, wall))
    assert sensor.read(set_back.plus(1001)).last_activity == now.boot + 1001
    # And one who types while the clock is set back once more has another time to come.
    os.utime(terminal.path, (wall + 8, wall + 8))
    again = Moment(now.boot + 1100, wall - 3600)
    assert sensor.read(again).last_activity == again.boot


def test_a_place_without_terminals(tmp_path: Path) -> None:
    reading = Terminals(tmp_path).read(SystemClock().now())
    assert not reading.healthy
    assert "no terminal" in reading.why


def test_of_the_consoles_the_one_with_the_keyboard_is_looked_at(tmp_path: Path) -> None:
    now, foreground = SystemClock().now(), tmp_path / "active"
    foreground.write_text("tty2\n")
    for number in range(1, 4):
        touch(tmp_path / f"tty{number}", now.wall - LONG)
    sensor = Terminals(tmp_path, foreground)

    def typed_at(later: float) -> float | None:
        last = sensor.read(now.plus(later)).last_activity
        return None if last is None else round(last - now.boot, 3)

    assert typed_at(0) == ROUNDED - LONG
    assert typed_at(3) == ROUNDED - LONG, "nobody typed: it says the same to the last digit"
    touch(tmp_path / "tty2", now.wall + 6)
    assert typed_at(6) == 6
    touch(tmp_path / "tty2", now.wall + 7)
    foreground.write_text("tty3\n")
    assert typed_at(20) == 7 + ROUNDED, "what was typed before the change counts"
    touch(tmp_path / "tty3", now.wall + 23)
    assert typed_at(23) == 23
    touch(tmp_path / "tty1", now.wall + 40)
    assert typed_at(2 * LIST_CONSOLES_EVERY) == 40 + ROUNDED, "there and back between two looks"
    foreground.unlink()
    touch(tmp_path / "tty1", now.wall + 130)
    assert typed_at(150) == 130 + ROUNDED, "who cannot tell looks at all"


def touch(path: Path, accessed: float) -> None:
    path.touch()
    os.utime(path, (accessed, accessed))


def test_the_terminals_of_this_computer_can_be_read() -> None:
    now = SystemClock().now()
    reading = Terminals().read(now)
    assert reading.healthy is (reading.last_activity is not None)
    assert reading.last_activity is None or reading.last_activity <= now.boot
