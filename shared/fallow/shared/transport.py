"""Sockets: ROUTER and DEALER with CURVE over TCP, plain over a private local socket.

Not the messages, nor what is answered: frames of bytes go in and out. The only `import zmq`.
The opposite is `messages`, which knows what the bytes mean.
"""

from __future__ import annotations

import errno
import itertools
import logging
import math
import resource
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeAlias

import msgspec
import zmq
from zmq.utils import z85

from fallow.shared.addresses import is_wildcard, join_address, split_address
from fallow.shared.errors import FallowError, Refused, Unreachable

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

    from fallow.shared.keys import KeyPair

log = logging.getLogger(__name__)

ZAP_DOMAIN = "fallow"
_LOG_EVERY = 60.0  # seconds between two lines about the same misbehaving peer
_ADDRESS_PATIENCE = 2.0  # seconds before a client tries its server's next address

_CONNECTION_EVENTS = (
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


class Limits(msgspec.Struct, frozen=True):
    """What a socket accepts: frames per message, bytes per frame, messages queued per peer."""

    frames: int = 1
    frame_bytes: int = 64 << 20
    queue: int = 1000


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


class HasDescriptor(Protocol):
    """Anything with a file descriptor to wait for."""

    def fileno(self) -> int: ...


def new_keypair() -> tuple[str, str]:
    """A fresh CURVE key pair as Z85 text: (public, secret)."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def public_of(secret: str) -> str:
    """The public half of a secret key (Z85 text); ValueError when it is no key."""
    try:
        if len(secret) != 40 or len(z85.decode(secret.encode("ascii"))) != 32:
            raise ValueError("a key has 40 characters")
        return zmq.curve_public(secret.encode("ascii")).decode()
    except (ValueError, KeyError, OverflowError, zmq.ZMQError) as error:
        raise ValueError(f"not a key: {type(error).__name__}") from None


def reserve_descriptors() -> int:
    """Let this process open as many files as it may; half-open connections cost one each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError) as error:
            log.warning("the limit of open files stays at %d: %s", soft, error)
            return soft
    return hard


class AllowList:
    """The public keys that may connect; safe to change while connections come in."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._keys = set(keys)

    def add(self, key: str) -> None:
        with self._lock:
            self._keys.add(key)

    def remove(self, key: str) -> None:
        """Live connections of this key stay open: its messages must be refused one by one."""
        with self._lock:
            self._keys.discard(key)

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._keys


class Wire:
    """One process's ZeroMQ: makes sockets and pollers, and closes them all at the end."""

    def __init__(self, io_threads: int = 1) -> None:
        self._context = zmq.Context(io_threads)
        self._authenticator: ThreadAuthenticator | None = None
        self._names = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket without waiting; threads that use one must have ended."""
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
        self._context.destroy(linger=0)

    def allow(self, allowed: AllowList) -> None:
        """Ask this list about every new TCP connection of this process's servers."""
        # Imported here: it brings asyncio, which only servers pay for.
        from zmq.auth.thread import ThreadAuthenticator

        if self._authenticator is not None:
            raise RuntimeError("one allow-list per process")
        authenticator = ThreadAuthenticator(self._context)
        authenticator.configure_curve_callback(ZAP_DOMAIN, _Credentials(allowed))
        authenticator.start()
        self._authenticator = authenticator

    def serve_tcp(self, address: str, keys: KeyPair, limits: Limits) -> ServerSocket:
        """Bind `tcp://HOST:PORT` (port 0: any) with CURVE; `allow` must have been called.

        Tries the door itself with a key nobody knows, and refuses to serve when that opens it.
        FallowError when it cannot bind there.
        """
        if self._authenticator is None or not self._authenticator.is_alive():
            # Without it libzmq lets every key in.
            raise RuntimeError("no allow-list: call allow() first")
        host, port = split_address(address)
        socket = self._context.socket(zmq.ROUTER)
        socket.curve_server = True
        socket.curve_publickey = keys.public.encode()
        socket.curve_secretkey = keys.secret.encode()
        socket.zap_domain = ZAP_DOMAIN.encode()
        server = self._serve(socket, address.replace(":0", ":*") if port == 0 else address, limits)
        server.address = join_address(host, split_address(_last_endpoint(socket))[1])
        try:
            self._prove_closed(server, keys.public)
        except BaseException:
            server.close()
            raise
        return server

    def serve_local(self, address: str, limits: Limits) -> ServerSocket:
        """Bind an `ipc://` address in a private folder, as `make_local_addresses` gives it."""
        return self._serve(self._context.socket(zmq.ROUTER), address, limits)

    def connect(
        self,
        address: str | Sequence[str],
        limits: Limits,
        *,
        keys: KeyPair | None = None,
        server: str | None = None,
    ) -> ClientSocket:
        """Connect to one server, known under one or several addresses.

        `tcp://` needs our keys and the server's public key; `ipc://` takes none.
        """
        addresses = [address] if isinstance(address, str) else list(address)
        socket = self._context.socket(zmq.DEALER)
        _set_options(socket, limits, addresses[0])
        # A message waits here, not in a queue for a connection that may never be.
        socket.immediate = True
        socket.reconnect_ivl = 100
        socket.reconnect_ivl_max = 5000
        if keys is not None and server is not None:
            socket.curve_serverkey = server.encode()
            socket.curve_publickey = keys.public.encode()
            socket.curve_secretkey = keys.secret.encode()
        elif not all(one.startswith("ipc://") for one in addresses):
            raise RuntimeError("a TCP connection without keys")
        # Names of our own: pyzmq's are made of the descriptor and clash with a closed socket's.
        name = f"inproc://connection-{next(self._names)}"
        socket.monitor(name, _CONNECTION_EVENTS)
        monitor = self._context.socket(zmq.PAIR)
        monitor.linger = 0
        monitor.connect(name)
        return ClientSocket(socket, monitor, addresses, limits)

    def _serve(self, socket: zmq.Socket[bytes], address: str, limits: Limits) -> ServerSocket:
        _set_options(socket, limits, address)
        socket.router_mandatory = True
        # Off: with it another allowed key could take over a connection by its routing id.
        socket.router_handover = False
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise FallowError(
                f"Cannot listen on {address}",
                f"The system says: {error.strerror}.",
                "stop the program that uses it, or choose another with --listen",
            ) from None
        return ServerSocket(socket, address, limits)

    def _prove_closed(self, server: ServerSocket, public: str) -> None:
        from fallow.shared.keys import new_keys

        address = server.address
        if is_wildcard(address):
            host, port = split_address(address)
            address = join_address("::1" if ":" in host else "127.0.0.1", port)
        stranger = self.connect(address, Limits(), keys=new_keys(), server=public)
        try:
            outcome = stranger.first_event(10.0)
        finally:
            stranger.close()
        if outcome is not ConnectionEvent.DENIED:
            raise FallowError(
                f"Refusing to serve on {server.address}",
                "A key that nobody knows was tried on it and was not turned away"
                f" ({outcome.value if outcome else 'no answer'}).",
                "this is a fault of Fallow or of its ZeroMQ library; please report it",
            )


class _Credentials:
    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed

    def callback(self, domain: str, key: bytes) -> bool:
        known = key.decode("ascii", "replace") in self._allowed
        if not known:
            log.info("turned away a connection with the unknown key %s", key.decode())
        return known


def _set_options(socket: zmq.Socket[bytes], limits: Limits, address: str) -> None:
    socket.linger = 0
    socket.maxmsgsize = limits.frame_bytes
    socket.sndhwm = socket.rcvhwm = limits.queue
    if address.startswith("tcp://"):
        socket.ipv6 = "[" in address
        # Short: 400 half-open connections starve a server for as long as this lasts.
        socket.handshake_ivl = 3000
        socket.connect_timeout = 5000
        socket.heartbeat_ivl = 5000
        socket.heartbeat_timeout = 15000
        socket.heartbeat_ttl = 20000
        socket.tcp_keepalive = 1
        socket.tcp_keepalive_idle = 60


def _last_endpoint(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


class _Owned:
    """A socket belongs to the thread that first uses it: ZeroMQ's are not safe for two."""

    _thread: int | None = None

    def _check_thread(self) -> None:
        here = threading.get_ident()
        if self._thread is None:
            self._thread = here
        elif self._thread != here:
            raise RuntimeError("a socket was used from two threads")


class ServerSocket(_Owned):
    """A ROUTER: many peers, each message with the key its connection was opened with.

    `address` is where it listens. Neither receiving nor sending ever blocks.
    """

    def __init__(self, socket: zmq.Socket[bytes], address: str, limits: Limits) -> None:
        self._socket = socket
        self._limits = limits
        self._quiet_until: dict[str | None, float] = {}
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
        self._check_thread()
        try:
            self._socket.send_multipart([peer, *frames], zmq.DONTWAIT)
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
        self._check_thread()
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
            if len(peer) != 5 or peer[0] != 0:
                # A client that names itself could take another's place once that is gone.
                self._complain(user, "it chose its own routing id")
            elif len(frames) != self._limits.frames:
                self._complain(user, f"a message of {len(frames)} frames")
            else:
                found.append((peer, user, frames))
        return found

    def _complain(self, user: str | None, what: str) -> None:
        now = time.monotonic()
        if now < self._quiet_until.get(user, 0.0):
            return
        if len(self._quiet_until) > 1000:
            self._quiet_until.clear()
        self._quiet_until[user] = now + _LOG_EVERY
        log.warning("dropped what %s sent: %s", user or "a local client", what)


class ClientSocket(_Owned):
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
        self._check_thread()
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
        self._check_thread()
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if self._monitor.poll(math.ceil(left * 1000)):
                found = self.events()
                if found:
                    return found[0]
        return None

    def reconnect(self) -> None:
        """Begin anew, at the next address where there are several; what was queued is lost."""
        self._check_thread()
        try:
            self._socket.disconnect(self._endpoint)
        except zmq.ZMQError as error:
            if error.errno != errno.ENOENT:
                raise
        self._addresses.append(self._addresses.pop(0))
        self._connect()

    def send(self, *frames: bytes | memoryview) -> bool:
        """Hand over one message; False when there is no connection or its queue is full."""
        self._check_thread()
        try:
            self._socket.send_multipart(frames, zmq.DONTWAIT)
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
        self._check_thread()
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
        self._endpoint = _last_endpoint(self._socket)
        self._connected = False
        self._since = time.monotonic()

    def _unreachable(self, detail: str) -> Unreachable:
        return Unreachable(
            f"The coordinator at {self.address} cannot be reached",
            detail,
            "check that `coordinator serve` runs there and that no firewall is in between",
        )

    def _receive(self, limit: int) -> list[list[zmq.Frame]]:
        self._check_thread()
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


Source: TypeAlias = ServerSocket | ClientSocket | HasDescriptor | int
"""What a Poller waits for; an int is a file descriptor."""


class Poller:
    """Waits for sockets and file descriptors; timeouts in seconds, rounded up to milliseconds."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()
        self._sources: dict[object, Source] = {}

    def add(self, source: Source) -> None:
        for raw in self._raw(source):
            self._poller.register(raw, zmq.POLLIN)
            self._sources[raw] = source

    def remove(self, source: Source) -> None:
        """Forget it; before it is closed."""
        for raw in self._raw(source):
            self._poller.unregister(raw)
            del self._sources[raw]

    def want_room(self, client: ClientSocket, wanted: bool) -> None:
        """Report this client also when it has room to send, or no longer."""
        self._poller.modify(client.raw()[0], zmq.POLLIN | (zmq.POLLOUT if wanted else 0))

    def wait(self, timeout: float | None) -> list[Source]:
        """The sources that are ready, each once; empty after `timeout` seconds (None: for ever)."""
        milliseconds = None if timeout is None else math.ceil(max(timeout, 0.0) * 1000)
        ready = self._poller.poll(milliseconds)
        return list(dict.fromkeys(self._sources[raw] for raw, _ in ready))

    def _raw(self, source: Source) -> list[zmq.Socket[bytes]] | list[int]:
        if isinstance(source, int):
            return [source]
        if isinstance(source, ServerSocket | ClientSocket):
            return source.raw()
        return [source.fileno()]
