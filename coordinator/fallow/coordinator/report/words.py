"""Times, durations and names as the page writes them; every text of others passes through `safe`.

Not the page (`page`). Clock times are those of the computer that makes the report.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import escape

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400),
    *(172800, 259200, 604800, 1209600, 2592000),
)


def safe(text: str) -> str:
    """The text as it may stand in HTML and in a quoted attribute; control characters are marked."""
    shown = (
        text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)
    )
    return escape(shown, quote=True)


def safe_lines(text: str) -> str:
    """As `safe`, for what a program wrote on several lines: as a terminal would show them."""
    plain = _COLOURS.sub("", text)
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n"))
    return "\n".join(safe(line.expandtabs()) for line in lines).rstrip()


def lasting(seconds: float) -> str:
    """A duration in at most two units: "2 h 5 min", "0.42 s"."""
    if seconds < 1:
        return f"{seconds:.2g} s" if seconds > 0 else "0 s"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, size, smaller, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            count, rest = divmod(whole, size)
            return f"{count} {unit}" + (f" {rest // part} {smaller}" if rest // part else "")
    return f"{whole} s"


def clock(wall: float) -> str:
    """A moment with its date."""
    return datetime.fromtimestamp(wall).strftime("%Y-%m-%d %H:%M:%S")


def zone(wall: float) -> str:
    """The name of the time zone, with its offset."""
    there = datetime.fromtimestamp(wall).astimezone()
    return f"{there.tzname()} (UTC{there.strftime('%z')[:3]}:{there.strftime('%z')[3:]})"


def ticks(begin: float, end: float, at_most: int = 9) -> Iterator[tuple[float, str]]:
    """Moments to mark on an axis of time, at full hours or the like, and what to write there."""
    length = max(end - begin, 1.0)
    step = next((each for each in _STEPS if length <= each * at_most), _STEPS[-1])
    first = datetime.fromtimestamp(begin)
    at = first.replace(hour=0, minute=0, second=0, microsecond=0)
    if step < 86400:
        at += timedelta(seconds=(first - at).total_seconds() // step * step)
    day = None
    if length < 2:  # no mark of a clock may lie within
        yield begin, clock(begin).partition(" ")[2]
        return
    while (wall := at.timestamp()) <= end:
        if wall >= begin:
            yield wall, _mark(at, step, new_day=at.date() != day)
            day = at.date()
        at += timedelta(seconds=step)


def _mark(at: datetime, step: float, new_day: bool) -> str:
    date = f"{at.day} {at.strftime('%b')}"
    if step >= 86400:
        return date
    time = at.strftime("%H:%M:%S" if step < 60 else "%H:%M")
    return f"{date} {time}" if new_day else time
