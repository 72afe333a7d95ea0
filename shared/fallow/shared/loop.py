"""The one loop of every long-running program: poll until the deadline, step, act.

Not the decisions: callbacks hand what arrived to a pure core and carry out what it says.
The opposites are the cores, which have neither sockets nor a clock.
"""

import contextlib
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

from fallow.shared.clock import Clock
from fallow.shared.transport import Poller, Source
from fallow.shared.waker import Waker

E = TypeVar("E")

# The poll runs by a clock that stands still while the computer sleeps, deadlines by one that does
# not: after a wake-up a deadline is at most this late (seconds).
_LONGEST_POLL = 10.0
# Seconds for which another thread keeps the interpreter while the loop waits for it; Python's own
# 5 ms, at every system call of the loop, would be most of the time of a short job.
_SWITCH = 0.0002


class Loop(Generic[E]):
    """Turns: wait for sources, posted events or the deadline; call back; then one `on_turn`.

    `on_event` gets what was posted, in order. `deadline` gives boot-clock seconds or None.
    `on_turn` ends every turn, due or not: there the shell looks at the clock, commits and sends.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        on_event: Callable[[E], None],
        on_turn: Callable[[], None],
        deadline: Callable[[], float | None],
    ) -> None:
        self._clock = clock
        self._on_event = on_event
        self._on_turn = on_turn
        self._deadline = deadline
        self._poller = Poller()
        self._waker = Waker()
        self._callbacks: dict[Source, Callable[[], None]] = {}
        self._posted: deque[E] = deque()
        self._stopping = threading.Event()
        self.watch(self._waker, self._waker.drain)

    def watch(self, source: Source, ready: Callable[[], None]) -> None:
        """Call `ready` in every turn in which the source has something; it need not take it all."""
        self._poller.add(source)
        self._callbacks[source] = ready

    def unwatch(self, source: Source) -> None:
        """Forget a source; call it before the source is closed."""
        self._poller.remove(source)
        del self._callbacks[source]

    def post(self, event: E) -> None:
        """Hand in an event, from any thread."""
        self._posted.append(event)
        self._waker.wake()

    def stop(self) -> None:
        """End `run` after the present turn; from any thread, also before it began."""
        self._stopping.set()
        self._waker.wake()

    def run(self) -> None:
        """Turn until stopped."""
        # The process may be somebody's own program, which goes on afterwards.
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH)
        try:
            while not self._stopping.is_set():
                self._do_turn()
        finally:
            sys.setswitchinterval(before)

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Generator[None]:
        """While it lasts, SIGTERM and SIGINT end `run` in good order; main thread only."""
        with self.hearing_signals(
            (signal.SIGTERM, signal.SIGINT), lambda number: self._stopping.set()
        ):
            yield

    @contextlib.contextmanager
    def hearing_signals(
        self, numbers: Iterable[signal.Signals], heard: Callable[[int], None]
    ) -> Generator[None]:
        """While it lasts, each of these signals is told to `heard` at once; main thread only."""
        before = {
            number: signal.signal(number, lambda number, _: heard(number)) for number in numbers
        }
        try:
            with self._waker.woken_by_signals():
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        self._waker.close()

    def _do_turn(self) -> None:
        for source in self._poller.wait(self._timeout()):
            # A callback earlier in this turn may have forgotten the source.
            if source in self._callbacks:
                self._callbacks[source]()
        for _ in range(len(self._posted)):
            self._on_event(self._posted.popleft())
        self._on_turn()

    def _timeout(self) -> float:
        if self._posted:
            return 0.0
        deadline = self._deadline()
        if deadline is None:
            return _LONGEST_POLL
        return min(max(deadline - self._clock.now().boot, 0.0), _LONGEST_POLL)
