"""A ROUTER with CURVE on a free port of 127.0.0.1, and clients with keys for it.

Not a coordinator: it only keeps or echoes what comes in.
"""

import threading
from types import TracebackType
from typing import Self

from fallow.shared.transport import (
    AllowList,
    ClientSocket,
    ConnectionEvent,
    Incoming,
    KeyPair,
    Limits,
    Wire,
    new_keys,
)
from waiting import wait_until

LIMITS = Limits(frames=2, frame_bytes=1 << 20)


class Door:
    """A served door; `knock` makes a client of it."""

    def __init__(self, keys: KeyPair | None = None, port: int = 0) -> None:
        self.keys = keys or new_keys()
        self.allowed = AllowList()
        self.wire = Wire()
        self.visitors: list[ClientSocket] = []
        self.wire.allow(self.allowed)
        self.server = self.wire.serve_tcp(f"tcp://127.0.0.1:{port}", self.keys, LIMITS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for visitor in self.visitors:
            visitor.close()
        self.server.close()
        self.wire.close()

    @property
    def port(self) -> int:
        return int(self.server.address.rpartition(":")[2])

    def knock(self, keys: KeyPair, server: str | None = None) -> ClientSocket:
        visitor = self.wire.connect(
            self.server.address, LIMITS, keys=keys, server=server or self.keys.public
        )
        self.visitors.append(visitor)
        return visitor

    def friend(self) -> tuple[KeyPair, ClientSocket]:
        keys = new_keys()
        self.allowed.add(keys.public)
        visitor = self.knock(keys)
        assert visitor.first_event(5) is ConnectionEvent.CONNECTED
        return keys, visitor

    def take(self, timeout: float = 5) -> Incoming:
        return wait_until(lambda: self.server.receive_all(1), timeout, "a message")[0]

    def echoes(self, visitor: ClientSocket, word: bytes) -> Incoming:
        """Send and get back one message: proof that both directions work."""
        wait_until(lambda: visitor.send(word, b""), 5, "room to send")
        message = self.take()
        assert message.frames == [word, b""]
        assert self.server.send(message.peer, b"echo", word)
        assert wait_until(visitor.receive_all, 5, "the echo") == [[b"echo", word]]
        return message


def in_thread(work: object) -> threading.Thread:
    assert callable(work)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
