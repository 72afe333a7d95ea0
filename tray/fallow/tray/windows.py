"""The hours in which a desk is lent: "18:00-08:00", "sat-sun", "mon-fri 19:00-07:30".

Not instants in words (`hours`) and no clock. A window over midnight belongs to the day it starts
on. All is civil time, so that it means what the wall clock shows on the days of a clock change.
"""

import functools
import re
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo

from msgspec import Struct

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.ASCII)


class Window(Struct, frozen=True):
    """Weekdays (0 is Monday) and minutes of the day; `end` over 1440 lies on the next day."""

    days: tuple[int, ...]
    start: int = 0
    end: int = _DAY


def parse_window(text: str) -> Window:
    """Read one window: days, hours or both; ValueError says in words what is wrong."""
    days: tuple[int, ...] = tuple(range(7))
    start, end = 0, _DAY
    words = text.lower().split()
    if not 1 <= len(words) <= 2:
        raise ValueError('a window such as "18:00-08:00", "sat-sun" or "mon-fri 19:00-07:30"')
    clock = _CLOCK.fullmatch(words[-1])
    if clock is not None:
        start, end = _minutes(clock[1], clock[2]), _minutes(clock[3], clock[4])
        if start == end:
            raise ValueError("a window that ends at another time than it starts")
        if end < start:
            end += _DAY
    if clock is None or len(words) == 2:
        days = _days(words[0])
        if clock is None and len(words) == 2:
            raise ValueError('days first, then hours, for example "sat-sun 10:00-18:00"')
    return Window(days, start, end)


def _minutes(hour: str, minute: str) -> int:
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > _DAY:
        raise ValueError("times from 00:00 to 24:00")
    return minutes


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"days from {', '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return tuple(sorted(found))


def inside(windows: Iterable[Window], wall: float, zone: tzinfo | None = None) -> bool:
    """Whether this instant (UNIX seconds) lies in one of the windows; `zone` None is this one."""
    local = datetime.fromtimestamp(wall, zone)
    minute = local.hour * 60 + local.minute
    today, yesterday = local.weekday(), (local.weekday() - 1) % 7
    return any(
        (today in window.days and window.start <= minute < window.end)
        or (yesterday in window.days and window.start <= minute + _DAY < window.end)
        for window in windows
    )


def next_change(
    windows: tuple[Window, ...], wall: float, zone: tzinfo | None = None
) -> float | None:
    """When `inside` next changes (UNIX seconds), None if it does not within eight days."""
    return _next_change(windows, int(wall // 60), zone)


@functools.lru_cache(maxsize=64)
def _next_change(windows: tuple[Window, ...], minute: int, zone: tzinfo | None) -> float | None:
    """Asked at every event of an agent, so once a minute must be enough: edges are minutes."""
    wall = minute * 60.0
    now = inside(windows, wall, zone)
    midnight = datetime.fromtimestamp(wall, zone).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=None
    )
    edges = {0, *(window.start for window in windows), *(window.end for window in windows)}
    instants = {
        (midnight + timedelta(days=day, minutes=edge)).replace(tzinfo=zone).timestamp()
        for day in range(-1, 9)
        for edge in edges
    }
    for instant in sorted(instants):
        if instant > wall and inside(windows, instant, zone) != now:
            return instant
    return None
