"""One connection to a message bus, over which a test calls others and waits for what they answer.

Not a mock of anything: those who answer are real programs.
"""

import asyncio
from typing import Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

PATIENCE = 10.0  # seconds


class Caller:
    """Calls answer within 10 s; RuntimeError says what the other side said instead."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._bus = self._loop.run_until_complete(_connect(address))

    def close(self) -> None:
        self._bus.disconnect()
        self._loop.close()

    def property(self, service: str, path: str, interface: str, name: str) -> Any:
        properties = "org.freedesktop.DBus.Properties"
        return self.call(service, path, properties, "Get", "ss", interface, name)[0].value

    def call(
        self, service: str, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> list[Any]:
        message = Message(
            destination=service,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        answer = self._loop.run_until_complete(asyncio.wait_for(self._bus.call(message), PATIENCE))
        if answer.message_type is MessageType.ERROR:
            raise RuntimeError(f"{member} of {service}: {answer.body}")
        return answer.body


async def _connect(address: str) -> MessageBus:
    return await MessageBus(bus_address=address).connect()
