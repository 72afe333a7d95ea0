"""The kernel's list of processes, read in one pass: names, parents and processor time.

Not a sensor: `load` and `programs` read what they need in it. It reads no command line, because
that may wait for a process that hangs.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_KERNEL_THREAD = 0x00200000


class Row(NamedTuple):
    """One process: `own` and `reaped` are clock ticks of itself and of children that ended."""

    name: str
    parent: int
    started: int
    own: int
    reaped: int
    nice: int = 0


Table = Mapping[int, Row]


def read(proc: Path = PROC) -> dict[int, Row]:
    """All processes but the kernel's own, by number; empty where there is no such list."""
    table: dict[int, Row] = {}
    try:
        names = os.listdir(proc)
    except OSError:
        return table
    for name in names:
        if not name.isdecimal():
            continue
        try:
            with open(f"{proc}/{name}/stat", "rb", buffering=0) as file:
                text = file.read(1024)
        except OSError:
            continue  # It ended since it was listed.
        # The name stands in brackets and may hold any others.
        start, end = text.find(b"("), text.rfind(b")")
        fields = text[end + 2 :].split(None, 21)
        if start < 0 or len(fields) < 20 or int(fields[6]) & _KERNEL_THREAD:
            continue
        table[int(name)] = Row(
            name=text[start + 1 : end].decode(errors="replace"),
            parent=int(fields[1]),
            started=int(fields[19]),
            own=int(fields[11]) + int(fields[12]),
            reaped=int(fields[13]) + int(fields[14]),
            nice=int(fields[16]),
        )
    return table


def below(table: Table, roots: Iterable[int]) -> Collection[int]:
    """The processes `roots` and all that descend from them."""
    children: dict[int, list[int]] = {}
    for number, row in table.items():
        children.setdefault(row.parent, []).append(number)
    found: set[int] = set()
    todo = [root for root in roots if root in table]
    while todo:
        number = todo.pop()
        if number not in found:
            found.add(number)
            todo.extend(children.get(number, ()))
    return found
