"""Moving blobs between two sides: what to ask for, what to send, what is complete.

Not the sockets nor their threads: messages come in and go out as values, files are those of a
BlobStore. Both sides run the same two machines. The opposite is `transfer`, which carries them.

The receiver grants credit in bytes: a Fetch is the request for a range and the leave to send it.
Nothing but offers is sent unasked, so no queue on the way can overflow. Whatever is lost is
repaired by asking again for what is not here yet.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from fallow.shared.blobs import BlobStore, check_hash
from fallow.shared.exchange.events import (
    Delivered,
    NotMoved,
    Outgoing,
    Progressed,
    Stored,
    TransferEvent,
)
from fallow.shared.exchange.pace import Pace
from fallow.shared.exchange.receiver import WINDOW, Receiver
from fallow.shared.exchange.sender import Sender
from fallow.shared.messages import Chunk, DataMessage, Fetch, Gone, Have, Offer

__all__ = [
    "WINDOW",
    "Delivered",
    "Exchange",
    "NotMoved",
    "Outgoing",
    "Progressed",
    "Receiver",
    "Sender",
    "Stored",
    "TransferEvent",
]

_MOST_OFFERED = 1024  # by one peer and not settled yet; a sender of ours stops far below


class Exchange:
    """Both machines for one peer: hand it what arrived, send what it gives."""

    def __init__(
        self,
        store: BlobStore,
        owner: str,
        find: Callable[[str], Path | None],
        rate: int | None = None,
    ) -> None:
        self.owner = owner
        self.receiver = Receiver(store, owner, Pace(rate))
        self.sender = Sender(find, Pace(rate))
        self._offered: set[str] = set()
        self._replies: list[Outgoing] = []

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

    @property
    def opens_in(self) -> float | None:
        """Seconds until more may go of what waits only for its pace; None when nothing does."""
        paces = []
        if self.receiver.hungry:
            paces.append(self.receiver.pace)
        if self.sender.loaded:
            paces.append(self.sender.pace)
        return min((each.opens_in for each in paces if not each.may_go()), default=None)

    def limit(self, rate: int | None) -> None:
        """Move at most so many bytes per second each way, None without a bound."""
        self.receiver.pace.rate = self.sender.pace.rate = rate

    def on_message(self, message: DataMessage, payload: bytes | memoryview, now: float) -> None:
        """Take in one message; ValueError for a hash that is none, or an offer that cannot be."""
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
                if message.hash not in self._offered and len(self._offered) >= _MOST_OFFERED:
                    raise ValueError("more offers than any sender of ours makes")
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
        self.receiver.pace.fill(now)
        self.sender.pace.fill(now)
        while self._replies:
            yield self._replies.pop(0)
        yield from self.receiver.messages(now)
        yield from self.sender.messages(most)

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()
