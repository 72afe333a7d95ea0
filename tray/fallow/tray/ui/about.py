"""What this is, in a box; and what went wrong, in a box.

Neither waits for an answer: the tray goes on meanwhile.
"""

from PySide6 import QtCore, QtGui, QtWidgets

from fallow.shared.errors import FallowError
from fallow.tray.ui.pictures import picture

WHAT = (
    "Fallow runs your group's batch jobs on computers that nobody is using, "
    "and gets out of the way the moment somebody sits down."
)


def about() -> QtWidgets.QMessageBox:
    """Shows name, version, what it is, licence."""
    # Large, and needed only here.
    from importlib.metadata import PackageNotFoundError, version

    try:
        release = version("fallow")
    except PackageNotFoundError:
        release = "(not installed)"
    box = _box("About Fallow", f"Fallow {release}", f"{WHAT}\n\nLicence: Apache-2.0")
    box.setIconPixmap(picture("idle").pixmap(64, 64))
    box.show()
    return box


def complain(error: FallowError) -> QtWidgets.QMessageBox:
    """Shows what could not be done, and what to do now."""
    hint = error.hint[:1].upper() + error.hint[1:]
    box = _box("Fallow", error.title, "\n\n".join(part for part in (error.detail, hint) if part))
    box.setIcon(QtWidgets.QMessageBox.Icon.Warning)
    box.show()
    return box


def _box(title: str, text: str, details: str) -> QtWidgets.QMessageBox:
    box = QtWidgets.QMessageBox()
    box.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle(title)
    box.setWindowIcon(QtGui.QIcon(picture("idle")))
    box.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    box.setText(text)
    box.setInformativeText(details)
    box.setModal(False)
    return box
