"""The folder in which a local run works, away from its results, and what earlier runs left there.

Not the results (`results`) nor what of them still holds (`local_journal`). Opposite: an agent's
data folder, whose runs outlive the agent; here nothing outlives the command.

    <cache of the user>/fallow/run/<word>/lock, runs/, builds/, cache/, spool/
    <cache of the user>/fallow/run/<word>.jsonl    what has succeeded: it stays
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Generator
from pathlib import Path

from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.work import files, processes
from fallow.shared.work.build import is_build

log = logging.getLogger(__name__)

_LOCK = "lock"
_PATIENCE = 1.0  # seconds


def default_parent() -> Path:
    """Where all local runs of this user work."""
    import platformdirs

    return platformdirs.user_cache_path("fallow") / "run"


class LocalHome:
    """One local run's folder, this process's own as long as it is open.

    `word` is the same for every run into the same place. FallowError when another process runs the
    same batch into the same place, or the disk refuses.
    """

    def __init__(self, parent: Path, results: Path) -> None:
        self.word = hashlib.sha256(os.fsencode(results)).hexdigest()[:16]
        self.folder_of_all = parent / self.word
        self.notes = parent / f"{self.word}.jsonl"
        with _on_its_disk(parent):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(self.folder_of_all)
        end = time.monotonic() + _PATIENCE
        while lock is None and time.monotonic() < end:
            # Somebody else may only be looking whether anything was left here.
            time.sleep(0.05)
            lock = _lock(self.folder_of_all)
        if lock is None:
            raise FallowError(
                f"The batch is being run already, into {results}",
                hint="wait for the other `coordinator run`, or give this one another --output",
            )
        self._lock = lock
        for other in parent.iterdir():
            if other != self.folder_of_all:
                # Whatever is wrong there, it is not this batch's business.
                with contextlib.suppress(OSError, FallowError):
                    _clear_if_left(other)
        _clear(self.folder_of_all)
        for name in ("runs", "builds"):
            with _on_its_disk(parent):
                (self.folder_of_all / name).mkdir(mode=0o700)

    def folder(self, attempt: AttemptId) -> Path:
        """The folder of a run, or of a build under its own name."""
        if is_build(attempt):
            return self.build_folder(attempt.batch)
        return self.folder_of_all / "runs" / str(attempt)

    def build_folder(self, batch: str) -> Path:
        return self.folder_of_all / "builds" / batch

    def close(self) -> None:
        """Remove all of it, and end whatever still runs in it."""
        _clear(self.folder_of_all)
        with contextlib.suppress(OSError):
            (self.folder_of_all / _LOCK).unlink()
            self.folder_of_all.rmdir()
        os.close(self._lock)


@contextlib.contextmanager
def _on_its_disk(place: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise FallowError(
            f"There can be no work folders below {place}",
            f"The system says: {error.strerror}.",
            "set XDG_CACHE_HOME to a folder of yours on a disk with room",
        ) from None


def _lock(folder: Path) -> int | None:
    """The folder for this process, None when another one has it."""
    while True:
        with _on_its_disk(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            try:
                lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError as error:
            # A file system that has no locks: nobody else can be told, and nobody is asked.
            log.debug("%s cannot be locked: %s", folder, error.strerror)
        # Whoever had it may have removed it between the two steps.
        with contextlib.suppress(FileNotFoundError):
            if os.stat(folder / _LOCK).st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)


def _clear_if_left(folder: Path) -> None:
    """What a run left here that was killed, whatever it ran and wherever it wrote to."""
    if not folder.is_dir():
        return
    lock = _lock(folder)
    if lock is None:
        return
    _clear(folder)
    with contextlib.suppress(OSError):
        (folder / _LOCK).unlink()
        folder.rmdir()
    os.close(lock)


def _clear(folder: Path) -> None:
    for kind in ("runs", "builds"):
        for each in folder.glob(f"{kind}/*/{files.STATUS}.wrapper"):
            _end(each.with_name(files.STATUS))
    for each in folder.iterdir():
        if each.name != _LOCK:
            files.remove(each)


def _end(status: Path) -> None:
    """End the run that was given this status file, with all that it started."""
    identity = processes.find(status)
    handle = None if identity is None else processes.adopt(identity, status)
    if handle is None:
        processes.sweep(status)
        return
    handle.containment.kill()
    handle.close()
