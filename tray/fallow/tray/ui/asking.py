"""One question to the agent in a thread of its own, so that one which hangs holds up nobody.

Not the line, on which the status comes. Its opposite is the agent's `LocalServer`.
"""

import threading
from pathlib import Path

from PySide6 import QtCore

from fallow.shared.errors import FallowError
from fallow.tray.local import LocalClient, LocalReply, LocalRequest

PATIENCE = 10.0


class Asking(QtCore.QObject):
    """`answered` carries the reply, `refused` the FallowError; both come in the asker's thread."""

    answered = QtCore.Signal(object)
    refused = QtCore.Signal(object)

    def __init__(self, data_dir: Path, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._data_dir = data_dir
        self._came: tuple[LocalReply | None, FallowError | None] = (None, None)
        self._done.connect(self._tell)

    _done = QtCore.Signal()

    def ask(self, request: LocalRequest) -> None:
        """Asks this; one question at a time."""
        threading.Thread(target=self._run, args=(request,), name="asking", daemon=True).start()

    def _run(self, request: LocalRequest) -> None:
        try:
            with LocalClient(self._data_dir) as client:
                self._came = (client.ask(request, PATIENCE), None)
        except FallowError as error:
            self._came = (None, error)
        try:
            self._done.emit()
        except RuntimeError:
            # Whoever asked has gone meanwhile.
            return

    def _tell(self) -> None:
        reply, error = self._came
        if error is not None:
            self.refused.emit(error)
        else:
            self.answered.emit(reply)
