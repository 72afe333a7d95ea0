"""What several sensors are worth together: which sessions none of them covers, which contradict.

Not the presence rule (`presence`), which asks it, and no sensor (`sensors/`). A person in a
session that nothing watches would be invisible, however well the other sessions are seen.
"""

from collections.abc import Iterable
from itertools import combinations

from msgspec import Struct

# One saw input this lately, in seconds, ...
ACTIVE_WITHIN = 30.0
# ... and another one of the same session saw none for so long.
IDLE_BEYOND = 300.0


class Desk(Struct, frozen=True):
    """A person's graphical session at a seat of this computer; `display` is the X11 one, or ""."""

    session: str
    user: str
    uid: int
    seat: str
    display: str = ""

    def __str__(self) -> str:
        return f"{self.user}'s session {self.session} at {self.seat}"


class Cover(Struct, frozen=True):
    """What an input sensor can see: every seat, or one session as far as it knows which."""

    everything: bool = False
    session: str = ""
    uid: int | None = None
    display: str = ""

    def covers(self, desk: Desk) -> bool:
        """Is this desk seen? Without the session's number, its user and display decide."""
        if self.everything:
            return True
        if self.session and self.session == desk.session:
            return True
        if self.uid != desk.uid:
            return False
        if self.display and desk.display:
            return _same(self.display, desk.display)
        # It is one of theirs, and nobody knows which.
        return not self.session


class Witness(Struct, frozen=True):
    """One healthy sensor of keyboard and mouse: `quiet_since` is the last input it saw.

    Where it saw none, that is since when it has been looking. Boot-clock seconds.
    """

    sensor: str
    quiet_since: float
    saw_input: bool = True


def unwatched(desks: Iterable[Desk], covers: Iterable[Cover]) -> tuple[Desk, ...]:
    """The sessions that no healthy sensor of keyboard and mouse covers."""
    known = tuple(covers)
    return tuple(desk for desk in desks if not any(each.covers(desk) for each in known))


def disagreements(witnesses: Iterable[Witness], boot: float) -> dict[str, str]:
    """Which sensor of one session missed what another one saw, and that in a sentence.

    `boot` is now. The key is the sensor that saw nothing: it is the one to be doubted.
    """
    found: dict[str, str] = {}
    for one, other in combinations(witnesses, 2):
        late, early = sorted((one, other), key=lambda each: each.quiet_since)
        fresh, idle = boot - early.quiet_since, boot - late.quiet_since
        if early.saw_input and fresh <= ACTIVE_WITHIN and idle > IDLE_BEYOND:
            found[late.sensor] = (
                f"{early.sensor} saw input {fresh:.0f} s ago, "
                f"this one none for {idle / 60:.0f} minutes"
            )
    return found


def _same(one: str, other: str) -> bool:
    """ ":0" and ":0.0" are the same screen, and "unix:0" too."""
    return _server(one) == _server(other)


def _server(display: str) -> str:
    host, _, number = display.rpartition(":")
    return f"{'' if host in {'unix', 'localhost'} else host}:{number.partition('.')[0]}"
