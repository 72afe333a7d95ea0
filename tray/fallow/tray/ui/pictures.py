"""The icons as Qt wants them: each drawn from its SVG in every size that a panel asks for.

Not when which is shown: `view` says that by name.
"""

from functools import cache
from importlib.resources import files

from PySide6 import QtCore, QtGui, QtSvg

from fallow.tray.view import IconName

SIZES = (16, 22, 24, 32, 48, 64)


@cache
def picture(name: IconName) -> QtGui.QIcon:
    """The icon of this name; needs a QGuiApplication."""
    icon = QtGui.QIcon()
    for size in SIZES:
        icon.addPixmap(QtGui.QPixmap.fromImage(drawn(name, size)))
    return icon


def drawn(name: IconName, size: int) -> QtGui.QImage:
    """The icon of this name as `size` by `size` pixels on a transparent ground."""
    svg = files("fallow.tray.ui").joinpath("icons", f"{name}.svg").read_bytes()
    renderer = QtSvg.QSvgRenderer(QtCore.QByteArray(svg))
    if not renderer.isValid():
        raise ValueError(f"icon {name} cannot be drawn")
    image = QtGui.QImage(size, size, QtGui.QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(image)
    renderer.render(painter)
    painter.end()
    return image
