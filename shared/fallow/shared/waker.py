"""Wakes whoever polls, from another thread or from a signal.

Not the loop (`loop`), which has one: the tray has no such loop and wants no part of its sockets.
"""

import contextlib
import signal
import socket
from collections.abc import Generator


class Waker:
    """Wakes a poll from another thread, or from a signal."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        return self._reader.fileno()

    def wake(self) -> None:
        # A full buffer means that a wake-up is already on its way.
        with contextlib.suppress(BlockingIOError):
            self._writer.send(b"\0")

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    @contextlib.contextmanager
    def woken_by_signals(self) -> Generator[None]:
        """While it lasts, every signal with a handler wakes the poll; main thread only."""
        before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
