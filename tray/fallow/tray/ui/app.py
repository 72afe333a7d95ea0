"""How the icon starts: one per session, only where Qt can, with an agent where none runs.

Not the icon (`tray`, imported only once all is well, because Qt is large and may abort).
"""

import os
import sys
from pathlib import Path

from fallow.shared.errors import FallowError, Unreachable
from fallow.tray.local import LocalClient
from fallow.tray.ui import probe
from fallow.tray.ui.one_per_session import Session


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

        return run(data_dir, session, lambda: start_agent(data_dir))
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
