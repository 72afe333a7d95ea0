"""`agent.toml`: what the desk's owner allows, read once and checked whole.

Not the preferences window, which writes the same file, and not what the computer has (`machine`).
Every key of the format is known here; those this release cannot act on are refused, not ignored.
"""

import difflib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from fallow.shared import units
from fallow.shared.errors import FallowError
from fallow.shared.work.settings import Jobs
from fallow.tray.presence import Policy


class Offer(Struct, frozen=True):
    """What of this computer jobs may have; None stands for all (cpus) or what is installed.

    `memory` is bytes or, up to 1.0, a share of all.
    """

    capabilities: tuple[str, ...] | None = None
    cpus: int | None = None
    memory: float = 0.8
    disk_reserve: int = 10 << 30


class Config(Struct, frozen=True):
    """The whole of agent.toml."""

    presence: Policy = Policy()
    offer: Offer = Offer()
    jobs: Jobs = Jobs()


def load(path: Path) -> Config:
    """Read the file, all defaults when there is none; FallowError names a key that is wrong."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise FallowError(f"The configuration {path} cannot be read", str(error)) from None
    return loads(text, str(path))


def loads(text: str, name: str = "agent.toml") -> Config:
    """As `load`, from text."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FallowError(f"{name} is not TOML", f"{error}.") from None
    return _Reader(name).read(content)


class _Wrong(ValueError):
    """What a value should have been."""


def _duration(value: Any) -> float:
    if not isinstance(value, str) or value.strip().isdigit():
        raise _Wrong('a duration in quotes, for example "10m"')
    try:
        return units.parse_duration(value)
    except ValueError:
        raise _Wrong('a duration, for example "10m" or "1h30m"') from None


def _size(value: Any) -> int:
    try:
        return units.parse_size(value)
    except (ValueError, TypeError, AttributeError):
        raise _Wrong('a size in quotes, for example "10GiB"') from None


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("true or false")
    return value


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise _Wrong('a list of words, for example ["gfortran", "python3"]')
    return tuple(value)


def _folders(value: Any) -> tuple[str, ...]:
    folders = _words(value)
    if not all(each.startswith("/") for each in folders):
        raise _Wrong('a list of absolute folders, for example ["/opt/conda"]')
    return folders


def _cpus(value: Any) -> int | None:
    if value == "all":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _Wrong('"all" or a number of cores, at least 1')
    return value


def _memory(value: Any) -> float:
    if value == "all":
        return 1.0
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip()[:-1]) / 100
        except ValueError:
            share = 0.0
        if 0 < share <= 1:
            return share
    elif isinstance(value, str):
        try:
            size = units.parse_size(value)
        except ValueError:
            size = 0
        if size > 1:
            return float(size)
    raise _Wrong('a share such as "80%" or a size such as "16GiB"')


def _sandbox(value: Any) -> str:
    if value not in {"auto", "bubblewrap", "none"}:
        raise _Wrong('"auto", "bubblewrap" or "none"')
    return str(value)


def _nice(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 19:
        raise _Wrong("a number from 0 to 19")
    return value


_READERS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "presence": {
        "idle_after": _duration,
        "settle": _duration,
        "ac_only": _truth,
        "desk": _truth,
    },
    "offer": {
        "capabilities": _words,
        "cpus": _cpus,
        "memory": _memory,
        "disk_reserve": _size,
    },
    "jobs": {"sandbox": _sandbox, "read_only": _folders, "nice": _nice},
}
# Known to the format; this release cannot act on any other value.
_NOT_YET: dict[str, dict[str, Any]] = {
    "presence": {"hours": [], "exclusive": [], "foreign_cpu": 0.5},
    "offer": {"gpus": "all", "bandwidth": "none", "not_from": []},
    "jobs": {"max_pause": "never"},
}
_KINDS: dict[str, type[Struct]] = {"presence": Policy, "offer": Offer, "jobs": Jobs}


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, content: dict[str, Any]) -> Config:
        sections: dict[str, Any] = {}
        for section, keys in content.items():
            if section not in _READERS:
                raise self._unknown(section, list(_READERS), "section")
            if not isinstance(keys, dict):
                raise FallowError(
                    f"{self._name}: {section} is a section, not a value",
                    hint=f"write a line [{section}] and its keys below it",
                )
            sections[section] = self._section(section, keys)
        return Config(**sections)

    def _section(self, section: str, keys: dict[str, Any]) -> Struct:
        values = {}
        for key, value in keys.items():
            if key in _NOT_YET[section]:
                self._refuse_later(section, key, value)
                continue
            reader = _READERS[section].get(key)
            if reader is None:
                known = [*_READERS[section], *_NOT_YET[section]]
                raise self._unknown(key, known, f"key of [{section}]")
            try:
                values[key] = reader(value)
            except _Wrong as wrong:
                raise FallowError(
                    f"{self._name}: {section}.{key} = {value!r} cannot be",
                    f"It must be {wrong}.",
                ) from None
        return _KINDS[section](**values)

    def _refuse_later(self, section: str, key: str, value: Any) -> None:
        default = _NOT_YET[section][key]
        if value != default:
            raise FallowError(
                f"{self._name}: {section}.{key} is not supported by this release",
                f"Nothing would act on {value!r}.",
                f"leave the key out (it then means {default!r})",
            )

    def _unknown(self, word: str, known: list[str], what: str) -> FallowError:
        near = difflib.get_close_matches(word, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(sorted(known))}"
        return FallowError(f"{self._name}: {word!r} is not a {what}", hint=hint)
