"""The Wayland wire, as far as a client without windows needs it: requests out, events in.

It knows no protocol beyond the core's registry; `idle_notify` speaks one over it. The format: the
object's number, then size and opcode in one word, then arguments in words of the computer's order.
"""

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

DISPLAY, REGISTRY = 1, 2
_SYNC, _GET_REGISTRY = 0, 1
_BIND = 0
_HEAD = struct.Struct("=II")
_WORD = struct.Struct("=I")
LONGEST = 1 << 16


class Event(NamedTuple):
    """An event of `thing`; `body` holds its arguments."""

    thing: int
    opcode: int
    body: bytes


class Global(NamedTuple):
    """What a compositor offers: its number, its interface and how new that is."""

    number: int
    interface: str
    version: int


def place(environment: Mapping[str, str]) -> Path | None:
    """The socket of this session's compositor, None where the session has none."""
    name = environment.get("WAYLAND_DISPLAY", "")
    if not name:
        return None
    folder = environment.get("XDG_RUNTIME_DIR", "")
    if not name.startswith("/") and not folder:
        return None
    return Path(folder, name)


def word(value: int) -> bytes:
    return _WORD.pack(value)


def text(value: str) -> bytes:
    """A string: its length with the NUL, then the bytes up to a whole word."""
    data = value.encode() + b"\0"
    return _WORD.pack(len(data)) + data + bytes(-len(data) % 4)


def read_word(body: bytes, at: int) -> int:
    (value,) = _WORD.unpack_from(body, at)
    return int(value)


def read_text(body: bytes, at: int) -> tuple[str, int]:
    """The string at `at`, and where the next argument begins."""
    length = read_word(body, at)
    value = body[at + 4 : at + 4 + max(length - 1, 0)]
    return value.decode(errors="replace"), at + 4 + length + -length % 4


def read_global(body: bytes) -> Global:
    interface, end = read_text(body, 4)
    return Global(read_word(body, 0), interface, read_word(body, end))


class Connection:
    """A connected client; raises OSError (ConnectionError at its end), also when a send fails."""

    def __init__(self, path: Path, patience: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._bytes = bytearray()
        self._last = REGISTRY
        self._free: list[int] = []
        try:
            self._socket.settimeout(patience)
            self._socket.connect(str(path))
            self.send(DISPLAY, _GET_REGISTRY, word(REGISTRY))
        except BaseException:
            self._socket.close()
            raise

    def new(self) -> int:
        """A number for a new object: one that the compositor has let go, or the next one."""
        if self._free:
            return self._free.pop()
        self._last += 1
        return self._last

    def let_go(self, thing: int) -> None:
        """The compositor has deleted this object."""
        self._free.append(thing)

    def send(self, thing: int, opcode: int, body: bytes = b"") -> None:
        self._socket.sendall(_HEAD.pack(thing, (_HEAD.size + len(body)) << 16 | opcode) + body)

    def sync(self) -> int:
        """Asks for a sign of life: event 0 of the object with this number."""
        answer = self.new()
        self.send(DISPLAY, _SYNC, word(answer))
        return answer

    def bind(self, offer: Global, version: int) -> int:
        made = self.new()
        wanted = text(offer.interface) + word(version) + word(made)
        self.send(REGISTRY, _BIND, word(offer.number) + wanted)
        return made

    def events(self, patience: float) -> Iterator[Event]:
        """What has come; waits `patience` seconds for the first bytes, then TimeoutError."""
        self._socket.settimeout(patience)
        data = self._socket.recv(4096)
        if not data:
            raise ConnectionError("the compositor has ended")
        self._bytes += data
        while len(self._bytes) >= _HEAD.size:
            thing, head = _HEAD.unpack_from(self._bytes)
            size = head >> 16
            if not _HEAD.size <= size <= LONGEST:
                raise ConnectionError("the compositor does not speak Wayland")
            if len(self._bytes) < size:
                return
            body = bytes(self._bytes[_HEAD.size : size])
            del self._bytes[:size]
            yield Event(thing, head & 0xFFFF, body)

    def hang_up(self) -> None:
        """Ends a wait in another thread too."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


def why(error: OSError) -> str:
    """In words for people, why there is no connection."""
    if isinstance(error, TimeoutError):
        return "the compositor does not answer"
    if error.errno is None:
        return str(error)
    return f"no Wayland compositor: {os.strerror(error.errno)}"
