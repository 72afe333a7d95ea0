"""A workstation with a tray on a virtual screen, and a person who presses a key there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from Xlib import XK, X
from Xlib.display import Display
from Xlib.ext import xtest
from Xlib.xobject.drawable import Window

from bench.group import Group, Program, wait_for
from fallow.coordinator.client import Client
from fallow.shared.messages import Nodes, NodesReply
from virtual_screen import VirtualScreen

CONFIG = '[presence]\nidle_after = "1s"\nsettle = "0s"\nac_only = false\nforeign_cpu = 1.0\n'


class Desk:
    """What runs at the desk, and its keyboard."""

    def __init__(self, agent: Program, tray: Program, display: str) -> None:
        self.agent = agent
        self.tray = tray
        self._display = Display(display)
        self._window = self._typed_into()
        self._key = self._display.keysym_to_keycode(XK.XK_a)

    def _typed_into(self) -> Window:
        """A window with the focus: of keys that no program wants, the X server tells late."""
        screen = self._display.screen()
        window = screen.root.create_window(10, 10, 200, 100, 1, screen.root_depth)
        window.change_attributes(event_mask=X.KeyPressMask | X.KeyReleaseMask)
        window.map()
        self._display.sync()

        def shown() -> bool:
            return bool(window.get_attributes().map_state == X.IsViewable)

        wait_for(shown, 10, "a window to type into")
        window.set_input_focus(X.RevertToParent, X.CurrentTime)
        self._display.sync()
        return window

    def press(self) -> float:
        """Press and release a key; when, by `time.perf_counter`."""
        self._display.sync()
        while self._display.pending_events():
            self._display.next_event()
        pressed = time.perf_counter()
        xtest.fake_input(self._display, X.KeyPress, self._key)
        xtest.fake_input(self._display, X.KeyRelease, self._key)
        self._display.flush()
        return pressed

    def told(self) -> float:
        """When the X server told the window that is typed into of the key; waits for it."""
        while self._display.next_event().type != X.KeyPress:
            pass
        return time.perf_counter()

    def runs(self, client: Client) -> tuple[str, ...]:
        """The jobs that are here, as the coordinator knows it."""
        return client.ask(Nodes(), NodesReply).nodes[0].runs

    def close(self) -> None:
        self._display.close()


@contextlib.contextmanager
def desk(group: Group, config: str = CONFIG, before: tuple[str, ...] = ()) -> Iterator[Desk]:
    """A desk of its own, which the coordinator sees as free; `before` is said before its agent."""
    with VirtualScreen() as screen:
        kept = ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "NO_AT_BRIDGE", "QT_XCB_GL_INTEGRATION")
        env = group.env | {name: screen.env[name] for name in kept}
        agent = group.workstation("desk", config, ready=False, before=before)
        tray = group.start("tray", "tray", "--data-dir", str(group.folder / "desk"), env=env)
        with group.client() as client:

            def free() -> bool:
                return client.ask(Nodes(), NodesReply).nodes[0].state == "idle"

            wait_for(free, 30, "a free desk")
        one = Desk(agent, tray, screen.display)
        try:
            yield one
        finally:
            one.close()
            group.end(tray)
            group.end(agent)
