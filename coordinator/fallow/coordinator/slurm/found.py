"""Reads what the jobs of an exported folder have left in it, without changing anything.

Not what it means (`ends`), nor the results (`collect`).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from fallow.coordinator.slurm.ends import (
    Attempt,
    Began,
    Word,
    Words,
    read_began,
    read_status,
    read_words,
)
from fallow.coordinator.slurm.script import index_text

_INDEX = re.compile(r"index='(\d+)'")
_KEY = re.compile(r"fallow-[0-9a-z]+-(\d+)-(\d+)-(\d+)")


class Folder:
    """An exported folder, as it is now."""

    def __init__(self, root: Path) -> None:
        self.root = root
        words = root / "submitted" / "words"
        self._words = read_words(_text(words)) if words.is_file() else Words(None, {})
        self._by_job = self._words_by_job()

    def run(self, index: int) -> Path:
        return self.root / "runs" / index_text(index)

    def attempts(self, index: int) -> tuple[Attempt, ...]:
        """The attempts of one job that have begun, oldest first."""
        return tuple(_attempts(self.run(index)))

    def builds(self) -> tuple[Attempt, ...]:
        """The same of the build."""
        return tuple(_attempts(self.root / "build"))

    def has_build(self) -> bool:
        return (self.root / "build.sbatch").is_file()

    def word(self, index: int) -> Word | None:
        """SLURM's last word about the job, None if there is none."""
        told = self._by_job.get(index)
        return told.word if told is not None else None

    def submitted(self, index: int) -> bool:
        return index in self._by_job

    @property
    def asked(self) -> float | None:
        """When SLURM was asked last, wall-clock seconds; None for never."""
        return self._words.asked

    def _words_by_job(self) -> dict[int, "_Told"]:
        arrays = dict(self._words.arrays)
        for path in (self.root / "submitted").glob("fallow-*"):
            arrays[path.name] = _text(path).strip()
        tasks: dict[int, list[int]] = {}
        chunk = int(_text(self.root / "submitted" / "chunk").strip() or 0)
        found: dict[int, _Told] = {}
        for key, array in arrays.items():
            match = _KEY.fullmatch(key)
            if match is None or not chunk:
                continue
            number, offset, round = (int(part) for part in match.groups())
            if number not in tasks:
                tasks[number] = self._tasks(number)
            for task, index in enumerate(tasks[number][offset : offset + chunk]):
                word = self._words.by_task.get((array, str(task)))
                other = found.get(index)
                # A later round holds only the jobs that had not succeeded: it may say nothing.
                if other is None or (word is not None and round >= other.round):
                    found[index] = _Told(round, word)
        return found

    def _tasks(self, number: int) -> list[int]:
        lines = _text(self.root / "tasks" / str(number)).splitlines()
        return [int(match[1]) for match in map(_INDEX.match, lines) if match is not None]


class _Told(Struct, frozen=True):
    round: int
    word: Word | None


def _attempts(top: Path) -> Iterator[Attempt]:
    try:
        numbers = sorted(int(name) for name in os.listdir(top) if name.isdigit())
    except FileNotFoundError:
        return
    for number in numbers:
        here = top / str(number)
        began, status = _text(here / "began"), _text(here / "status")
        yield Attempt(number, read_began(began) if began else Began(), read_status(status))


def _text(path: Path) -> str:
    """The whole file; empty where there is none, since it may only just be on its way."""
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError:
        return ""
