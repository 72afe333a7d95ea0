"""A Menu value as a QMenu: texts change in place, other changes wait until nobody looks.

Not what is in it (`view`). The opposite is `window`, which shows the same Menu without a tray.
"""

from collections.abc import Callable, Sequence

from PySide6 import QtCore, QtGui, QtWidgets

from fallow.tray.view import Intent, Item, Menu, Separator


class ShownMenu(QtCore.QObject):
    """Keeps one QMenu for the life of the icon; `chosen` carries the Intent of a click."""

    chosen = QtCore.Signal(object)

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self.menu = QtWidgets.QMenu()
        self.menu.setToolTipsVisible(True)
        self._colour()
        self.menu.installEventFilter(self)
        self.menu.aboutToShow.connect(self._refresh)
        self.menu.aboutToHide.connect(self._hidden)
        self._wanted: tuple[Item | Separator, ...] = ()
        self._level = Level(self.menu, self.chosen)

    def draw_for(self, exported: bool) -> None:
        """Says who draws the menu: a panel to which Qt exports it over D-Bus, or Qt itself."""
        self._level.clear()
        self._level = Level(self.menu, self.chosen, for_panel if exported else for_qt)
        self._refresh()

    def show(self, menu: Menu) -> None:
        """Shows this from now on; an open menu keeps its lines and only changes their texts."""
        self._wanted = menu.items
        # A line that moves under the pointer would be clicked by mistake.
        if not self.menu.isVisible() or self._level.fits(menu.items):
            self._refresh()

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        # A desktop that turns dark in the evening tells every widget.
        if event.type() == QtCore.QEvent.Type.ApplicationPaletteChange:
            self._colour()
        return super().eventFilter(watched, event)

    def _colour(self) -> None:
        self.menu.setPalette(readable(QtWidgets.QApplication.palette(self.menu)))

    def _hidden(self) -> None:
        # Qt still has to deliver the click that closed the menu.
        QtCore.QTimer.singleShot(0, self._refresh)

    def _refresh(self) -> None:
        self._level.show(self._wanted)


class Level:
    """The lines of one QMenu, each with its intent or its submenu."""

    def __init__(
        self,
        menu: QtWidgets.QMenu,
        chosen: QtCore.SignalInstance,
        escape: Callable[[str, str], str] | None = None,
    ) -> None:
        self._menu = menu
        self._chosen = chosen
        self._escape = escape or for_qt
        self._items: tuple[Item | Separator, ...] = ()
        self._actions: list[QtGui.QAction] = []
        self._below: dict[int, Level] = {}

    def fits(self, items: Sequence[Item | Separator]) -> bool:
        """Whether only texts differ from what is shown."""
        return [_kind(item) for item in items] == [_kind(item) for item in self._items]

    def show(self, items: tuple[Item | Separator, ...]) -> None:
        if items == self._items:
            return
        if not self.fits(items):
            self._build(items)
        self._items = items
        for number, (item, action) in enumerate(zip(items, self._actions, strict=True)):
            if isinstance(item, Separator):
                continue
            text = self._escape(item.text, item.key)
            if action.text() != text:
                action.setText(text)
            hint = item.barred or item.hint
            if action.toolTip() != hint:
                action.setToolTip(hint)
            action.setEnabled(may_choose(item))
            if number in self._below:
                self._below[number].show(item.children)

    def clear(self) -> None:
        for below in self._below.values():
            below._menu.deleteLater()
        self._below.clear()
        self._menu.clear()
        self._actions.clear()

    def _build(self, items: tuple[Item | Separator, ...]) -> None:
        self.clear()
        for number, item in enumerate(items):
            if isinstance(item, Separator):
                self._actions.append(self._menu.addSeparator())
                continue
            if item.children:
                submenu = QtWidgets.QMenu(self._menu)
                self._below[number] = Level(submenu, self._chosen, self._escape)
                self._actions.append(self._menu.addMenu(submenu))
                continue
            action = self._menu.addAction("")
            action.triggered.connect(lambda _checked=False, n=number: self._click(n))
            self._actions.append(action)

    def _click(self, number: int) -> None:
        intent = self.intent(number)
        if intent is not None:
            self._chosen.emit(intent)

    def intent(self, number: int) -> Intent | None:
        """What the line of this number asks for."""
        item = self._items[number] if number < len(self._items) else None
        return item.intent if isinstance(item, Item) else None


def readable(palette: QtGui.QPalette) -> QtGui.QPalette:
    """Lines that only tell something cannot be clicked; they are to be read all the same."""
    role, group = QtGui.QPalette.ColorRole, QtGui.QPalette.ColorGroup
    ink = palette.color(group.Active, role.WindowText)
    ink.setAlphaF(0.65)
    for each in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(group.Disabled, each, ink)
    return palette


def may_choose(item: Item) -> bool:
    """Whether it asks for something that can be done now."""
    return not item.barred and (item.intent is not None or bool(item.children))


def for_qt(text: str, key: str = "") -> str:
    """The text as Qt draws it itself: `&` marks an access key."""
    before, found, after = text.partition(key) if key else (text, "", "")
    mark = "&" if found else ""
    return f"{before.replace('&', '&&')}{mark}{found}{after.replace('&', '&&')}"


def for_panel(text: str, key: str = "") -> str:
    """The text as a panel draws it: `_` marks an access key there, and Qt does not escape it.

    Panels find a line by its first letter; no key is marked. Of several `&` Qt makes the first a
    mark and leaves the others alone.
    """
    text = text.replace("_", "__")
    return f"&{text}" if "&" in text else text


def _kind(item: Item | Separator) -> str:
    """What must stay the same for a line to change only its text."""
    if isinstance(item, Separator):
        return "-"
    if item.children:
        return f"> {' '.join(_kind(child) for child in item.children)}"
    return "." if item.intent is None else type(item.intent).__name__
