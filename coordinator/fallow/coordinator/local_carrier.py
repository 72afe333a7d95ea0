"""Brings a local run's inputs from where they lie, and its outputs nowhere: they are here already.

Not which ones (`deliveries`). Opposite: the `DataClient` of an agent, for which all this is a way
through a network. Inputs are copied once, so that a file may be changed while its batch runs.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from fallow.shared.blobs import BlobStore
from fallow.shared.transfer import Delivered, NotMoved, Stored
from fallow.shared.work.workshop import Workshop

Moved = Stored | Delivered | NotMoved


class LocalCarrier:
    """Carries for one run; `tell` is called from its own thread."""

    def __init__(
        self, sources: Mapping[str, Path], cache: BlobStore, tell: Callable[[Moved], None]
    ) -> None:
        self._sources = sources
        self._cache = cache
        self._tell = tell
        self._workshop = Workshop(threads=1)

    def download(self, hash: str, size: int) -> None:
        self._workshop.do(hash, lambda: self._tell(self._bring(hash)))

    def upload(self, hash: str, size: int, path: Path | None = None) -> None:
        self._tell(Delivered(hash))

    def cancel(self, hash: str) -> None:
        """Nothing to do: it is here, or will be in no time."""

    def close(self) -> None:
        self._workshop.close()

    def _bring(self, hash: str) -> Moved:
        if self._cache.has(hash):
            return Stored(hash)
        source = self._sources.get(hash)
        if source is None:
            return NotMoved(hash, "it was not among the files of the batch")
        try:
            found, _ = self._cache.put_file(source)
        except OSError as error:
            return NotMoved(hash, f"{source}: {error.strerror}")
        if found != hash:
            self._cache.delete(found)
            return NotMoved(hash, f"{source} was changed after the batch had been read")
        return Stored(hash)
