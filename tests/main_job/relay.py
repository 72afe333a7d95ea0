"""A network between a workstation and its coordinator that a test can cut and heal.

Not a simulation of one: real TCP connections, carried from one pair of ports to another. The
coordinator's own ports stay open for everybody else.
"""

import contextlib
import select
import socket
import threading
from typing import Self

from fallow.shared.addresses import split_address
from waiting import wait_until


class Relay:
    """Carries the control and the data port of `address`; its own `address` is what to call.

    `carried` counts bytes, both ways; at `cut_at` of them the network is cut.
    """

    def __init__(self, address: str) -> None:
        self._targets = [split_address(address)[1] + each for each in (0, 1)]
        self._listeners = _two_neighbours()
        self.address = f"tcp://127.0.0.1:{self._listeners[0].getsockname()[1]}"
        self._pairs: dict[socket.socket, socket.socket] = {}
        self.carried = 0
        self.cut_at: int | None = None
        self._cut = False
        self._closing = False
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._thread.join(5)
        for each in (*self._listeners, *self._pairs):
            each.close()

    def cut(self) -> None:
        """Every connection breaks, and no new one comes about."""
        self._cut = True

    @property
    def is_cut(self) -> bool:
        return self._cut

    def heal(self) -> None:
        """New connections come about again; the old ones stay broken."""
        wait_until(lambda: not self._pairs, 5, "the old connections to break")
        self.cut_at = None
        self._cut = False

    def _carry(self) -> None:
        while not self._closing:
            if self._cut:
                for each in list(self._pairs):
                    self._drop(each)
            ready, _, _ = select.select([*self._listeners, *self._pairs], [], [], 0.01)
            for source in ready:
                if source in self._listeners:
                    self._accept(self._listeners.index(source))
                elif source in self._pairs:
                    self._move(source)

    def _accept(self, which: int) -> None:
        near, _ = self._listeners[which].accept()
        try:
            if self._cut:
                raise OSError
            far = socket.create_connection(("127.0.0.1", self._targets[which]), 1)
        except OSError:
            near.close()
            return
        self._pairs[near], self._pairs[far] = far, near

    def _move(self, source: socket.socket) -> None:
        try:
            data = source.recv(65536)
            if data:
                self._pairs[source].sendall(data)
                self.carried += len(data)
                self._cut = self._cut or (self.cut_at is not None and self.carried >= self.cut_at)
                return
        except OSError:
            pass
        self._drop(source)

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        if other is not None:
            del self._pairs[other]
            other.close()
        one.close()


def _two_neighbours() -> list[socket.socket]:
    """Listeners on a free port and on the next one."""
    while True:
        first = socket.create_server(("127.0.0.1", 0))
        with contextlib.suppress(OSError, OverflowError):
            return [first, socket.create_server(("127.0.0.1", first.getsockname()[1] + 1))]
        first.close()
