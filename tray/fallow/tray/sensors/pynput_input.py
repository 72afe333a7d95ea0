"""Keyboard and mouse of an X11 session, the moment they move, by pynput.

It keeps one instant and no key. It cannot tell since when a desk was idle before it started:
`xscreensaver` can, and is the cross-check. Its threads end with the X server and are made anew.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from fallow.shared.clock import Clock, SystemClock
from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover
from fallow.tray.presence import Reading
from fallow.tray.promptness import wake_promptly
from fallow.tray.second_sign import Input, Kind, Rule, Signs, witness
from fallow.tray.sensors import x11

log = logging.getLogger(__name__)

PROBE_PATIENCE = 2.0
LONGEST_WAIT = 60.0
# A moving mouse makes up to 1000 events a second; the first one of each interval wakes.
WAKE_INTERVAL = 0.1


class PynputInput:
    """Watches keyboard and mouse; `on_activity` is called at once, from a thread of its own.

    `first_wait` is the pause in seconds before a lost X server is looked for again; it doubles.
    """

    name = "pynput"

    def __init__(
        self,
        on_activity: Callable[[], None],
        clock: Clock | None = None,
        first_wait: float = 1.0,
        cover: Cover | None = None,
        rule: Rule = Rule(),  # noqa: B008
    ) -> None:
        self._clock = clock or SystemClock()
        self._cover = cover
        self._rule = rule
        self._signs = Signs(self._clock.now().boot)
        self._deciding = threading.Lock()
        self._on_activity = on_activity
        self._first_wait = first_wait
        self._wait = first_wait
        self._next_try = 0.0
        self._seen_at: float | None = None
        self._woken_at = 0.0
        self._listeners: tuple[Any, ...] = ()
        self._was_watching = False
        self._closed = False
        self._why = "it has not looked yet"
        self._builder = self._start_builder()

    def read(self, now: Moment) -> Reading:
        if self._watching():
            return Reading(self.name, "input", True, "", self._seen_at, covers=self._cover)
        if not self._builder.is_alive() and now.boot >= self._next_try and not self._closed:
            self._builder = self._start_builder()
        return Reading(self.name, "input", False, self._why, self._seen_at)

    def doubts(self, at: float) -> bool:
        """Is what another sensor saw at `at` a bumped mouse, which does not count yet?"""
        return self._signs.doubts(at)

    def close(self) -> None:
        """Lets the listeners go; they are threads that end with this process."""
        # Stopping them would wait for the X server, which may be gone for good.
        self._closed = True
        self._on_activity = lambda: None

    def _watching(self) -> bool:
        return bool(self._listeners) and all(each.is_alive() for each in self._listeners)

    # -- in the builder's thread: connecting may take as long as the X server likes

    def _start_builder(self) -> threading.Thread:
        builder = threading.Thread(target=self._build, name="pynput-builder", daemon=True)
        builder.start()
        return builder

    def _build(self) -> None:
        self._listeners = ()
        why = x11.refusal(os.environ, PROBE_PATIENCE) or self._listen()
        now = self._clock.now().boot
        if why is not None:
            if why != self._why:
                log.info("pynput cannot watch: %s", why)
            self._why = why
            self._next_try = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            return
        if self._was_watching:
            # Nobody knows who typed while it was blind.
            self._seen_at = now
        self._was_watching = True
        self._why = "the connection to the X server was lost"
        self._next_try = now + self._first_wait
        self._wait = self._first_wait
        log.info("pynput watches keyboard and mouse of %s", os.environ.get("DISPLAY"))

    def _listen(self) -> str | None:
        """Starts both listeners; why that failed, or None."""
        try:
            from pynput import keyboard, mouse
        except ModuleNotFoundError as error:
            return f"{error.name} is not installed"
        except Exception as error:
            # Without an X server the import itself fails, in more than one way.
            return str(error).splitlines()[0] if str(error) else type(error).__name__
        listeners = (
            keyboard.Listener(on_press=self._pressed, on_release=self._pressed),
            mouse.Listener(on_move=self._moved, on_click=self._clicked, on_scroll=self._clicked),
        )
        for listener in listeners:
            _contain(listener)
            listener.start()
        for listener in listeners:
            listener.wait()
        if not all(listener.is_alive() for listener in listeners):
            return "the X server does not let programs watch keyboard and mouse (RECORD)"
        self._listeners = listeners
        return None

    # -- in a listener's thread

    def _pressed(self, *_: object) -> None:
        """A key, and it does not matter which."""
        self._seen("key")

    def _clicked(self, *_: object) -> None:
        self._seen("click")

    def _moved(self, x: float, y: float, *_: object) -> None:
        self._seen("motion", x, y)

    def _seen(self, kind: Kind, x: float = 0.0, y: float = 0.0) -> None:
        """Something moved: only when is kept. An exception here would end the listener."""
        now = self._clock.now().boot
        with self._deciding:
            self._signs = witness(self._signs, Input(kind, now, x, y), self._rule)
            if self._signs.active_at != now:
                return  # A bumped mouse.
        self._seen_at = now
        if now - self._woken_at < WAKE_INTERVAL:
            return
        self._woken_at = now
        try:
            self._on_activity()
        except Exception:
            log.exception("what follows from a key press failed")


def _contain(listener: Any) -> None:
    """Makes a listener quick to wake, and end without a traceback when its server ends.

    Whoever waits for it wakes up then, too.
    """
    run = listener.run

    def contained() -> None:
        wake_promptly()
        try:
            run()
        except Exception as error:
            log.info("pynput lost the X server: %s", error)
        finally:
            # `wait()` would wait for ever for a listener that failed before it was ready.
            listener._mark_ready()
            # A listener that lost its server leaves its connections to the garbage collector.
            for name in ("_display_stop", "_display_record"):
                with contextlib.suppress(Exception):
                    getattr(listener, name).close()

    listener.run = contained
