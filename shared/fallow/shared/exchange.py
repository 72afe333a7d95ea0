"""Moving blobs between two sides: what to ask for, what to send, what is complete.

Not the sockets nor their threads: messages come in and go out as values, files are those of a
BlobStore. Both sides run the same two machines. The opposite is `transfer`, which carries them.

The receiver grants credit in bytes: a Fetch is the request for a range and the leave to send it.
Nothing is sent unasked, so no queue on the way can overflow. Whatever is lost is repaired by
asking again for what is not here yet.
"""

import contextlib
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from fallow.shared.blobs import BlobStore, Partial, check_hash
from fallow.shared.messages import CHUNK, Chunk, DataMessage, Fetch, Gone, Have, Offer

WINDOW = 16 * CHUNK  # bytes asked for and not here yet, per peer
_STEP = 4 * CHUNK  # free window before a big blob is asked for again
_ACTIVE = 256  # blobs being received at a time, per peer
_OFFERED = 256  # offers not answered yet, per peer
_MOST_CREDIT = 64 * CHUNK  # of one Fetch; a peer that asks for more gets this
_MOST_RANGES = 1024  # asked for by one peer and not sent yet
_OPEN_FILES = 32
_LONGEST_WHY = 500  # characters taken over from a peer

Outgoing: TypeAlias = tuple[DataMessage, bytes]


class Stored(Struct, frozen=True):
    """This blob is now here: verified and on disk."""

    hash: str


class Delivered(Struct, frozen=True):
    """The other side has this blob, verified and on its disk."""

    hash: str


class NotMoved(Struct, frozen=True):
    """This blob could not be received, or could not be delivered, and why."""

    hash: str
    why: str


class Progressed(Struct, frozen=True):
    """So many bytes of this blob have moved, in either direction."""

    hash: str
    done: int


TransferEvent: TypeAlias = Stored | Delivered | NotMoved | Progressed


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

    def __init__(self, store: BlobStore, owner: str) -> None:
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
    def waiting(self) -> bool:
        """Whether the peer owes us bytes."""
        return bool(self._active)

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
            self._in_flight -= arriving.in_flight
            del self._active[chunk.hash]
            self._elsewhere[chunk.hash] = arriving
            return
        size = len(payload)
        if chunk.offset != partial.offset or not 0 < size <= arriving.in_flight:
            return
        try:
            partial.append(chunk.offset, payload, now)
        except OSError as error:
            self._give_up(arriving, f"it could not be written: {error.strerror}", refuse=True)
            return
        self._in_flight -= size
        self.events.append(Progressed(chunk.hash, partial.offset))
        if partial.offset == arriving.size:
            self._finish(arriving, partial)

    def on_gone(self, gone: Gone) -> None:
        """The peer cannot send it."""
        arriving = self._active.get(gone.hash) or self._queued.get(gone.hash)
        if arriving is not None:
            self._give_up(arriving, gone.why[:_LONGEST_WHY], refuse=False)

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
                del self._elsewhere[hash]
                self._active[hash] = arriving

    def messages(self, now: float) -> Iterator[Outgoing]:
        """What to send now: refusals, and requests as far as the window reaches."""
        while self._refusals:
            yield self._refusals.pop(0), b""
        free = WINDOW - self._in_flight
        if free >= _STEP:
            for arriving in list(self._active.values()):
                yield from self._ask(arriving)
        while self._queued and len(self._active) < _ACTIVE and self._in_flight < WINDOW:
            hash, arriving = self._queued.popitem(last=False)
            self._active[hash] = arriving
            try:
                opened = self._open(arriving, now)
            except OSError as error:
                why = f"it could not be written: {error.strerror}"
                self._give_up(arriving, why, refuse=True)
                yield self._refusals.pop(), b""
                continue
            if not opened:
                del self._active[hash]
                self._elsewhere[hash] = arriving
            else:
                yield from self._ask(arriving)

    def close(self) -> None:
        """Stop receiving; what is half here stays for another time."""
        for hash in list(self._active):
            self.drop(hash)
        self._queued.clear()
        self._elsewhere.clear()

    def _open(self, arriving: _Arriving, now: float, *, take_over: bool = True) -> bool:
        partial = self._store.begin(
            arriving.hash, arriving.size, self._owner, now, take_over=take_over
        )
        if partial is None:
            return False
        arriving.partial = partial
        arriving.asked = partial.offset
        return True

    def _ask(self, arriving: _Arriving) -> Iterator[Outgoing]:
        partial = arriving.partial
        assert partial is not None
        if partial.offset == arriving.size and not partial.closed:
            # All of it was here already, from an earlier connection.
            self._finish(arriving, partial)
            return
        length = min(arriving.size - arriving.asked, WINDOW - self._in_flight)
        if length > 0:
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
            self._store.discard(arriving.hash)
            self._refusals.append(Gone(arriving.hash, why))
        self.events.append(NotMoved(arriving.hash, why))


class Sender:
    """Gives blobs to one peer: offers them, and sends the ranges it asks for.

    `find` says where a blob's bytes are, or None. Ranges are read only as they are taken.
    """

    def __init__(self, find: Callable[[str], Path | None]) -> None:
        self._find = find
        self._queued: OrderedDict[str, int] = OrderedDict()
        self._offered: OrderedDict[str, int] = OrderedDict()
        self._ranges: deque[Fetch] = deque()
        self._files: OrderedDict[str, int] = OrderedDict()
        self._refusals: list[Gone] = []
        self.events: list[TransferEvent] = []

    @property
    def busy(self) -> bool:
        """Whether an offer is not settled or a range not sent."""
        return bool(self._queued or self._offered or self._ranges)

    @property
    def waiting(self) -> bool:
        """Whether the peer owes us an answer."""
        return bool(self._offered)

    @property
    def ready(self) -> bool:
        """Whether `messages` has something to send."""
        return bool(
            self._ranges or self._refusals or (self._queued and len(self._offered) < _OFFERED)
        )

    def offer(self, hash: str, size: int) -> None:
        """Deliver this blob."""
        check_hash(hash)
        if hash not in self._offered:
            self._queued[hash] = size

    def drop(self, hash: str) -> None:
        """Send no more of this blob."""
        self._queued.pop(hash, None)
        self._offered.pop(hash, None)
        self._ranges = deque(fetch for fetch in self._ranges if fetch.hash != hash)
        self._close_file(hash)

    def on_fetch(self, fetch: Fetch) -> None:
        """The peer asks for a range."""
        if len(self._ranges) < _MOST_RANGES and fetch.offset >= 0 and fetch.length > 0:
            length = min(fetch.length, _MOST_CREDIT)
            self._ranges.append(Fetch(fetch.hash, fetch.offset, length))

    def on_have(self, have: Have) -> None:
        """The peer has it."""
        if self._forget(have.hash):
            self.events.append(Delivered(have.hash))

    def on_gone(self, gone: Gone) -> None:
        """The peer cannot take it."""
        if self._forget(gone.hash):
            self.events.append(NotMoved(gone.hash, gone.why[:_LONGEST_WHY]))

    def restart(self) -> None:
        """Offer again all that is not settled: the connection is a new one."""
        self._ranges.clear()
        for hash, size in reversed(self._offered.items()):
            self._queued[hash] = size
            self._queued.move_to_end(hash, last=False)
        self._offered.clear()

    def messages(self, most: int) -> Iterator[Outgoing]:
        """Up to `most` messages to send now."""
        while most > 0:
            most -= 1
            if self._refusals:
                yield self._refusals.pop(0), b""
            elif self._queued and len(self._offered) < _OFFERED:
                hash, size = self._queued.popitem(last=False)
                self._offered[hash] = size
                yield Offer(hash, size), b""
            elif self._ranges:
                yield self._read(self._ranges.popleft())
            else:
                return

    def close(self) -> None:
        """Close the files."""
        for hash in list(self._files):
            self._close_file(hash)

    def _forget(self, hash: str) -> bool:
        self._close_file(hash)
        queued = self._queued.pop(hash, None) is not None
        return self._offered.pop(hash, None) is not None or queued

    def _read(self, fetch: Fetch) -> Outgoing:
        length = min(fetch.length, CHUNK)
        try:
            data = os.pread(self._open_file(fetch.hash), length, fetch.offset)
        except (OSError, OverflowError):
            return self._cannot(fetch.hash, "it is not here")
        if len(data) < length:
            return self._cannot(fetch.hash, "the file became shorter while it was sent")
        if fetch.length > length:
            rest = Fetch(fetch.hash, fetch.offset + length, fetch.length - length)
            self._ranges.appendleft(rest)
        done = fetch.offset + length
        if self._offered.get(fetch.hash) == done:
            self._close_file(fetch.hash)
        self.events.append(Progressed(fetch.hash, done))
        return Chunk(fetch.hash, fetch.offset), data

    def _cannot(self, hash: str, why: str) -> Outgoing:
        self._ranges = deque(fetch for fetch in self._ranges if fetch.hash != hash)
        if self._forget(hash):
            self.events.append(NotMoved(hash, why))
        return Gone(hash, why), b""

    def _open_file(self, hash: str) -> int:
        file = self._files.get(hash)
        if file is None:
            path = self._find(hash)
            if path is None:
                raise FileNotFoundError(hash)
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._files[hash] = file
            if len(self._files) > _OPEN_FILES:
                self._close_file(next(iter(self._files)))
        else:
            self._files.move_to_end(hash)
        return file

    def _close_file(self, hash: str) -> None:
        file = self._files.pop(hash, None)
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)


class Exchange:
    """Both machines for one peer: hand it what arrived, send what it gives."""

    def __init__(self, store: BlobStore, owner: str, find: Callable[[str], Path | None]) -> None:
        self.receiver = Receiver(store, owner)
        self.sender = Sender(find)
        self._offered: set[str] = set()
        self._replies: list[Outgoing] = []
        self._store = store

    @property
    def ready(self) -> bool:
        """Whether the sending half has something to send."""
        return bool(self._replies) or self.sender.ready

    @property
    def busy(self) -> bool:
        return self.receiver.busy or self.sender.busy

    @property
    def waiting(self) -> bool:
        """Whether silence from the peer means that something was lost."""
        return self.receiver.waiting or self.sender.waiting

    def on_message(self, message: DataMessage, payload: bytes | memoryview, now: float) -> None:
        """Take in one message; ValueError for a hash that is none or a size below zero."""
        match message:
            case Chunk():
                self.receiver.on_chunk(message, payload, now)
            case Fetch():
                check_hash(message.hash)
                self.sender.on_fetch(message)
            case Offer():
                check_hash(message.hash)
                if message.size < 0:
                    raise ValueError("a size below zero")
                self._offered.add(message.hash)
                self.receiver.want(message.hash, message.size, now)
            case Have():
                self.sender.on_have(message)
            case Gone():
                self._offered.discard(message.hash)
                self.receiver.on_gone(message)
                self.sender.on_gone(message)

    def restart(self) -> None:
        """The connection is a new one, or was silent for too long: ask and offer again."""
        self.receiver.restart()
        self.sender.restart()

    def events(self) -> list[TransferEvent]:
        """What happened since the last call; what was offered to us and is here is answered."""
        found = self.receiver.events + self.sender.events
        self.receiver.events = []
        self.sender.events = []
        for event in found:
            match event:
                case Stored(hash) if hash in self._offered:
                    self._offered.discard(hash)
                    self._replies.append((Have(hash), b""))
                case NotMoved(hash):
                    self._offered.discard(hash)
        return found

    def messages(self, now: float, most: int) -> Iterator[Outgoing]:
        """What to send now, at most `most` of the bulky kind."""
        while self._replies:
            yield self._replies.pop(0)
        yield from self.receiver.messages(now)
        yield from self.sender.messages(most)

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()
