"""The sending machine: what one peer is offered, and the ranges it has asked for.

Not the sockets. Nothing but offers is sent unasked. The opposite is `receiver`.
"""

import contextlib
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path

from fallow.shared.blobs import check_hash
from fallow.shared.exchange.events import (
    LONGEST_WHY,
    Delivered,
    NotMoved,
    Outgoing,
    Progressed,
    TransferEvent,
)
from fallow.shared.exchange.pace import Pace
from fallow.shared.messages import CHUNK, Chunk, Fetch, Gone, Have, Offer

_OFFERED = 256  # offers not answered yet, per peer
_MOST_CREDIT = 64 * CHUNK  # of one Fetch; a peer that asks for more gets this
_MOST_RANGES = 1024  # asked for by one peer and not sent yet
_OPEN_FILES = 32


class Sender:
    """Gives blobs to one peer: offers them, and sends the ranges it asks for.

    `find` says where a blob's bytes are, or None. Ranges are read only as they are taken.
    """

    def __init__(self, find: Callable[[str], Path | None], pace: Pace) -> None:
        self.pace = pace
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
        return bool(self._offered) and not self._ranges

    @property
    def ready(self) -> bool:
        """Whether `messages` has something to send now."""
        return bool(
            (self._ranges and self.pace.may_go())
            or self._refusals
            or (self._queued and len(self._offered) < _OFFERED)
        )

    @property
    def loaded(self) -> bool:
        """Whether bytes that were asked for are still to be sent."""
        return bool(self._ranges)

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
            self.events.append(NotMoved(gone.hash, gone.why[:LONGEST_WHY]))

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
            elif self._ranges and self.pace.may_go():
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
        length = min(fetch.length, self.pace.piece)
        try:
            data = os.pread(self._open_file(fetch.hash), length, fetch.offset)
        except (OSError, OverflowError):
            return self._cannot(fetch.hash, "it is not here")
        if len(data) < length:
            return self._cannot(fetch.hash, "the file became shorter while it was sent")
        if fetch.length > length:
            rest = Fetch(fetch.hash, fetch.offset + length, fetch.length - length)
            self._ranges.appendleft(rest)
        self.pace.spend(length)
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
