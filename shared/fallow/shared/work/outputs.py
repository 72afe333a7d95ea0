"""What a job leaves behind, into the spool: hashed, named, and listed in a Manifest.

Not what it was given: that is `staging`. For a run whose every process has ended, so that nothing
changes while it is read.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fallow.shared.blobs import BlobStore
from fallow.shared.ids import relative_path_problem
from fallow.shared.runs import Manifest, OutputFile
from fallow.shared.work.sandbox import WORK
from fallow.shared.work.staging import OUTPUT
from fallow.shared.work.trees import on_this_disk

OURS = ("stdout.txt", "stderr.txt", "attempt.json")
"""Names beside the job's files that we write; a job's own is kept as NAME.from_job."""
NOTES = 100


def collect(work: Path, words: Mapping[str, Path], spool: BlobStore) -> Manifest:
    """Takes all of `distribute_save/` and the files of `words` (name: place) into the spool.

    Files are moved by a second name, so that the work folder can go; a missing one of `words` is
    left out. Slow: as long as disk and hashing take. Raises FallowError.
    """
    taking = _Taking(work, spool)
    with on_this_disk("saving the results", work):
        taking.all_of(work / OUTPUT)
        for name, place in words.items():
            if place.is_file() and not place.is_symlink():
                taking.file(name, place)
    return taking.manifest()


def save(work: Path, places: Iterable[str], spool: BlobStore) -> Manifest:
    """Takes a checkpoint into the spool: what is at these places, by its path in the work folder.

    Slow, as `collect` is. Raises FallowError.
    """
    taking = _Taking(work, spool)
    with on_this_disk("saving a checkpoint", work):
        for place in places:
            taking.place(place.rstrip("/"))
    return taking.manifest()


class _Taking:
    def __init__(self, work: Path, spool: BlobStore) -> None:
        self._work = work
        self._spool = spool
        self._files: dict[str, OutputFile] = {}
        self._folders: list[str] = []
        self._notes: list[str] = []

    def manifest(self) -> Manifest:
        notes = self._notes[:NOTES]
        if len(self._notes) > NOTES:
            notes.append(f"and {len(self._notes) - NOTES} more were left out")
        files = tuple(self._files[path] for path in sorted(self._files))
        return Manifest(files, tuple(sorted(self._folders)), tuple(notes))

    def all_of(self, top: Path) -> None:
        if top.is_symlink() or not top.is_dir():
            self._notes.append(f"{OUTPUT} is no folder any more, so nothing of it was kept")
            return
        aside = _names_aside(top)
        for path, place in _walk(top):
            name = _printable(path)
            first, slash, rest = name.partition("/")
            name = f"{aside.get(first, first)}{slash}{rest}"
            problem = relative_path_problem(name) or _depth_problem(place)
            if name in self._files:
                problem = "is that of another"
            if problem:
                self._notes.append(f"{name[:200]!r} was left out: its name {problem}")
            elif _is_folder(place):
                self._folders.append(name)
            else:
                self._entry(name, place)
            if name != path and first not in aside:
                self._notes.append(f"{name!r} had a name that is not UTF-8")

    def place(self, name: str) -> None:
        """What is there, if it is, and if no link on the way leads out of the work folder."""
        place = self._work / name
        if place.parent.resolve() != self._work.resolve() / Path(name).parent:
            self._notes.append(f"{name!r} was left out: a link leads there")
        elif place.is_dir() and not place.is_symlink():
            for path, found in _walk(place):
                whole = f"{name}/{_printable(path)}"
                if relative_path_problem(whole) is None and not _is_folder(found):
                    self._entry(whole, found)
        elif os.path.lexists(place):
            self._entry(name, place)

    def file(self, name: str, place: Path) -> None:
        info = place.lstat()
        if not info.st_mode & stat.S_IRUSR:
            place.chmod(stat.S_IMODE(info.st_mode) | stat.S_IRUSR)
        # One with more names than this may be somebody's own, which must not become read-only.
        hash, size = self._spool.put_file(place, link=info.st_nlink == 1)
        self._files[name] = OutputFile(name, hash, size, bool(info.st_mode & stat.S_IXUSR))

    def _entry(self, name: str, place: Path) -> None:
        mode = place.lstat().st_mode
        if stat.S_ISREG(mode):
            self.file(name, place)
        elif stat.S_ISLNK(mode):
            target = self._target(place)
            if target is None:
                self._notes.append(f"{name!r} was left out: a link to {os.readlink(place)[:200]!r}")
            else:
                hash, size = self._spool.put_file(target)
                executable = bool(target.stat().st_mode & stat.S_IXUSR)
                self._files[name] = OutputFile(name, hash, size, executable)
        else:
            self._notes.append(f"{name!r} was left out: it is no file")

    def _target(self, link: Path) -> Path | None:
        """The file that a link means, if that is one in the same work folder."""
        words = os.readlink(link)
        if words.startswith(WORK + "/"):
            words = str(self._work / words.removeprefix(WORK + "/"))
        try:
            real = (link.parent / words).resolve(strict=True)
            inside = real.is_relative_to(self._work.resolve(strict=True))
            return real if inside and real.is_file() and os.access(real, os.R_OK) else None
        except (OSError, RuntimeError):
            return None


def _is_folder(place: Path) -> bool:
    return not place.is_symlink() and place.is_dir()


def _walk(top: Path) -> Iterator[tuple[str, Path]]:
    """Every entry but folders that hold something, by its path below `top`."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        folder = top / below
        mode = folder.lstat().st_mode
        if mode & 0o700 != 0o700:
            folder.chmod(stat.S_IMODE(mode) | 0o700)
        with os.scandir(folder) as entries:
            names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        if not names and below:
            yield below, folder
        for name, is_folder in sorted(names):
            path = f"{below}/{name}" if below else name
            if is_folder and not _depth_problem(top / path):
                waiting.append(path)
            else:
                yield path, top / path


def _depth_problem(place: Path) -> str | None:
    # The kernel takes 4095 bytes; this leaves room for one more part.
    return "is too long" if len(os.fsencode(place)) > 3800 and place.is_dir() else None


def _names_aside(top: Path) -> dict[str, str]:
    """New names for what has the name of a file of ours, free ones."""
    found = {}
    with os.scandir(top) as entries:
        names = {entry.name for entry in entries}
    for name in OURS:
        if name in names:
            new = f"{name}.from_job"
            while new in names:
                new += ".from_job"
            found[name] = new
    return found


def _printable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
