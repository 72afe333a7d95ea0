"""A stand-in for systemd-logind on a private bus: the two calls that Fallow makes of it.

It tells of the sessions in a JSON file, which the test rewrites; `"silent": true` in it makes the
service take calls and answer none. Run as a program it prints `ready`. The real one is on no bus
of a container.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from dbus_fast import Message, Variant
from dbus_fast.aio import MessageBus

NAME = "org.freedesktop.login1"
ROOT = "/org/freedesktop/login1"


def answer(call: Message, told: dict[str, Any]) -> Message:
    """What logind would answer to a call, by the sessions it was told of."""
    sessions = {f"{ROOT}/session/_{each['id']}": each for each in told["sessions"]}
    if call.path == ROOT and call.interface == f"{NAME}.Manager" and call.member == "ListSessions":
        rows = [[s["id"], s["uid"], s["user"], s["seat"], path] for path, s in sessions.items()]
        return Message.new_method_return(call, "a(susso)", [rows])
    if call.member == "GetAll" and call.body == [f"{NAME}.Session"] and call.path in sessions:
        session = sessions[call.path]
        values = {
            "Id": Variant("s", session["id"]),
            "Name": Variant("s", session["user"]),
            "User": Variant("(uo)", [session["uid"], f"{ROOT}/user/_{session['uid']}"]),
            "Seat": Variant("(so)", [session["seat"], f"{ROOT}/seat/{session['seat'] or 'none'}"]),
            "Remote": Variant("b", session.get("remote", False)),
            "Type": Variant("s", session.get("type", "x11")),
            "Class": Variant("s", session.get("class", "user")),
            "Active": Variant("b", session.get("state", "active") == "active"),
            "State": Variant("s", session.get("state", "active")),
            "IdleHint": Variant("b", False),
            "LockedHint": Variant("b", session.get("locked", False)),
        }
        return Message.new_method_return(call, "a{sv}", [values])
    if call.member == "Get" and call.body == [f"{NAME}.Manager", "PreparingForShutdown"]:
        return Message.new_method_return(
            call, "v", [Variant("b", told.get("shutting_down", False))]
        )
    return Message.new_error(call, f"{NAME}.NoSuchSession", f"No such thing: {call.path}")


async def serve(path: Path) -> None:
    bus = await MessageBus().connect()

    def on_message(message: Message) -> Message | bool | None:
        if not message.path or not message.path.startswith(ROOT):
            return None
        told = json.loads(path.read_text())
        # True: taken care of, and so without an answer.
        return True if told.get("silent") else answer(message, told)

    bus.add_message_handler(on_message)
    await bus.request_name(NAME)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
