"""The event stream as clients see it: one page at a time, or the first event that comes.

Not the events themselves: the core says them, the store keeps them. A client names the last number
it has seen, so one that falls behind or comes back later loses nothing. Opposite: `verbs.watch`.
"""

from collections.abc import Callable

from msgspec import Struct

from fallow.coordinator.core import Core
from fallow.coordinator.store import Store
from fallow.shared.errors import FallowError
from fallow.shared.messages import Happening, Watch, WatchReply
from fallow.shared.moments import Moment

_PAGE = 4_000  # some 20 ms, in which nobody else is answered
_PAGE_CHARACTERS = 8 << 20  # of texts, some of which workstations wrote
_WINDOW = 50_000  # events that one question may look through
_LONGEST_WAIT = 15.0  # seconds; below a client's own patience
_MOST_WAITING = 500
_EVERY = 0.1  # seconds between two looks: thousands of short jobs need not wake everybody each time


class _Waiting(Struct):
    reply: int
    ask: Watch
    ref: str | None
    after: int
    deadline: float


class Watching:
    """Answers Watch; `answer` sends to a client."""

    def __init__(self, core: Core, store: Store, answer: Callable[[int, WatchReply], None]) -> None:
        self._core = core
        self._store = store
        self._answer = answer
        self._waiting: list[_Waiting] = []
        self._seen = 0
        self._next_look = 0.0
        self._news = False

    def watch(self, reply: int, ask: Watch, now: Moment) -> None:
        """Answer now, or when something has happened."""
        ref = self._meant(ask.ref) if ask.ref is not None else None
        if ask.after is not None:
            # Higher than the last: all that it counted was forgotten, and numbers began anew.
            after = ask.after if ask.after <= self._store.last_event() else 0
        elif ask.since is not None:
            after = self._store.event_before(ask.since)
        else:
            after = self._store.last_event()
        deadline = now.boot + min(max(ask.wait, 0.0), _LONGEST_WAIT)
        waiting = _Waiting(reply, ask, ref, after, deadline)
        full = len(self._waiting) >= _MOST_WAITING
        if not self._look(waiting, over=full or deadline <= now.boot):
            self._waiting.append(waiting)

    def look(self, now: Moment) -> bool:
        """Answer those who wait for what was saved since, or no longer; whether any was."""
        if not self._waiting:
            return False
        last = self._store.last_event()
        self._news, self._seen = self._news or last != self._seen, last
        news = self._news and now.boot >= self._next_look
        if news:
            self._news, self._next_look = False, now.boot + _EVERY
        before = len(self._waiting)
        self._waiting = [
            each
            for each in self._waiting
            if not (news or each.deadline <= now.boot)
            or not self._look(each, over=each.deadline <= now.boot)
        ]
        return len(self._waiting) < before

    def deadline(self) -> float | None:
        """The boot-clock second of the next look, None when nobody waits."""
        if not self._waiting:
            return None
        first = min(each.deadline for each in self._waiting)
        return min(first, self._next_look) if self._news else first

    def _meant(self, ref: str) -> str:
        """The full name; a batch that was removed is still in the audit under its own."""
        try:
            batch, job = self._core.find(ref)
        except FallowError:
            if ":" in ref and self._store.events(0, self._store.last_event(), 1, ref):
                return ref
            raise
        return batch.ref(job)

    def _look(self, waiting: _Waiting, over: bool) -> bool:
        last = self._store.last_event()
        until = min(last, waiting.after + _WINDOW)
        limit = max(1, min(waiting.ask.limit, _PAGE))
        events = self._store.events(waiting.after, until, limit, waiting.ref)
        fitting = _that_fit(events)
        if len(events) == limit or len(fitting) < len(events):
            events, until = fitting, fitting[-1].id
        waiting.after = max(waiting.after, until)
        if not events and until >= last and not over:
            return False
        self._answer(waiting.reply, WatchReply(tuple(events), waiting.after, waiting.after < last))
        return True


def _that_fit(events: list[Happening]) -> list[Happening]:
    """As many of these as one message should hold; at least one."""
    room = _PAGE_CHARACTERS
    for count, event in enumerate(events):
        room -= len(event.text) + len(event.ref)
        if room < 0:
            return events[: max(count, 1)]
    return events
