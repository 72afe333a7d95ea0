"""One row of the table: what was measured, how low it could be, and what it must meet.

Not the measuring. The opposite is each of the parts, which only measure.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True):
    """Figures in `unit`, one per round; `floor` is the same work with nothing of ours in it.

    `first` is what the median must meet, `aim` where it goes. With `against_floor` both count in
    floors instead of units. None: the row is for information.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    first: float | None
    aim: float | None = None
    better: Literal["lower", "higher"] = "lower"
    floor: tuple[float, ...] = ()
    floor_name: str = ""
    against_floor: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median in floors."""
        return self.median / statistics.median(self.floor) if self.floor else None

    def meets(self, target: float | None) -> bool | None:
        """Whether the median reaches this target; None where there is none."""
        if target is None:
            return None
        found = self.ratio if self.against_floor else self.median
        if found is None:
            return None
        return found <= target if self.better == "lower" else found >= target


class Failure(Struct, frozen=True):
    """A row that could not be measured, and why."""

    name: str
    why: str


def percentile(values: Sequence[float], share: float) -> float:
    """The least of these values that this share of them all does not exceed (nearest rank)."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def table(rows: Sequence[Row], failures: Sequence[Failure]) -> str:
    """All rows for a person."""
    head = ("what", "median", "min–max", "floor", "ratio", "must be", "met", "aim")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    text = []
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        cells[0] = line[0].ljust(widths[0])
        text.append("  ".join(cells).rstrip())
    text.insert(1, "-" * max(map(len, text)))
    text += [f"{failure.name}: not measured: {failure.why}" for failure in failures]
    return "\n".join(text)


def save(place: Path, rows: Sequence[Row], failures: Sequence[Failure]) -> None:
    """The same as JSON."""
    place.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "schema": 1,
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "load": os.getloadavg(),
        },
        "rows": [_plain(row) for row in rows],
        "not_measured": [{"name": each.name, "why": each.why} for each in failures],
    }
    place.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def show(value: float, unit: str = "") -> str:
    """Three figures that count."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f} {unit}".rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    met = row.meets(row.first)
    spread = f"{show(min(row.values))}–{show(max(row.values))}" if len(row.values) > 1 else ""
    floor = show(statistics.median(row.floor), row.unit) if row.floor else ""
    return (
        row.name,
        show(row.median, row.unit),
        spread,
        floor,
        f"{row.ratio:.2f}" if row.ratio is not None else "",
        _target(row, row.first),
        {True: "yes", False: "NO", None: ""}[met],
        _target(row, row.aim),
    )


def _target(row: Row, target: float | None) -> str:
    if target is None:
        return ""
    sign = "≤" if row.better == "lower" else "≥"
    return f"{sign} {target:g} × floor" if row.against_floor else f"{sign} {target:g}"


def _plain(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": row.unit,
        "median": row.median,
        "min": min(row.values),
        "max": max(row.values),
        "values": row.values,
        "floor": statistics.median(row.floor) if row.floor else None,
        "floor_name": row.floor_name,
        "ratio": row.ratio,
        "first": row.first,
        "aim": row.aim,
        "against_floor": row.against_floor,
        "better": row.better,
        "met": row.meets(row.first),
        "met_aim": row.meets(row.aim),
    }
