"""Which blobs each run waits for, in and out, and who carries them now.

Not the carrying (`transfer`), nor what the blobs are: inputs come into the cache, outputs go out of
the spool. Several runs may wait for one blob; it moves once.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from fallow.shared.blobs import EMPTY, BlobStore
from fallow.shared.ids import AttemptId
from fallow.shared.transfer import Delivered, NotMoved, Progressed, Stored
from fallow.shared.work import run_words

log = logging.getLogger(__name__)

Carried = Stored | Delivered | NotMoved | Progressed
Tell = Callable[[AttemptId, run_words.Event], None]


class Carrier(Protocol):
    """The part of a DataClient that is needed here."""

    def download(self, hash: str, size: int) -> None: ...
    def upload(self, hash: str, size: int, path: Path | None = None) -> None: ...
    def cancel(self, hash: str) -> None: ...


class _Fetching:
    """The inputs of one run that are not here yet: hash -> bytes; and how much of all is."""

    def __init__(self, missing: dict[str, int], total: int, built: bool) -> None:
        self.missing = missing
        self.total = total
        self.built = built
        self.partly: dict[str, int] = {}

    @property
    def received(self) -> int:
        return self.total - sum(self.missing.values()) + sum(self.partly.values())


class Deliveries:
    """All that is on its way for the runs and builds of this workstation."""

    def __init__(
        self,
        cache: BlobStore,
        outputs: BlobStore,
        tell: Tell,
        doubt: Callable[[AttemptId, str], None] = lambda attempt, hash: None,
    ) -> None:
        """`doubt` is told, once for each, which output of a run could not be delivered."""
        self._cache = cache
        self._outputs = outputs
        self._tell = tell
        self._doubt = doubt
        self._doubted: set[tuple[AttemptId, str]] = set()
        self._carrier: Carrier | None = None
        self._fetching: dict[AttemptId, _Fetching] = {}
        self._uploading: dict[AttemptId, dict[str, int]] = {}
        self._urgent: set[AttemptId] = set()
        self._only_urgent = False

    def carry_with(self, carrier: Carrier | None) -> None:
        """Move blobs with this from now on; what was asked of another is asked again."""
        self._carrier = carrier
        if carrier is None:
            return
        if not self._only_urgent:
            for fetching in self._fetching.values():
                for hash, size in fetching.missing.items():
                    carrier.download(hash, size)
        self.offer_again()

    def move_only_urgent(self, only: bool) -> None:
        """Whether nothing else is to move but what does not wait for a free desk."""
        if only == self._only_urgent:
            return
        self._only_urgent = only
        if not only:
            self.carry_with(self._carrier)
        elif self._carrier is not None:
            for fetching in self._fetching.values():
                self._cancel(fetching.missing)
            for attempt, items in self._uploading.items():
                if attempt not in self._urgent:
                    self._cancel(items)

    def fetch(self, attempt: AttemptId, wanted: Mapping[str, int], built: bool) -> None:
        """Bring these into the cache; Staged follows, at once when all are there."""
        missing = {hash: size for hash, size in wanted.items() if not self._cache.has(hash)}
        if not missing:
            self._tell(attempt, run_words.Staged(built))
            return
        self._fetching[attempt] = _Fetching(missing, sum(wanted.values()), built)
        if self._carrier is not None and not self._only_urgent:
            for hash, size in missing.items():
                self._carrier.download(hash, size)

    def upload(self, attempt: AttemptId, items: Mapping[str, int], *, urgent: bool = False) -> None:
        """Deliver these from the outputs; Uploaded follows. `urgent`: also from a desk in use."""
        # Everybody has the empty blob.
        wanted = {hash: size for hash, size in items.items() if hash != EMPTY}
        if not wanted:
            self._tell(attempt, run_words.Uploaded())
            return
        self._uploading[attempt] = wanted
        if urgent:
            self._urgent.add(attempt)
        if urgent or not self._only_urgent:
            self._offer(wanted)

    def stop(self, attempt: AttemptId) -> None:
        """The run needs nothing any more."""
        self._doubted = {each for each in self._doubted if each[0] != attempt}
        fetching = self._fetching.pop(attempt, None)
        moving = {**self._uploading.pop(attempt, {}), **(fetching.missing if fetching else {})}
        self._urgent.discard(attempt)
        self._cancel(hash for hash in moving if not self._moves(hash))

    def offer_again(self) -> None:
        """Offer what is still to be delivered; what arrived before costs nothing."""
        for attempt, items in self._uploading.items():
            if attempt in self._urgent or not self._only_urgent:
                self._offer(items)

    def moved(self, event: Carried) -> None:
        """What the carrier tells about a blob."""
        match event:
            case Stored(hash):
                for attempt, fetching in list(self._fetching.items()):
                    if fetching.missing.pop(hash, None) is not None:
                        fetching.partly.pop(hash, None)
                        self._received(attempt, fetching)
            case Progressed(hash, done):
                for attempt, fetching in self._fetching.items():
                    if hash in fetching.missing:
                        fetching.partly[hash] = done
                        self._received(attempt, fetching)
            case Delivered(hash):
                for attempt, items in list(self._uploading.items()):
                    if items.pop(hash, None) is not None and not items:
                        del self._uploading[attempt]
                        self._tell(attempt, run_words.Uploaded())
            case NotMoved(hash, why):
                for attempt, fetching in list(self._fetching.items()):
                    if hash in fetching.missing:
                        self.stop(attempt)
                        self._tell(attempt, run_words.StagingFailed(f"an input is missing: {why}"))
                for attempt, items in self._uploading.items():
                    if hash in items and (attempt, hash) not in self._doubted:
                        log.warning("%s: an output could not be delivered: %s", attempt, why)
                        self._doubted.add((attempt, hash))
                        self._doubt(attempt, hash)

    def _received(self, attempt: AttemptId, fetching: _Fetching) -> None:
        if fetching.missing:
            self._tell(attempt, run_words.Received(fetching.received, fetching.total))
            return
        del self._fetching[attempt]
        self._tell(attempt, run_words.Staged(fetching.built))

    def _cancel(self, hashes: Iterable[str]) -> None:
        """Move no more of these, unless they are urgent as well."""
        urgent = {hash for each in self._urgent for hash in self._uploading.get(each, ())}
        if self._carrier is not None:
            for hash in hashes:
                if hash not in urgent:
                    self._carrier.cancel(hash)

    def _offer(self, items: Mapping[str, int]) -> None:
        if self._carrier is not None:
            for hash, size in items.items():
                self._carrier.upload(hash, size, self._outputs.path(hash))

    def _moves(self, hash: str) -> bool:
        """Whether some run still waits for this blob, in whichever direction."""
        return any(hash in each.missing for each in self._fetching.values()) or any(
            hash in each for each in self._uploading.values()
        )
