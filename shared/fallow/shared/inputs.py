"""The submitter's input files: found, walked and hashed before anything is sent.

Not their places on a workstation (`jobspec`, `work.staging`), not their transfer (`transfer`).
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from fallow.shared.aliases import Place
from fallow.shared.batch import Batch
from fallow.shared.errors import BatchError, Mistakes
from fallow.shared.ids import relative_path_problem
from fallow.shared.jobspec import check_contents, check_sendable, paths
from fallow.shared.messages import Content
from fallow.shared.sweep import Expansion

_MOST_FILES: Final = 1_000_000
_READ: Final = 1024 * 1024


class Gathered(Struct, frozen=True):
    """What a batch's paths hold, and one real file for every hash."""

    contents: dict[str, tuple[Content, ...]]
    files: dict[str, Path]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every distinct file, by hash."""
        return {each.hash: each.size for held in self.contents.values() for each in held}


def gather(
    batch: Batch,
    expansion: Expansion,
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Gathered:
    """Read every input of a batch whose relative paths belong to `folder`. Slow: reads every byte.

    `progress` is told how many bytes were read since the last time. BatchError (with its place in
    the batch) for what changes while it is read, and before that for all that is missing or no
    file or folder.
    """
    contents: dict[str, tuple[Content, ...]] = {}
    files: dict[str, Path] = {}
    known: dict[Path, Content] = {}
    places = paths(batch, expansion)
    for path, found in _find_all(places, folder).items():
        held, place = [], places[path]
        for below, real in found:
            content = known.get(real)
            if content is None:
                content = known[real] = _hash(real, place, progress)
                files.setdefault(content.hash, real)
            held.append(Content(below, content.hash, content.size, content.executable))
        contents[path] = tuple(held)
    check_contents(batch, expansion, contents)
    check_sendable(batch, expansion, contents)
    return Gathered(contents, files)


def _find_all(places: dict[str, Place], folder: Path) -> dict[str, list[tuple[str, Path]]]:
    """As `_find`, for every path."""
    found = {}
    mistakes = Mistakes()
    count = 0
    for path, place in places.items():
        with mistakes:
            found[path] = _find(path, folder, place)
            count += len(found[path])
        if count > _MOST_FILES:
            raise BatchError(f"The inputs are more than {_MOST_FILES:,} files", path=place)
    mistakes.tell()
    return found


def _find(path: str, folder: Path, place: Place) -> list[tuple[str, Path]]:
    """(place below, real file) of everything behind this path; "" below for a single file."""
    start = folder / (Path(path).expanduser() if path.startswith("~/") else path)
    try:
        real = start.resolve(strict=True)
        mode = real.stat().st_mode
    except (OSError, RuntimeError) as error:
        raise _unreadable(start, error, place) from None
    if stat.S_ISDIR(mode):
        return sorted(_walk(real, real, "", place, ()))
    _refuse_special(start, mode, place)
    return [("", real)]


def _walk(
    top: Path, folder: Path, below: str, place: Place, above: tuple[Path, ...]
) -> list[tuple[str, Path]]:
    """Every file of a folder; links are followed only to what lies in the same input."""
    found: list[tuple[str, Path]] = []
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise _unreadable(folder, error, place) from None
    for entry in entries:
        here = f"{below}{entry.name}"
        problem = relative_path_problem(here) or _text_problem(here)
        if problem:
            raise BatchError(f"The input {entry.path!a} {problem}", path=place)
        try:
            real = folder / entry.name
            if entry.is_symlink():
                real = real.resolve(strict=True)
                if not real.is_relative_to(top):
                    raise BatchError(
                        f"{entry.path} is a link to {real}, which is not part of this input",
                        hint="copy the file, or name it as an input of its own",
                        path=place,
                    )
            mode = real.stat().st_mode
        except (OSError, RuntimeError) as error:
            raise _unreadable(Path(entry.path), error, place) from None
        if stat.S_ISDIR(mode):
            if real == folder or real in above or folder.is_relative_to(real):
                raise BatchError(f"{entry.path} leads into itself", path=place)
            found += _walk(top, real, f"{here}/", place, (*above, folder))
        else:
            _refuse_special(Path(entry.path), mode, place)
            found.append((here, real))
        if len(found) > _MOST_FILES:
            raise BatchError(f"{top} holds more than {_MOST_FILES:,} files", path=place)
    return found


def _hash(real: Path, place: Place, progress: Callable[[int], None]) -> Content:
    try:
        # Never waits, should the file have become a pipe since it was looked at.
        with open(os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", 0) as file:
            before = os.fstat(file.fileno())
            _refuse_special(real, before.st_mode, place)
            digest, size = hashlib.sha256(), 0
            buffer = memoryview(bytearray(min(_READ, before.st_size + 1)))
            # A file that grows as fast as it is read must not be read for ever.
            while size <= before.st_size and (count := file.readinto(buffer)):
                digest.update(buffer[:count])
                size += count
                progress(count)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise _unreadable(real, error, place) from None
    same = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    if not same or size != before.st_size:
        raise BatchError(
            f"{real} changed while it was read",
            hint="wait until the program that writes it has ended, then submit again",
            path=place,
        )
    return Content("", digest.hexdigest(), size, bool(before.st_mode & 0o111))


def _refuse_special(path: Path, mode: int, place: Place) -> None:
    if not stat.S_ISREG(mode):
        raise BatchError(f"{path} is neither a file nor a folder", path=place)


def _text_problem(name: str) -> str | None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    return None


def _unreadable(path: Path, error: OSError | RuntimeError, place: Place) -> BatchError:
    code = error.errno if isinstance(error, OSError) else errno.ELOOP
    if code == errno.ENOENT:
        return BatchError(
            f"{path} does not exist",
            hint="relative paths belong to the folder of the batch file",
            path=place,
        )
    if code == errno.ELOOP:
        return BatchError(f"{path} is a link that leads to itself", path=place)
    return BatchError(
        f"{path} cannot be read: {(os.strerror(code) if code else str(error)).lower()}", path=place
    )
