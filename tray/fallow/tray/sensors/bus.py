"""One connection to a message bus (D-Bus), asked in turns, each with a time limit.

It knows no service: `logind` and `inhibitors` do. `mutter` waits for signals and so has its own
thread. dbus-fast and asyncio come in with the first question, because they are large.
"""

from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

PATIENCE = 0.5

_T = TypeVar("_T")


class Unanswered(Exception):
    """The service said no, or there is no such service."""


async def connect(kind: Literal["system", "session"], address: str | None) -> Any:
    """A connected bus of dbus-fast; raises what the library raises."""
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    bus_type = BusType.SYSTEM if kind == "system" else BusType.SESSION
    return await MessageBus(bus_address=address, bus_type=bus_type).connect()


async def call(
    bus: Any, service: str, path: str, member: str, signature: str = "", *body: Any
) -> list[Any]:
    """The answer of `member`, written `interface.Name`; Unanswered when there is none.

    No service is started for it: one that does not run has nothing to tell.
    """
    from dbus_fast import Message, MessageFlag, MessageType

    interface, _, name = member.rpartition(".")
    answer = await bus.call(
        Message(
            destination=service,
            path=path,
            interface=interface,
            member=name,
            signature=signature,
            body=list(body),
            flags=MessageFlag.NO_AUTOSTART,
        )
    )
    if answer.message_type is MessageType.ERROR:
        raise Unanswered(answer.body[0] if answer.body else answer.error_name)
    return list(answer.body)


class Bus:
    """Connects when it is first asked, and anew after `hang_up`; for one thread only."""

    def __init__(self, kind: Literal["system", "session"], address: str | None = None) -> None:
        self.kind: Literal["system", "session"] = kind
        self._address = address
        self._loop: Any = None
        self._bus: Any = None

    def within(self, patience: float, question: Coroutine[Any, Any, _T]) -> _T:
        """Runs a question of `call`s; TimeoutError after `patience` seconds, or what it raises."""
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        answer: _T = self._loop.run_until_complete(asyncio.wait_for(question, patience))
        return answer

    async def connection(self) -> Any:
        """The connected bus, to be awaited inside a question."""
        if self._bus is None:
            self._bus = await connect(self.kind, self._address)
        return self._bus

    def hang_up(self) -> None:
        """Forgets a connection that failed."""
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None

    def close(self) -> None:
        self.hang_up()
        if self._loop is not None:
            self._loop.close()
            self._loop = None


def why(error: Exception, kind: Literal["system", "session"], service: str) -> str:
    """In words for people, why a question was not answered."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed"
    if isinstance(error, TimeoutError):
        return f"the {kind} bus does not answer"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError) or _no_address(error):
        return "this computer has no system bus" if kind == "system" else "there is no session bus"
    return f"{service} does not answer: {str(error) or type(error).__name__}"


def _no_address(error: Exception) -> bool:
    return type(error).__name__ == "InvalidAddressError"
