"""What Preferences show of `agent.toml`, and how their changes are written into it.

Not what the keys mean (`config` reads them, also what is about to be written). The file stays its
owner's: comments and the order of lines are kept.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fallow.shared import units
from fallow.shared.errors import FallowError
from fallow.tray import config
from fallow.tray.config_keys import KEYS

Changes = Mapping[str, Mapping[str, Any]]


def shown(text: str, name: str) -> dict[str, dict[str, Any]]:
    """Every key as it is written, or its default; None where that is found out by itself.

    FallowError when the text is not right.
    """
    written = config.parse(text, name)
    read = config.loads(text, name)
    values = {
        section: {
            key: written.get(section, {}).get(key, each.default) for key, each in keys.items()
        }
        for section, keys in KEYS.items()
    }
    values["presence"]["settle"] = units.format_duration(read.presence.settle)
    return values


def changed(text: str, changes: Changes, name: str) -> str:
    """The text with these keys set, or (None) taken out; FallowError when it is not right then."""
    # It is large, and needed only when somebody changes something.
    import tomlkit
    import tomlkit.exceptions

    config.parse(text, name)
    document = tomlkit.parse(text)
    for section, keys in changes.items():
        if section not in document:
            document[section] = tomlkit.table()
        table: Any = document[section]
        if not isinstance(table, dict):
            raise FallowError(f"{name}: {section} is a section, not a value")
        for key, value in keys.items():
            if value is None:
                table.pop(key, None)
                continue
            try:
                table[key] = value
            except (ValueError, TypeError, tomlkit.exceptions.TOMLKitError):
                raise FallowError(f"{name}: {section}.{key} = {value!r} cannot be") from None
    new = tomlkit.dumps(document)
    config.loads(new, name)
    return new


def writable(path: Path) -> bool:
    """Whether this process could write the file."""
    return os.access(path.parent, os.W_OK) and (os.access(path, os.W_OK) or not path.exists())


def write(path: Path, text: str) -> None:
    """Replace the file, whole or not at all; FallowError when it cannot be written."""
    # One that leads elsewhere stays a link.
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise FallowError(f"{path} cannot be written", f"{error.strerror}.") from None
