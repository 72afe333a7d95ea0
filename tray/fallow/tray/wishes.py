"""What the desk's owner asked for by hand: a pause, a loan, jobs sent elsewhere, no more jobs.

Not what follows from it (`presence`) nor how it is kept (`records` writes it whole). Wishes outlive
the agent and the computer's boot; each new one ends those that contradict it.
"""

from msgspec import Struct
from msgspec.structs import replace

from fallow.shared.moments import Deadline, Moment
from fallow.tray.presence import Facts, Pause

LONGEST = 10 * 365 * 86400.0  # seconds


class Wishes(Struct, frozen=True):
    """All wishes that hold now.

    `pause` ends by itself, `forever` is a pause until resumed; `lend` is until when the owner lends
    the computer while working on it. `ejected` is until when, from the moment the jobs were sent
    elsewhere, the desk is not free even if nobody touches it. `finishing`: no job is taken after
    those that run.
    """

    pause: Deadline | None = None
    forever: bool = False
    lend: Deadline | None = None
    ejected: Deadline | None = None
    finishing: bool = False


def pausing(wishes: Wishes, seconds: float | None, now: Moment, boot_id: str) -> Wishes:
    """A pause of so many seconds, None until resumed, and no loan any more."""
    pause = None if seconds is None else Deadline.after(seconds, now, boot_id)
    return replace(wishes, pause=pause, forever=seconds is None, lend=None)


def lending(wishes: Wishes, seconds: float, now: Moment, boot_id: str) -> Wishes:
    """The computer is lent for so many seconds, so nothing keeps jobs away by hand any more."""
    lend = Deadline.after(seconds, now, boot_id)
    return replace(wishes, pause=None, forever=False, lend=lend, ejected=None)


def ejecting(wishes: Wishes, free_after: float, now: Moment, boot_id: str) -> Wishes:
    """The jobs leave now; others come when the desk was free for so many seconds."""
    return replace(wishes, lend=None, ejected=Deadline.after(free_after, now, boot_id))


def finishing(wishes: Wishes) -> Wishes:
    """What runs is finished, and then nothing more is taken."""
    return replace(wishes, finishing=True)


def still_held(wishes: Wishes, now: Moment, boot_id: str) -> Wishes:
    """Those that are not over; one that is must not come back when somebody sets the wall clock."""

    def held(deadline: Deadline | None) -> Deadline | None:
        over = deadline is not None and deadline.remaining(now, boot_id) <= 0
        return None if over else deadline

    pause, lend, ejected = held(wishes.pause), held(wishes.lend), held(wishes.ejected)
    if (pause, lend, ejected) == (wishes.pause, wishes.lend, wishes.ejected):
        return wishes
    return replace(wishes, pause=pause, lend=lend, ejected=ejected)


def as_facts(wishes: Wishes, facts: Facts, now: Moment, boot_id: str) -> Facts:
    """The facts with these wishes in them, in boot-clock seconds of this boot."""

    def end(deadline: Deadline | None) -> float | None:
        return None if deadline is None else now.boot + deadline.remaining(now, boot_id)

    ejected = end(wishes.ejected)
    if ejected is not None and wishes.ejected is not None:
        ejected -= wishes.ejected.length
    pause = None
    if wishes.forever or wishes.pause is not None:
        pause = Pause(end(wishes.pause))
    return replace(
        facts,
        pause=pause,
        lent_until=end(wishes.lend),
        ejected=ejected,
        finishing=wishes.finishing,
    )
