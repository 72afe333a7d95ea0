"""Whether a complaint is due again: what somebody outside can cause must not fill the log.

Not logging itself; each speaker has its own one. It takes `now` and reads no clock.
"""

from collections.abc import Hashable


class Quiet:
    """Lets one line per subject through every `every` seconds, and `most` subjects in that time.

    One thread.
    """

    def __init__(self, every: float = 60.0, most: int = 100) -> None:
        self._every = every
        self._most = most
        self._said: dict[Hashable, float] = {}

    def due(self, subject: Hashable, now: float) -> bool:
        """True when this subject's line may be written now; it then counts as written."""
        said = self._said.get(subject)
        if said is not None and now - said < self._every:
            return False
        if len(self._said) >= self._most:
            self._said = {one: at for one, at in self._said.items() if now - at < self._every}
            if len(self._said) >= self._most:
                return False
        self._said[subject] = now
        return True
