"""How the icon starts: one per session, only where Qt can, with an agent where none runs.

Not the icon (`tray`, imported only once all is well, because Qt is large and may abort).
"""

import builtins
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
        import_qt()
        from fallow.tray.ui.tray import run

        return run(data_dir, session, OwnAgent(data_dir))
    finally:
        session.close()


def import_qt() -> None:
    """Imports Qt and leaves Python's own way of importing in its place.

    PySide6 would read the source of all that is imported after it, for a switch (`__feature__`)
    that nobody uses here, and Python would keep what was read: 4 MB.
    """
    pythons_own = builtins.__import__
    from PySide6 import QtWidgets  # noqa: F401

    builtins.__import__ = pythons_own
