"""The cache of inputs: what a boot makes doubtful, and what goes when the disk is short."""

import hashlib
import os
from pathlib import Path

import pytest

from fallow.shared.blobs import BlobStore
from fallow.tray.cache import distrust_after_boot, make_room

EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> BlobStore:
    made = BlobStore(tmp_path / "cache", durable=False)
    os.utime(made.path(EMPTY), (0, 0))
    return made


def put(cache: BlobStore, name: str, at: float) -> str:
    """A blob of 100 bytes that was written at this wall-clock second."""
    hash = cache.put_bytes(name.encode().ljust(100))
    os.utime(cache.path(hash), (at, at))
    return hash


def test_after_another_boot_only_what_had_settled_is_trusted(
    cache: BlobStore, tmp_path: Path
) -> None:
    marker = tmp_path / "booted"
    distrust_after_boot(cache, marker, "first")
    old, late, last = put(cache, "a", 1000), put(cache, "b", 2000), put(cache, "c", 2100)
    distrust_after_boot(cache, marker, "first")
    assert cache.hashes() == {EMPTY, old, late, last}
    distrust_after_boot(cache, marker, "second")
    assert cache.hashes() == {EMPTY, old}
    late = put(cache, "b", 2000)
    distrust_after_boot(cache, marker, "second")
    assert cache.has(late)


def test_a_cache_of_an_unknown_boot_is_not_trusted(cache: BlobStore, tmp_path: Path) -> None:
    spoiled = put(cache, "a", 1000)
    cache.path(spoiled).chmod(0o600)
    cache.path(spoiled).write_bytes(b"")
    distrust_after_boot(cache, tmp_path / "booted", "boot")
    assert not cache.has(spoiled)


def test_a_boot_that_cannot_be_noted_is_no_reason_to_end(cache: BlobStore, tmp_path: Path) -> None:
    marker = tmp_path / "booted"
    marker.mkdir()
    spoiled = put(cache, "a", 1000)
    distrust_after_boot(cache, marker, "boot")
    assert not cache.has(spoiled)


def test_the_oldest_make_room_and_what_is_needed_stays(cache: BlobStore) -> None:
    first, second, third = (put(cache, name, at) for at, name in enumerate("abc", start=1))
    assert make_room(cache, 150, {first}) == 200
    assert cache.has(first)
    assert not cache.has(second)
    assert not cache.has(third)
    assert make_room(cache, 1000, {first}) == 0
