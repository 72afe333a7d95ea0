"""How icons and menu are drawn, without a screen: Qt's own offscreen platform.

The window is in test_window.py, the real tray on a virtual screen in test_tray_menu.py.
"""

from collections.abc import Iterator
from importlib.resources import files
from itertools import combinations

import pytest
from PySide6 import QtCore, QtGui, QtSvg, QtWidgets
from pytestqt.qtbot import QtBot

from desktop.shown_tray import NAMES
from fallow.tray.status import AgentStatus
from fallow.tray.ui.pictures import SIZES, drawn, picture
from fallow.tray.ui.shown_menu import ShownMenu, for_panel, for_qt
from fallow.tray.view import About, IconName, Item, Menu, PauseFor, Quit, Separator, menu

LIGHT, DARK = "#eff0f1", "#2a2e32"


def greys(name: IconName, size: int, ground: str) -> list[int]:
    """The icon on a panel of this colour, as someone sees it who sees no colours: 0 to 255."""
    image = QtGui.QImage(size, size, QtGui.QImage.Format.Format_RGB32)
    image.fill(QtGui.QColor(ground))
    painter = QtGui.QPainter(image)
    painter.drawImage(0, 0, drawn(name, size))
    painter.end()
    points = ((x, y) for y in range(size) for x in range(size))
    return [QtGui.qGray(image.pixel(x, y)) for x, y in points]


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize(("one", "other"), list(combinations(NAMES, 2)))
def test_icons_differ_by_shape(one: IconName, other: IconName, ground: str) -> None:
    """At the smallest size and without colour, an eighth of the pixels at least."""
    pairs = zip(greys(one, 16, ground), greys(other, 16, ground), strict=True)
    assert sum(abs(a - b) > 40 for a, b in pairs) >= 32


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize("name", NAMES)
def test_icons_stand_out_from_the_panel(name: IconName, ground: str) -> None:
    panel = QtGui.qGray(QtGui.QColor(ground).rgb())
    assert sum(abs(grey - panel) > 60 for grey in greys(name, 16, ground)) >= 48


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_each_is_what_its_svg_says(name: IconName, size: int) -> None:
    """After a change of the SVG: docs/make_images.py."""
    svg = files("fallow.tray.ui").joinpath("icons", f"{name}.svg").read_bytes()
    image = QtGui.QImage(size, size, QtGui.QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(image)
    QtSvg.QSvgRenderer(QtCore.QByteArray(svg)).render(painter)
    painter.end()
    found = drawn(name, size)
    pairs = zip(bytes(image.constBits()), bytes(found.constBits()), strict=True)
    # A colour that is stored without its transparency is rounded.
    assert max(abs(one - other) for one, other in pairs) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_each_size_is_drawn_and_not_scaled(qtbot: QtBot, name: IconName) -> None:
    sizes = {size.width() for size in picture(name).availableSizes()}
    assert sizes == set(SIZES)


# -- the menu


def shown(*texts: str) -> Menu:
    lines = [Item(text) for text in texts]
    return Menu("idle", "", "", (*lines, Separator(), Item("Quit", Quit())))


@pytest.fixture
def shown_menu(qtbot: QtBot) -> Iterator[ShownMenu]:
    shown_menu = ShownMenu()
    yield shown_menu
    shown_menu.menu.close()


def labels(shown_menu: ShownMenu) -> list[str]:
    return [action.text() for action in shown_menu.menu.actions()]


def test_lines_never_move_under_the_pointer(shown_menu: ShownMenu, qtbot: QtBot) -> None:
    chosen: list[object] = []
    shown_menu.chosen.connect(chosen.append)
    shown_menu.show(shown("idle"))
    shown_menu.menu.popup(shown_menu.menu.pos())
    shown_menu.show(shown("a run", "another"))
    assert labels(shown_menu) == ["idle", "", "Quit"]
    shown_menu.menu.actions()[2].trigger()
    assert chosen == [Quit()]
    shown_menu.menu.close()
    qtbot.waitUntil(lambda: labels(shown_menu) == ["a run", "another", "", "Quit"])


def test_texts_change_while_the_menu_is_open(shown_menu: ShownMenu) -> None:
    shown_menu.show(shown("43%"))
    shown_menu.menu.popup(shown_menu.menu.pos())
    before = shown_menu.menu.actions()
    shown_menu.show(shown("44%"))
    assert labels(shown_menu) == ["44%", "", "Quit"]
    assert shown_menu.menu.actions() == before


def test_a_line_that_means_something_else_is_another_line(shown_menu: ShownMenu) -> None:
    chosen: list[object] = []
    shown_menu.chosen.connect(chosen.append)
    shown_menu.show(Menu("idle", "", "", (Item("Here", About()),)))
    shown_menu.show(Menu("idle", "", "", (Item("Here", PauseFor(60.0)),)))
    shown_menu.menu.actions()[0].trigger()
    assert chosen == [PauseFor(60.0)]


def test_menus_that_come_and_go_leave_nothing(shown_menu: ShownMenu, qtbot: QtBot) -> None:
    for _ in range(20):
        shown_menu.show(menu(AgentStatus("idle", "online", "away"), str))
        shown_menu.show(menu(None, str))
    qtbot.waitUntil(lambda: not shown_menu.menu.findChildren(QtWidgets.QMenu))


def test_a_desktop_that_turns_dark_leaves_no_line_unreadable(
    shown_menu: ShownMenu, qapp: QtWidgets.QApplication
) -> None:
    before = qapp.palette()
    group, role = QtGui.QPalette.ColorGroup.Disabled, QtGui.QPalette.ColorRole.WindowText

    def contrast() -> int:
        ink = QtGui.qGray(shown_menu.menu.palette().color(group, role).rgb())
        ground = shown_menu.menu.palette().color(QtGui.QPalette.ColorRole.Window)
        return abs(ink - QtGui.qGray(ground.rgb()))

    assert contrast() > 100
    try:
        qapp.setPalette(QtGui.QPalette(QtGui.QColor(DARK)))
        qapp.processEvents()
        ground = shown_menu.menu.palette().color(QtGui.QPalette.ColorRole.Window)
        assert QtGui.qGray(ground.rgb()) < 60
        assert contrast() > 100
    finally:
        qapp.setPalette(before)
        qapp.processEvents()


def test_names_are_shown_letter_by_letter() -> None:
    assert for_qt("R&D_1") == "R&&D_1"
    assert for_panel("a_b") == "a__b"
    # Qt turns the first & into an access key and keeps the others.
    assert for_panel("R&D_1") == "&R&D__1"
