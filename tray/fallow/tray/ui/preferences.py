"""Preferences: the rules of this computer in words, and what this person's icon does.

It writes no rule: the agent does, and says what cannot be (`form` has the words, `fields` the
widgets). What is the icon's own (`habits`, `autostart`) is kept here and now.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
from PySide6 import QtCore, QtGui, QtWidgets

from fallow.shared.errors import FallowError
from fallow.tray import autostart, habits, local
from fallow.tray.form import GROUPS, Field, changes, field_of, in_labels
from fallow.tray.habits import Habits
from fallow.tray.ui.asking import Asking
from fallow.tray.ui.fields import FieldRow
from fallow.tray.ui.pictures import picture

SAVED = "Saved."
THEIRS = "The rules of this computer are its administrators' to change."


class Preferences(QtWidgets.QWidget):
    """One window; `kept` carries the Habits after they were changed."""

    kept = QtCore.Signal(object)

    def __init__(self, data_dir: Path, start: list[str], kept: Habits) -> None:
        super().__init__()
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Fallow: Preferences")
        self.setWindowIcon(picture("idle"))
        self._start = start
        self._habits = kept
        self._before: dict[str, dict[str, Any]] | None = None
        self._rows: dict[str, FieldRow] = {}
        self._tabs = QtWidgets.QTabWidget()
        for group in GROUPS:
            self._tabs.addTab(self._page(group.fields), group.title)
        self._notify = QtWidgets.QCheckBox("Show &notifications")
        self._autostart = QtWidgets.QCheckBox("Start with my &session")
        self._tabs.addTab(self._own_page(), "This &desktop")
        self._words = QtWidgets.QLabel()
        self._words.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self._words.setWordWrap(True)
        self._file = QtWidgets.QLabel()
        self._file.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self._file.setWordWrap(True)
        self._file.setTextInteractionFlags(
            QtCore.Qt.TextInteractionFlag.TextSelectableByMouse
            | QtCore.Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        standard = QtWidgets.QDialogButtonBox.StandardButton
        self._buttons = QtWidgets.QDialogButtonBox(standard.Save | standard.Close)
        self._save = self._buttons.button(standard.Save)
        self._save.setEnabled(False)
        self._save.setText("Sa&ve")
        self._save.setDefault(True)
        self._buttons.accepted.connect(self.save)
        self._buttons.rejected.connect(self.close)
        whole = QtWidgets.QVBoxLayout(self)
        for each in (self._tabs, self._file, self._words, self._buttons):
            whole.addWidget(each)
        self._asking = Asking(data_dir, self)
        self._asking.answered.connect(self._take)
        self._asking.refused.connect(self._refused)
        self._say("Asking the part of Fallow that runs jobs …")
        self._asking.ask(local.AskConfig())
        self.resize(600, 620)

    # -- what is asked

    def save(self) -> None:
        """Keeps what is the icon's own, and sends the agent what has changed."""
        for row in self._rows.values():
            row.complain("")
        try:
            self._keep_own()
        except FallowError as error:
            self._refused(error)
            return
        wanted = {} if self._before is None else changes(self._before, self._now())
        if not wanted:
            self._say(SAVED)
            return
        self._save.setEnabled(False)
        self._asking.ask(local.Configure(wanted))

    def _keep_own(self) -> None:
        on = self._autostart.isChecked()
        if on != autostart.enabled(os.environ):
            autostart.switch(on, self._start, os.environ)
        wanted = msgspec.structs.replace(self._habits, notify=self._notify.isChecked())
        if wanted != self._habits:
            habits.save(habits.place(), wanted)
            self._habits = wanted
            self.kept.emit(wanted)

    # -- what comes

    def _take(self, reply: local.LocalReply) -> None:
        match reply:
            case local.ConfigIs(values=values, path=path, writable=writable):
                self._show(values, path, writable)
            case local.Done(text=text):
                self._before = self._now()
                self._save.setEnabled(True)
                self._say(text or SAVED)

    def _show(self, values: dict[str, dict[str, Any]], path: str, writable: bool) -> None:
        for row in self._rows.values():
            row.show_value(values.get(row.field.section, {}).get(row.field.key))
            row.widget.setEnabled(writable)
        # As it is shown, so that nothing counts as changed that only reads differently.
        self._before = self._now()
        self._file.setText(f"The rules of this computer are kept in {path}")
        self._say("" if writable else THEIRS)
        self._save.setEnabled(True)

    def _refused(self, error: FallowError) -> None:
        self._save.setEnabled(True)
        about = error.title.partition(": ")[2] or error.title
        field = field_of(about)
        hint = error.hint if field is None else in_labels(error.hint, field.section)
        sentence = " ".join(part for part in (error.detail, _capital(hint)) if part)
        if field is None:
            self._say(" ".join(part for part in (f"{error.title}.", sentence) if part))
            return
        row = self._rows[field.name]
        row.complain(sentence or f"{error.title}.")
        page: QtWidgets.QWidget | None = row.widget
        while page is not None and self._tabs.indexOf(page) < 0:
            page = page.parentWidget()
        if page is not None:
            self._tabs.setCurrentWidget(page)
        row.widget.setFocus()
        self._say("Nothing was changed yet.")

    # -- parts

    def _now(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row in self._rows.values():
            found.setdefault(row.field.section, {})[row.field.key] = row.value()
        return found

    def _say(self, text: str) -> None:
        self._words.setText(text)
        self._words.setVisible(bool(text))

    def _page(self, fields: tuple[Field, ...]) -> QtWidgets.QWidget:
        inner = QtWidgets.QWidget()
        grid = QtWidgets.QGridLayout(inner)
        grid.setColumnStretch(1, 1)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(3)
        for field in fields:
            row = FieldRow(field, grid)
            row.widget.setEnabled(False)
            self._rows[field.name] = row
        grid.setRowStretch(grid.rowCount(), 1)
        return _scrolled(inner)

    def _own_page(self) -> QtWidgets.QWidget:
        inner = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(inner)
        self._autostart.setChecked(autostart.enabled(os.environ))
        self._notify.setChecked(self._habits.notify)
        for box, words in (
            (self._autostart, "Without the icon Fallow cannot see whether you are here."),
            (
                self._notify,
                "When the first job comes, when work moves away, when something needs you. "
                "The icon shows it in any case.",
            ),
        ):
            column.addWidget(box)
            text = QtWidgets.QLabel(words)
            text.setWordWrap(True)
            column.addWidget(text)
        column.addStretch()
        return _scrolled(inner)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        match event.key():
            case QtCore.Qt.Key.Key_Escape:
                self.close()
            case QtCore.Qt.Key.Key_Return | QtCore.Qt.Key.Key_Enter if self._save.isEnabled():
                self.save()
            case _:
                super().keyPressEvent(event)


def _scrolled(inner: QtWidgets.QWidget) -> QtWidgets.QWidget:
    area = QtWidgets.QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
    area.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
    area.setWidget(inner)
    return area


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
