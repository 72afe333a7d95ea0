"""Who is logged in at the seats of this computer, asked of systemd-logind over the system bus.

It can say that nobody is: then the desk is free, the login screen included. It cannot say when a
person who is logged in last typed (`IdleHint` is never set on some desktops): `pynput_input` can.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

from fallow.shared.moments import Moment
from fallow.tray.presence import Reading

log = logging.getLogger(__name__)

SERVICE = "org.freedesktop.login1"
PATH = "/org/freedesktop/login1"
PATIENCE = 0.5
# A login is followed by typing, and a logout frees nothing at once: no need to ask more often.
ASK_EVERY = 2.0
LONGEST_WAIT = 60.0

_T = TypeVar("_T")


class Session(NamedTuple):
    """One login: `seat` is empty for ssh; `kind` is logind's class, such as user or greeter."""

    number: str
    user: str
    seat: str
    kind: str
    state: str
    remote: bool
    locked: bool

    @property
    def somebody(self) -> bool:
        """Is a person logged in here? Not the login screen, nor what a logout leaves behind."""
        return bool(self.seat) and self.kind.startswith("user") and self.state != "closing"


class Logind:
    """Asks logind at most every `ASK_EVERY` seconds; a read waits `PATIENCE` seconds at most."""

    name = "logind"

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._bus: Any = None
        self._ask_at = 0.0
        self._wait = ASK_EVERY
        self._occupied_at: float | None = None
        self._reading = Reading(self.name, "session", False, "it has not been asked yet")
        self.sessions: tuple[Session, ...] = ()

    def read(self, now: Moment) -> Reading:
        if now.boot >= self._ask_at:
            self._reading = self._ask(now)
        return self._reading

    def close(self) -> None:
        self._hang_up()
        self._loop.close()

    def _ask(self, now: Moment) -> Reading:
        try:
            self.sessions = self._within(self._list())
        except Exception as error:
            # Whatever is wrong with the bus, the answer is the same: nothing was seen.
            self._hang_up()
            self.sessions = ()
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            self._ask_at = now.boot + self._wait
            why = _why(error)
            log.debug("logind: %s", why)
            return Reading(self.name, "session", False, why, self._occupied_at)
        self._wait = ASK_EVERY
        self._ask_at = now.boot + ASK_EVERY
        people = [session for session in self.sessions if session.somebody]
        if not people:
            return Reading(self.name, "session", True, "", self._occupied_at, vacant=True)
        self._occupied_at = now.boot
        who = " and ".join(sorted({f"{each.user} is logged in at {each.seat}" for each in people}))
        return Reading(self.name, "session", True, who, None)

    def _within(self, question: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run_until_complete(asyncio.wait_for(question, PATIENCE))

    def _hang_up(self) -> None:
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None

    async def _list(self) -> tuple[Session, ...]:
        if self._bus is None:
            from dbus_fast import BusType
            from dbus_fast.aio import MessageBus

            bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
            self._bus = await bus.connect()
        found: list[Session] = []
        listed = await self._call(PATH, f"{SERVICE}.Manager", "ListSessions", "")
        for number, _uid, user, seat, path in listed:
            try:
                got = await self._call(
                    *(path, "org.freedesktop.DBus.Properties", "GetAll", "s"), f"{SERVICE}.Session"
                )
            except LookupError:
                continue  # The session ended since it was listed.
            values = {name: variant.value for name, variant in got.items()}
            found.append(
                Session(
                    number=number,
                    user=user,
                    seat=seat,
                    kind=values.get("Class", "user"),
                    state=values.get("State", "active"),
                    remote=values.get("Remote", False),
                    locked=values.get("LockedHint", False),
                )
            )
        return tuple(found)

    async def _call(
        self, path: str, interface: str, member: str, signature: str, *body: str
    ) -> Any:
        from dbus_fast import Message, MessageType

        message = Message(
            destination=SERVICE,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        answer = await self._bus.call(message)
        if answer.message_type is MessageType.ERROR:
            raise LookupError(answer.body[0] if answer.body else answer.error_name)
        return answer.body[0]


def _why(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed"
    if isinstance(error, TimeoutError):
        return "the system bus does not answer"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "this computer has no system bus"
    return f"logind does not answer: {str(error) or type(error).__name__}"
