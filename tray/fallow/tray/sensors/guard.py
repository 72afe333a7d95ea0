"""Questions that may hang, asked in a thread of their own, with a time limit for who waits.

Not a sensor itself: `Guarded` makes one of any sensor, and makes it anew when it fails or hangs.
The sensors with threads of their own (`pynput_input`, `mutter`, ...) need none of this.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from fallow.shared.moments import Moment
from fallow.tray.presence import Reading
from fallow.tray.sensors.sensor import Sensor

log = logging.getLogger(__name__)

PATIENCE = 1.0
GIVEN_UP_AFTER = 30.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0

_T = TypeVar("_T")
_Question = Callable[[Moment], _T]


class Aside(Generic[_T]):
    """One question in one thread, asked again only after it was answered.

    A thread that never comes back costs its memory and nothing else: it ends with the process.
    """

    def __init__(self, name: str, question: _Question[_T]) -> None:
        self._asked_at: float | None = None
        self._answers: queue.SimpleQueue[tuple[_T | None, Exception | None]] = queue.SimpleQueue()
        self._moments: queue.SimpleQueue[Moment | None] = queue.SimpleQueue()
        self._question = question
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def ask(self, now: Moment, patience: float) -> _T:
        """The answer; TimeoutError when it is not there in time, or what the question raised.

        Who asks waits only once for a question that hangs.
        """
        wait = 0.0
        if self._asked_at is None:
            self._asked_at = now.boot
            self._moments.put(now)
            wait = patience
        try:
            answer, error = self._answers.get(timeout=wait)
        except queue.Empty:
            raise TimeoutError from None
        self._asked_at = None
        if error is not None:
            raise error
        return answer  # type: ignore[return-value]

    def waiting_for(self, now: Moment) -> float:
        """Seconds since the question was put that is not answered yet; 0.0 without one."""
        return 0.0 if self._asked_at is None else now.boot - self._asked_at

    def end(self) -> None:
        self._moments.put(None)

    def _serve(self) -> None:
        while (now := self._moments.get()) is not None:
            try:
                self._answers.put((self._question(now), None))
            except Exception as error:
                self._answers.put((None, error))


class Guarded:
    """The sensor that `make` makes, read with a time limit; it never raises.

    One that raises, or hangs for half a minute, is given up and made anew after a pause that
    doubles each time, from a second to a minute.
    """

    def __init__(
        self,
        name: str,
        kind: Literal["input", "terminal", "session", "inhibitor"],
        make: Callable[[], Sensor],
        patience: float = PATIENCE,
    ) -> None:
        self.name = name
        self._kind = kind
        self._make = make
        self._patience = patience
        self._inner: Sensor | None = None
        self._aside: Aside[Reading] | None = None
        self._next_try = 0.0
        self._wait = FIRST_WAIT
        self._why = "it has not looked yet"
        self._seen_at: float | None = None

    @property
    def inner(self) -> Sensor | None:
        """The sensor itself, None while there is none."""
        return self._inner

    def read(self, now: Moment) -> Reading:
        if self._aside is None:
            if now.boot < self._next_try:
                return self._blind(self._why)
            self._aside = Aside(self.name, self._look)
        try:
            reading = self._aside.ask(now, self._patience)
        except TimeoutError:
            silent = max(self._aside.waiting_for(now), self._patience)
            if silent > GIVEN_UP_AFTER:
                self._give_up(now, f"it hung for {silent:.0f} s")
            return self._blind(f"it has not answered for {silent:.0f} s")
        except Exception as error:
            log.exception("sensor %s failed", self.name)
            self._give_up(now, f"it failed: {str(error) or type(error).__name__}")
            return self._blind(self._why)
        self._wait = FIRST_WAIT
        self._seen_at = reading.last_activity
        return reading

    def close(self) -> None:
        if self._aside is not None:
            self._aside.end()
        if self._inner is not None:
            self._inner.close()

    def _look(self, now: Moment) -> Reading:
        """In the thread: whatever hangs, hangs there, also what makes the sensor."""
        if self._inner is None:
            self._inner = self._make()
        return self._inner.read(now)

    def _give_up(self, now: Moment, why: str) -> None:
        self.close()
        self._aside = self._inner = None
        self._why = why
        self._next_try = now.boot + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _blind(self, why: str) -> Reading:
        return Reading(self.name, self._kind, False, why, self._seen_at)
