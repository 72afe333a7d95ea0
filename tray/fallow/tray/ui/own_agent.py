"""The agent that this icon started: how it starts, what it said when it could not, how it ends.

Not an agent that was there before: that one belongs to somebody else and is left alone.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from fallow.shared.errors import FallowError, Unreachable
from fallow.tray.local import Leave, LocalClient

# An agent pauses at once; one whose desk nobody uses, by its configuration, never does.
STOP_PATIENCE = 2.0
_ERROR = "error: "
_MOST_WORDS = 4000


class OwnAgent:
    """At most one process; `pid` is its number, None while this icon has started none."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._log = data_dir / "agent.log"
        self._log_begins = 0
        self.pid: int | None = None

    def ensure(self) -> None:
        """Starts an agent where none answers; FallowError when that is impossible."""
        try:
            LocalClient(self._data_dir).close()
            return
        except Unreachable:
            pass
        # Large, and most often not needed.
        from fallow.shared.work.processes import spawn_detached

        try:
            self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._log_begins = self._log.stat().st_size if self._log.exists() else 0
        except OSError as error:
            raise FallowError(
                f"The folder {self._data_dir} cannot be used", f"{error.strerror}."
            ) from None
        argv = [sys.executable, "-m", "fallow.tray", "--data-dir", str(self._data_dir), "agent"]
        self.pid = spawn_detached(argv, self._log)

    def last_words(self) -> tuple[str, ...]:
        """Why it could not go on, in lines for a person; nothing when it did not say."""
        if self.pid is None:
            return ()
        try:
            with self._log.open("rb") as log:
                log.seek(self._log_begins)
                words = log.read()[-_MOST_WORDS:].decode(errors="replace")
        except OSError:
            return ()
        _, found, last = words.rpartition(_ERROR)
        return tuple(last.strip().splitlines()[:3]) if found else ()

    def leave(self) -> None:
        """The session closes: it gives its jobs back, saved where they can be, and ends by itself.

        Programs that a session leaves behind are ended by many systems, jobs and all.
        """
        if self.pid is None:
            return
        with contextlib.suppress(FallowError), LocalClient(self._data_dir) as client:
            if client.status(STOP_PATIENCE).pid == self.pid:
                client.ask(Leave(), STOP_PATIENCE)

    def end(self) -> None:
        """Ends it after it has stopped the jobs of a desk that it cannot see any more."""
        # What it leaves running goes on without it, and nobody would pause that any more.
        deadline = time.monotonic() + STOP_PATIENCE
        try:
            with LocalClient(self._data_dir) as client:
                while time.monotonic() < deadline:
                    status = client.status(STOP_PATIENCE)
                    if status.pid != self.pid:
                        return
                    if status.state == "paused":
                        break
                    time.sleep(0.05)
        except FallowError:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(status.pid, signal.SIGTERM)
