"""The runs of the window, one below the other: rows stay and change in place.

Not what stands in them (`overview`). Its opposite is the menu, in which a run is one line.
"""

from PySide6 import QtCore, QtWidgets

from fallow.tray.overview import RunShown


class RunRow(QtWidgets.QFrame):
    """One run: title, whose it is and what it does, a bar, and what it has used so far."""

    def __init__(self) -> None:
        super().__init__()
        self._title = _label()
        font = self._title.font()
        font.setBold(True)
        self._title.setFont(font)
        self._state = _label()
        self._bar = QtWidgets.QProgressBar()
        self._bar.setRange(0, 1000)
        # Half of a text would stand on the bar and half beside it.
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(10)
        self._facts = _label()
        whole = QtWidgets.QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 6)
        whole.setSpacing(3)
        for each in (self._title, self._state, self._bar, self._facts):
            whole.addWidget(each)

    def show_run(self, run: RunShown) -> None:
        _say(self._title, run.title)
        _say(self._state, run.state)
        _say(self._facts, run.facts)
        self._facts.setVisible(bool(run.facts))
        self._bar.setVisible(run.share is not None)
        if run.share is not None:
            self._bar.setValue(round(run.share * 1000))
            self._bar.setAccessibleName(f"Progress of {run.title}")
            self._bar.setEnabled(not run.paused)
        self.setAccessibleName(run.title)
        self.setAccessibleDescription(f"{run.state}. {run.facts}")


class RunRows(QtWidgets.QWidget):
    """All runs, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("What runs here")
        self._rows = QtWidgets.QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._shown: dict[str, RunRow] = {}

    def show_runs(self, runs: tuple[RunShown, ...]) -> None:
        """Shows these from now on."""
        keys = [run.key for run in runs]
        if keys != list(self._shown):
            self._build(keys)
        for run in runs:
            self._shown[run.key].show_run(run)
        self.setVisible(bool(runs))

    def _build(self, keys: list[str]) -> None:
        before, self._shown = self._shown, {}
        for key in keys:
            self._shown[key] = before.pop(key) if key in before else RunRow()
        for gone in before.values():
            self._rows.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for row in self._shown.values():
            self._rows.removeWidget(row)
            self._rows.addWidget(row)


def _label() -> QtWidgets.QLabel:
    label = QtWidgets.QLabel()
    label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _say(label: QtWidgets.QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
