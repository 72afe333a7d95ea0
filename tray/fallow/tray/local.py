"""The local socket between an agent and the tray, or a command, of the same computer.

Not the wire to the coordinator (`transport`), and no decision. Length-prefixed JSON over a UNIX
socket in a folder of our own; the kernel says who is at the other end. Both ends are here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import msgspec
from msgspec import Struct

from fallow.shared.addresses import find_local_addresses, make_local_addresses
from fallow.shared.errors import FallowError, Unreachable
from fallow.tray.presence import Reading
from fallow.tray.status import AgentStatus

if TYPE_CHECKING:
    # The tray's own process has no use for the loop, nor for the sockets that it brings along.
    from fallow.shared.loop import Loop

LONGEST = 4 << 20
_LENGTH = struct.Struct("!I")
_CREDENTIALS = struct.Struct("3i")
_MOST_UNSENT = 8 << 20
_NAME = "agent"


# --- what is said ---------------------------------------------------------------------------------


class AskStatus(Struct, frozen=True, tag="status"):
    """Answered by StatusIs."""


class Subscribe(Struct, frozen=True, tag="subscribe"):
    """Answered by StatusIs now and after every change."""


class PauseFor(Struct, frozen=True, tag="pause"):
    """Pause for so many seconds, None until resumed; answered by Done."""

    seconds: float | None = None


class Resume(Struct, frozen=True, tag="resume"):
    """End the manual pause; answered by Done."""


class LendFor(Struct, frozen=True, tag="lend"):
    """Use this computer for so many seconds even while its owner works; answered by Done."""

    seconds: float


class Eject(Struct, frozen=True, tag="eject"):
    """Send the running jobs elsewhere now; answered by Done."""


class Finish(Struct, frozen=True, tag="finish"):
    """Finish what runs, then take no more until Resume; answered by Done."""


class AskConfig(Struct, frozen=True, tag="ask_config"):
    """What the owner's rules are; answered by ConfigIs."""


class Configure(Struct, frozen=True, tag="configure"):
    """Set these keys, by section (None: its default again); answered by Done, or none is set."""

    changes: dict[str, dict[str, Any]]


class Activity(Struct, frozen=True, tag="activity"):
    """What the sender's sensors see now; not answered. It holds until the connection ends."""

    readings: tuple[Reading, ...]
    on_battery: bool | None = None


class Rejoined(Struct, frozen=True, tag="rejoined"):
    """The workstation has joined another coordinator: answered by Done."""


LocalRequest: TypeAlias = (
    AskStatus
    | Subscribe
    | PauseFor
    | Resume
    | LendFor
    | Eject
    | Finish
    | AskConfig
    | Configure
    | Activity
    | Rejoined
)


class StatusIs(Struct, frozen=True, tag="status_is"):
    status: AgentStatus


class ConfigIs(Struct, frozen=True, tag="config_is"):
    """Every key of agent.toml as it is written, or its default (None: found out by itself).

    `path` is the file; `writable` is whether who asks may change it.
    """

    values: dict[str, dict[str, Any]]
    path: str
    writable: bool


class Done(Struct, frozen=True, tag="done"):
    """It was done; `text` says what in a sentence."""

    text: str = ""


class CannotBe(Struct, frozen=True, tag="cannot_be"):
    """The words of a FallowError."""

    title: str
    detail: str = ""
    hint: str = ""


LocalReply: TypeAlias = StatusIs | ConfigIs | Done | CannotBe

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[LocalRequest] = msgspec.json.Decoder(LocalRequest)
_replies: msgspec.json.Decoder[LocalReply] = msgspec.json.Decoder(LocalReply)


def _frame(message: LocalRequest | LocalReply) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class _Inbox:
    """Bytes that came, cut into messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def put(self, data: bytes) -> None:
        self._bytes += data

    def take(self) -> bytes | None:
        """The next whole message; ValueError when it says that it is too long."""
        if len(self._bytes) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if length > LONGEST:
            raise ValueError(f"a message of {length} bytes")
        end = _LENGTH.size + length
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[_LENGTH.size : end])
        del self._bytes[:end]
        return body


# --- the agent's end ------------------------------------------------------------------------------


class Visitor:
    """One connection to the agent; `name` tells it from all others."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self.connection = connection
        self.name = name
        self.subscribed = False
        self.inbox = _Inbox()
        self.unsent = bytearray()
        self.newest = b""


class LocalServer:
    """Serves the socket from the agent's loop; never waits for a visitor.

    `on_request` gets each request and returns its reply or None; `on_gone` is told who has left.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        on_request: Callable[[Visitor, LocalRequest], LocalReply | None],
        on_gone: Callable[[Visitor], None],
    ) -> None:
        self._on_request = on_request
        self._on_gone = on_gone
        self._visitors: dict[int, Visitor] = {}
        self._serial = 0
        self._loop: Loop[Any] | None = None
        self.path = _socket_path(make_local_addresses(data_dir))
        # Who holds the lock of the data folder is the only agent; what lies here is a dead one's.
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(str(self.path))
        self.path.chmod(0o600)
        self._listener.listen(16)

    def watch(self, loop: Loop[Any]) -> None:
        """Be served by this loop from now on."""
        self._loop = loop
        loop.watch(self._listener.fileno(), self._accept)

    @property
    def listened_to(self) -> bool:
        """Whether anybody wants to be told of changes."""
        return any(each.subscribed for each in self._visitors.values())

    def publish(self, status: AgentStatus) -> None:
        """Push this to all who subscribed."""
        subscribers = [each for each in self._visitors.values() if each.subscribed]
        if not subscribers:
            return
        frame = _frame(StatusIs(status))
        for visitor in subscribers:
            # One that does not read gets the newest only, not all that it has missed.
            visitor.newest = frame
            self._send(visitor)

    def flush(self) -> None:
        """Send on what a visitor had no room for; to be called now and then."""
        for visitor in list(self._visitors.values()):
            if visitor.unsent or visitor.newest:
                self._send(visitor)

    def close(self) -> None:
        for visitor in list(self._visitors.values()):
            self._drop(visitor)
        if self._loop is not None:
            self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(raw)
        if user not in {os.geteuid(), 0} or self._loop is None:
            connection.close()
            return
        connection.setblocking(False)
        self._serial += 1
        visitor = Visitor(connection, f"tray-{self._serial}")
        self._visitors[connection.fileno()] = visitor
        self._loop.watch(connection.fileno(), lambda: self._read(visitor))

    def _read(self, visitor: Visitor) -> None:
        try:
            data = visitor.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(visitor)
            return
        visitor.inbox.put(data)
        try:
            while (body := visitor.inbox.take()) is not None:
                self._answer(visitor, body)
        except (ValueError, msgspec.MsgspecError) as error:
            visitor.unsent += _frame(CannotBe("That was not understood", str(error)))
            self._send(visitor)
            self._drop(visitor)
            return
        self._send(visitor)

    def _answer(self, visitor: Visitor, body: bytes) -> None:
        request = _requests.decode(body)
        if isinstance(request, Subscribe):
            visitor.subscribed = True
        try:
            reply = self._on_request(visitor, request)
        except FallowError as error:
            reply = CannotBe(error.title, error.detail, error.hint)
        if reply is not None:
            visitor.unsent += _frame(reply)

    def _send(self, visitor: Visitor) -> None:
        try:
            while visitor.unsent or visitor.newest:
                if not visitor.unsent:
                    visitor.unsent += visitor.newest
                    visitor.newest = b""
                count = visitor.connection.send(visitor.unsent)
                del visitor.unsent[:count]
        except BlockingIOError:
            if len(visitor.unsent) > _MOST_UNSENT:
                self._drop(visitor)
        except OSError:
            self._drop(visitor)

    def _drop(self, visitor: Visitor) -> None:
        if self._visitors.pop(visitor.connection.fileno(), None) is None:
            return
        if self._loop is not None:
            self._loop.unwatch(visitor.connection.fileno())
        visitor.connection.close()
        self._on_gone(visitor)


# --- the other end --------------------------------------------------------------------------------


class LocalClient:
    """A connection to the agent of a data folder; for one thread.

    Unreachable when no agent runs there. `fileno` is readable when something has come.
    """

    def __init__(self, data_dir: Path) -> None:
        self._where = data_dir
        try:
            path = _socket_path(find_local_addresses(data_dir))
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._socket.connect(str(path))
            except OSError:
                self._socket.close()
                raise
        except (FallowError, OSError):
            raise Unreachable(
                "No Fallow agent runs on this computer",
                f"Nothing answers in {data_dir}.",
                "start the tray, or without a screen: tray agent",
            ) from None
        self._inbox = _Inbox()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, request: LocalRequest) -> None:
        """Say this; Unreachable when the agent has gone."""
        try:
            self._socket.sendall(_frame(request))
        except OSError:
            raise self._gone() from None

    def receive(self, timeout: float | None = None) -> LocalReply | None:
        """The next reply, None after `timeout` seconds; Unreachable when the agent has gone."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            body = self._inbox.take()
            if body is not None:
                return _replies.decode(body)
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not select.select([self._socket], [], [], left)[0]:
                return None
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                data = b""
            if not data:
                raise self._gone()
            self._inbox.put(data)

    def ask(self, request: LocalRequest, timeout: float = 10.0) -> LocalReply:
        """Say this and wait for its reply; FallowError when the agent says no or nothing."""
        self.send(request)
        reply = self.receive(timeout)
        if reply is None:
            raise Unreachable(
                "The agent on this computer does not answer",
                f"It was asked in {self._where} and said nothing for {timeout:g} s.",
            )
        if isinstance(reply, CannotBe):
            raise FallowError(reply.title, reply.detail, reply.hint)
        return reply

    def status(self, timeout: float = 10.0) -> AgentStatus:
        """What the agent says about itself now."""
        reply = self.ask(AskStatus(), timeout)
        assert isinstance(reply, StatusIs)
        return reply.status

    def _gone(self) -> Unreachable:
        return Unreachable(
            "The agent on this computer has just ended", hint="start it again, then repeat this"
        )


def _socket_path(addresses: tuple[str, str]) -> Path:
    """Beside where a coordinator in this folder would have its sockets."""
    return Path(addresses[0].removeprefix("ipc://")).with_name(_NAME)
