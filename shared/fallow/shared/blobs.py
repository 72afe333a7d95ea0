"""Content-addressed files: `ab/cdef…` below a folder, named by the SHA-256 of what they hold.

Not how blobs travel (`transfer`) nor who needs them. A file is there whole and verified, or not at
all; what is half here waits in `tmp/` and can go on. The opposite is `exchange`, which fills it.
"""

import contextlib
import errno
import hashlib
import os
import re
import threading
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{64}")
EMPTY = hashlib.sha256(b"").hexdigest()
"""The blob that every store has from its start."""
_BLOCK = 1 << 20
_PUSH = 8 << 20  # bytes appended between two nudges to the disk
_STALE = 5.0  # seconds without a byte after which somebody else may go on with a partial blob


class CorruptBlob(Exception):
    """What arrived is not what its hash says."""


def check_hash(text: str) -> str:
    """The text itself if it is a SHA-256 in lower-case hex, else ValueError."""
    if _HASH.fullmatch(text) is None:
        raise ValueError(f"not a hash: {text[:80]!r}")
    return text


def hash_file(path: Path) -> tuple[str, int]:
    """SHA-256 in hex and size in bytes of what was read, which for a growing file may be a part."""
    digest = hashlib.sha256()
    size = 0
    buffer = bytearray(_BLOCK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(view[:count])
            size += count
    return digest.hexdigest(), size


class Partial:
    """A blob on its way in: bytes are appended in order and hashed as they come.

    One thread at a time. `offset` is how much is here; a partial blob that was taken over by
    another owner is `closed` and takes no more.
    """

    def __init__(self, store: "BlobStore", hash: str, size: int, path: Path, owner: str) -> None:
        self.hash = hash
        self.size = size
        self.owner = owner
        self.offset = 0
        self.touched = 0.0
        self.closed = False
        self._store = store
        self._path = path
        self._pushed = 0
        self._digest = hashlib.sha256()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._take_up_prefix()

    def append(self, offset: int, data: bytes | memoryview, now: float) -> None:
        """Write the next bytes; ValueError unless they start at `offset` and fit in the size."""
        if self.closed or offset != self.offset or offset + len(data) > self.size:
            raise ValueError(f"bytes at {offset} do not follow {self.offset} of {self.size}")
        view = memoryview(data)
        self._digest.update(view)
        while view:
            view = view[os.write(self._file, view) :]
        self.offset = offset + len(data)
        self.touched = now
        if self._store.durable and self.offset - self._pushed >= _PUSH:
            # Starts the writing without waiting for it, so that `finish` has little left to force.
            os.posix_fadvise(
                self._file, self._pushed, self.offset - self._pushed, os.POSIX_FADV_DONTNEED
            )
            self._pushed = self.offset

    def finish(self) -> None:
        """Verify, force to disk and put in place; CorruptBlob discards it. From any thread."""
        if self.offset != self.size or self._digest.hexdigest() != self.hash:
            self.discard()
            raise CorruptBlob(self.hash)
        os.fchmod(self._file, 0o400)
        if self._store.durable:
            os.fsync(self._file)
        self._store._place(self._path, self.hash)
        self._end()

    def close(self) -> None:
        """Stop, and keep what is here for another time."""
        if not self.closed:
            self._end()

    def discard(self) -> None:
        """Stop, and keep nothing."""
        if not self.closed:
            self._path.unlink(missing_ok=True)
            self._end()

    def _take_up_prefix(self) -> None:
        buffer = bytearray(_BLOCK)
        view = memoryview(buffer)
        while count := os.readv(self._file, [buffer]):
            self._digest.update(view[:count])
            self.offset += count
        if self.offset > self.size:
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            self._digest = hashlib.sha256()
            self.offset = 0

    def _end(self) -> None:
        self.closed = True
        os.close(self._file)
        self._store._ended(self)

    def _give_way(self) -> None:
        self.closed = True
        os.close(self._file)

    def _hand_over(self, owner: str, now: float) -> "Partial":
        heir = object.__new__(Partial)
        heir.__dict__.update(self.__dict__)
        heir.owner = owner
        heir.touched = now
        self.closed = True
        return heir


class BlobStore:
    """A folder of blobs; safe for several threads of one process.

    `durable` false is for what can be fetched again: nothing is forced to disk.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root
        self.durable = durable
        self._lock = threading.Lock()
        self._partials: dict[str, Partial] = {}
        self._serial = 0
        self._tmp = root / "tmp"
        self._tmp.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._tmp.glob("put-*"):
            left.unlink(missing_ok=True)
        if not self.has(EMPTY):
            self.put_bytes(b"")

    def path(self, hash: str) -> Path:
        """Where the blob is, or would be; ValueError when it is no hash. Never write there."""
        check_hash(hash)
        return self.root / hash[:2] / hash[2:]

    def has(self, hash: str) -> bool:
        """Whether it is here, whole and verified."""
        return self.path(hash).exists()

    def put_bytes(self, data: bytes) -> str:
        """Keep these bytes; their hash."""
        scratch = self._scratch()
        try:
            with scratch.open("wb") as file:
                file.write(data)
                self._settle(file.fileno())
            digest = hashlib.sha256(data).hexdigest()
            self._place(scratch, digest)
        finally:
            scratch.unlink(missing_ok=True)
        return digest

    def put_file(self, path: Path, *, link: bool = False) -> tuple[str, int]:
        """Keep a copy of this file; (hash, size). OSError when there is no room.

        `link` keeps the file itself under a second name where that works, and makes it read-only:
        only for files of our own that nobody will write to again.
        """
        if link and path.lstat().st_size == 0:
            return EMPTY, 0
        scratch = self._scratch()
        try:
            if link:
                with contextlib.suppress(OSError):
                    os.link(path, scratch, follow_symlinks=False)
            if not scratch.exists():
                # Imported here: it brings three compression libraries along.
                from shutil import copyfile

                copyfile(path, scratch)
            # Hashed from our copy: the original may change while it is read.
            digest, size = hash_file(scratch)
            with scratch.open("rb") as file:
                self._settle(file.fileno())
            self._place(scratch, digest)
        finally:
            scratch.unlink(missing_ok=True)
        return digest, size

    def begin(
        self, hash: str, size: int, owner: str, now: float, *, take_over: bool = True
    ) -> Partial | None:
        """Take up, or go on with, an incoming blob; `offset` of the result says where.

        None while it comes in elsewhere and has not stalled; `take_over` goes on at once with what
        the same owner began. OSError when the disk has no room or refuses.
        """
        check_hash(hash)
        if size > self._free():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self._lock:
            current = self._partials.get(hash)
            if current is not None:
                ours = take_over and current.owner == owner
                if current.offset == current.size or not (ours or now - current.touched >= _STALE):
                    return None
            if current is not None and current.size == size:
                fresh = current._hand_over(owner, now)
            else:
                if current is not None:
                    # One of the two lies about the size; the hash will tell.
                    current._give_way()
                # Read from disk under the lock, since two owners must not take up one file.
                fresh = Partial(self, hash, size, self._tmp / hash, owner)
                fresh.touched = now
            self._partials[hash] = fresh
            return fresh

    def discard(self, hash: str) -> None:
        """Forget the part of a blob that nobody is receiving now."""
        check_hash(hash)
        with self._lock:
            if hash not in self._partials:
                (self._tmp / hash).unlink(missing_ok=True)

    def discard_parts(self, before: float) -> None:
        """Forget all parts that have not grown since this wall-clock second."""
        for part in self._tmp.iterdir():
            if _HASH.fullmatch(part.name):
                with contextlib.suppress(FileNotFoundError):
                    if part.stat().st_mtime < before:
                        self.discard(part.name)

    def delete(self, hash: str) -> None:
        """Remove a blob, no error when it is not here; the empty one stays."""
        if hash != EMPTY:
            self.path(hash).unlink(missing_ok=True)

    def hashes(self) -> set[str]:
        """All blobs that are here whole."""
        return {
            folder.name + file.name
            for folder in self.root.iterdir()
            if len(folder.name) == 2
            for file in folder.iterdir()
        }

    def total(self) -> int:
        """Bytes held, partial blobs included."""
        size = 0
        for folder in self.root.iterdir():
            for file in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    size += file.stat().st_size
        return size

    def _free(self) -> int:
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def _scratch(self) -> Path:
        with self._lock:
            self._serial += 1
            return self._tmp / f"put-{os.getpid()}-{self._serial}"

    def _settle(self, file: int) -> None:
        os.fchmod(file, 0o400)
        if self.durable:
            os.fsync(file)

    def _place(self, source: Path, hash: str) -> None:
        target = self.path(hash)
        try:
            target.parent.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            self._force(self.root)
        source.replace(target)
        self._force(target.parent)

    def _force(self, folder: Path) -> None:
        if self.durable:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _ended(self, partial: Partial) -> None:
        with self._lock:
            if self._partials.get(partial.hash) is partial:
                del self._partials[partial.hash]
