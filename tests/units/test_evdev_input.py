"""Keyboards and mice as the kernel shows them: event structures through FIFOs as devices.

A real device made by uinput is not tested: containers have none.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.shared.clock import SystemClock
from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover
from fallow.tray.presence import Reading
from fallow.tray.sensors.evdev_input import EvdevInput, possible
from waiting import wait_until

CLOCK = SystemClock()
EVENT = struct.Struct("@llHHi")
SYN, KEY, REL, ABS, SWITCH = 0, 1, 2, 3, 5

# As /sys/class/input/event*/device/capabilities/{key,rel} of real devices say it.
KEYBOARD = ("1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe", "0")
MOUSE = ("1f0000 0 0 0 0", "943")
TOUCHPAD = ("e520 10000 0 0 0 0", "0")
TABLET_OF_A_VIRTUAL_MACHINE = ("70000 0 0 0 0", "100")
GAMEPAD = ("7cdb000000000000 0 0 0 0", "0")
POWER_BUTTON = ("10000000000000 0", "0")
LID = ("0", "0")


class Machine:
    """Folders like /dev/input and /sys/class/input, and the other ends of the devices."""

    def __init__(self, folder: Path) -> None:
        self.devices = folder / "dev"
        self.described = folder / "sys"
        self.devices.mkdir()
        self.described.mkdir()
        self.ends: dict[str, int] = {}

    def plug(self, name: str, kind: tuple[str, str]) -> None:
        capabilities = self.described / name / "device" / "capabilities"
        capabilities.mkdir(parents=True, exist_ok=True)
        for file, bits in zip(("key", "rel"), kind, strict=True):
            (capabilities / file).write_text(bits + "\n")
        os.mkfifo(self.devices / "new")
        # Both ways, so that it has a writer before anybody reads.
        self.ends[name] = os.open(self.devices / "new", os.O_RDWR | os.O_NONBLOCK)
        (self.devices / "new").rename(self.devices / name)

    def unplug(self, name: str) -> None:
        (self.devices / name).unlink()
        os.close(self.ends.pop(name))

    def send(self, name: str, *events: tuple[int, int, int]) -> float:
        """When these events, and the one that ends them, were sent."""
        before = CLOCK.now().boot
        data = b"".join(EVENT.pack(0, 0, *event) for event in (*events, (SYN, 0, 0)))
        os.write(self.ends[name], data)
        return before

    def close(self) -> None:
        for end in self.ends.values():
            os.close(end)


class Eye:
    """The sensor, and when it woke."""

    def __init__(self, machine: Machine) -> None:
        self.wakes: list[float] = []
        self.sensor = EvdevInput(
            lambda: self.wakes.append(CLOCK.now().boot),
            CLOCK,
            machine.devices,
            machine.described,
            rescan_every=0.05,
        )

    def read(self) -> Reading:
        return self.sensor.read(CLOCK.now())

    def wait_healthy(self, healthy: bool = True) -> Reading:
        wait_until(lambda: self.read().healthy is healthy, 10, f"healthy to be {healthy}")
        return self.read()

    def woke_after(self, before: float) -> bool:
        return any(at >= before for at in self.wakes)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.close()


@pytest.fixture
def eye(machine: Machine) -> Iterator[Eye]:
    eye = Eye(machine)
    yield eye
    eye.sensor.close()


def test_no_device_is_blindness(machine: Machine, eye: Eye) -> None:
    reading = eye.read()
    assert not reading.healthy
    assert reading.why == f"there is no keyboard and no mouse in {machine.devices}"


@pytest.mark.parametrize("kind", [LID, POWER_BUTTON])
def test_devices_that_nobody_types_on(machine: Machine, eye: Eye, kind: tuple[str, str]) -> None:
    machine.plug("event0", kind)
    machine.plug("event1", KEYBOARD)
    eye.wait_healthy()
    machine.send("event0", (KEY, 116, 1), (SWITCH, 0, 1))
    before = machine.send("event1", (KEY, 30, 1))
    wait_until(lambda: eye.woke_after(before), 10, "the key")
    assert len(eye.wakes) == 1


EVENTS = {
    "a key": (KEYBOARD, [(KEY, 30, 1)]),
    "a click": (MOUSE, [(KEY, 0x110, 1)]),
    "a move": (MOUSE, [(REL, 0, 1)]),
    "the wheel": (MOUSE, [(REL, 8, 1)]),
    "a finger": (TOUCHPAD, [(ABS, 0, 700), (KEY, 0x14A, 1)]),
    "a move in a virtual machine": (TABLET_OF_A_VIRTUAL_MACHINE, [(ABS, 0, 700)]),
    "a button of a gamepad": (GAMEPAD, [(KEY, 0x130, 1)]),
}


@pytest.mark.parametrize("what", EVENTS)
def test_what_people_do_wakes(machine: Machine, eye: Eye, what: str) -> None:
    kind, events = EVENTS[what]
    machine.plug("event3", kind)
    reading = eye.wait_healthy()
    assert reading == Reading("evdev", "input", True, covers=Cover(everything=True))
    before = machine.send("event3", *events)
    wait_until(lambda: eye.woke_after(before), 10, what)
    assert (eye.read().last_activity or 0) >= before


def test_a_trembling_stick_is_nobody(machine: Machine, eye: Eye) -> None:
    machine.plug("event3", GAMEPAD)
    eye.wait_healthy()
    machine.send("event3", (ABS, 0, 127), (ABS, 0, 128))
    before = machine.send("event3", (KEY, 0x131, 1))
    wait_until(lambda: eye.woke_after(before), 10, "the button")
    assert len(eye.wakes) == 1


def test_unplugged_and_plugged_in_again(machine: Machine, eye: Eye) -> None:
    machine.plug("event3", KEYBOARD)
    eye.wait_healthy()
    machine.unplug("event3")
    eye.wait_healthy(False)
    before = CLOCK.now().boot
    machine.plug("event4", KEYBOARD)
    # Nobody knows who typed meanwhile.
    assert (eye.wait_healthy().last_activity or 0) >= before
    before = machine.send("event4", (KEY, 30, 1))
    wait_until(lambda: eye.woke_after(before), 10, "the key")


def test_a_flood_is_not_read_one_by_one(machine: Machine, eye: Eye) -> None:
    machine.plug("event3", MOUSE)
    eye.wait_healthy()
    for _ in range(60):
        before = machine.send("event3", *[(REL, 0, 1)] * 10)
    wait_until(lambda: (eye.read().last_activity or 0) >= before, 10, "the last of them")
    assert len(eye.wakes) < 60


def test_who_may_read_what(machine: Machine) -> None:
    assert not possible(machine.devices)
    assert not possible(machine.devices / "none")
    machine.plug("event3", LID)
    assert possible(machine.devices)


class Slow:
    """A clock by hand, for what takes a quarter of an hour."""

    def __init__(self) -> None:
        self.boot = 1000.0

    def now(self) -> Moment:
        return Moment(self.boot, 1e9 + self.boot)


def test_a_bumped_desk_needs_a_second_sign(machine: Machine) -> None:
    clock = Slow()
    machine.plug("event3", MOUSE)
    wakes: list[float] = []
    sensor = EvdevInput(lambda: wakes.append(clock.boot), clock, machine.devices, machine.described)
    wait_until(lambda: sensor.read(clock.now()).healthy, 10, "the mouse")
    clock.boot = 2000.0
    machine.send("event3", (REL, 0, 3), (REL, 1, -2))
    signs = sensor.signs
    wait_until(lambda: sensor.signs.doubt is not None, 10, f"the bump to be seen: {signs}")
    assert sensor.read(clock.now()).last_activity is None
    assert wakes == []
    clock.boot = 2005.0
    machine.send("event3", (REL, 0, 1))
    wait_until(lambda: wakes == [2005.0], 10, "the second sign")
    assert sensor.read(clock.now()).last_activity == 2005.0
    sensor.close()
