"""How long an X11 session has been idle, asked of the X server itself (MIT-SCREEN-SAVER).

It sees input from before this program started, and films that keep the screen awake. It is asked
now and then and cannot wake anybody: `pynput_input` can.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from fallow.shared.clock import Clock, SystemClock
from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover
from fallow.tray.presence import Reading
from fallow.tray.second_sign import Answers, answered
from fallow.tray.sensors import x11

PROBE_PATIENCE = 2.0


class XScreenSaver:
    """Asks the X server; a read waits `patience` seconds at most, once, for a silent server.

    `doubts` says of an instant whether the input then was a bumped mouse, which does not count.
    """

    name = "xscreensaver"

    def __init__(
        self,
        clock: Clock | None = None,
        patience: float = 0.5,
        cover: Cover | None = None,
        doubts: Callable[[float], bool] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._cover = cover
        self._doubts = doubts
        self._patience = patience
        self._answers_so_far = Answers()
        self._asked_at: float | None = None
        self._questions: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[float | str] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="xscreensaver", daemon=True).start()

    def read(self, now: Moment) -> Reading:
        patience = 0.0
        if self._asked_at is None:
            self._asked_at = now.boot
            patience = self._patience
            self._questions.put(True)
        try:
            answer = self._answers.get(timeout=patience)
        except queue.Empty:
            silent = max(now.boot - self._asked_at, patience)
            return self._blind(f"the X server has not answered for {silent:.1f} s")
        self._asked_at = None
        if isinstance(answer, str):
            return self._blind(answer)
        self._answers_so_far = answered(self._answers_so_far, answer, now.boot, self._doubts)
        seen_at = self._answers_so_far.seen_at
        return Reading(self.name, "input", True, "", seen_at, covers=self._cover)

    def close(self) -> None:
        self._questions.put(False)

    def _blind(self, why: str) -> Reading:
        return Reading(self.name, "input", False, why, self._answers_so_far.seen_at)

    # -- in the thread that owns the connection, and may wait for the X server as long as it likes

    def _serve(self) -> None:
        connection: Any = None
        while self._questions.get():
            try:
                if connection is None:
                    connection = _connect()
                idle = connection.screen().root.screensaver_query_info().idle / 1000
                self._answers.put(self._clock.now().boot - idle)
            except Exception as error:
                # Xlib raises what it likes when a server goes; the next question connects anew.
                connection = None
                self._answers.put(str(error) or type(error).__name__)
        if connection is not None:
            # The server may have gone meanwhile.
            with contextlib.suppress(Exception):
                connection.close()


def _connect() -> Any:
    """A connection to the X server of this session; OSError says why there is none."""
    why = x11.refusal(os.environ, PROBE_PATIENCE)
    if why is not None:
        raise OSError(why)
    try:
        from Xlib import display
    except ModuleNotFoundError as error:
        raise OSError("python-xlib is not installed") from error
    connection = display.Display()
    for extension, wanted in (("MIT-SCREEN-SAVER", True), ("XWAYLAND", False)):
        if connection.has_extension(extension) is not wanted:
            connection.close()
            raise OSError(
                "the X server does not tell how long it is idle (MIT-SCREEN-SAVER)"
                if wanted
                else "this X server is XWayland, which sees only some of the windows"
            )
    return connection
