"""What grows if nobody looks after it: blobs that nothing needs any more, and the audit's old end.

Not which blobs those are (`sweeping`), nor the results of removed batches (`archive`).
"""

from collections.abc import Callable, Iterable

from fallow.coordinator import sweeping
from fallow.coordinator.store import AnySave, ForgetEvents, Store
from fallow.coordinator.world import World
from fallow.shared.blobs import BlobStore
from fallow.shared.moments import Moment

_KEEP_EVENTS = 90 * 86400.0  # seconds
_FORGET_EVERY = 60.0


class Housekeeping:
    """Frees blobs and forgets events; `save` keeps what is to be saved with this turn."""

    def __init__(
        self, world: World, store: Store, blobs: BlobStore, save: Callable[[AnySave], None]
    ) -> None:
        self._world = world
        self._store = store
        self._blobs = blobs
        self._save = save
        self._unneeded: set[str] = set()
        self._sweep_at = 0.0
        self._forget_at = 0.0

    def free(self, hashes: Iterable[str]) -> None:
        """These may go, unless something else needs them."""
        self._unneeded |= set(hashes)

    def free_outputs(self, manifest: str) -> None:
        """So may these, with their list."""
        self.free(sweeping.listed(self._blobs, manifest))

    def forget(self, now: Moment) -> None:
        """Drop what of the audit is too old, a little at a time."""
        if now.boot >= self._forget_at:
            self._forget_at = now.boot + _FORGET_EVERY
            self._save(ForgetEvents(now.wall - _KEEP_EVENTS))

    def sweep(self, now: Moment) -> None:
        """Free what a removed batch alone needed; once a day, look for anything else."""
        daily = now.boot >= self._sweep_at
        if not daily and not self._unneeded:
            return
        batches = (batch.record for batch in self._world.batches.values())
        needed = sweeping.needed(self._store, self._blobs, batches)
        nodes = self._world.nodes.values()
        builds = (build for node in nodes for build in node.builds.values())
        needed |= {build.log for build in builds if build.log is not None}
        sweeping.free(self._blobs, self._unneeded, needed)
        self._unneeded = set()
        if daily:
            self._sweep_at = now.boot + sweeping.EVERY
            sweeping.sweep(self._blobs, needed)

    def deadline(self) -> float:
        """The boot-clock second of whatever is due first."""
        return min(self._sweep_at, self._forget_at)
