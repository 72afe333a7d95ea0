"""One field of the Preferences: its words, the widget of its kind, and what is wrong with it.

Not what may stand in it: the agent says that. Its opposite is `form`, which knows no widget.
"""

from typing import Any

from PySide6 import QtCore, QtWidgets

from fallow.tray.form import Field, text_of, value_of


class FieldRow:
    """Label, widget and sentence of one field; `problem` stands below it until it is set again."""

    def __init__(self, field: Field, grid: QtWidgets.QGridLayout) -> None:
        self.field = field
        self.widget = _widget(field)
        self.widget.setAccessibleName(field.label)
        self.widget.setAccessibleDescription(field.about)
        self.widget.setToolTip(field.about)
        self._still = _Still(self.widget)
        self.problem = _sentence("")
        self.problem.setVisible(False)
        font = self.problem.font()
        font.setBold(True)
        self.problem.setFont(font)
        row = grid.rowCount()
        if not isinstance(self.widget, QtWidgets.QCheckBox):
            label = QtWidgets.QLabel(field.label)
            label.setBuddy(self.widget)
            grid.addWidget(label, row, 0)
        about = _sentence(field.about)
        about.setContentsMargins(0, 0, 0, 8)
        for below, each in enumerate((self.widget, self.problem, about)):
            grid.addWidget(each, row + below, 1)

    def show_value(self, value: Any) -> None:
        """Shows this value of the file."""
        match self.widget:
            case QtWidgets.QCheckBox() as box:
                box.setChecked(bool(value))
            case QtWidgets.QSpinBox() as spin:
                spin.setValue(round(value * 100) if self.field.kind == "percent" else int(value))
            case QtWidgets.QComboBox() as combo if self.field.kind == "choice":
                combo.setCurrentText(text_of(self.field, value))
            case QtWidgets.QComboBox() as combo:
                combo.setEditText(text_of(self.field, value))
            case QtWidgets.QLineEdit() as line:
                line.setText(text_of(self.field, value))

    def value(self) -> Any:
        """What is there now, as the file would say it."""
        match self.widget:
            case QtWidgets.QCheckBox() as box:
                return box.isChecked()
            case QtWidgets.QSpinBox() as spin:
                return spin.value() / 100 if self.field.kind == "percent" else spin.value()
            case QtWidgets.QComboBox() as combo:
                return value_of(self.field, combo.currentText())
            case QtWidgets.QLineEdit() as line:
                return value_of(self.field, line.text())
        raise TypeError(type(self.widget).__name__)

    def complain(self, sentence: str) -> None:
        """Says below it what is wrong; nothing when it is empty."""
        self.problem.setText(f"⚠ {sentence}" if sentence else "")
        self.problem.setVisible(bool(sentence))
        self.widget.setAccessibleDescription(sentence or self.field.about)


class _Still(QtCore.QObject):
    """Keeps a turn of the wheel, by which somebody scrolls the page, from changing what is set."""

    def __init__(self, widget: QtWidgets.QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        widget.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.Type.Wheel and not self._widget.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)


def _widget(field: Field) -> QtWidgets.QWidget:
    if field.kind == "switch":
        return QtWidgets.QCheckBox(field.label)
    if field.kind == "percent":
        spin = QtWidgets.QSpinBox()
        spin.setRange(field.least, field.most)
        spin.setSuffix(" %")
        return spin
    if field.kind == "list":
        return QtWidgets.QLineEdit()
    combo = QtWidgets.QComboBox()
    combo.setEditable(field.kind != "choice")
    combo.addItems([*(word for _, word in field.words), *field.offers])
    combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
    return combo


def _sentence(text: str) -> QtWidgets.QLabel:
    label = QtWidgets.QLabel(text)
    label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    font = label.font()
    font.setPointSizeF(font.pointSizeF() * 0.9)
    label.setFont(font)
    return label
