"""That the installed PySide6 keeps the references it is given.

Not a test of our windows. PySide6 6.12.0 on Python 3.11 drops a reference to True or None with
each signal, and after some hundreds the interpreter aborts; from Python 3.12 on those objects are
immortal and cannot be lost this way.
"""

import json
import os
import subprocess
import sys

OPERATIONS = """
import gc, json, os, sys, threading
from PySide6 import QtCore, QtGui, QtWidgets

app = QtWidgets.QApplication([])

class Source(QtCore.QObject):
    number = QtCore.Signal(int)
    thing = QtCore.Signal(object)
    flag = QtCore.Signal(bool)
    bare = QtCore.Signal()

    def take(self, *values):
        pass

    @QtCore.Slot(int)
    def take_number(self, value):
        pass

source = Source()
source.number.connect(lambda value: None)
source.number.connect(source.take)
source.number.connect(source.take_number)
source.thing.connect(source.take, QtCore.Qt.ConnectionType.QueuedConnection)
source.flag.connect(source.take)
menu = QtWidgets.QMenu()
action = menu.addAction("Pause")
action.setCheckable(True)
action.triggered.connect(lambda checked: None)
icon = QtWidgets.QSystemTrayIcon()
timer = QtCore.QTimer()

def from_a_thread():
    thread = threading.Thread(target=lambda: source.thing.emit(1))
    thread.start()
    thread.join()
    app.processEvents()

def connect_and_disconnect():
    def slot(*values): pass
    source.bare.connect(slot)
    source.bare.disconnect(slot)

def single_shot():
    QtCore.QTimer.singleShot(0, lambda: None)
    app.processEvents()

def queued():
    source.thing.emit({})
    app.processEvents()

operations = {
    "emit a number": lambda: source.number.emit(1),
    "emit a flag": lambda: source.flag.emit(True),
    "emit to nobody": lambda: source.bare.emit(),
    "emit queued": queued,
    "emit from a thread": from_a_thread,
    "timer": lambda: timer.timeout.emit(),
    "single shot": single_shot,
    "trigger an action": action.trigger,
    "change an action": lambda: (action.setText("x"), action.setEnabled(True), action.isEnabled()),
    "rebuild a menu": lambda: (menu.clear(), menu.addAction("y").setVisible(True)),
    "icon": lambda: (icon.setToolTip("x"), icon.isVisible(), icon.isSystemTrayAvailable()),
    "connect": connect_and_disconnect,
    "property": lambda: (source.setProperty("p", True), source.property("p")),
}
if len(sys.argv) > 1:  # what a wrong binding would do, for the test of this test
    import ctypes
    operations["lose one"] = lambda: ctypes.pythonapi.Py_DecRef(ctypes.py_object(True))

calls, watched, drift = 60, (True, False, None), {}
for name, operation in operations.items():
    operation()
    gc.collect()
    before = [sys.getrefcount(value) for value in watched]
    for _ in range(calls):
        operation()
    gc.collect()
    after = [sys.getrefcount(value) for value in watched]
    per_call = [(b - a) / calls for a, b in zip(before, after)]
    if any(abs(value) > 0.3 for value in per_call):
        drift[name] = per_call
print(json.dumps({"operations": len(operations), "drift": drift}), flush=True)
os._exit(0)
"""


def measure(*arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", OPERATIONS, *arguments],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"the interpreter ended with {done.returncode}: {done.stderr}"
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_no_call_of_qt_gains_or_loses_a_reference() -> None:
    assert measure() == {"operations": 13, "drift": {}}


def test_a_lost_reference_would_be_seen() -> None:
    drift = measure("lose one")["drift"]
    assert isinstance(drift, dict)
    # Where True is immortal (Python 3.12 and later) there is nothing to lose.
    assert ("lose one" in drift) == (sys.version_info < (3, 12))
