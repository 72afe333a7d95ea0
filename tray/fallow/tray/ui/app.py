"""How the icon starts: one per session, only where Qt can, with an agent where none runs.

Not the icon (`tray`, imported only once all is well, because Qt is large and may abort).
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from fallow.shared.errors import FallowError, Unreachable
from fallow.tray.local import LocalClient
from fallow.tray.ui import probe
from fallow.tray.ui.one_per_session import Session

# An agent pauses at once; one whose desk nobody uses, by its configuration, never does.
STOP_PATIENCE = 2.0


def main(data_dir: Path) -> int:
    """Shows the icon until it ends; 0, also when the session's icon was only raised.

    Raises FallowError where there is no screen or Qt cannot start.
    """
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise FallowError(
            "There is no screen here to show an icon on",
            "This terminal belongs to no graphical session (DISPLAY is not set).",
            "lend this computer without an icon: tray agent",
        )
    session = Session.of_this_desktop(os.environ)
    try:
        if not session.held:
            session.raise_other()
            return 0
        probe.check()
        from fallow.tray.ui.tray import run

        return run(
            data_dir,
            session,
            lambda: start_agent(data_dir),
            lambda pid: stop_agent(data_dir, pid),
        )
    finally:
        session.close()


def start_agent(data_dir: Path) -> int | None:
    """Starts an agent for this data folder; its process number, None when one runs already."""
    try:
        LocalClient(data_dir).close()
    except Unreachable:
        # Large, and most often not needed.
        from fallow.shared.work.processes import spawn_detached

        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        argv = [sys.executable, "-m", "fallow.tray", "--data-dir", str(data_dir), "agent"]
        return spawn_detached(argv, data_dir / "agent.log")
    return None


def stop_agent(data_dir: Path, pid: int) -> None:
    """Ends the agent with this number, after it has stopped the jobs of a desk it cannot see."""
    # What it leaves running goes on without it, and nobody would pause that any more.
    deadline = time.monotonic() + STOP_PATIENCE
    try:
        with LocalClient(data_dir) as client:
            while time.monotonic() < deadline:
                status = client.status(STOP_PATIENCE)
                if status.pid != pid:
                    return
                if status.state == "paused":
                    break
                time.sleep(0.05)
    except FallowError:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
