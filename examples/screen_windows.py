"""What is on an X11 screen, as a person would see it: the tray's icon, menus and windows.

It looks and touches nothing; `virtual_screen` starts the screen and moves its pointer. Every
question has a connection of its own, so that a lost X server spoils one answer only.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from Xlib import X, display, error


@dataclass(frozen=True)
class Area:
    """A window on the screen: its id, and its place in pixels from the top left corner."""

    window: int
    x: int
    y: int
    width: int
    height: int
    name: str = ""
    program: str = ""

    @property
    def middle(self) -> tuple[int, int]:
        """The point to click."""
        return self.x + self.width // 2, self.y + self.height // 2


def icon(name: str, program: str = "") -> Area | None:
    """The icon in the XEmbed tray of display `name`; of `program`, where there are several."""
    with _connection(name) as x:
        embedded = x.get_atom("_XEMBED_INFO")
        for window, depth in _tree(x.screen().root):
            # Depth 1 is a window that waits to be embedded.
            if depth < 2 or not _has(window, embedded):
                continue
            area = _area(x, window)
            if area and area.width > 8 and program in area.program:
                return area
    return None


def popups(name: str) -> list[Area]:
    """Menus and tooltips: visible windows that no window manager frames."""
    with _connection(name) as x:
        found = [_area(x, window, popup=True) for window in x.screen().root.query_tree().children]
    return [area for area in found if area and area.height > 8 and area.program]


def framed(name: str) -> list[Area]:
    """Visible windows that a window manager frames, but for the tray's own panel."""
    with _connection(name) as x:
        state = x.get_atom("WM_STATE")
        windows = [window for window, _ in _tree(x.screen().root) if _has(window, state)]
        found = [_area(x, window) for window in windows]
    return [area for area in found if area and area.program not in ("", "panel")]


def is_managed(name: str) -> bool:
    """Does a window manager answer?"""
    with _connection(name) as x:
        return _has(x.screen().root, x.get_atom("_NET_SUPPORTING_WM_CHECK"))


def has_tray(name: str) -> bool:
    """Does an XEmbed tray answer?"""
    with _connection(name) as x:
        return bool(x.get_selection_owner(x.get_atom("_NET_SYSTEM_TRAY_S0")))


def paint(name: str, colour: int) -> None:
    """Gives the screen one background colour, 0xRRGGBB."""
    with _connection(name) as x:
        root = x.screen().root
        root.change_attributes(background_pixel=colour)
        root.clear_area()
        x.sync()


@contextlib.contextmanager
def _connection(name: str) -> Iterator[Any]:
    connection = display.Display(name)
    try:
        yield connection
    finally:
        connection.close()


def _tree(window: Any, depth: int = 0) -> Iterator[tuple[Any, int]]:
    with contextlib.suppress(error.BadWindow):
        for child in window.query_tree().children:
            yield child, depth + 1
            yield from _tree(child, depth + 1)


def _has(window: Any, prop: int) -> bool:
    try:
        return window.get_full_property(prop, X.AnyPropertyType) is not None
    except error.BadWindow:
        return False  # It went away since it was listed.


def _area(x: Any, window: Any, popup: bool = False) -> Area | None:
    """Where a window is on the screen; None if it is hidden, framed, or just went away."""
    try:
        attributes = window.get_attributes()
        if attributes.map_state != X.IsViewable or (popup and not attributes.override_redirect):
            return None
        size = window.get_geometry()
        place = x.screen().root.translate_coords(window, 0, 0)
        program = window.get_wm_class() or ("", "")
        title = window.get_wm_name() or ""
    except (error.BadWindow, error.BadDrawable):
        return None
    return Area(window.id, place.x, place.y, size.width, size.height, str(title), program[0])
