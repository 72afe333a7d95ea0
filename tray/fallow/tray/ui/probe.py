"""Starts Qt on this screen and ends: run as a process, because Qt aborts where it cannot start.

Not the tray. Ends with 0, or with other codes and the reason on stderr; `refusal` reads both.
"""

import ctypes
import os
import re
import sys
from pathlib import Path

from fallow.shared.errors import FallowError
from fallow.shared.work.trial import try_out

PATIENCE = 20.0
NO_LIBRARY = 3

# What Qt needs beyond a Debian without a desktop.
DEBIAN = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}
_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[\w.]*)\b")


def check() -> None:
    """Raises FallowError, in words for a person, where Qt cannot start on this screen."""
    trial = try_out([sys.executable, "-m", "fallow.tray.ui.probe"], PATIENCE)
    if trial.code != 0:
        raise refusal(trial.code, trial.said, os.environ.get("DISPLAY", ""))


def refusal(code: int | None, said: str, display: str) -> FallowError:
    """Why the probe failed, by how it ended and what it said."""
    without = "without the icon, this computer is lent by: tray agent"
    if code is None:
        return FallowError(
            f"The screen {display or 'of this session'} does not answer",
            f"Fallow waited {PATIENCE:g} s for it.",
            without,
        )
    if code == NO_LIBRARY:
        found = _LIBRARY.search(said)
        library = found[1] if found else ""
        package = DEBIAN.get(library)
        if "PySide6" in said and not library:
            return FallowError(
                "The icon needs Qt, which is not installed",
                said.strip(),
                'pip install "fallow[tray]"; ' + without,
            )
        return FallowError(
            f"Qt cannot start: {library or 'one of its libraries'} is missing on this computer",
            said.strip(),
            f"on Debian and Ubuntu: sudo apt-get install {package or ' '.join(DEBIAN.values())}; "
            + without,
        )
    if "could not connect to display" in said:
        return FallowError(
            f"The screen {display} cannot be used",
            "Nothing answers there, or it does not let you in.",
            without,
        )
    return FallowError("Qt cannot start on this screen", said.strip(), without)


def main() -> int:
    """The probe itself."""
    try:
        from PySide6 import QtCore, QtGui

        from fallow.tray.ui.theme import options

        plugins = Path(QtCore.QLibraryInfo.path(QtCore.QLibraryInfo.LibraryPath.PluginsPath))
        xcb = plugins / "platforms" / "libqxcb.so"
        # Qt itself would name the wrong library.
        if os.environ.get("DISPLAY") and xcb.exists():
            ctypes.CDLL(str(xcb))
    except (ImportError, OSError) as error:
        print(error, file=sys.stderr)
        return NO_LIBRARY
    app = QtGui.QGuiApplication(["fallow", *options(os.environ)])
    return 0 if app.primaryScreen() is not None else 1


if __name__ == "__main__":
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    code = main()
    sys.stderr.flush()
    os._exit(code)
