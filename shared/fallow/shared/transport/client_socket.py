"""The socket of an agent or a command: one server, found again after every loss.

Not the session on it. The opposite is `server_socket`.
"""

import errno
import logging
import math
import sys
import time
from collections.abc import Sequence
from enum import Enum

import zmq

from fallow.shared.errors import FallowError, Refused, Unreachable
from fallow.shared.transport.settings import WORTH_SHARING, Limits, Owned, last_endpoint

log = logging.getLogger(__name__)

_ADDRESS_PATIENCE = 2.0  # seconds before a client tries its server's next address

CONNECTION_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
)


class ConnectionEvent(Enum):
    """What happened to a client's connection; the values are words for logs."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"  # it tries again by itself
    DENIED = "denied"  # the key is not allowed; only reconnect() tries again
    MISUNDERSTOOD = "misunderstood"  # not Fallow, or another server key; reconnect() to be sure
    UNANSWERED = "unanswered"  # nobody listens there now; it tries again by itself


_EVENTS = {
    zmq.EVENT_HANDSHAKE_SUCCEEDED: ConnectionEvent.CONNECTED,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: ConnectionEvent.DENIED,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: ConnectionEvent.MISUNDERSTOOD,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: ConnectionEvent.MISUNDERSTOOD,
    zmq.EVENT_DISCONNECTED: ConnectionEvent.DISCONNECTED,
    zmq.EVENT_CLOSED: ConnectionEvent.UNANSWERED,
}


class ClientSocket(Owned):
    """A DEALER: one server. It reconnects by itself unless the server turned its key away."""

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        monitor: zmq.Socket[bytes],
        addresses: Sequence[str],
        limits: Limits,
    ) -> None:
        self._socket = socket
        self._monitor = monitor
        self._addresses = list(addresses)
        self._limits = limits
        self._connected = False
        self._connect()

    @property
    def address(self) -> str:
        """The address in use now."""
        return self._addresses[0]

    @property
    def connected(self) -> bool:
        """Whether the last event seen by `events` left a working connection."""
        return self._connected

    def raw(self) -> list[zmq.Socket[bytes]]:
        return [self._socket, self._monitor]

    def events(self) -> list[ConnectionEvent]:
        """What happened to the connection since the last call, oldest first."""
        self.check_thread()
        found: list[ConnectionEvent] = []
        while True:
            try:
                frames = self._monitor.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            event = _EVENTS[zmq.Event(int.from_bytes(frames[0][:2], sys.byteorder))]
            # A failed handshake is followed by a disconnection that says nothing new.
            if event is ConnectionEvent.DISCONNECTED and not self._connected:
                continue
            self._connected = event is ConnectionEvent.CONNECTED
            found.append(event)
        if (
            len(self._addresses) > 1
            and found
            and found[-1] in (ConnectionEvent.UNANSWERED, ConnectionEvent.DISCONNECTED)
            and time.monotonic() - self._since > _ADDRESS_PATIENCE
        ):
            self.reconnect()
        return found

    def first_event(self, timeout: float) -> ConnectionEvent | None:
        """Wait up to `timeout` seconds for anything to happen to the connection."""
        self.check_thread()
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if self._monitor.poll(math.ceil(left * 1000)):
                found = self.events()
                if found:
                    return found[0]
        return None

    def reconnect(self) -> None:
        """Begin anew, at the next address where there are several; what was queued is lost."""
        self.check_thread()
        try:
            self._socket.disconnect(self._endpoint)
        except zmq.ZMQError as error:
            if error.errno != errno.ENOENT:
                raise
        self._addresses.append(self._addresses.pop(0))
        self._connect()

    def send(self, *frames: bytes | memoryview) -> bool:
        """Hand over one message; False when there is no connection or its queue is full."""
        self.check_thread()
        try:
            self._socket.send_multipart(frames, zmq.DONTWAIT, copy=len(frames[-1]) < WORTH_SHARING)
        except zmq.Again:
            return False
        return True

    def receive_all(self, limit: int = 256) -> list[list[bytes]]:
        """Up to `limit` messages that are here, each a list of frames."""
        return [[frame.bytes for frame in frames] for frames in self._receive(limit)]

    def receive_chunks(self, limit: int = 64) -> list[tuple[bytes, memoryview]]:
        """As `receive_all` for two-frame messages, without a copy of the second frame."""
        return [(frames[0].bytes, frames[1].buffer) for frames in self._receive(limit)]

    def request(self, *frames: bytes, timeout: float) -> list[bytes]:
        """Send one message and wait for the answer, for command-line verbs.

        Unreachable when nobody answers within `timeout` seconds, Refused when the key is denied.
        After either the socket is only good for closing, since an answer may still come.
        """
        self.check_thread()
        poller = zmq.Poller()
        poller.register(self._monitor, zmq.POLLIN)
        poller.register(self._socket, zmq.POLLOUT)
        deadline = time.monotonic() + timeout
        sent, refusals = False, 0
        while (left := deadline - time.monotonic()) > 0:
            poller.poll(math.ceil(left * 1000))
            for event in self.events():
                if event is ConnectionEvent.DENIED:
                    raise Refused(
                        f"The coordinator at {self.address} does not know this account",
                        "It was never joined here, or its key has been revoked.",
                        "ask for an invitation, then: coordinator join TOKEN",
                    )
                if event is ConnectionEvent.MISUNDERSTOOD:
                    raise Unreachable(
                        f"What answers at {self.address} is not the coordinator that was joined",
                        "Its key is another one, or it is not Fallow at all.",
                        "check the address, or join again with a new invitation",
                    )
                # Once may be a coordinator that is just being restarted.
                refusals += event is ConnectionEvent.UNANSWERED
                if refusals > 2 * len(self._addresses):
                    raise self._unreachable("Nothing listens there.")
            if not sent and self.send(*frames):
                sent = True
                poller.modify(self._socket, zmq.POLLIN)
            if sent and (found := self.receive_all(1)):
                return found[0]
        raise self._unreachable(
            f"It took the request but did not answer within {timeout:g} s."
            if sent
            else f"No connection within {timeout:g} s."
        )

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)

    def _connect(self) -> None:
        try:
            self._socket.connect(self.address)
        except zmq.ZMQError as error:
            raise FallowError(
                f"Cannot connect to {self.address}",
                f"The system says: {error.strerror}.",
                "check the address",
            ) from None
        self._endpoint = last_endpoint(self._socket)
        self._connected = False
        self._since = time.monotonic()

    def _unreachable(self, detail: str) -> Unreachable:
        return Unreachable(
            f"The coordinator at {self.address} cannot be reached",
            detail,
            "check that `coordinator serve` runs there and that no firewall is in between",
        )

    def _receive(self, limit: int) -> list[list[zmq.Frame]]:
        self.check_thread()
        found: list[list[zmq.Frame]] = []
        for _ in range(limit):
            try:
                frames = self._socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                break
            if len(frames) == self._limits.frames:
                found.append(frames)
            else:
                log.debug("dropped a message of %d frames", len(frames))
        return found
