"""Fetching results: which files, which of them are here already, and putting the rest in place.

Not the words about it (`verbs.pull`) nor the transfer (`shared.transfer`). Everything the
coordinator says about paths is checked: nothing is ever written outside the destination.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from msgspec import Struct

from fallow.coordinator.client import Client
from fallow.coordinator.moving import move
from fallow.shared.blobs import BlobStore, hash_file
from fallow.shared.errors import FallowError, UsageError
from fallow.shared.messages import JobResults, Pull, PullReply
from fallow.shared.paths import resolve_beneath, safe_name
from fallow.shared.runs import OutputFile
from fallow.shared.transfer import Item

_SCRATCH = ".fallow-pull"
_OVER = ("succeeded", "failed", "killed")
_PATIENCE = 2.0  # seconds for what builds said


class Filter(Struct, frozen=True):
    """Which JOB/PATH are wanted."""

    include: tuple[re.Pattern[str], ...]
    exclude: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, include: Sequence[str], exclude: Sequence[str]) -> Self:
        """UsageError for what is no regular expression."""
        return cls(tuple(map(_pattern, include)), tuple(map(_pattern, exclude)))

    def wants(self, path: str) -> bool:
        if self.include and not any(pattern.search(path) for pattern in self.include):
            return False
        return not any(pattern.search(path) for pattern in self.exclude)


class Fetched(Struct):
    """What was, or would be, fetched; paths below the batch's folder."""

    namespace: str = ""
    batch: str = ""
    files: list[str] = []
    bytes: int = 0
    unchanged: int = 0
    unfinished: int = 0


def fetch(
    client: Client,
    ref: str,
    dest: Path,
    wanted: Filter,
    *,
    dry_run: bool,
    moved: Callable[[int], None],
) -> Fetched:
    """Fetch what is wanted and not here yet; `moved` is told how many bytes more have come.

    FallowError for a path that would leave `dest`, or a disk that says no.
    """
    done = Fetched()
    after: int | None = 0
    while after is not None:
        page = _ask(client, Pull(ref, after=after))
        done.namespace, done.batch = safe_name(page.namespace), safe_name(page.batch)
        try:
            _fetch_page(client, page, dest, wanted, done, dry_run, moved)
        except OSError as error:
            raise FallowError(
                f"Cannot write below {dest}", f"The system says: {error}.", "is the disk full?"
            ) from None
        after = page.next
    if not dry_run:
        shutil.rmtree(_home(dest, done) / _SCRATCH, ignore_errors=True)
    return done


def _ask(client: Client, ask: Pull) -> PullReply:
    """One page; what a build said follows its last word, so it is given a moment to arrive."""
    patience = time.monotonic() + _PATIENCE
    while True:
        page = client.ask(ask, PullReply)
        coming = any(not job.job and job.state == "collecting" for job in page.jobs)
        if not coming or time.monotonic() >= patience:
            return page
        time.sleep(0.05)


def _fetch_page(
    client: Client,
    page: PullReply,
    dest: Path,
    wanted: Filter,
    done: Fetched,
    dry_run: bool,
    moved: Callable[[int], None],
) -> None:
    home = _home(dest, done)
    lacking: list[tuple[Path, OutputFile]] = []
    folders: list[Path] = []
    for job in page.jobs:
        done.unfinished += bool(job.job) and job.state not in _OVER and not job.files
        for path, file in _wanted(job, wanted):
            place = resolve_beneath(dest, f"{done.namespace}/{done.batch}/{path}")
            if _is_here(place, file):
                done.unchanged += 1
                continue
            done.files.append(path)
            done.bytes += file.size
            lacking.append((place, file))
        if not wanted.include:
            for empty in job.folders:
                below = f"{_below(job)}{empty}"
                if wanted.wants(below):
                    folders.append(resolve_beneath(dest, f"{done.namespace}/{done.batch}/{below}"))
    if dry_run:
        return
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    if lacking:
        _get(client, home / _SCRATCH, lacking, moved)


def _get(
    client: Client,
    scratch: Path,
    lacking: list[tuple[Path, OutputFile]],
    moved: Callable[[int], None],
) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    store = BlobStore(scratch, durable=False)
    sizes = {file.hash: file.size for _, file in lacking if file.size}
    if sizes:
        wanted = [Item(hash, size) for hash, size in sizes.items()]
        move(client, store, moved, downloads=wanted)
    for place, file in lacking:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = scratch / "placing"
        if file.size:
            shutil.copyfile(store.path(file.hash), fresh)
        else:
            fresh.write_bytes(b"")
        if file.executable:
            fresh.chmod(fresh.stat().st_mode | 0o111)
        os.replace(fresh, place)
    for hash in sizes:
        store.delete(hash)


def _home(dest: Path, done: Fetched) -> Path:
    return dest / done.namespace / done.batch


def _below(job: JobResults) -> str:
    return f"{safe_name(job.job)}/" if job.job else ""


def _wanted(job: JobResults, wanted: Filter) -> list[tuple[str, OutputFile]]:
    below = _below(job)
    return [(below + file.path, file) for file in job.files if wanted.wants(below + file.path)]


def _is_here(place: Path, file: OutputFile) -> bool:
    try:
        found = place.stat()
        if found.st_size != file.size or bool(found.st_mode & 0o100) != file.executable:
            return False
        return not file.size or hash_file(place)[0] == file.hash
    except OSError:
        return False


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(
            f"{text!r} is not a regular expression",
            f"{error}.",
            r"a file's ending is written like \.vtk$",
        ) from None
