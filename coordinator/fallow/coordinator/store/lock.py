"""One coordinator per data folder: a lock that lasts as long as its process.

Not the database (`database`).
"""

import fcntl
import os
from pathlib import Path

from fallow.shared.errors import FallowError


class DataDirLock:
    """Keeps a second coordinator out of a data folder, as long as this process lives."""

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 100, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise FallowError(
                f"A coordinator already runs on {data_dir}",
                f"Its process is {holder or 'unknown'}.",
                "use that one, stop it, or choose another folder with --data-dir",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)
