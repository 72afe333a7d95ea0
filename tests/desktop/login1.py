"""A private system bus with a stand-in for systemd-logind on it, for tests of who is logged in.

The stand-in itself is `login1_service`, a process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from virtual_screen import BUS_CONFIG
from waiting import wait_until

SERVICE = str(Path(__file__).with_name("login1_service.py"))
# As on a system's bus, every user may ask.
_ANYBODY = '<policy context="default"><allow user="*"/>'
_CONFIG = BUS_CONFIG.replace('<policy context="default">', _ANYBODY)


class Login1:
    """A private system bus, and a login1 service on it that can be told, silenced and ended."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "bus"
        self.address = f"unix:path={self.socket}"
        self._told = folder / "sessions.json"
        self._config = folder / "bus.conf"
        self._config.write_text(_CONFIG.format(socket=self.socket))
        self.tell()
        self.start_bus()
        self.start_service()

    def start_bus(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile"]
        )
        wait_until(self.socket.exists, 10, "the message bus")

    def start_service(self) -> None:
        env = os.environ | {"DBUS_SESSION_BUS_ADDRESS": self.address}
        self.service = subprocess.Popen(
            [sys.executable, SERVICE, str(self._told)], env=env, stdout=subprocess.PIPE
        )
        assert self.service.stdout is not None
        assert self.service.stdout.readline() == b"ready\n"

    def tell(
        self, *sessions: dict[str, Any], silent: bool = False, shutting_down: bool = False
    ) -> None:
        told = {"sessions": sessions, "silent": silent, "shutting_down": shutting_down}
        text = json.dumps(told)
        self._told.with_suffix(".new").write_text(text)
        self._told.with_suffix(".new").rename(self._told)

    def end(self, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
