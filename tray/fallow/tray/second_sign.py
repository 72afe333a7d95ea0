"""A bumped mouse after long idleness is nobody yet: it needs a second sign. Keys count at once.

Not a sensor (`sensors/pynput_input` asks it at every event) and not the presence rule, which sees
only what has counted. Instants are boot-clock seconds, distances pixels of the pointer.
"""

from collections.abc import Callable
from math import hypot
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

Kind = Literal["key", "click", "scroll", "motion"]


class Rule(Struct, frozen=True):
    """When motion is doubted: after `idle` seconds without input, below `distance` pixels.

    Motions less than `bump` seconds apart are one; a second sign must come within `wait` seconds.
    """

    idle: float = 900.0
    distance: float = 16.0
    bump: float = 0.25
    wait: float = 30.0


class Input(Struct, frozen=True):
    """One event of keyboard or mouse; `x` and `y` say where the pointer is, for a motion."""

    kind: Kind
    at: float
    x: float = 0.0
    y: float = 0.0


class Doubt(Struct, frozen=True):
    """A motion that may be a bumped desk: when it began and was last seen, and from where."""

    began: float
    last: float
    x: float
    y: float


class Signs(Struct, frozen=True):
    """What has counted as input until now: `active_at`, at first when the looking began.

    `pointer` is where the pointer was seen last, None before the first motion.
    """

    active_at: float
    doubt: Doubt | None = None
    pointer: tuple[float, float] | None = None

    def doubts(self, at: float, jitter: float = 0.25) -> bool:
        """Is what another sensor saw at `at` only the motion that does not count yet?"""
        doubt = self.doubt
        return doubt is not None and doubt.began - jitter <= at <= doubt.last + jitter


def witness(signs: Signs, event: Input, rule: Rule = Rule()) -> Signs:  # noqa: B008
    """The signs after this event; it counted when `active_at` is the event's own instant."""
    if event.kind != "motion":
        return replace(signs, active_at=event.at, doubt=None)
    here = (event.x, event.y)
    doubt = signs.doubt
    if doubt is not None and event.at - doubt.began <= rule.wait:
        far = hypot(event.x - doubt.x, event.y - doubt.y) >= rule.distance
        if far or event.at - doubt.last > rule.bump:
            return Signs(event.at, None, here)
        return Signs(signs.active_at, replace(doubt, last=event.at), here)
    if event.at - signs.active_at < rule.idle:
        return Signs(event.at, None, here)
    # Where the pointer was before is known only when it has moved before.
    x, y = signs.pointer or here
    if hypot(event.x - x, event.y - y) >= rule.distance:
        return Signs(event.at, None, here)
    return Signs(signs.active_at, Doubt(event.at, event.at, x, y), here)


# Two answers about the same last input differ by less than this, in seconds.
JITTER = 0.25
# So long after an input it may not be known yet whether it is to be doubted.
YOUNG = 0.5


class Answers(Struct, frozen=True):
    """What a sensor that tells no kinds, only instants, has answered: `seen_at` counts.

    `young` is an answer so fresh that it waits for the next one before it counts.
    """

    seen_at: float | None = None
    young: float | None = None


def answered(
    known: Answers, answer: float, now: float, doubts: Callable[[float], bool] | None
) -> Answers:
    """What is known after one more answer; with `doubts` None whatever is answered counts."""
    seen_at = known.seen_at
    if doubts is not None and known.young is not None and not doubts(known.young):
        seen_at = known.young
    if seen_at is not None and abs(answer - seen_at) <= JITTER:
        return Answers(seen_at)
    if doubts is None:
        return Answers(answer)
    if doubts(answer):
        return Answers(seen_at)
    return Answers(seen_at, answer) if now - answer < YOUNG else Answers(answer)
