"""What this workstation did in each minute of the last day, for the picture in its window.

Not the coordinator's history, and nothing is decided from it. Pure: the present comes in as a
number, wall-clock seconds. Minutes of which nothing is known were "off": asleep, or no agent.
"""

from msgspec import Struct

from fallow.tray.status import DayState, Span

MINUTES = 24 * 60
# Over a restart of the agent the last state is taken to have gone on.
_SHORT_GAP = 3
_LETTERS: dict[DayState, str] = {"off": ".", "free": "f", "paused": "p", "ran": "r"}
_STATES = {letter: state for state, letter in _LETTERS.items()}
# What a minute counts as in which there was more than one.
_RANK = ".fpr"


class Kept(Struct, frozen=True):
    """A diary as it is on disk: a letter a minute, the last of which is `last` (UNIX minutes)."""

    last: int = 0
    letters: str = ""


class Diary:
    """At most a day; `note` what is now at least once a minute."""

    def __init__(self, kept: Kept | None = None) -> None:
        kept = kept or Kept()
        good = set(kept.letters) <= set(_STATES) and len(kept.letters) <= MINUTES
        self._letters = kept.letters if good else ""
        self._last = kept.last
        self.saved = self._last

    @property
    def last(self) -> int:
        """The minute that was noted last."""
        return self._last

    def kept(self) -> Kept:
        """What is to be written down."""
        return Kept(self._last, self._letters)

    def note(self, state: DayState, now: float) -> None:
        """This is what the workstation does now."""
        minute, letter = int(now // 60), _LETTERS[state]
        gap = minute - self._last
        if not self._letters or gap >= MINUTES:
            self._letters = letter
        elif gap > 0:
            between = self._letters[-1] if gap <= _SHORT_GAP else _LETTERS["off"]
            self._letters = (self._letters + between * (gap - 1) + letter)[-MINUTES:]
        else:
            # The same minute once more, or somebody has set the clock back.
            if gap == 0:
                letter = max(letter, self._letters[-1], key=_RANK.find)
            self._letters = self._letters[: max(len(self._letters) + gap - 1, 0)] + letter
        self._last = minute

    def spans(self, now: float) -> tuple[Span, ...]:
        """The stretches of the last day, the oldest first; the last one ends now."""
        found: list[Span] = []
        first = self._last + 1 - len(self._letters)
        oldest = int(now // 60) + 1 - MINUTES
        for place, letter in enumerate(self._letters):
            minute, state = first + place, _STATES[letter]
            if minute < oldest:
                continue
            if found and found[-1].state == state:
                found[-1] = Span(found[-1].start, 60.0 * (minute + 1), state)
            else:
                found.append(Span(60.0 * minute, 60.0 * (minute + 1), state))
        if found and found[-1].end > now:
            found[-1] = Span(found[-1].start, max(now, found[-1].start), found[-1].state)
        return tuple(found)
