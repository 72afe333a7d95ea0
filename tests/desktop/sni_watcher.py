"""A StatusNotifier watcher and host, as in KDE's panel and GNOME's extension.

It draws nothing; `menu_by_dbus` is the person who looks at its icons. Run as a program it prints
`ready` once icons can register. The other kind of tray is XEmbed: `trayer`.
"""

import asyncio
from typing import Annotated

from dbus_fast import Message, PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusInt32, DBusSignature, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

NAME = "org.kde.StatusNotifierWatcher"
PATH = "/StatusNotifierWatcher"
Strings = Annotated[list[str], DBusSignature("as")]


class Watcher(ServiceInterface):
    """Keeps the list of icons, as `BUS NAME/OBJECT PATH`."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.icons: list[str] = []
        self.caller = ""

    @dbus_method()
    def RegisterStatusNotifierItem(self, service: DBusStr) -> None:
        # An icon names its service, or only its path: then the service is whoever calls.
        icon = self.caller + service if service.startswith("/") else service
        if "/" not in icon:
            icon += "/StatusNotifierItem"
        if icon not in self.icons:
            self.icons.append(icon)
            self.StatusNotifierItemRegistered(icon)

    @dbus_method()
    def RegisterStatusNotifierHost(self, service: DBusStr) -> None:
        self.StatusNotifierHostRegistered()

    @dbus_property(access=PropertyAccess.READ)
    def RegisteredStatusNotifierItems(self) -> Strings:
        return self.icons

    @dbus_property(access=PropertyAccess.READ)
    def IsStatusNotifierHostRegistered(self) -> DBusBool:
        return True

    @dbus_property(access=PropertyAccess.READ)
    def ProtocolVersion(self) -> DBusInt32:
        return 0

    @dbus_signal()
    def StatusNotifierItemRegistered(self, icon: str) -> DBusStr:
        return icon

    @dbus_signal()
    def StatusNotifierItemUnregistered(self, icon: str) -> DBusStr:
        return icon

    @dbus_signal()
    def StatusNotifierHostRegistered(self) -> None:
        return None

    def before(self, message: Message) -> None:
        """Sees every message first: who registers, and who has left the bus."""
        if message.member == "RegisterStatusNotifierItem":
            self.caller = message.sender or ""
        elif message.member == "NameOwnerChanged" and not message.body[2]:
            for icon in [icon for icon in self.icons if icon.split("/")[0] == message.body[0]]:
                self.icons.remove(icon)
                self.StatusNotifierItemUnregistered(icon)


async def serve() -> None:
    bus = await MessageBus().connect()
    watcher = Watcher()
    bus.add_message_handler(watcher.before)
    bus.export(PATH, watcher)
    match = Message(
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus",
        member="AddMatch",
        signature="s",
        body=["type='signal',member='NameOwnerChanged'"],
    )
    await bus.call(match)
    await bus.request_name(NAME)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
