"""The icon in the desktop's tray, made anew whenever a tray appears.

Not the menu that it opens (`shown_menu`), nor what is done without a tray (`window`).
"""

from PySide6 import QtCore, QtWidgets

from fallow.tray.ui.pictures import picture
from fallow.tray.view import Menu

LOOK_EVERY_MS = 1000
# Each look is a question on the message bus; that a panel is gone is known soon enough.
LOOK_AGAIN_MS = 6000
# A panel starts with the session, in any order.
PATIENCE_MS = 5000


class TrayIcon(QtCore.QObject):
    """One icon for one QMenu; `activated` is a left click, `trayless` says that no tray came."""

    activated = QtCore.Signal()
    trayless = QtCore.Signal()
    appeared = QtCore.Signal()
    # Whether the panel draws the menu, as a StatusNotifier tray does, and not Qt.
    drawn_by_panel = QtCore.Signal(bool)

    def __init__(self, menu: QtWidgets.QMenu, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._menu = menu
        self._icon: QtWidgets.QSystemTrayIcon | None = None
        self._shown: Menu | None = None
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(LOOK_EVERY_MS)
        self._timer.timeout.connect(self._look)
        self._patience = QtCore.QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self.trayless)

    @property
    def visible(self) -> bool:
        """Whether there is a tray that shows it."""
        return self._icon is not None

    def start(self) -> None:
        self._timer.start()
        self._patience.start()
        self._look()

    def show(self, menu: Menu) -> None:
        """Shows this state from now on, in this tray and in any that comes."""
        self._shown = menu
        if self._icon is not None:
            self._icon.setIcon(picture(menu.icon))
            self._icon.setToolTip(menu.tooltip)

    def balloon(self, title: str, text: str, kind: QtWidgets.QSystemTrayIcon.MessageIcon) -> None:
        """Says this beside the icon, where the icon has a place on the screen."""
        # A StatusNotifier icon has none: there Qt would put the text into the tooltip.
        if self._icon is not None and not self._icon.geometry().isNull():
            self._icon.showMessage(title, text, kind)

    def _look(self) -> None:
        """An icon made before its tray never shows in it: each tray gets an icon of its own."""
        available = QtWidgets.QSystemTrayIcon.isSystemTrayAvailable()
        if available and self._icon is None:
            self._make()
            self._timer.setInterval(LOOK_AGAIN_MS)
        elif not available and self._icon is not None:
            self._drop()
            self._timer.setInterval(LOOK_EVERY_MS)
            self._patience.start()

    def _make(self) -> None:
        self._patience.stop()
        self._icon = QtWidgets.QSystemTrayIcon(self)
        self._icon.setContextMenu(self._menu)
        self._icon.activated.connect(self._clicked)
        if self._shown is not None:
            self.show(self._shown)
        self._icon.show()
        # Only an XEmbed icon is a window of ours, with a place on the screen.
        self.drawn_by_panel.emit(self._icon.geometry().isNull())
        self.appeared.emit()

    def _drop(self) -> None:
        if self._icon is not None:
            self._icon.hide()
            self._icon.deleteLater()
            self._icon = None

    def _clicked(self, reason: QtWidgets.QSystemTrayIcon.ActivationReason) -> None:
        if reason == QtWidgets.QSystemTrayIcon.ActivationReason.Trigger:
            self.activated.emit()
