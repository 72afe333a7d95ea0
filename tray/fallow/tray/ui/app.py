"""How the icon starts: one per session, only where Qt can, with an agent where none runs.

Not the icon (`tray`, imported only once all is well, because Qt is large and may abort).
"""

import os
from pathlib import Path

from fallow.shared.errors import FallowError
from fallow.tray.ui import probe
from fallow.tray.ui.one_per_session import Session
from fallow.tray.ui.own_agent import OwnAgent


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

        return run(data_dir, session, OwnAgent(data_dir))
    finally:
        session.close()
