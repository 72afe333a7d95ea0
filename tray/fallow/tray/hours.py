"""Instants in the words of this desk: "14:30", "tomorrow 08:00"; and when tomorrow begins.

Not durations (`units`) and no clock: the present comes in as a number. Wall-clock (UNIX) seconds;
`zone` None is the zone of this computer.
"""

import re
from datetime import datetime, timedelta, tzinfo

MORNING = 8
# Who says "until tomorrow" at five in the morning has not slept yet.
SHORTEST_NIGHT = timedelta(hours=4)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


def say(wall: float, now: float, zone: tzinfo | None = None) -> str:
    """The instant `wall` as a person at this desk would say it at `now`, to the minute."""
    # Rounded up: a pause "until 14:30" must not end while clocks still show 14:29.
    minute = -(-wall // 60) * 60
    then = datetime.fromtimestamp(minute, zone)
    days = (then.date() - datetime.fromtimestamp(now, zone).date()).days
    clock = f"{then:%H:%M}"
    if days == 0:
        return clock
    if days == 1:
        return f"tomorrow {clock}"
    if 1 < days < 7:
        return f"{DAYS[then.weekday()]} {clock}"
    return f"{then.day} {MONTHS[then.month - 1]} {clock}"


def until_tomorrow(now: float, zone: tzinfo | None = None) -> float:
    """Seconds until the next eight o'clock in the morning that is at least four hours away."""
    present = datetime.fromtimestamp(now, zone)
    # Civil time, so that the night of a clock change also ends at eight.
    local = present.replace(tzinfo=None)
    morning = local.replace(hour=MORNING, minute=0, second=0, microsecond=0)
    while morning - local < SHORTEST_NIGHT:
        morning += timedelta(days=1)
    return morning.replace(tzinfo=zone).timestamp() - now


def until(clock: str, now: float, zone: tzinfo | None = None) -> float:
    """Seconds until clocks here next show this "HH:MM"; ValueError where that is no time of day.

    An hour that a clock change skips ends when the clocks have jumped over it; of one that comes
    twice, the next.
    """
    match = _CLOCK.fullmatch(clock.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError(f"{clock!r} is not a time of day")
    today = datetime.fromtimestamp(now, zone).replace(
        hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0, tzinfo=None
    )
    for day in range(3):
        for fold in (0, 1):
            then = (today + timedelta(days=day)).replace(tzinfo=zone, fold=fold)
            instant = then.timestamp()
            shown = datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)
            if instant > now and (fold == 0 or shown == then.replace(tzinfo=None, fold=0)):
                return instant - now
    raise AssertionError("every clock shows every time within three days")
