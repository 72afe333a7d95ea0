"""The agent's end of the local socket: who has come, what they ask, and telling them of changes.

Not what is answered (`answering`). The kernel says who is at the other end. The opposite is
`local`, the end of trays and commands, where the messages are too.
"""

import contextlib
import functools
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from fallow.shared.addresses import make_local_addresses
from fallow.shared.errors import FallowError
from fallow.shared.loop import Loop
from fallow.tray import whereabouts
from fallow.tray.local import (
    CannotBe,
    Inbox,
    LocalReply,
    LocalRequest,
    NoticeIs,
    StatusIs,
    Subscribe,
    frame,
    socket_path,
)
from fallow.tray.rights import Person
from fallow.tray.status import AgentStatus

_LONGEST = 256 << 10  # bytes of a request; none comes near
_CREDENTIALS = struct.Struct("3i")
_PEERGROUPS = 59  # SO_PEERGROUPS: the groups of the process at the other end, as numbers
_MOST_GROUPS = 1024  # bytes, the most that may be asked for; who has more is an ordinary user
_GROUPS = Path("/etc/group")
_MOST_UNSENT = 8 << 20
# Everybody may look, but nobody may use up the agent's descriptors.
_MOST_OF_ONE = 16
_MOST_OF_OTHERS = 64

_requests: msgspec.json.Decoder[LocalRequest] = msgspec.json.Decoder(LocalRequest)


class Visitor:
    """One connection to the agent, by this person; `name` tells it from all others."""

    def __init__(self, connection: socket.socket, name: str, person: Person) -> None:
        self.connection = connection
        self.name = name
        self.person = person
        self.subscribed = False
        self.keys: tuple[str, ...] = ()
        self.inbox = Inbox(_LONGEST)
        self.unsent = bytearray()
        self.newest = b""


class LocalServer:
    """Serves its sockets from the agent's loop; never waits for a visitor.

    `on_request` gets each request and returns its reply or None; `on_gone` is told who has left.
    Besides the socket in the data folder, which is its user's, there may be one for everybody in
    the folder `shared`; `may_change` says who of them may do more than look, `is_job` which
    processes belong to jobs.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        on_request: Callable[[Visitor, LocalRequest], LocalReply | None],
        on_gone: Callable[[Visitor], None],
        shared: Path | None = None,
        may_change: Callable[[Person], bool] = lambda person: True,
        is_job: Callable[[int], bool] = lambda pid: False,
    ) -> None:
        self._is_job = is_job
        self._may_change = may_change
        self._on_request = on_request
        self._on_gone = on_gone
        self._visitors: dict[int, Visitor] = {}
        self._serial = 0
        self._loop: Loop[Any] | None = None
        self.path = socket_path(make_local_addresses(data_dir))
        self._listeners = {self.path: _listen(self.path, 0o600)}
        if shared is not None:
            place = shared / whereabouts.SOCKET
            self._listeners[place] = _listen(place, 0o666)

    def watch(self, loop: Loop[Any]) -> None:
        """Be served by this loop from now on."""
        self._loop = loop
        for listener in self._listeners.values():
            loop.watch(listener.fileno(), functools.partial(self._accept, listener))

    @property
    def listened_to(self) -> bool:
        """Whether anybody wants to be told of changes."""
        return any(each.subscribed for each in self._visitors.values())

    @property
    def behind(self) -> bool:
        """Whether somebody has not read all yet: `flush` is wanted soon."""
        return any(each.unsent or each.newest for each in self._visitors.values())

    def publish(self, status: AgentStatus) -> None:
        """Push this to all who subscribed."""
        subscribers = [each for each in self._visitors.values() if each.subscribed]
        if not subscribers:
            return
        frames: dict[bool, bytes] = {}
        for visitor in subscribers:
            may = self._may_change(visitor.person)
            if may not in frames:
                frames[may] = frame(StatusIs(replace(status, may_change=may)))
            # One that does not read gets the newest only, not all that it has missed.
            visitor.newest = frames[may]
            self._send(visitor)

    def show(self, key: str, notice: NoticeIs) -> None:
        """Tell this to who joined with this public key; nobody else sees it."""
        for visitor in list(self._visitors.values()):
            if key in visitor.keys:
                visitor.unsent += frame(notice)
                self._send(visitor)

    def flush(self) -> None:
        """Send on what a visitor had no room for; to be called now and then."""
        for visitor in list(self._visitors.values()):
            if visitor.unsent or visitor.newest:
                self._send(visitor)

    def close(self) -> None:
        for visitor in list(self._visitors.values()):
            self._drop(visitor)
        for place, listener in self._listeners.items():
            if self._loop is not None:
                self._loop.unwatch(listener.fileno())
            listener.close()
            with contextlib.suppress(OSError):
                place.unlink()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
            person = self._who(connection)
        except OSError:
            return
        if self._loop is None or self._too_many(person):
            connection.close()
            return
        connection.setblocking(False)
        self._serial += 1
        visitor = Visitor(connection, f"tray-{self._serial}", person)
        self._visitors[connection.fileno()] = visitor
        self._loop.watch(connection.fileno(), lambda: self._read(visitor))

    def _who(self, connection: socket.socket) -> Person:
        """The person there; which groups give power here, this computer's own file says."""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(raw)
        groups = b""
        with contextlib.suppress(OSError):
            groups = connection.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, _MOST_GROUPS)
        numbers = {gid, *(number for (number,) in struct.iter_unpack("I", groups))}
        # Jobs have the account of the agent; of others not even their parents may be known.
        job = uid == os.geteuid() and self._is_job(pid)
        return Person(uid, tuple(sorted(_names_of(numbers))), job)

    def _too_many(self, person: Person) -> bool:
        if person.uid in {os.geteuid(), 0}:
            return False
        here = [each.person.uid for each in self._visitors.values()]
        others = [uid for uid in here if uid not in {os.geteuid(), 0}]
        return others.count(person.uid) >= _MOST_OF_ONE or len(others) >= _MOST_OF_OTHERS

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
            visitor.unsent += frame(CannotBe("That was not understood", str(error)))
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
            visitor.unsent += frame(reply)

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


def _listen(place: Path, mode: int) -> socket.socket:
    # Who holds the lock is the only agent; what lies here is a dead one's.
    place.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    listener.bind(str(place))
    place.chmod(mode)
    listener.listen(16)
    return listener


def _names_of(numbers: set[int]) -> set[str]:
    """Not asked of the system's name service: that may wait for a server which does not answer."""
    names = set()
    with contextlib.suppress(OSError):
        for line in _GROUPS.read_text(errors="replace").splitlines():
            name, _, number = line.split(":")[:3] if line.count(":") >= 2 else ("", "", "")
            if number.isdecimal() and int(number) in numbers:
                names.add(name)
    return names
