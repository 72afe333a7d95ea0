"""Which sensors a kind of session gets, and which session they say they see."""

import os
from pathlib import Path

import pytest

from fallow.tray.coverage import Cover
from fallow.tray.sensors.choice import cover_of, for_agent, for_session

X11 = {"XDG_SESSION_TYPE": "x11", "DISPLAY": ":987", "XDG_SESSION_ID": "3"}
WAYLAND = {"XDG_SESSION_TYPE": "wayland", "WAYLAND_DISPLAY": "w", "XDG_RUNTIME_DIR": "/nowhere"}
GNOME = {"XDG_CURRENT_DESKTOP": "ubuntu:GNOME"}
BUS = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere/bus"}


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        (X11, ["pynput", "xscreensaver"]),
        (X11 | BUS, ["pynput", "xscreensaver", "inhibitors"]),
        (X11 | GNOME | BUS, ["pynput", "xscreensaver", "mutter", "inhibitors"]),
        (WAYLAND, ["idle_notify"]),
        (WAYLAND | {"DISPLAY": ":0"} | BUS, ["idle_notify", "inhibitors"]),
        (WAYLAND | GNOME | BUS, ["mutter", "inhibitors"]),
        ({}, ["pynput", "xscreensaver"]),
    ],
)
def test_a_session_has_what_can_work_there(
    environment: dict[str, str], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    sensors = for_session(lambda: None, environment=environment)
    assert [each.name for each in sensors] == names
    for each in sensors:
        each.close()


def test_the_agent_sees_who_is_logged_in_and_types() -> None:
    sensors = for_agent()
    names = [each.name for each in sensors]
    assert names[:3] == ["logind", "terminals", "logind inhibitors"]
    assert ("evdev" in names) == any(
        os.access(each, os.R_OK) for each in Path("/dev/input").glob("event*")
    )
    for each in sensors:
        each.close()


def test_a_process_knows_its_session() -> None:
    assert cover_of(X11) == Cover(session="3", uid=os.getuid(), display=":987")
    assert cover_of({}) == Cover(uid=os.getuid())
