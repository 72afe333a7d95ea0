"""What this account has joined, as far as both sides need it: where that is kept, and its keys.

Not the coordinators themselves (`fallow.coordinator.places`), nor a workstation's own key, which
lies in its data folder.
"""

from pathlib import Path

import msgspec
from msgspec import Struct


class _Own(Struct):
    public: str = ""


class _OwnList(Struct):
    coordinators: list[_Own] = []


def config_dir() -> Path:
    """Where this account's settings are."""
    import platformdirs

    return platformdirs.user_config_path("fallow")


def joined_file() -> Path:
    """The list of coordinators this account has joined."""
    return config_dir() / "coordinators.json"


def key_file(name: str) -> Path:
    """Where this account keeps the key pair of this name."""
    return config_dir() / "keys" / name


def public_keys() -> tuple[str, ...]:
    """With which public keys this account has joined; none where that cannot be read."""
    try:
        joined = msgspec.json.decode(joined_file().read_bytes(), type=_OwnList)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ()
    return tuple(sorted({each.public for each in joined.coordinators if each.public}))
