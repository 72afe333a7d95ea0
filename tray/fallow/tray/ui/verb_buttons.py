"""A group of menu lines as buttons, usable by keyboard alone.

Not which lines (`view`), nor what a click leads to: it emits the line's Intent. Its opposite is
`shown_menu`, the same lines in a menu.
"""

from PySide6 import QtCore, QtWidgets

from fallow.tray.ui.shown_menu import for_qt, may_choose
from fallow.tray.view import Item


class VerbButtons(QtWidgets.QWidget):
    """Buttons in so many columns; `chosen` carries the Intent of a click.

    `buttons` are those of now; whoever lays several groups out puts them into an order for Tab.
    """

    chosen = QtCore.Signal(object)

    def __init__(self, columns: int) -> None:
        super().__init__()
        self._columns = columns
        self._items: tuple[Item, ...] = ()
        self.buttons: list[QtWidgets.QPushButton] = []
        self._grid = QtWidgets.QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)

    def show_items(self, items: tuple[Item, ...]) -> None:
        """Offers these from now on; where they are the same lines, the same buttons."""
        if items == self._items:
            return
        if [_kind(item) for item in items] != [_kind(item) for item in self._items]:
            self._build(items)
        self._items = items
        for item, button in zip(items, self.buttons, strict=True):
            words = item.barred or item.hint
            button.setEnabled(may_choose(item))
            button.setToolTip(words)
            button.setAccessibleDescription(words)

    def _build(self, items: tuple[Item, ...]) -> None:
        for button in self.buttons:
            self._grid.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = [self._button(item) for item in items]
        for number, button in enumerate(self.buttons):
            self._grid.addWidget(button, number // self._columns, number % self._columns)

    def _button(self, item: Item) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(for_qt(item.text, item.key))
        button.setAccessibleName(item.text)
        # Return presses the focused button, as Space does.
        button.setAutoDefault(True)
        if not item.children:
            button.clicked.connect(lambda _=False, i=item: self.chosen.emit(i.intent))
            return button
        menu = QtWidgets.QMenu(button)
        for child in item.children:
            action = menu.addAction(for_qt(child.text, child.key))
            action.triggered.connect(lambda _=False, c=child: self.chosen.emit(c.intent))
        button.setMenu(menu)
        return button


def _kind(item: Item) -> tuple[object, ...]:
    """What must stay the same for a button to stay."""
    return (item.text, item.key, item.intent, item.children)
