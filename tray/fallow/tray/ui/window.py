"""The same Menu as a small window: for desktops without a tray, and for a left click.

Not the menu itself (`shown_menu`); lines become texts, and what can be asked becomes buttons.
"""

from PySide6 import QtCore, QtGui, QtWidgets

from fallow.tray.ui.pictures import picture
from fallow.tray.view import Item, Menu


class Window(QtWidgets.QWidget):
    """Shows a Menu; `chosen` carries the Intent of a click."""

    chosen = QtCore.Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.stays = False
        self.setWindowTitle("Fallow")
        self._icon = QtWidgets.QLabel()
        self._headline = QtWidgets.QLabel()
        self._headline.setWordWrap(True)
        font = self._headline.font()
        font.setBold(True)
        self._headline.setFont(font)
        self._texts = QtWidgets.QLabel()
        self._texts.setWordWrap(True)
        self._buttons = QtWidgets.QHBoxLayout()
        self._shown: tuple[Item, ...] = ()
        self._menus: list[QtWidgets.QMenu] = []
        top = QtWidgets.QHBoxLayout()
        top.addWidget(self._icon, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        words = QtWidgets.QVBoxLayout()
        words.addWidget(self._headline)
        words.addWidget(self._texts)
        words.addStretch()
        top.addLayout(words, 1)
        whole = QtWidgets.QVBoxLayout(self)
        whole.addLayout(top, 1)
        whole.addLayout(self._buttons)
        self.setMinimumWidth(420)

    def show_menu(self, menu: Menu) -> None:
        """Shows this from now on."""
        texts = [item.text for item in _lines(menu) if not _asks(item)]
        icon = picture(menu.icon)
        self.setWindowIcon(icon)
        self.setWindowTitle(f"Fallow: {menu.alt}")
        self._icon.setPixmap(icon.pixmap(48, 48))
        self._icon.setAccessibleName(menu.alt)
        self._headline.setText(texts[0][:1].upper() + texts[0][1:] if texts else "")
        self._texts.setText("\n".join(texts[1:]))
        self._texts.setVisible(len(texts) > 1)
        buttons = tuple(item for item in _lines(menu) if _asks(item))
        if buttons != self._shown:
            self._build(buttons)
            self._shown = buttons

    def bring_up(self) -> None:
        """To the front, from wherever it is."""
        self.showNormal()
        self.raise_()
        self.activateWindow()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Without a tray it is all that people have of Fallow: then it only goes down."""
        if self.stays:
            event.ignore()
            self.showMinimized()
        else:
            event.accept()

    def _build(self, items: tuple[Item, ...]) -> None:
        while (old := self._buttons.takeAt(0)) is not None:
            if (widget := old.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for menu in self._menus:
            menu.deleteLater()
        self._menus.clear()
        for item in items:
            button = QtWidgets.QPushButton(item.text.replace("&", "&&"))
            button.setToolTip(item.hint)
            button.setAutoDefault(False)
            if item.children:
                menu = QtWidgets.QMenu(self)
                for child in item.children:
                    action = menu.addAction(child.text.replace("&", "&&"))
                    action.triggered.connect(lambda _=False, c=child: self.chosen.emit(c.intent))
                button.setMenu(menu)
                self._menus.append(menu)
            else:
                button.clicked.connect(lambda _=False, i=item: self.chosen.emit(i.intent))
            self._buttons.addWidget(button)


def _lines(menu: Menu) -> list[Item]:
    return [item for item in menu.items if isinstance(item, Item)]


def _asks(item: Item) -> bool:
    return item.intent is not None or bool(item.children)
