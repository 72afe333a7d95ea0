"""Every key of `agent.toml`: how its value is read, and what holds where it is not written.

Not the file as a whole (`config`), whose keys may contradict each other. A reader that does not
like a value raises Wrong with what it should have been.
"""

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from fallow.shared import units
from fallow.shared.ids import name_problem
from fallow.tray.windows import Window, parse_window

_SLOWEST = 10_000  # bytes per second; below that no result would ever arrive
_MOST_WORDS = 200
# Of these a job has its own; this computer's hold sockets and processes, or all there is.
_NEVER_SHOWN = frozenset({"", "dev", "fallow", "proc", "run", "tmp", "var", "var/run", "var/tmp"})


class Wrong(ValueError):
    """What a value should have been."""


class Key(Struct, frozen=True):
    """One key: its reader, and its default as it would be written; None when it is found out."""

    read: Callable[[Any], Any]
    default: Any = None


def _duration(value: Any) -> float:
    if not isinstance(value, str) or value.strip().isdigit():
        raise Wrong('a duration in quotes, for example "10m"')
    try:
        return units.parse_duration(value)
    except ValueError:
        raise Wrong('a duration, for example "10m" or "1h30m"') from None


def _duration_or_never(value: Any) -> float | None:
    if value == "never":
        return None
    try:
        return _duration(value)
    except Wrong:
        raise Wrong('"never" or a duration, for example "2h"') from None


def _size(value: Any) -> int:
    try:
        return units.parse_size(value)
    except (ValueError, TypeError, AttributeError):
        raise Wrong('a size in quotes, for example "10GiB"') from None


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def _words(value: Any, example: str = '["gfortran", "python3"]') -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise Wrong(f"a list of words, for example {example}")
    if len(value) > _MOST_WORDS:
        raise Wrong(f"a list of at most {_MOST_WORDS} words")
    if len(set(value)) < len(value):
        raise Wrong("a list in which each word stands once")
    return tuple(value)


def _programs(value: Any) -> tuple[str, ...]:
    names = _words(value, '["blender", "matlab"]')
    if any("/" in each or each.strip() != each for each in names):
        raise Wrong('a list of programs\' names without their folders, for example ["blender"]')
    return names


def _people(value: Any) -> tuple[str, ...]:
    names = _words(value, '["ana"]')
    for name in names:
        problem = name_problem(name)
        if problem is not None:
            raise Wrong(f"a list of people's names; {name!r} {problem}")
    return names


def _folders(value: Any) -> tuple[str, ...]:
    folders = _words(value, '["/opt/conda"]')
    if not all(each.startswith("/") for each in folders):
        raise Wrong('a list of absolute folders, for example ["/opt/conda"]')
    for folder in folders:
        parts = [part for part in folder.split("/") if part and part != "."]
        if ".." in parts or "/".join(parts) in _NEVER_SHOWN or parts[0] == "proc":
            raise Wrong(f"folders that jobs may see as a whole; {folder!r} is none of them")
    return folders


def _hours(value: Any) -> tuple[Window, ...]:
    example = '["18:00-08:00", "sat-sun"]'
    windows = []
    for each in _words(value, example):
        try:
            windows.append(parse_window(each))
        except ValueError as error:
            raise Wrong(f"a list such as {example}; in {each!r} is needed {error}") from None
    return tuple(windows)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise Wrong("a share of all processors over 0 and up to 1.0, for example 0.5")
    return float(value)


def _cpus(value: Any) -> int | None:
    if value == "all":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Wrong('"all" or a number of cores, at least 1')
    return value


def _gpus(value: Any) -> int | None:
    if value == "all":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Wrong('"all" or a number of GPUs, 0 for none')
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
    raise Wrong('a share such as "80%" or a size such as "16GiB"')


def _rate(value: Any) -> int | None:
    if value == "none":
        return None
    text = value if isinstance(value, str) else ""
    match = re.fullmatch(r"\s*(.+?)\s*/\s*s\s*", text)
    try:
        rate = units.parse_size(match[1]) if match is not None else 0
    except ValueError:
        rate = 0
    if rate < _SLOWEST:
        raise Wrong('"none" or bytes per second, for example "20MB/s", at least "10KB/s"')
    return rate


def _sandbox(value: Any) -> str:
    if value not in ("auto", "bubblewrap", "none"):
        raise Wrong('"auto", "bubblewrap" or "none"')
    return str(value)


def _nice(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 19:
        raise Wrong("a number from 0 to 19")
    return value


KEYS: dict[str, dict[str, Key]] = {
    "presence": {
        "idle_after": Key(_duration, "10m"),
        "settle": Key(_duration, "30s"),
        "hours": Key(_hours, []),
        "ac_only": Key(_truth, True),
        "exclusive": Key(_programs, []),
        "desk": Key(_truth, True),
        "foreign_cpu": Key(_share, 0.5),
    },
    "offer": {
        "capabilities": Key(_words),
        "cpus": Key(_cpus, "all"),
        "memory": Key(_memory, "80%"),
        "gpus": Key(_gpus, "all"),
        "disk_reserve": Key(_size, "10GiB"),
        "bandwidth": Key(_rate, "none"),
        "not_from": Key(_people, []),
    },
    "jobs": {
        "sandbox": Key(_sandbox, "auto"),
        "read_only": Key(_folders, []),
        "nice": Key(_nice, 19),
        "max_pause": Key(_duration_or_never, "never"),
    },
}
