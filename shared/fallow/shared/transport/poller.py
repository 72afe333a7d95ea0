"""Waiting for sockets and file descriptors together.

Not what is done with what came (`loop`).
"""

import math
from typing import Protocol, TypeAlias

import zmq

from fallow.shared.transport.client_socket import ClientSocket
from fallow.shared.transport.server_socket import ServerSocket


class HasDescriptor(Protocol):
    """Anything with a file descriptor to wait for."""

    def fileno(self) -> int: ...


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
