"""Preferences without a screen: what is shown, what is sent, what is refused and where.

The agent's end of the socket is the real one, and so are its words about wrong values. The whole
way into a file is in test_desk_wishes.py.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from pytestqt.qtbot import QtBot

from desktop.agent_end import AgentEnd
from fallow.tray import autostart, habits, local
from fallow.tray.habits import Habits
from fallow.tray.ui.preferences import SAVED, THEIRS, Preferences

PATIENCE = 30_000
Key = QtCore.Qt.Key


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentEnd]:
    with AgentEnd(tmp_path) as agent:
        yield agent


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "computer"))


def shown(qtbot: QtBot, data_dir: Path) -> Preferences:
    """The window, once it has its values."""
    window = Preferences(data_dir, ["tray", "--data-dir", str(data_dir)], Habits())
    window.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: button(window, "Save").isEnabled(), timeout=PATIENCE)
    return window


def button(window: Preferences, text: str) -> QtWidgets.QPushButton:
    found = window.findChildren(QtWidgets.QPushButton)
    return next(each for each in found if each.text().replace("&", "") == text)


def combo(window: Preferences, label: str) -> QtWidgets.QComboBox:
    found = window.findChildren(QtWidgets.QComboBox)
    return next(each for each in found if each.accessibleName() == label)


def line(window: Preferences, label: str) -> QtWidgets.QLineEdit:
    found = window.findChildren(QtWidgets.QLineEdit)
    return next(each for each in found if each.accessibleName() == label)


def box(window: Preferences, label: str) -> QtWidgets.QCheckBox:
    found = window.findChildren(QtWidgets.QCheckBox)
    return next(each for each in found if each.text().replace("&", "") == label)


def said(window: Preferences) -> str:
    labels = [each for each in window.findChildren(QtWidgets.QLabel) if each.isVisibleTo(window)]
    return "\n".join(label.text() for label in labels)


def saved(qtbot: QtBot, window: Preferences) -> None:
    button(window, "Save").click()
    qtbot.waitUntil(lambda: SAVED in said(window), timeout=PATIENCE)
    button(window, "Close").click()
    assert not window.isVisible()


def test_it_shows_what_the_file_says_in_words(qtbot: QtBot, agent: AgentEnd) -> None:
    agent.rules = '[presence]\nidle_after = "1h30m"\nhours = ["18:00-08:00", "sat-sun"]\n'
    agent.rules += 'ac_only = false\n[jobs]\nsandbox = "none"\n'
    window = shown(qtbot, agent.data_dir)
    assert combo(window, "The desk is free after").currentText() == "1 hour 30 minutes"
    assert line(window, "Only in these hours").text() == "18:00-08:00, sat-sun"
    assert not box(window, "Not on battery").isChecked()
    assert combo(window, "Keep jobs from my files").currentText().startswith("No")
    assert combo(window, "Memory").currentText() == "80%"
    assert f"kept in {agent.data_dir / 'agent.toml'}" in said(window)


def test_only_what_was_changed_is_sent_and_comments_stay(qtbot: QtBot, agent: AgentEnd) -> None:
    agent.rules = '# mine\n[presence]\nidle_after = "10m" # long\n'
    window = shown(qtbot, agent.data_dir)
    combo(window, "The desk is free after").setEditText("5 minutes")
    combo(window, "Processor cores").setEditText("1")
    box(window, "Somebody sits at this computer").setChecked(False)
    saved(qtbot, window)
    (asked,) = agent.said(local.Configure)
    assert isinstance(asked, local.Configure)
    assert asked.changes == {
        "presence": {"idle_after": "5m", "desk": False},
        "offer": {"cpus": 1},
    }
    assert agent.rules.startswith("# mine\n[presence]\nidle_after = ")
    assert "# long" in agent.rules


def test_nothing_changed_sends_nothing(qtbot: QtBot, agent: AgentEnd) -> None:
    agent.rules = '[presence]\nforeign_cpu = 0.37\nidle_after = "90m"\n'
    window = shown(qtbot, agent.data_dir)
    saved(qtbot, window)
    assert agent.said(local.Configure) == []


def test_what_is_refused_is_shown_at_its_field(qtbot: QtBot, agent: AgentEnd) -> None:
    window = shown(qtbot, agent.data_dir)
    tabs = window.findChildren(QtWidgets.QTabWidget)[0]
    settle = combo(window, "and then wait another")
    settle.setEditText("a moment")
    tabs.setCurrentIndex(2)
    button(window, "Save").click()
    qtbot.waitUntil(lambda: "⚠" in said(window), timeout=PATIENCE)
    assert "It must be a duration" in said(window)
    assert tabs.currentIndex() == 0
    assert window.focusWidget() is settle
    assert "It must be a duration" in settle.accessibleDescription()
    assert window.isVisible()
    assert agent.rules == ""
    # Mended, it goes.
    settle.setEditText("1 minute")
    saved(qtbot, window)
    assert 'settle = "1m"' in agent.rules


@pytest.mark.parametrize(
    ("label", "typed", "sentence"),
    [
        ("The desk is free after", "a while", "It must be a duration"),
        ("Memory", "lots", "It must be a share"),
        ("Processor cores", "0", "It must be"),
        ("Network", "fast", "It must be"),
    ],
)
def test_what_means_nothing_is_refused_at_its_field(
    qtbot: QtBot, agent: AgentEnd, label: str, typed: str, sentence: str
) -> None:
    window = shown(qtbot, agent.data_dir)
    combo(window, label).setEditText(typed)
    button(window, "Save").click()
    qtbot.waitUntil(lambda: "⚠" in said(window), timeout=PATIENCE)
    assert sentence in combo(window, label).accessibleDescription()
    assert agent.rules == ""


def test_who_may_only_look_cannot_type(qtbot: QtBot, agent: AgentEnd) -> None:
    agent.writable = False
    window = shown(qtbot, agent.data_dir)
    assert THEIRS in said(window)
    assert not combo(window, "The desk is free after").isEnabled()
    assert box(window, "Show notifications").isEnabled(), "that is this person's own"


def test_an_agent_that_is_not_there_is_said(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown(qtbot, tmp_path / "nobody")
    assert "No Fallow agent runs on this computer" in said(window)
    assert not combo(window, "Memory").isEnabled()
    saved(qtbot, window)


def test_it_goes_while_it_still_asks(qtbot: QtBot, agent: AgentEnd) -> None:
    before = threading.active_count()
    with agent.hanging():
        window = Preferences(agent.data_dir, ["tray"], Habits())
        window.show()
        window.close()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    qtbot.waitUntil(lambda: threading.active_count() <= before, timeout=PATIENCE)


def test_start_with_my_session_writes_the_entry_and_takes_it_away(
    qtbot: QtBot, agent: AgentEnd, tmp_path: Path
) -> None:
    entry = tmp_path / "config" / "autostart" / autostart.NAME
    window = shown(qtbot, agent.data_dir)
    assert not box(window, "Start with my session").isChecked()
    box(window, "Start with my session").setChecked(True)
    saved(qtbot, window)
    assert f"Exec=tray --data-dir {agent.data_dir}\n" in entry.read_text()
    window = shown(qtbot, agent.data_dir)
    assert box(window, "Start with my session").isChecked()
    box(window, "Start with my session").setChecked(False)
    saved(qtbot, window)
    assert not entry.exists()


def test_notifications_are_switched_off_for_good(qtbot: QtBot, agent: AgentEnd) -> None:
    window = shown(qtbot, agent.data_dir)
    box(window, "Show notifications").setChecked(False)
    with qtbot.waitSignal(window.kept) as kept:
        saved(qtbot, window)
    assert kept.args == [Habits(notify=False)]
    assert habits.load(habits.place()) == Habits(notify=False)


def test_return_saves_and_escape_leaves(qtbot: QtBot, agent: AgentEnd) -> None:
    window = shown(qtbot, agent.data_dir)
    combo(window, "Processor cores").setEditText("1")
    QtTest.QTest.keyClick(window, Key.Key_Escape)
    assert not window.isVisible()
    assert agent.rules == ""
    window = shown(qtbot, agent.data_dir)
    QtTest.QTest.keyClicks(line(window, "No jobs from"), "bo")
    QtTest.QTest.keyClick(line(window, "No jobs from"), Key.Key_Return)
    qtbot.waitUntil(lambda: SAVED in said(window), timeout=PATIENCE)
    assert 'not_from = ["bo"]' in agent.rules


def test_every_field_has_a_name_and_a_sentence(qtbot: QtBot, agent: AgentEnd) -> None:
    window = shown(qtbot, agent.data_dir)
    kinds = (QtWidgets.QComboBox, QtWidgets.QCheckBox, QtWidgets.QSpinBox)
    fields = [each for kind in kinds for each in window.findChildren(kind)]
    assert len(fields) > 12
    own = {"Show notifications", "Start with my session"}
    for field in fields:
        name = field.accessibleName() or getattr(field, "text", str)().replace("&", "")
        assert name
        assert field.accessibleDescription() or name in own, name


def test_scrolling_the_page_changes_nothing(qtbot: QtBot, agent: AgentEnd) -> None:
    window = shown(qtbot, agent.data_dir)
    window.activateWindow()
    (share,) = window.findChildren(QtWidgets.QSpinBox)
    cores = combo(window, "Processor cores")

    def turn(widget: QtWidgets.QWidget) -> None:
        middle = QtCore.QPointF(widget.rect().center())
        event = QtGui.QWheelEvent(
            *(middle, widget.mapToGlobal(middle), QtCore.QPoint(), QtCore.QPoint(0, -120)),
            *(QtCore.Qt.MouseButton.NoButton, QtCore.Qt.KeyboardModifier.NoModifier),
            *(QtCore.Qt.ScrollPhase.NoScrollPhase, False),
        )
        QtWidgets.QApplication.sendEvent(widget, event)

    line(window, "Only in these hours").setFocus()
    for widget in (share, cores):
        turn(widget)
    assert (share.value(), cores.currentText()) == (50, "all")
    share.setFocus()
    turn(share)
    assert share.value() == 49, "who is in the field means the field"
