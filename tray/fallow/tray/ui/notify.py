"""Shows a notification: through the desktop's service, else as a balloon at the icon.

Not what is worth one (`notices`). The service is asked in a thread of its own, as it may have to
start first; a panel without one still has the icon.
"""

import contextlib
import threading
from importlib.resources import files
from typing import Any

from PySide6 import QtCore, QtWidgets

from fallow.tray.notices import Notice
from fallow.tray.sensors.bus import Bus, Unanswered
from fallow.tray.ui.icon import TrayIcon

SERVICE, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
PATIENCE = 10.0
# By the specification: 1 is a usual one, 2 stays until somebody has seen it.
_USUAL, _CRITICAL = 1, 2


class Notifier(QtCore.QObject):
    """Shows notices, one of each kind at a time, unless `muted`."""

    _unshown = QtCore.Signal(object)

    def __init__(self, icon: TrayIcon, muted: bool, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._icon = icon
        self.muted = muted
        self._numbers: dict[str, int] = {}
        self._one_at_a_time = threading.Lock()
        self._unshown.connect(self._balloon)

    def show(self, notice: Notice) -> None:
        """Shows this soon; nothing when its person wants no notifications."""
        if self.muted:
            return
        threading.Thread(target=self._send, args=(notice,), name="notify", daemon=True).start()

    def _send(self, notice: Notice) -> None:
        with self._one_at_a_time:
            bus = Bus("session")
            try:
                bus.turn(PATIENCE)
                (number,) = bus.ask(
                    *(SERVICE, PATH, f"{SERVICE}.Notify", "susssasa{sv}i"),
                    *self._words(notice),
                    start=True,
                )
                self._numbers[notice.kind] = number
            except (OSError, Unanswered, ValueError):
                with contextlib.suppress(RuntimeError):
                    self._unshown.emit(notice)
            finally:
                bus.hang_up()

    def _words(self, notice: Notice) -> tuple[Any, ...]:
        picture = files("fallow.tray.ui").joinpath("icons", f"{notice.icon}.svg")
        hints = {
            "urgency": ("y", _CRITICAL if notice.urgent else _USUAL),
            "desktop-entry": ("s", "fallow-tray"),
        }
        # The text may be read as markup there.
        text = notice.text.replace("&", "&amp;").replace("<", "&lt;")
        before = self._numbers.get(notice.kind, 0)
        return ("Fallow", before, str(picture), notice.title, text, [], hints, -1)

    def _balloon(self, notice: Notice) -> None:
        kinds = QtWidgets.QSystemTrayIcon.MessageIcon
        kind = kinds.Warning if notice.urgent else kinds.Information
        self._icon.balloon(notice.title, notice.text, kind)
