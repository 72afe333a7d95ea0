"""Which of the programs that want this computer for themselves run now: a fact, not a sensor.

Their names come from the desk's owner (`exclusive` in agent.toml); what follows is the rule's.
"""

import os
from collections.abc import Collection
from pathlib import Path

from fallow.tray.sensors.proctable import PROC, Table

# The kernel keeps this much of a name.
KEPT = 15


def running(
    names: Collection[str], table: Table, ours: Collection[int], proc: Path = PROC
) -> tuple[str, ...]:
    """The `names` that are the name or the program file of a process that is not ours, sorted."""
    if not names:
        return ()
    short: dict[str, list[str]] = {}
    for name in names:
        short.setdefault(name[:KEPT], []).append(name)
    found: set[str] = set()
    for number, row in table.items():
        if number in ours or len(found) == len(names):
            continue
        program = ""
        for name in short.get(row.name, ()):
            if len(name) > KEPT:
                program = program or _program(proc, number)
            if len(name) <= KEPT or program == name:
                found.add(name)
    for number in table:
        # A program may give itself another name than its file has; that is asked for last.
        if len(found) == len(names):
            break
        if number not in ours and (program := _program(proc, number)) in names:
            found.add(program)
    return tuple(sorted(found))


def _program(proc: Path, number: int) -> str:
    """The name of its file; empty for processes of others, whose file only root may know."""
    try:
        path = os.readlink(f"{proc}/{number}/exe")
    except OSError:
        return ""
    return os.path.basename(path.removesuffix(" (deleted)"))
