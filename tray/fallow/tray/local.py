"""What an agent and the trays and commands of the same computer say to each other; their end of it.

Not the wire to the coordinator (`transport`), and no decision. Length-prefixed JSON over a UNIX
socket. The opposite is `local_server`, the agent's end.
"""

import errno
import select
import socket
import struct
import time
from pathlib import Path
from typing import Any, Self, TypeAlias

import msgspec
from msgspec import Struct

from fallow.shared.addresses import find_local_addresses
from fallow.shared.errors import FallowError, Unreachable
from fallow.tray import whereabouts
from fallow.tray.presence import Reading
from fallow.tray.status import AgentStatus

LONGEST = 4 << 20
_LENGTH = struct.Struct("!I")


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


class Leave(Struct, frozen=True, tag="leave"):
    """The session closes: give the jobs back and end; answered by Done when that has begun."""


class Here(Struct, frozen=True, tag="here"):
    """The public keys with which the sender's person joined coordinators, and "uid" for themselves.

    Not answered; it holds until the connection ends. What is told to them comes as NoticeIs. Who
    wants to be told of nothing names nothing, and nobody learns that they are here.
    """

    keys: tuple[str, ...]


class Shown(Struct, frozen=True, tag="shown"):
    """That NoticeIs is on the screen; not answered."""

    id: int


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
    | Here
    | Shown
    | Leave
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


class NoticeIs(Struct, frozen=True, tag="notice_is"):
    """Show this to your person, then say Shown; it comes unasked."""

    id: int
    title: str
    text: str


class Done(Struct, frozen=True, tag="done"):
    """It was done; `text` says what in a sentence."""

    text: str = ""


class CannotBe(Struct, frozen=True, tag="cannot_be"):
    """The words of a FallowError."""

    title: str
    detail: str = ""
    hint: str = ""


LocalReply: TypeAlias = StatusIs | ConfigIs | NoticeIs | Done | CannotBe

_encoder = msgspec.json.Encoder()
_replies: msgspec.json.Decoder[LocalReply] = msgspec.json.Decoder(LocalReply)


def frame(message: LocalRequest | LocalReply) -> bytes:
    """The message as it goes over the socket."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Inbox:
    """Bytes that came, cut into messages."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._bytes = bytearray()

    def put(self, data: bytes) -> None:
        self._bytes += data

    def take(self) -> bytes | None:
        """The next whole message; ValueError when it says that it is too long."""
        if len(self._bytes) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if length > self._longest:
            raise ValueError(f"a message of {length} bytes")
        end = _LENGTH.size + length
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[_LENGTH.size : end])
        del self._bytes[:end]
        return body


# --- the other end --------------------------------------------------------------------------------


class LocalClient:
    """A connection to the agent of a data folder; for one thread.

    Unreachable when no agent runs there. `fileno` is readable when something has come.
    """

    def __init__(self, data_dir: Path) -> None:
        self._where = data_dir
        try:
            path = _socket_of(data_dir)
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
        self._inbox = Inbox()

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
            self._socket.sendall(frame(request))
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


def _socket_of(data_dir: Path) -> Path:
    """Where the agent of this folder answers; of the default one, this computer's agent."""
    if data_dir == whereabouts.default_data_dir():
        computers = whereabouts.found()
        if computers is not None:
            return computers
    return socket_path(find_local_addresses(data_dir))


def socket_path(addresses: tuple[str, str]) -> Path:
    """Beside where a coordinator in this folder would have its sockets."""
    return Path(addresses[0].removeprefix("ipc://")).with_name(whereabouts.SOCKET)
