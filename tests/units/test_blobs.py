"""What is in the store is whole and verified; what is half here can go on."""

import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from fallow.shared.blobs import BlobStore, CorruptBlob, hash_file

DATA = random.Random(1).randbytes(3_000_000)
HASH = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def test_the_empty_blob_is_always_here(store: BlobStore) -> None:
    empty = hashlib.sha256(b"").hexdigest()
    assert store.has(empty)
    assert store.path(empty).read_bytes() == b""
    store.delete(empty)
    assert store.has(empty)


@pytest.mark.parametrize("link", [False, True])
def test_a_file_is_kept_under_its_hash(store: BlobStore, tmp_path: Path, link: bool) -> None:
    original = tmp_path / "original"
    original.write_bytes(DATA)
    assert hash_file(original) == (HASH, len(DATA))
    assert store.put_file(original, link=link) == (HASH, len(DATA))
    assert store.put_file(original, link=link) == (HASH, len(DATA))
    assert store.path(HASH) == store.root / HASH[:2] / HASH[2:]
    assert store.path(HASH).read_bytes() == DATA
    assert original.samefile(store.path(HASH)) is link
    assert store.total() == len(DATA)
    assert os.listdir(store.root / "tmp") == []
    store.delete(HASH)
    store.delete(HASH)
    assert not store.has(HASH)
    assert original.read_bytes() == DATA


@pytest.mark.parametrize(
    "hash", ["", "ab", "../" * 20 + "etcd", HASH.upper(), HASH + "0", "g" * 64]
)
def test_only_hashes_name_blobs(store: BlobStore, hash: str) -> None:
    with pytest.raises(ValueError, match="not a hash"):
        store.has(hash)
    with pytest.raises(ValueError, match="not a hash"):
        store.begin(hash, 1, "", 0)


def test_bytes_in_order_become_a_blob(store: BlobStore) -> None:
    partial = store.begin(HASH, len(DATA), "", 0)
    assert partial is not None
    for offset in range(0, len(DATA), 70_000):
        assert not store.has(HASH)
        partial.append(offset, DATA[offset : offset + 70_000], 0)
    partial.finish()
    assert store.path(HASH).read_bytes() == DATA
    assert store.path(HASH).stat().st_mode & 0o777 == 0o400
    assert os.listdir(store.root / "tmp") == []


@pytest.mark.parametrize(("offset", "size"), [(0, 10), (99, 10), (101, 10), (100, 3_000_000)])
def test_bytes_out_of_order_or_too_many_are_refused(
    store: BlobStore, offset: int, size: int
) -> None:
    partial = store.begin(HASH, len(DATA), "", 0)
    assert partial is not None
    partial.append(0, DATA[:100], 0)
    with pytest.raises(ValueError, match="do not follow"):
        partial.append(offset, bytes(size), 0)
    partial.close()


def test_another_process_goes_on_where_one_stopped(store: BlobStore) -> None:
    partial = store.begin(HASH, len(DATA), "", 0)
    assert partial is not None
    partial.append(0, DATA[:1_500_000], 0)
    partial.close()
    again = BlobStore(store.root).begin(HASH, len(DATA), "", 0)
    assert again is not None
    assert again.offset == 1_500_000
    again.append(1_500_000, DATA[1_500_000:], 0)
    again.finish()
    assert hash_file(store.path(HASH)) == (HASH, len(DATA))


def test_wrong_bytes_are_found_out_and_thrown_away(store: BlobStore) -> None:
    partial = store.begin(HASH, len(DATA), "", 0)
    assert partial is not None
    partial.append(0, DATA[:-1] + b"!", 0)
    with pytest.raises(CorruptBlob):
        partial.finish()
    assert not store.has(HASH)
    again = store.begin(HASH, len(DATA), "", 0)
    assert again is not None
    assert again.offset == 0
    again.discard()


def test_a_part_longer_than_the_whole_is_begun_anew(store: BlobStore) -> None:
    (store.root / "tmp" / HASH).write_bytes(DATA + b"more")
    partial = store.begin(HASH, len(DATA), "", 0)
    assert partial is not None
    assert partial.offset == 0
    partial.append(0, DATA, 0)
    partial.finish()


def test_a_blob_that_comes_in_is_left_alone_until_it_stalls(store: BlobStore) -> None:
    first = store.begin(HASH, len(DATA), "ana", 10.0)
    assert first is not None
    first.append(0, DATA[:1000], 11.0)
    assert store.begin(HASH, len(DATA), "bo", 15.0) is None
    assert store.begin(HASH, len(DATA), "ana", 15.0, take_over=False) is None
    heir = store.begin(HASH, len(DATA), "bo", 16.0)
    assert heir is not None
    assert heir.offset == 1000
    assert first.closed
    with pytest.raises(ValueError, match="do not follow"):
        first.append(1000, DATA[1000:], 16.0)
    first.close()
    first.discard()
    heir.append(1000, DATA[1000:], 16.0)
    heir.finish()
    assert store.path(HASH).read_bytes() == DATA


def test_who_lies_about_a_size_and_stalls_is_in_nobodys_way(store: BlobStore) -> None:
    liar = store.begin(HASH, len(DATA) + 5, "eve", 10.0)
    assert liar is not None
    liar.append(0, DATA[:1000], 10.0)
    assert store.begin(HASH, len(DATA), "ana", 14.0) is None
    honest = store.begin(HASH, len(DATA), "ana", 15.0)
    assert honest is not None
    assert (honest.offset, liar.closed) == (1000, True)
    liar.close()
    honest.append(1000, DATA[1000:], 15.0)
    honest.finish()
    assert store.path(HASH).read_bytes() == DATA
    assert store.begin(HASH, len(DATA), "bo", 15.0) is not None, "nobody is receiving it"


def test_the_same_owner_goes_on_at_once(store: BlobStore) -> None:
    first = store.begin(HASH, len(DATA), "ana", 10.0)
    heir = store.begin(HASH, len(DATA), "ana", 10.0)
    assert first is not None
    assert heir is not None
    assert (first.closed, heir.closed) == (True, False)
    heir.discard()


def test_more_than_the_disk_holds_is_refused_at_once(store: BlobStore) -> None:
    with pytest.raises(OSError, match="No space"):
        store.begin(HASH, 1 << 60, "", 0)


def test_two_threads_may_keep_the_same_files(store: BlobStore, tmp_path: Path) -> None:
    files = []
    for number in range(30):
        files.append(tmp_path / str(number))
        files[-1].write_bytes(b"%d" % (number % 10))
    problems: list[Exception] = []

    def work() -> None:
        try:
            for file in files:
                store.put_file(file)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(store.hashes()) == 11


def test_leftovers_of_a_crash_go_and_parts_stay(store: BlobStore) -> None:
    (store.root / "tmp" / "put-1-1").write_bytes(b"x")
    (store.root / "tmp" / HASH).write_bytes(b"x")
    BlobStore(store.root)
    assert os.listdir(store.root / "tmp") == [HASH]
    store.discard(HASH)
    assert os.listdir(store.root / "tmp") == []


def test_parts_that_nobody_goes_on_with_are_forgotten(store: BlobStore) -> None:
    old, live = "ab" * 32, "cd" * 32
    for hash in (old, live):
        part = store.begin(hash, 10, "dino", 0.0)
        assert part is not None
        part.append(0, b"12345", 0.0)
        if hash == old:
            part.close()
        os.utime(store.root / "tmp" / hash, (1000.0, 1000.0))
    store.discard_parts(before=1000.0)
    assert sorted(os.listdir(store.root / "tmp")) == [old, live]
    store.discard_parts(before=1001.0)
    assert os.listdir(store.root / "tmp") == [live]
