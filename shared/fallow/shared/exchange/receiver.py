"""The receiving machine: which bytes of which blobs to ask one peer for, and when one is complete.

Not the sockets. Whatever is lost is repaired by asking again for what is not here yet.
The opposite is `sender`.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Iterator

from fallow.shared.blobs import BlobStore, Partial, check_hash
from fallow.shared.exchange.events import (
    LONGEST_WHY,
    NotMoved,
    Outgoing,
    Progressed,
    Stored,
    TransferEvent,
)
from fallow.shared.exchange.pace import Pace
from fallow.shared.messages import CHUNK, Chunk, Fetch, Gone

WINDOW = 16 * CHUNK  # bytes asked for and not here yet, per peer
_STEP = 4 * CHUNK  # free window before a big blob is asked for again
_ACTIVE = 256  # blobs being received at a time, per peer


def _unwritten(error: OSError) -> str:
    return f"it could not be written: {error.strerror}"


class _Arriving:
    def __init__(self, hash: str, size: int) -> None:
        self.hash = hash
        self.size = size
        self.partial: Partial | None = None
        self.asked = 0
        self.restarts = 0

    @property
    def in_flight(self) -> int:
        return self.asked - self.partial.offset if self.partial is not None else 0


class Receiver:
    """Gets blobs from one peer into the store.

    `complete` partials must be finished by the shell (they block on the disk), in any thread, and
    the outcome given to `finished`.
    """

    def __init__(self, store: BlobStore, owner: str, pace: Pace) -> None:
        self.pace = pace
        self._store = store
        self._owner = owner
        self._queued: OrderedDict[str, _Arriving] = OrderedDict()
        self._active: OrderedDict[str, _Arriving] = OrderedDict()
        self._finishing: dict[str, _Arriving] = {}
        self._elsewhere: OrderedDict[str, _Arriving] = OrderedDict()
        self._in_flight = 0
        self._refusals: list[Gone] = []
        self.events: list[TransferEvent] = []
        self.complete: list[Partial] = []

    @property
    def busy(self) -> bool:
        """Whether anything is still to come."""
        return bool(self._queued or self._active or self._finishing or self._elsewhere)

    @property
    def hungry(self) -> bool:
        """Whether there is something to ask for."""
        return bool(self._queued or self._active)

    @property
    def waiting(self) -> bool:
        """Whether the peer owes us bytes."""
        return self._in_flight > 0

    def want(self, hash: str, size: int, now: float) -> None:
        """Get this blob; asking again for one that is on its way repeats what was asked for."""
        check_hash(hash)
        if self._store.has(hash):
            self.events.append(Stored(hash))
        elif hash in self._active:
            self._ask_again(self._active[hash])
        elif hash in self._elsewhere:
            self.look_elsewhere(now)
        elif hash not in self._queued and hash not in self._finishing:
            self._queued[hash] = _Arriving(hash, size)

    def drop(self, hash: str) -> None:
        """No longer wanted; what is here stays for another time."""
        self._queued.pop(hash, None)
        self._elsewhere.pop(hash, None)
        arriving = self._active.pop(hash, None)
        if arriving is not None and arriving.partial is not None:
            self._in_flight -= arriving.in_flight
            arriving.partial.close()

    def on_chunk(self, chunk: Chunk, payload: bytes | memoryview, now: float) -> None:
        """Take in bytes that were asked for; all others are ignored."""
        arriving = self._active.get(chunk.hash)
        if arriving is None or arriving.partial is None:
            return
        partial = arriving.partial
        if partial.closed:
            # Another connection has taken the blob over.
            self._move_elsewhere(arriving)
            return
        size = len(payload)
        if chunk.offset != partial.offset or not 0 < size <= arriving.in_flight:
            return
        try:
            partial.append(chunk.offset, payload, now)
        except OSError as error:
            self._give_up(arriving, _unwritten(error), refuse=True)
            return
        self._in_flight -= size
        self.events.append(Progressed(chunk.hash, partial.offset))
        if partial.offset == arriving.size:
            self._finish(arriving, partial)

    def on_gone(self, gone: Gone) -> None:
        """The peer cannot send it."""
        arriving = self._active.get(gone.hash) or self._queued.get(gone.hash)
        if arriving is not None:
            self._give_up(arriving, gone.why[:LONGEST_WHY], refuse=False)

    def finished(self, hash: str, problem: str | None, *, corrupt: bool = False) -> None:
        """What came of finishing a complete blob; a corrupt one is asked for once more."""
        arriving = self._finishing.pop(hash)
        if problem is None:
            self.events.append(Stored(hash))
        elif corrupt and arriving.restarts == 0:
            again = _Arriving(hash, arriving.size)
            again.restarts = 1
            self._queued[hash] = again
        else:
            self._refusals.append(Gone(hash, problem))
            self.events.append(NotMoved(hash, problem))

    def restart(self) -> None:
        """Ask again for all that was asked for and is not here: the connection is a new one."""
        for arriving in self._active.values():
            self._ask_again(arriving)

    def look_elsewhere(self, now: float) -> None:
        """See what became of blobs that came in by another connection; call now and then."""
        for hash, arriving in list(self._elsewhere.items()):
            if self._store.has(hash):
                del self._elsewhere[hash]
                self.events.append(Stored(hash))
            elif self._open(arriving, now, take_over=False):
                self._elsewhere.pop(hash, None)

    def messages(self, now: float) -> Iterator[Outgoing]:
        """What to send now: requests as far as the window reaches, and refusals."""
        free = WINDOW - self._in_flight
        if free >= _STEP:
            for arriving in list(self._active.values()):
                if arriving.partial is not None and arriving.partial.closed:
                    self._move_elsewhere(arriving)
                else:
                    yield from self._ask(arriving)
        while (
            self._queued
            and len(self._active) < _ACTIVE
            and self._in_flight < WINDOW
            and self.pace.may_go()
        ):
            _, arriving = self._queued.popitem(last=False)
            if self._open(arriving, now, take_over=True):
                yield from self._ask(arriving)
        while self._refusals:
            yield self._refusals.pop(0), b""

    def close(self) -> None:
        """Stop receiving; what is half here stays for another time."""
        for hash in list(self._active):
            self.drop(hash)
        self._queued.clear()
        self._elsewhere.clear()

    def _open(self, arriving: _Arriving, now: float, *, take_over: bool) -> bool:
        try:
            partial = self._store.begin(
                arriving.hash, arriving.size, self._owner, now, take_over=take_over
            )
        except OSError as error:
            self._give_up(arriving, _unwritten(error), refuse=True)
            return False
        if partial is None:
            self._elsewhere[arriving.hash] = arriving
            return False
        arriving.partial = partial
        arriving.asked = partial.offset
        self._active[arriving.hash] = arriving
        return True

    def _move_elsewhere(self, arriving: _Arriving) -> None:
        self._in_flight -= arriving.in_flight
        del self._active[arriving.hash]
        self._elsewhere[arriving.hash] = arriving

    def _ask(self, arriving: _Arriving) -> Iterator[Outgoing]:
        partial = arriving.partial
        assert partial is not None
        if partial.offset == arriving.size and not partial.closed:
            # All of it was here already, from an earlier connection.
            self._finish(arriving, partial)
            return
        length = min(arriving.size - arriving.asked, WINDOW - self._in_flight)
        if self.pace.rate is not None:
            length = min(length, self.pace.piece)
        if length > 0 and self.pace.may_go():
            self.pace.spend(length)
            fetch = Fetch(arriving.hash, arriving.asked, length)
            arriving.asked += length
            self._in_flight += length
            yield fetch, b""

    def _ask_again(self, arriving: _Arriving) -> None:
        self._in_flight -= arriving.in_flight
        if arriving.partial is not None:
            arriving.asked = arriving.partial.offset

    def _finish(self, arriving: _Arriving, partial: Partial) -> None:
        del self._active[arriving.hash]
        self._finishing[arriving.hash] = arriving
        self.complete.append(partial)

    def _give_up(self, arriving: _Arriving, why: str, *, refuse: bool) -> None:
        self.drop(arriving.hash)
        if refuse:
            with contextlib.suppress(OSError):
                self._store.discard(arriving.hash)
            self._refusals.append(Gone(arriving.hash, why))
        self.events.append(NotMoved(arriving.hash, why))
