"""A private message bus with python-dbusmock's services on it, told what to answer.

python-dbusmock runs in the system's Python, because PyPI has no dbus-python without a compiler.
Not a service of our own (`login1_service`): that one can also be silent and wrong.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from fallow.tray.sensors.bus import Bus, Unanswered
from virtual_screen import BUS_CONFIG
from waiting import wait_until

PYTHON = "/usr/bin/python3"
MOCK = "org.freedesktop.DBus.Mock"


def available() -> bool:
    """Is python-dbusmock installed here?"""
    try:
        found = subprocess.run([PYTHON, "-c", "import dbusmock"], capture_output=True, timeout=60)
    except OSError:
        return False
    return found.returncode == 0


class MockedBus:
    """The bus, as long as the block lasts; `mock` starts a service, `teach` gives it a method.

    `services` is a folder of services that the bus starts when somebody asks for them.
    """

    def __init__(self, services: Path | None = None) -> None:
        self._services = services

    def __enter__(self) -> Self:
        # Not tmp_path: the path of a socket may have 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="fallow-bus-")
        folder = Path(self._folder.name)
        socket = folder / "bus"
        self.address = f"unix:path={socket}"
        config = folder / "bus.conf"
        text = BUS_CONFIG.format(socket=socket)
        if self._services is not None:
            text = text.replace("<policy", f"<servicedir>{self._services}</servicedir><policy", 1)
        config.write_text(text)
        self._children = [
            subprocess.Popen(["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile"])
        ]
        self._bus = Bus("session", self.address)
        wait_until(self._answers, 20, "the message bus")
        return self

    def __exit__(self, *_: object) -> None:
        self._bus.hang_up()
        for child in reversed(self._children):
            self.end(child)
        self._folder.cleanup()

    def _answers(self) -> bool:
        try:
            self._bus.turn(10.0)
        except OSError:
            self._bus.hang_up()
            return False
        return True

    def mock(self, service: str, *words: str) -> subprocess.Popen[bytes]:
        """Starts python-dbusmock with these arguments, and waits until it has its name."""
        child = subprocess.Popen(
            [PYTHON, "-m", "dbusmock", "--session", *words],
            env={"DBUS_SESSION_BUS_ADDRESS": self.address, "DISPLAY": ":7"},
        )
        self._children.append(child)

        def named() -> bool:
            try:
                self.call(service, "/", "org.freedesktop.DBus.Peer.Ping")
            except Unanswered:
                return False
            return True

        wait_until(named, 30, service)
        return child

    def end(self, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        child.wait()

    def call(
        self, service: str, path: str, member: str, signature: str = "", *body: Any
    ) -> list[Any]:
        self._bus.turn(10.0)
        return self._bus.ask(service, path, member, signature, *body)

    def teach(
        self, service: str, path: str, member: str, takes: str, gives: str, code: str
    ) -> None:
        """From now on `member` runs this code of python-dbusmock; `ret` is what it answers."""
        interface, _, name = member.rpartition(".")
        words = (interface, name, takes, gives, code)
        self.call(service, path, f"{MOCK}.AddMethod", "sssss", *words)
