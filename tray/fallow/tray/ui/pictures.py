"""The icons as Qt wants them, in every size that a panel asks for.

Not when which is shown: `view` says that by name. Each is drawn once from its SVG into a strip of
all sizes (`docs/make_images.py`): the library that draws SVG would take 2 MB of every tray.
"""

from functools import cache
from importlib.resources import files

from PySide6 import QtCore, QtGui

from fallow.tray.view import IconName

SIZES = (16, 22, 24, 32, 48, 64)
"""From left to right in a strip, at its upper edge."""


@cache
def picture(name: IconName) -> QtGui.QIcon:
    """The icon of this name; needs a QGuiApplication."""
    icon = QtGui.QIcon()
    for size in SIZES:
        icon.addPixmap(QtGui.QPixmap.fromImage(drawn(name, size)))
    return icon


def drawn(name: IconName, size: int) -> QtGui.QImage:
    """The icon of this name as one of SIZES pixels square, on a transparent ground."""
    content = files("fallow.tray.ui").joinpath("icons", f"{name}.png").read_bytes()
    # Not told the format, Qt would load what reads all the others: 1 MB.
    strip = QtGui.QImage()
    if not strip.loadFromData(content, "PNG"):
        raise ValueError(f"icon {name} cannot be drawn")
    left = sum(SIZES[: SIZES.index(size)])
    cut = strip.copy(QtCore.QRect(left, 0, size, size))
    return cut.convertToFormat(QtGui.QImage.Format.Format_ARGB32_Premultiplied)
