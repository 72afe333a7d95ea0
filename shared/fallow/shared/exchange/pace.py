"""A bound on bytes per second in one direction, as a bucket of credit that fills with time.

Not a clock: the present comes in as a number. What is spent may overdraw the bucket once, and then
nothing goes until that is made up for.
"""

from fallow.shared.messages import CHUNK

_BURST = 0.5  # seconds' worth that may go at once after a rest
# A side that hears nothing for some seconds asks again, so that pieces must be small enough.
_PIECES = 4  # a second, at least
_SMALLEST = 1024


class Pace:
    """`rate` is bytes per second, None without a bound."""

    def __init__(self, rate: int | None = None) -> None:
        self.rate = rate
        self._credit = 0.0
        self._filled: float | None = None

    def may_go(self) -> bool:
        """Whether anything may go now."""
        return self.rate is None or self._credit > 0

    @property
    def piece(self) -> int:
        """The most bytes that may go in one message."""
        if self.rate is None:
            return CHUNK
        return max(min(CHUNK, self.rate // _PIECES), _SMALLEST)

    @property
    def opens_in(self) -> float:
        """Seconds until something may go."""
        return 0.0 if self.rate is None or self.may_go() else 0.001 - self._credit / self.rate

    def fill(self, now: float) -> None:
        """It is this late (boot-clock seconds)."""
        if self.rate is not None:
            since = now if self._filled is None else self._filled
            self._credit = min(self._credit + (now - since) * self.rate, self.rate * _BURST)
            if self._filled is None:
                self._credit = self.rate * _BURST
        self._filled = now

    def spend(self, size: int) -> None:
        """So many bytes go now."""
        if self.rate is not None:
            self._credit -= size
