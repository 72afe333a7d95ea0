"""One connection to a message bus (D-Bus), asked in turns, with a time limit for all of a turn.

It knows no service: `logind`, `mutter` and `inhibitors` do, and `dbus_wire` how things are said.
For one thread only, but for `hang_up`.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from fallow.tray.sensors import dbus_wire
from fallow.tray.sensors.dbus_wire import Received

PATIENCE = 0.5
BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
_SYSTEM = "unix:path=/run/dbus/system_bus_socket"

Kind = Literal["system", "session"]


class Unanswered(Exception):
    """The service said no, or there is no such service."""


class Bus:
    """Connects when it is first asked, and anew after `hang_up`.

    Every call raises OSError (TimeoutError, ConnectionError) when the bus fails, and ValueError
    when what answers is none; it is to be hung up then.
    """

    def __init__(self, kind: Kind, address: str | None = None) -> None:
        self.kind: Kind = kind
        self._address = address
        self._socket: socket.socket | None = None
        self._until = 0.0
        self._serial = 0
        self._bytes = bytearray()
        self._signals: list[Received] = []

    def turn(self, patience: float = PATIENCE) -> bool:
        """Begins a turn, which ends in `patience` seconds; True when it is a new connection."""
        self._until = time.monotonic() + patience
        if self._socket is not None:
            return False
        self._bytes.clear()
        self._signals.clear()
        self._socket = self._connect()
        self.ask(BUS, BUS_PATH, f"{BUS}.Hello")
        return True

    def ask(
        self,
        service: str,
        path: str,
        member: str,
        signature: str = "",
        *body: Any,
        start: bool = False,
    ) -> list[Any]:
        """The answer of `member`, written `interface.Name`; Unanswered when there is none.

        `start`: a service that does not run yet is started for it, where the bus can do that.
        """
        self._serial += 1
        self._connected().sendall(
            dbus_wire.call(self._serial, service, path, member, signature, body, start)
        )
        while True:
            for message in self._receive(self._until):
                if message.kind == dbus_wire.SIGNAL:
                    self._signals.append(message)
                elif message.reply_to != self._serial:
                    continue
                elif message.kind == dbus_wire.ERROR:
                    raise Unanswered(str(message.body[0]) if message.body else message.error)
                else:
                    return message.body

    def listen(self, interface: str, member: str, about: str = "") -> None:
        """From now on these signals are kept for `signals`; only those that begin with `about`."""
        rule = f"type='signal',interface='{interface}',member='{member}'"
        rule += f",arg0='{about}'" if about else ""
        self.ask(BUS, BUS_PATH, f"{BUS}.AddMatch", "s", rule)

    def signals(self, wait: float = 0.0) -> list[Received]:
        """What has come since the last time; waits up to `wait` seconds when there is nothing."""
        until = time.monotonic() + wait
        while not self._signals:
            try:
                messages = self._receive(until)
            except TimeoutError:
                break
            self._signals += [each for each in messages if each.kind == dbus_wire.SIGNAL]
        found, self._signals = self._signals, []
        return found

    def hang_up(self) -> None:
        """Ends the connection, and with it a wait in another thread."""
        known, self._socket = self._socket, None
        if known is not None:
            with contextlib.suppress(OSError):
                known.shutdown(socket.SHUT_RDWR)
            known.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionError("the connection was closed")
        return self._socket

    def _receive(self, until: float) -> list[Received]:
        """The messages that come with the next bytes; maybe none of them is whole yet."""
        connection = self._connected()
        # Not nothing: that would mean never to wait, and what is there already would not be read.
        connection.settimeout(max(until - time.monotonic(), 0.001))
        data = connection.recv(65536)
        if not data:
            raise ConnectionError("the bus has ended")
        self._bytes += data
        return list(dbus_wire.take(self._bytes))

    def _connect(self) -> socket.socket:
        name = _socket_of(self._address or address(self.kind, os.environ))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(self._until - time.monotonic(), 0.001))
            connection.connect(name)
            uid = str(os.getuid()).encode().hex()
            connection.sendall(f"\0AUTH EXTERNAL {uid}\r\n".encode())
            said = connection.recv(512)
            if not said.startswith(b"OK "):
                raise PermissionError(13, "the bus does not let this account in")
            connection.sendall(b"BEGIN\r\n")
        except BaseException:
            connection.close()
            raise
        return connection


def address(kind: Kind, environment: Mapping[str, str]) -> str:
    """Where that bus is; empty where nothing says so."""
    if kind == "system":
        return environment.get("DBUS_SYSTEM_BUS_ADDRESS", "") or _SYSTEM
    folder = environment.get("XDG_RUNTIME_DIR", "")
    fallback = f"unix:path={folder}/bus" if folder else ""
    return environment.get("DBUS_SESSION_BUS_ADDRESS", "") or fallback


def _socket_of(where: str) -> bytes:
    """The first UNIX socket of an address; FileNotFoundError when it names none."""
    for each in where.split(";"):
        transport, _, rest = each.partition(":")
        words = dict(word.partition("=")[::2] for word in rest.split(","))
        if transport == "unix" and "path" in words:
            return unquote_to_bytes(words["path"])
        if transport == "unix" and "abstract" in words:
            return b"\0" + unquote_to_bytes(words["abstract"])
    raise FileNotFoundError(2, "no message bus is known here")


def why(error: Exception, kind: Kind, service: str) -> str:
    """In words for people, why a question was not answered."""
    if isinstance(error, TimeoutError):
        return f"the {kind} bus does not answer"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "this computer has no system bus" if kind == "system" else "there is no session bus"
    return f"{service} does not answer: {str(error) or type(error).__name__}"
