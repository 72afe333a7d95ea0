"""Files and folders laid down in a results tree: links where they can be, copies where not.

Not which ones (`results`).
"""

import errno
import os
import shutil
from pathlib import Path

NO_LINK = frozenset({errno.EMLINK, errno.EXDEV, errno.EPERM, errno.ENOTSUP})
"""Why there can be no second name: too many, another file system, or one that has none."""


def make_folders(top: Path, below: str, made: set[Path]) -> None:
    folder = top
    for part in below.split("/"):
        folder = folder / part
        if folder not in made:
            folder.mkdir(exist_ok=True)
            made.add(folder)


def place(source: Path | None, target: Path, executable: bool = False) -> None:
    """Make `target` a read-only file with the content of `source` (None: empty)."""
    mode = 0o555 if executable else 0o444
    if source is None:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
        return
    if not executable:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
        else:
            os.chmod(target, mode)
            return
    with open(source, "rb") as reader, open(target, "xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fchmod(writer.fileno(), mode)
        os.fsync(writer.fileno())


def write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
