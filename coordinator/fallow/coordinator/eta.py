"""How long it will still take: estimates in running seconds, from progress or from jobs before.

Not a promise: pauses do not count. Where a job says how far it is, that is believed before the mean
of those that are done. The opposite is `status`, which has the figures.
"""

from collections.abc import Sequence

from msgspec import Struct

_LEAST = 0.005  # of a share: before that, a job has said nothing about its pace


class Pace(Struct, frozen=True):
    """One job that runs: its running seconds so far, and how far it says it is (None: nothing)."""

    run_seconds: float
    share: float | None = None

    @property
    def whole(self) -> float | None:
        """The running seconds that it will have taken, going by its own progress."""
        if self.share is None or self.share < _LEAST:
            return None
        return self.run_seconds / self.share


def of_job(pace: Pace, mean: float | None) -> float | None:
    """Running seconds left of one job; `mean` is what such jobs took, None where none is done."""
    whole = pace.whole if pace.whole is not None else mean
    return max(whole - pace.run_seconds, 0.0) if whole is not None else None


def of_batch(waiting: int, paces: Sequence[Pace], mean: float | None, slots: int) -> float | None:
    """Running seconds left of a batch whose jobs run `slots` at once; None when nobody can tell.

    At least as long as the job that takes longest: the others cannot help it.
    """
    if mean is None:
        told = [pace.whole for pace in paces if pace.whole is not None]
        mean = sum(told) / len(told) if told else None
    left = [of_job(pace, mean) for pace in paces]
    if slots < 1 or (mean is None and (waiting or None in left)):
        return None
    known = [each for each in left if each is not None]
    in_all = sum(known) + waiting * (mean or 0.0)
    return max(in_all / slots, *known, 0.0)
