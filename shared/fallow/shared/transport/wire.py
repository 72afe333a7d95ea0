"""One process's ZeroMQ: it makes the sockets, with keys and an allow-list, and closes them.

Not the sockets' use (`server_socket`, `client_socket`).
"""

import itertools
import logging
import resource
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import zmq

from fallow.shared.addresses import is_wildcard, join_address, split_address
from fallow.shared.errors import FallowError
from fallow.shared.transport.client_socket import (
    CONNECTION_EVENTS,
    ClientSocket,
    ConnectionEvent,
)
from fallow.shared.transport.curve import AllowList, Credentials, KeyPair, new_keys
from fallow.shared.transport.server_socket import ServerSocket
from fallow.shared.transport.settings import Limits, last_endpoint, set_options

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator


log = logging.getLogger(__name__)

ZAP_DOMAIN = "fallow"


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
        authenticator.configure_curve_callback(ZAP_DOMAIN, Credentials(allowed))
        authenticator.start()
        self._authenticator = authenticator

    def serve_tcp(self, address: str, keys: "KeyPair", limits: Limits) -> ServerSocket:
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
        server.address = join_address(host, split_address(last_endpoint(socket))[1])
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
        keys: "KeyPair | None" = None,
        server: str | None = None,
    ) -> ClientSocket:
        """Connect to one server, known under one or several addresses.

        `tcp://` needs our keys and the server's public key; `ipc://` takes none.
        """
        addresses = [address] if isinstance(address, str) else list(address)
        socket = self._context.socket(zmq.DEALER)
        set_options(socket, limits, addresses[0])
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
        socket.monitor(name, CONNECTION_EVENTS)
        monitor = self._context.socket(zmq.PAIR)
        monitor.linger = 0
        monitor.connect(name)
        return ClientSocket(socket, monitor, addresses, limits)

    def _serve(self, socket: zmq.Socket[bytes], address: str, limits: Limits) -> ServerSocket:
        set_options(socket, limits, address)
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
