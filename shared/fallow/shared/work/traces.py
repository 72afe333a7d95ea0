"""What a run leaves beside its status file, and how its end is read off that.

Not the status itself being waited for (`processes`); the wrapper (`wrapper`) and bubblewrap write
these, outside whatever the job can see, and the next agent reads them.
"""

import json
from pathlib import Path


def options_of(status: Path) -> Path:
    """The options of its sandbox; empty when it has none."""
    return status.with_name(status.name + ".options")


def report_of(status: Path) -> Path:
    """What bubblewrap says of itself."""
    return status.with_name(status.name + ".report")


def note_of(status: Path) -> Path:
    """Where the wrapper notes which process it is."""
    return status.with_name(status.name + ".wrapper")


def astray_of(status: Path) -> Path:
    """Made by the wrapper when the job could not get into its control group."""
    return status.with_name(status.name + ".astray")


def group_note_of(status: Path) -> Path:
    """Where its control group is noted, before there is one."""
    return status.with_name(status.name + ".group")


def group_of(status: Path) -> Path | None:
    """The control group that a run was started with, None without one."""
    try:
        return Path(group_note_of(status).read_text())
    except FileNotFoundError:
        return None


def is_contained(status: Path) -> bool:
    """Whether a run was started with a PID namespace."""
    options = options_of(status)
    return options.exists() and options.stat().st_size > 0


def has_begun(status: Path) -> bool:
    """Whether bubblewrap reports the end of a program, and not only of itself."""
    try:
        lines = report_of(status).read_text().splitlines()
        return any("exit-code" in json.loads(line) for line in lines)
    except (OSError, ValueError):
        return False
