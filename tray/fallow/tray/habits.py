"""What the icon keeps for its person: whether it may notify, and what it has said once already.

Not the rules of the computer (`agent.toml`), which are everybody's. A file that cannot be read is
as none; one that cannot be written is told of by FallowError.
"""

import contextlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct
from platformdirs import user_config_path

from fallow.shared.errors import FallowError


class Habits(Struct, frozen=True):
    """`notify`: notifications are shown; `met`: the first job has been told of."""

    notify: bool = True
    met: bool = False


def place() -> Path:
    """Where they are kept, for this user."""
    return user_config_path("fallow") / "tray.json"


def load(path: Path) -> Habits:
    """As they were kept; the usual ones where there is nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Habits)
    except (OSError, msgspec.MsgspecError):
        return Habits()


def save(path: Path, habits: Habits) -> None:
    """Keeps them, whole or not at all; FallowError when the file cannot be written."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(habits)) + b"\n")
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise FallowError(f"{path} cannot be written", f"{error.strerror}.") from None
