"""Which blobs nobody needs any more, and removing them.

Not the removing of results (`results`), whose files are other names of the same blobs. Needed are
the inputs of every batch there is and the files of every result; what came within a day may be
needed by something that is still under way.
"""

import logging
import time
from collections.abc import Iterable

from fallow.coordinator.records import BatchRecord
from fallow.coordinator.store import Store
from fallow.shared.blobs import BlobStore

log = logging.getLogger(__name__)

EVERY = 86400.0  # seconds between two sweeps
_YOUNG = 86400.0


def needed(store: Store, batches: Iterable[BatchRecord]) -> set[str]:
    """The blobs that must stay."""
    inputs = {
        content.hash
        for batch in batches
        for contents in batch.contents.values()
        for content in contents
    }
    return inputs | set(store.used_hashes())


def free(blobs: BlobStore, hashes: Iterable[str], keep: set[str]) -> None:
    """Remove those of these blobs that are not to be kept: their batch is gone."""
    gone = [hash for hash in hashes if hash not in keep]
    for hash in gone:
        blobs.delete(hash)
    if gone:
        log.info("removed %d blobs of a removed batch", len(gone))


def sweep(blobs: BlobStore, keep: set[str]) -> None:
    """Remove every blob that is not to be kept and has been here for more than a day."""
    before = time.time() - _YOUNG
    gone = 0
    for hash in blobs.hashes() - keep:
        try:
            if blobs.path(hash).stat().st_mtime < before:
                blobs.delete(hash)
                gone += 1
        except FileNotFoundError:
            continue
    if gone:
        log.info("removed %d blobs that nobody needs", gone)
