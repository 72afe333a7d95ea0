"""Whose look Qt takes on: Qt's own on desktops of GTK's, whose libraries weigh as much as the tray.

Not what is drawn (`window`, `shown_menu`). There Qt would load GTK for the colours of windows that
are seldom open: 20 MB, and 70 with the first message. Light or dark is the desktop's all the same.
"""

from collections.abc import Mapping

from PySide6 import QtGui, QtWidgets

# On these Qt loads GTK where it is installed.
GTK_DESKTOPS = {"GNOME", "X-CINNAMON", "PANTHEON", "UNITY", "MATE", "XFCE", "LXDE"}


def options(environment: Mapping[str, str]) -> list[str]:
    """What to tell Qt when it starts; nothing to whoever chose a theme (QT_QPA_PLATFORMTHEME)."""
    desktops = environment.get("XDG_CURRENT_DESKTOP", "").upper().split(":")
    if environment.get("QT_QPA_PLATFORMTHEME") or GTK_DESKTOPS.isdisjoint(desktops):
        return []
    return ["-platformtheme", "gnome"]


def application(environment: Mapping[str, str], name: str) -> QtWidgets.QApplication:
    """The one application of this process, which is dark while its desktop is."""
    chosen = options(environment)
    app = QtWidgets.QApplication([name, *chosen])
    if chosen:
        # That theme hears of the desktop's dark hours and changes no colour.
        QtGui.QGuiApplication.styleHints().colorSchemeChanged.connect(
            lambda: app.setPalette(app.style().standardPalette())
        )
    return app
