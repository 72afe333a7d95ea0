"""The sensors of an X11 session on a real X server, with real key presses."""

import contextlib
import json
import os
import socket
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from Xlib import XK, X, display
from Xlib.ext import xtest

from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.clock import SystemClock
from fallow.tray.sensors import x11
from waiting import wait_until

CHILD = str(Path(__file__).with_name("sensor_child.py"))


def boot_seconds() -> float:
    return SystemClock().now().boot


class Child:
    """The sensors in a process on the screen, and what they have said."""

    def __init__(self, screen: VirtualDesktop, *words: str, env: dict[str, str] | None = None):
        self.screen = screen
        self.process = screen.spawn(sys.executable, CHILD, *words, name="child", env=env)

    def said(self) -> list[dict[str, Any]]:
        lines = self.screen.log("child").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def wakes(self) -> list[float]:
        return [line["woken"] for line in self.said() if "woken" in line]

    def last(self, sensor: str) -> dict[str, Any]:
        return next((line for line in reversed(self.said()) if line.get("sensor") == sensor), {})

    def wait_healthy(self, sensor: str, healthy: bool = True) -> dict[str, Any]:
        return (
            wait_until(
                lambda: self.last(sensor).get("healthy") is healthy and self.last(sensor),
                10,
                f"{sensor} to be {'healthy' if healthy else 'blind'}: {self.last(sensor)}",
            )
            or {}
        )


def test_every_kind_of_input_wakes(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput")
    assert child.wait_healthy("pynput")["last_activity"] is None
    inputs: dict[str, Callable[[], None]] = {
        "a key": lambda: bare_screen.key("a"),
        "a move": lambda: bare_screen.move(50, 60),
        "a click": lambda: bare_screen.click(1),
        "the wheel": lambda: bare_screen.click(5),
    }
    for name, act in inputs.items():
        before = boot_seconds()
        act()
        wait_until(lambda: [at for at in child.wakes() if at > before], 5, name)  # noqa: B023
        wait_until(lambda: (child.last("pynput")["last_activity"] or 0) > before, 5, name)  # noqa: B023
        # The wake interval must be over before the next kind can wake.
        wait_until(lambda: boot_seconds() > before + 0.3, 5, "the interval")  # noqa: B023


def test_a_key_wakes_within_a_tenth_of_a_second(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput")
    child.wait_healthy("pynput")
    x = display.Display(bare_screen.display)
    key = x.keysym_to_keycode(XK.XK_a)
    delays: list[float] = []
    for _ in range(10):
        wakes = len(child.wakes())
        pressed = boot_seconds()
        xtest.fake_input(x, X.KeyPress, key)
        xtest.fake_input(x, X.KeyRelease, key)
        x.sync()
        wait_until(lambda: len(child.wakes()) > wakes, 5, "the wake")  # noqa: B023
        delays.append(child.wakes()[wakes] - pressed)
        wait_until(lambda: boot_seconds() > pressed + 0.15, 5, "the interval")  # noqa: B023
    x.close()
    assert statistics.median(delays) < 0.1, delays


def test_only_those_who_listen_wake_before_jobs(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput")
    child.wait_healthy("pynput")
    threads = os.listdir(f"/proc/{child.process.pid}/task")
    prompt = [t for t in threads if os.sched_getscheduler(int(t)) & os.SCHED_RESET_ON_FORK]
    assert len(prompt) == 2, "keyboard and mouse"
    assert str(child.process.pid) not in prompt


def test_no_key_is_kept_or_told(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput")
    child.wait_healthy("pynput")
    bare_screen.type_text("secretword")
    wait_until(child.wakes, 5, "the typing")
    told = bare_screen.log("child")
    assert "secret" not in told
    assert all(
        set(line) <= {"woken", "sensor", "healthy", "why", "last_activity", "at", "took"}
        for line in child.said()
    )


def test_a_raising_wake_function_does_not_blind(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput", "raise")
    child.wait_healthy("pynput")
    for count in (1, 2):
        bare_screen.key("a")
        wait_until(lambda: len(child.wakes()) >= count, 5, "the wake")  # noqa: B023
        told = child.wakes()[-1]
        wait_until(lambda: boot_seconds() > told + 0.15, 5, "the interval")  # noqa: B023
    assert child.last("pynput")["healthy"]


def test_both_sensors_see_again_after_the_x_server_came_back(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput", "xscreensaver")
    for sensor in ("pynput", "xscreensaver"):
        child.wait_healthy(sensor)
    bare_screen.kill_server()
    for sensor in ("pynput", "xscreensaver"):
        assert child.wait_healthy(sensor, False)["why"]
    wait_until(lambda: "no X server at" in child.last("pynput")["why"], 5, "the reason")
    back = boot_seconds()
    bare_screen.restart_server()
    for sensor in ("pynput", "xscreensaver"):
        assert child.wait_healthy(sensor)["last_activity"] >= back, "blind time is not idle time"
    before = boot_seconds()
    bare_screen.key("a")
    wait_until(lambda: child.wakes() and child.wakes()[-1] > before, 5, "the key")
    wait_until(lambda: child.last("xscreensaver")["last_activity"] > before - 0.3, 5, "the idle")
    assert child.process.poll() is None
    assert "Traceback" not in bare_screen.log("child")


def test_rebuilding_keeps_descriptors_and_threads(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput", "xscreensaver")

    def weight() -> dict[str, int]:
        proc = Path("/proc", str(child.process.pid))
        return {name: len(os.listdir(proc / name)) for name in ("fd", "task")}

    child.wait_healthy("pynput")
    child.wait_healthy("xscreensaver")
    first = weight()
    for _ in range(3):
        bare_screen.kill_server()
        child.wait_healthy("pynput", False)
        child.wait_healthy("xscreensaver", False)
        bare_screen.restart_server()
        child.wait_healthy("pynput")
        child.wait_healthy("xscreensaver")
    wait_until(
        lambda: all(weight()[name] <= first[name] for name in first), 10, f"no more than {first}"
    )


def test_idle_time_is_right(bare_screen: VirtualDesktop) -> None:
    bare_screen.key("a")
    pressed = boot_seconds()
    wait_until(lambda: boot_seconds() > pressed + 1.2, 5, "an idle second")
    child = Child(bare_screen, "xscreensaver")
    # It knows of input from before it was there.
    assert child.wait_healthy("xscreensaver")["last_activity"] == pytest.approx(pressed, abs=0.25)
    told = len(child.said())
    before = boot_seconds()
    bare_screen.move(9, 9)
    wait_until(lambda: len(child.said()) > told, 5, "the move")
    assert child.last("xscreensaver")["last_activity"] == pytest.approx(before, abs=0.3)
    last = child.last("xscreensaver")
    wait_until(lambda: boot_seconds() > before + 0.5, 5, "some more idle time")
    assert child.last("xscreensaver") == last, "an idle desk changes nothing"


def test_without_a_display(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput", "xscreensaver", env={"DISPLAY": ""})
    for sensor in ("pynput", "xscreensaver"):
        assert "DISPLAY is not set" in child.wait_healthy(sensor, False)["why"]
    assert child.process.poll() is None


def test_a_wayland_session_is_not_claimed(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "pynput", "xscreensaver", env={"WAYLAND_DISPLAY": "wayland-0"})
    for sensor in ("pynput", "xscreensaver"):
        assert "Wayland" in child.wait_healthy(sensor, False)["why"]


def test_a_silent_x_server_hangs_nobody(bare_screen: VirtualDesktop) -> None:
    with _silent_display() as silent:
        child = Child(bare_screen, "pynput", "xscreensaver", env={"DISPLAY": silent})
        for sensor in ("pynput", "xscreensaver"):
            wait_until(
                lambda: "not answer" in child.last(sensor).get("why", ""),  # noqa: B023
                10,
                f"{sensor} to say so",
            )
        assert max(line["took"] for line in child.said()) < 0.8


def test_a_frozen_x_server_blinds_the_cross_check(bare_screen: VirtualDesktop) -> None:
    child = Child(bare_screen, "xscreensaver")
    child.wait_healthy("xscreensaver")
    with bare_screen.frozen_server():
        why = child.wait_healthy("xscreensaver", False)["why"]
        assert "has not answered" in why
    child.wait_healthy("xscreensaver")


@pytest.mark.parametrize(
    ("display_name", "why"),
    [
        ("", "belongs to no graphical session"),
        ("nonsense", "DISPLAY names no X server: 'nonsense'"),
        (":6543", "no X server at :6543"),
        ("127.0.0.1:1", "no X server at 127.0.0.1:1"),
    ],
)
def test_a_display_that_is_none(display_name: str, why: str) -> None:
    assert why in (x11.refusal({"DISPLAY": display_name}, 1.0) or "")


def test_a_display_that_works(bare_screen: VirtualDesktop) -> None:
    assert x11.refusal({"DISPLAY": bare_screen.display}, 5.0) is None
    assert x11.refusal({"DISPLAY": bare_screen.display + ".0"}, 5.0) is None


@contextlib.contextmanager
def _silent_display() -> Iterator[str]:
    """A display that takes connections and says nothing, as a stale XWayland socket does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1] - 6000}"


def test_a_bumped_mouse_is_nobody_until_a_second_sign(bare_screen: VirtualDesktop) -> None:
    bare_screen.move(50, 60)
    child = Child(bare_screen, "pynput", "xscreensaver", "doubting")
    child.wait_healthy("pynput")
    child.wait_healthy("xscreensaver")
    # The pointer was elsewhere before: this is a motion whose distance nobody knows, and a key.
    bare_screen.move(51, 60)
    bare_screen.key("a")
    wait_until(child.wakes, 10, "the key")
    rested = boot_seconds() + 1.5
    wait_until(lambda: boot_seconds() > rested, 5, "a second and more of rest")
    known = len(child.wakes())
    bare_screen.move(54, 60)
    bumped = boot_seconds()
    # The screen saver's answer comes after the motion's.
    wait_until(lambda: boot_seconds() > bumped + 1.0, 5, "a while")
    assert len(child.wakes()) == known
    for sensor in ("pynput", "xscreensaver"):
        assert child.last(sensor)["last_activity"] < rested - 1.0, sensor
    bare_screen.move(55, 60)
    wait_until(lambda: len(child.wakes()) > known, 10, "the second sign")
    for sensor in ("pynput", "xscreensaver"):
        wait_until(lambda: child.last(sensor)["last_activity"] > bumped, 10, sensor)  # noqa: B023
