"""One icon per desktop session: the first holds a lock, later ones only raise it.

Not one agent per computer: the agent has a lock of its own in its data folder.
"""

import contextlib
import fcntl
import os
import re
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_runtime_path

from fallow.shared.errors import FallowError

RAISE = b"raise\n"
RAISED = b"raised\n"
PATIENCE = 5.0


class Session:
    """The place of the one icon: `held` says whether this process is it.

    A process that holds it listens at `fileno`, and calls `answer` when that is readable.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._socket_path = folder / f"{name}.socket"
        self._lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.held = False
            return
        self.held = True
        self._socket_path.unlink(missing_ok=True)
        self._listener.bind(str(self._socket_path))
        self._listener.listen(4)
        self._listener.setblocking(False)

    @classmethod
    def of_this_desktop(cls, environment: Mapping[str, str]) -> "Session":
        """By the screen that this process would use."""
        screen = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY", "")
        # ":1" and ":1.0" are one session.
        screen = re.sub(r"(:\d+)\.\d+$", r"\1", screen)
        return cls(runtime_folder(), "tray" + re.sub(r"[^A-Za-z0-9]+", "-", screen))

    def fileno(self) -> int:
        return self._listener.fileno()

    def raise_other(self) -> None:
        """Asks the icon that is already there to show itself; FallowError when it does not."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                other.settimeout(PATIENCE)
                other.connect(str(self._socket_path))
                other.sendall(RAISE)
                if other.recv(len(RAISED)) == RAISED:
                    return
        except OSError:
            pass
        raise FallowError(
            "Fallow's icon is already running in this session, but it does not answer",
            hint="end that process, then start it again",
        )

    def answer(self) -> bool:
        """True when a later process asked this one to show itself."""
        try:
            other, _ = self._listener.accept()
        except OSError:
            return False
        with other, contextlib.suppress(OSError):
            other.settimeout(0.5)
            if other.recv(len(RAISE)) == RAISE:
                other.sendall(RAISED)
                return True
        return False

    def close(self) -> None:
        self._listener.close()
        if self.held:
            with contextlib.suppress(OSError):
                self._socket_path.unlink()
        os.close(self._lock)


def runtime_folder() -> Path:
    """A folder of this user alone, gone after a reboot; FallowError when it is somebody else's."""
    folder = user_runtime_path("fallow", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise FallowError(f"The folder {folder} cannot be made", f"{error.strerror}.") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise FallowError(
            f"The folder {folder} belongs to somebody else",
            hint="ask who looks after this computer",
        )
    return folder
