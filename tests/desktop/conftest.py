"""Screens for the desktop tests; each test has its own, so that no input of one reaches another."""

import os
from collections.abc import Iterator

import pytest

from desktop.virtual_desktop import VirtualDesktop


@pytest.fixture
def bare_screen() -> Iterator[VirtualDesktop]:
    """An X server alone: no bus, no window manager, no tray."""
    number = 10_000 + os.getpid() % 10_000  # Its tests bring the server back on its display.
    with VirtualDesktop("none", window_manager=False, bus=False, number=number) as desktop:
        yield desktop


@pytest.fixture
def xembed_desktop() -> Iterator[VirtualDesktop]:
    """A desktop with `trayer`, whose icons are real windows for a real pointer."""
    with VirtualDesktop("trayer") as desktop:
        yield desktop


@pytest.fixture
def sni_desktop() -> Iterator[VirtualDesktop]:
    """A desktop with a StatusNotifier tray, whose icons answer by D-Bus."""
    with VirtualDesktop("sni") as desktop:
        yield desktop
