"""A small Qt program with an icon and a menu, for the tests of the test desktop itself.

It is not Fallow's tray. Every menu line prints its label; `Pause` has a submenu, `Grey` is grey.
"""

import signal
import sys

from PySide6 import QtCore, QtGui, QtWidgets


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    app = QtWidgets.QApplication(sys.argv)
    app.setQuitOnLastWindowClosed(False)
    signal.signal(signal.SIGTERM, lambda *_: app.quit())
    ticks = QtCore.QTimer()
    ticks.start(100)  # Qt's loop lets Python see the signal only when Python code runs.
    ticks.timeout.connect(lambda: None)
    picture = QtGui.QPixmap(48, 48)
    picture.fill(QtGui.QColor("#c62828"))
    menu = QtWidgets.QMenu()
    pause = menu.addMenu("&Pause")
    for label in ("30 minutes", "1 hour"):
        pause.addAction(label).triggered.connect(lambda _=False, label=label: say(label))
    grey = menu.addAction("Grey")
    grey.setEnabled(False)
    menu.addSeparator()
    ticked = menu.addAction("Ticked")
    ticked.setCheckable(True)
    ticked.setChecked(True)
    menu.addAction("Quit").triggered.connect(app.quit)
    icon = QtWidgets.QSystemTrayIcon(QtGui.QIcon(picture))
    icon.setToolTip("a sample")
    icon.setContextMenu(menu)
    icon.activated.connect(lambda reason: say(f"activated {reason.name}"))
    icon.show()
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
