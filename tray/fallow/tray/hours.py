"""Instants in the words of this desk: "14:30", "tomorrow 08:00"; and when tomorrow begins.

Not durations (`units`) and no clock: the present comes in as a number. Wall-clock (UNIX) seconds;
`zone` None is the zone of this computer.
"""

from datetime import datetime, timedelta, tzinfo

MORNING = 8
# Who says "until tomorrow" at five in the morning has not slept yet.
SHORTEST_NIGHT = timedelta(hours=4)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


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
