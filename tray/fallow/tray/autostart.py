"""Whether the icon starts with its person's session: one desktop entry, by the XDG autostart rules.

Not the agent of a whole computer, which is a system unit. A user's entry wins over the computer's
of the same name, and switches it off with `Hidden`.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fallow.shared.errors import FallowError

NAME = "fallow-tray.desktop"
# A panel has to be there first, where the desktop can be told so.
_ENTRY = """[Desktop Entry]
Type=Application
Name=Fallow
Comment=Lends this computer to your group while nobody sits here
Exec={command}
Terminal=false
StartupNotify=false
X-GNOME-Autostart-Delay=5
X-KDE-autostart-after=panel
"""
_OFF = "[Desktop Entry]\nType=Application\nName=Fallow\nHidden=true\n"


def entry(argv: Sequence[str]) -> str:
    """The text of an entry that starts this command."""
    return _ENTRY.format(command=" ".join(_quoted(word) for word in argv))


def command(data_dir: Path, usual: Path) -> list[str]:
    """How this program was installed; with its folder, where that is not the usual one."""
    script = Path(sys.executable).with_name("tray")
    start = [str(script)] if script.exists() else [sys.executable, "-m", "fallow.tray"]
    return start if data_dir == usual else [*start, "--data-dir", str(data_dir)]


def enabled(environment: Mapping[str, str]) -> bool:
    """Whether a session of this user would start the icon."""
    for folder in (_own(environment), *_computers(environment)):
        try:
            lines = (folder / NAME).read_text(errors="replace").splitlines()
        except OSError:
            continue
        return "hidden=true" not in {line.replace(" ", "").lower() for line in lines}
    return False


def switch(on: bool, argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Makes sessions of this user start this command, or not; FallowError when it cannot."""
    own = _own(environment) / NAME
    try:
        if on:
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(entry(argv))
        elif any((folder / NAME).exists() for folder in _computers(environment)):
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(_OFF)
        else:
            own.unlink(missing_ok=True)
    except OSError as error:
        raise FallowError(f"{own} cannot be written", f"{error.strerror}.") from None


def _own(environment: Mapping[str, str]) -> Path:
    config = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(config) / "autostart"


def _computers(environment: Mapping[str, str]) -> list[Path]:
    folders = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [Path(each) / "autostart" for each in folders.split(":") if each]


def _quoted(word: str) -> str:
    """One argument as the Desktop Entry Specification wants it: a percent sign begins a code."""
    word = word.replace("%", "%%")
    if word and all(letter.isalnum() or letter in "/._-+:,@%=" for letter in word):
        return word
    for letter in ("\\", '"', "`", "$"):
        word = word.replace(letter, f"\\{letter}")
    # What a value of a key escapes is escaped once more.
    return f'"{word}"'.replace("\\", "\\\\")
