"""Which blobs nobody needs any more, and removing them.

Not the removing of results (`results`), whose files are other names of the same blobs. Needed are
the inputs of every batch there is, the files of every result, also of one that is just being
stored, and the checkpoints that jobs go on from; what came within a day may be needed by something
that is still under way.
"""

import logging
import time
from collections.abc import Iterable, Iterator

from fallow.coordinator.records import BatchRecord
from fallow.coordinator.store import Store
from fallow.shared.blobs import BlobStore
from fallow.shared.messages import Malformed, decode_manifest

log = logging.getLogger(__name__)

EVERY = 86400.0  # seconds between two sweeps
_YOUNG = 86400.0


def needed(store: Store, blobs: BlobStore, batches: Iterable[BatchRecord]) -> set[str]:
    """The blobs that must stay."""
    inputs = {
        content.hash
        for batch in batches
        for contents in batch.contents.values()
        for content in contents
    }
    return inputs | set(store.used_hashes()) | set(_under_way(store, blobs))


def _under_way(store: Store, blobs: BlobStore) -> Iterator[str]:
    """What commits that were begun consist of: no row lists it yet."""
    for deposit in store.committing():
        if deposit.manifest is not None:
            yield from listed(blobs, deposit.manifest)


def listed(blobs: BlobStore, manifest: str) -> set[str]:
    """The manifest, and what it lists if it is here itself."""
    try:
        files = decode_manifest(blobs.path(manifest).read_bytes()).files
    except (OSError, Malformed):
        return {manifest}
    return {manifest, *(file.hash for file in files)}


def free(blobs: BlobStore, hashes: Iterable[str], keep: set[str]) -> None:
    """Remove those of these blobs, and parts of them, that are not to be kept."""
    gone = [hash for hash in hashes if hash not in keep]
    for hash in gone:
        blobs.delete(hash)
        blobs.discard(hash)
    if gone:
        log.info("removed %d blobs that nobody needs any more", len(gone))


def sweep(blobs: BlobStore, keep: set[str]) -> None:
    """Remove every blob, or part of one, that is not to be kept and came more than a day ago."""
    before = time.time() - _YOUNG
    blobs.discard_parts(before)
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
