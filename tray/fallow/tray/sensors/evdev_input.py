"""Keyboard and mouse of every seat, read from the kernel's devices where this account may.

It sees the login screen and any Wayland session, and is meant for the system's agent. It keeps one
instant and no key. A session through the network has no device here: `terminals` and trays do.
"""

import logging
import os
import re
import select
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from fallow.shared.clock import Clock, SystemClock
from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover
from fallow.tray.presence import Reading
from fallow.tray.second_sign import Input, Kind, Signs, witness

log = logging.getLogger(__name__)

DEVICES, DESCRIBED = Path("/dev/input"), Path("/sys/class/input")
RESCAN_EVERY = 5.0
# A moving mouse makes up to 1000 events a second; the kernel keeps what is not read at once.
REST = 0.05
_NAME = re.compile(r"event\d+")
# struct input_event: the time, then type, code and value.
_EVENT = struct.Struct("@llHHi")
_KEY, _REL, _ABS = 1, 2, 3
_REL_X, _REL_Y = 0, 1
_FIRST_BUTTON, _LAST_BUTTON = 0x100, 0x15F
# A letter, a mouse button, a touch, a pen: no lid, no power button, no accelerometer.
_OF_PEOPLE = (16, 30, 0x110, 0x14A, 0x140)
_JOYSTICK = range(0x120, 0x140)


def possible(devices: Path = DEVICES) -> bool:
    """May this account read any input device at all?"""
    return any(os.access(path, os.R_OK) for path in _list(devices))


class EvdevInput:
    """Reads all devices of people in one thread; `on_activity` is called there.

    Devices that come later are found within `rescan_every` seconds.
    """

    name = "evdev"

    def __init__(
        self,
        on_activity: Callable[[], None],
        clock: Clock | None = None,
        devices: Path = DEVICES,
        described: Path = DESCRIBED,
        rescan_every: float = RESCAN_EVERY,
    ) -> None:
        self._on_activity = on_activity
        self._clock = clock or SystemClock()
        self._devices = devices
        self._described = described
        self._rescan_every = rescan_every
        self._seen_at: float | None = None
        self.signs = Signs(self._clock.now().boot)
        self._pointer = (0.0, 0.0)
        self._open: dict[int, Path] = {}
        self._strangers: set[Path] = set()
        self._joysticks: set[int] = set()
        self._refused = False
        self._was_watching = False
        self._looked = threading.Event()
        self._closing = threading.Event()
        threading.Thread(target=self._serve, name="evdev", daemon=True).start()

    def read(self, now: Moment) -> Reading:
        # The first look takes a moment, and is waited for once.
        self._looked.wait(0.2)
        if self._open:
            cover = Cover(everything=not self._refused)
            return Reading(self.name, "input", True, "", self._seen_at, covers=cover)
        return Reading(self.name, "input", False, self._why(), self._seen_at)

    def close(self) -> None:
        self._on_activity = lambda: None
        self._closing.set()

    def _why(self) -> str:
        if self._refused:
            return f"this account may not read the devices in {self._devices}"
        return f"there is no keyboard and no mouse in {self._devices}"

    # -- in its own thread

    def _serve(self) -> None:
        next_scan = 0.0
        while not self._closing.is_set():
            now = self._clock.now().boot
            if now >= next_scan:
                self._scan()
                self._looked.set()
                next_scan = now + self._rescan_every
            try:
                ready = select.select(list(self._open), [], [], max(next_scan - now, 0.0))[0]
            except OSError:
                ready = list(self._open)
            for device in ready:
                self._take(device)
            if ready:
                self._closing.wait(REST)
        for device in list(self._open):
            self._drop(device)

    def _scan(self) -> None:
        found = _list(self._devices)
        # A name that is gone may come back as another device.
        self._strangers &= set(found)
        self._refused = False
        watched = set(self._open.values())
        for path in found:
            if path in watched or path in self._strangers:
                continue
            keys, joystick = _abilities(self._described / path.name / "device" / "capabilities")
            if not keys:
                self._strangers.add(path)
                continue
            try:
                device = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                self._refused = self._refused or isinstance(error, PermissionError)
                continue
            log.info("evdev watches %s", path)
            self._open[device] = path
            if joystick:
                self._joysticks.add(device)
            if self._was_watching and len(self._open) == 1:
                # Nobody knows who typed while it was blind.
                self._seen_at = self._clock.now().boot
        self._was_watching = self._was_watching or bool(self._open)

    def _take(self, device: int) -> None:
        try:
            data = os.read(device, _EVENT.size * 256)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(device)
            return
        whole = len(data) - len(data) % _EVENT.size
        dx = dy = 0
        kind: Kind | None = None
        for _, _, sort, code, value in _EVENT.iter_unpack(data[:whole]):
            if sort == _KEY:
                kind = "click" if _FIRST_BUTTON <= code <= _LAST_BUTTON else "key"
                break
            if sort == _REL and code in {_REL_X, _REL_Y}:
                dx, dy = (dx + value, dy) if code == _REL_X else (dx, dy + value)
                kind = kind or "motion"
            elif sort == _REL or (sort == _ABS and device not in self._joysticks):
                # The wheel, or a finger or pen: nothing that a bump does.
                kind = "scroll"
        if kind is not None:
            self._moved(kind, dx, dy)

    def _moved(self, kind: Kind, dx: int, dy: int) -> None:
        now = self._clock.now().boot
        self._pointer = (self._pointer[0] + dx, self._pointer[1] + dy)
        if self.signs.pointer is None:
            # Distances here are relative, and so begin somewhere.
            self.signs = Signs(self.signs.active_at, None, (0.0, 0.0))
        self.signs = witness(self.signs, Input(kind, now, *self._pointer))
        if self.signs.active_at != now:
            return
        self._seen_at = now
        try:
            self._on_activity()
        except Exception:
            log.exception("what follows from activity failed")

    def _drop(self, device: int) -> None:
        path = self._open.pop(device)
        self._joysticks.discard(device)
        log.info("evdev lost %s", path)
        os.close(device)


def _list(devices: Path) -> list[Path]:
    try:
        names = os.listdir(devices)
    except OSError:
        return []
    return sorted(devices / name for name in names if _NAME.fullmatch(name))


def _abilities(folder: Path) -> tuple[bool, bool]:
    """Is this a device that people use, and is it a joystick, whose sticks tremble?"""
    keys = _bits(folder / "key")
    moves = bool(_bits(folder / "rel") & 0b11)
    of_people = moves or any(keys >> code & 1 for code in _OF_PEOPLE)
    joystick = any(keys >> code & 1 for code in _JOYSTICK)
    return of_people or joystick, joystick


def _bits(path: Path) -> int:
    """A bitmap as sysfs prints it: words in hexadecimal, the highest first."""
    try:
        words = path.read_text().split()
    except OSError:
        return 0
    width = struct.calcsize("@l") * 8
    value = 0
    for each in words:
        value = value << width | int(each, 16)
    return value
