"""The inputs that were fetched: which of them to distrust after a boot, which to remove for room.

Not the fetching (`workbench`). Whatever goes from here is fetched again when it is needed; nothing
here is forced to disk. Opposite: `spool`, which nobody else has.
"""

import contextlib
import logging
from collections.abc import Container
from pathlib import Path

from fallow.shared.blobs import BlobStore

log = logging.getLogger(__name__)

# A kernel writes out within half a minute what nobody forces to disk; under load it takes longer.
_UNSETTLED = 300.0


def distrust_after_boot(cache: BlobStore, marker: Path, boot_id: str) -> None:
    """Remove what a power failure may have spoiled: what was written last before another boot.

    `marker` is the file that keeps the boot in which the cache was last used.
    """
    try:
        if marker.read_text() == boot_id:
            return
    except (OSError, UnicodeDecodeError):
        log.debug("the cache of an unknown boot")
    written = _ages(cache)
    newest = max(written.values(), default=0.0)
    for hash, at in written.items():
        if at > newest - _UNSETTLED:
            cache.delete(hash)
    try:
        marker.write_text(boot_id)
    except OSError as error:
        log.warning("%s cannot be written: %s", marker, error.strerror)


def make_room(cache: BlobStore, wanted: int, keep: Container[str]) -> int:
    """Remove the oldest inputs until so many bytes are free again; how many are."""
    freed = 0
    written = _ages(cache)
    for hash in sorted(written, key=written.__getitem__):
        if freed >= wanted:
            break
        if hash in keep:
            continue
        with contextlib.suppress(OSError):
            freed += cache.path(hash).stat().st_size
            cache.delete(hash)
    if freed:
        log.info("removed inputs of %d bytes: the disk is nearly full", freed)
    return freed


def _ages(cache: BlobStore) -> dict[str, float]:
    """When each was written, in wall-clock seconds."""
    found = {}
    for hash in cache.hashes():
        with contextlib.suppress(FileNotFoundError):
            found[hash] = cache.path(hash).stat().st_mtime
    return found
