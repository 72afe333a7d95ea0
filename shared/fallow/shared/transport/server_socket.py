"""The sockets a coordinator serves: many peers, each message with the key it came by.

Not who may say what: the reader of the messages asks that every time. The opposite is
`client_socket`.
"""

import errno
import logging
import time
from typing import NamedTuple

import zmq

from fallow.shared.quiet import Quiet
from fallow.shared.transport.settings import WORTH_SHARING, Limits, Owned

log = logging.getLogger(__name__)


class Incoming(NamedTuple):
    """A message at a server: connection, the sender's public key (None: local), its frames."""

    peer: bytes
    user: str | None
    frames: list[bytes]


class IncomingChunk(NamedTuple):
    """A two-frame message at a server, the second frame not copied."""

    peer: bytes
    user: str | None
    header: bytes
    payload: memoryview


class ServerSocket(Owned):
    """A ROUTER: many peers, each message with the key its connection was opened with.

    `address` is where it listens. Neither receiving nor sending ever blocks.
    """

    def __init__(self, socket: zmq.Socket[bytes], address: str, limits: Limits) -> None:
        self._socket = socket
        self._limits = limits
        self._encrypted = not address.startswith("ipc://")
        self._quiet = Quiet()
        self.address = address

    def raw(self) -> list[zmq.Socket[bytes]]:
        return [self._socket]

    def receive_all(self, limit: int = 256) -> list[Incoming]:
        """Up to `limit` messages that are here; the rest waits for the next call."""
        return [
            Incoming(peer, user, [frame.bytes for frame in frames])
            for peer, user, frames in self._receive(limit)
        ]

    def receive_chunks(self, limit: int = 64) -> list[IncomingChunk]:
        """As `receive_all` for two-frame messages, without a copy of the second frame."""
        return [
            IncomingChunk(peer, user, frames[0].bytes, frames[1].buffer)
            for peer, user, frames in self._receive(limit)
        ]

    def send(self, peer: bytes, *frames: bytes | memoryview) -> bool:
        """Hand over one message; False when the peer is gone or does not keep up."""
        self.check_thread()
        try:
            self._socket.send_multipart(
                [peer, *frames], zmq.DONTWAIT, copy=len(frames[-1]) < WORTH_SHARING
            )
        except zmq.Again:
            log.debug("dropped a message: the queue of peer %s is full", peer.hex())
            return False
        except zmq.ZMQError as error:
            if error.errno != errno.EHOSTUNREACH:
                raise
            log.debug("dropped a message: peer %s is gone", peer.hex())
            return False
        return True

    def close(self) -> None:
        self._socket.close(linger=0)

    def _receive(self, limit: int) -> list[tuple[bytes, str | None, list[zmq.Frame]]]:
        self.check_thread()
        found: list[tuple[bytes, str | None, list[zmq.Frame]]] = []
        for _ in range(limit):
            try:
                first, *frames = self._socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                break
            peer = first.bytes
            try:
                user: str | None = str(first["User-Id"])
            except (zmq.ZMQError, KeyError):
                user = None
            if self._encrypted and not user:
                # Nobody is known here without a key; no key means the local user elsewhere.
                self._complain("nobody", "it came without a key")
            elif len(peer) != 5 or peer[0] != 0:
                # A client that names itself could take another's place once that is gone.
                self._complain(user, "it chose its own routing id")
            elif len(frames) != self._limits.frames:
                self._complain(user, f"a message of {len(frames)} frames")
            else:
                found.append((peer, user, frames))
        return found

    def _complain(self, user: str | None, what: str) -> None:
        if self._quiet.due(user, time.monotonic()):
            log.warning("dropped what %s sent: %s", user or "a local client", what)
