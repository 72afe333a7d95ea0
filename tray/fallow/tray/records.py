"""What the agent writes down so that its death loses nothing: one record per run and per build.

Not the runs' files (`workbench`). Written whole or not at all, and not forced to disk: a killed
agent loses nothing that way, and after a power failure nothing that ran is believed anyway.
"""

import contextlib
import logging
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId, parse_attempt
from fallow.shared.messages import Argv, JobSpec
from fallow.shared.work.build import Build, is_build
from fallow.shared.work.phases import Aborting, GivenBack, Over, Run
from fallow.tray.diary import Kept
from fallow.tray.wishes import Wishes

log = logging.getLogger(__name__)

_ONE_WRITE = 4096  # bytes


class RunRecord(Struct, frozen=True):
    """A run as it was in that boot of the computer."""

    boot_id: str
    run: Run


class BuildRecord(Struct, frozen=True):
    """A build as it was in that boot of the computer."""

    boot_id: str
    build: Build


_encoder = msgspec.json.Encoder()
_runs = msgspec.json.Decoder(RunRecord)
_builds = msgspec.json.Decoder(BuildRecord)


class Records:
    """The records below an agent's data folder, and where each run has its folder."""

    def __init__(self, data_dir: Path, boot_id: str) -> None:
        self._boot_id = boot_id
        self._runs = data_dir / "runs"
        self._builds = data_dir / "builds"
        self._wishes = data_dir / "pause.json"
        self._diary = data_dir / "day.json"
        for folder in (self._runs, self._builds):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def folder(self, attempt: AttemptId) -> Path:
        """The folder of a run, or of a build under its own name; made by the first record."""
        return self._builds / attempt.batch if is_build(attempt) else self._runs / str(attempt)

    def build_folder(self, batch: str) -> Path:
        return self._builds / batch

    def save_run(self, run: Run) -> None:
        """Write this run's record; OSError when the disk refuses."""
        record = _encoder.encode(RunRecord(self._boot_id, run))
        _write(self._runs / str(run.attempt), "run.json", record)

    def save_build(self, build: Build) -> None:
        """Write this build's record; OSError when the disk refuses."""
        record = _encoder.encode(BuildRecord(self._boot_id, build))
        _write(self._builds / build.batch, "build.json", record)

    def save_wishes(self, wishes: Wishes) -> None:
        """Write the owner's wishes and force them to disk: they survive a power failure."""
        fresh = self._wishes.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(_encoder.encode(wishes))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._wishes)
        # Without it the name may still mean the old wishes after a power failure.
        folder = os.open(self._wishes.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def load_wishes(self) -> Wishes:
        """The owner's wishes; where they cannot be read, the safest: a pause until resumed."""
        try:
            return msgspec.json.decode(self._wishes.read_bytes(), type=Wishes)
        except FileNotFoundError:
            return Wishes()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read (%s): paused until resumed", self._wishes, error)
            return Wishes(forever=True)

    def save_diary(self, diary: Kept) -> None:
        """Write what was done in the last day."""
        fresh = self._diary.with_suffix(".new")
        fresh.write_bytes(_encoder.encode(diary))
        fresh.replace(self._diary)

    def load_diary(self) -> Kept | None:
        """What was done in the last day, None where nothing is known of it."""
        try:
            return msgspec.json.decode(self._diary.read_bytes(), type=Kept)
        except (OSError, msgspec.MsgspecError):
            return None

    def load_runs(self) -> list[RunRecord]:
        """All runs; of one whose record is damaged it is known only that it was here."""
        found = []
        for folder in sorted(self._runs.iterdir()):
            try:
                attempt = parse_attempt(folder.name)
            except ValueError:
                continue
            try:
                found.append(_runs.decode((folder / "run.json").read_bytes()))
            except FileNotFoundError:
                # It had not begun, or its folder was being removed.
                continue
            except (OSError, msgspec.MsgspecError) as error:
                log.warning("the record of %s is damaged: %s", folder.name, error)
                found.append(RunRecord("", _unknown(attempt)))
        return found

    def load_builds(self) -> list[BuildRecord]:
        """All builds; one whose record is damaged is as good as not there."""
        found = []
        for folder in sorted(self._builds.iterdir()):
            if folder.name.startswith("."):
                continue
            try:
                found.append(_builds.decode((folder / "build.json").read_bytes()))
            except (OSError, msgspec.MsgspecError) as error:
                log.warning("the record of the build in %s is damaged: %s", folder, error)
        return found

    def strays(self, known: Iterable[AttemptId]) -> list[Path]:
        """Folders of runs and builds that have no record: leftovers to be removed."""
        kept = {self.folder(each) for each in known}
        return [
            each
            for parent in (self._runs, self._builds)
            for each in parent.iterdir()
            if each not in kept
        ]


def unfinished_runs(data_dir: Path) -> list[str]:
    """Batch and job of each run in this folder whose results the coordinator does not have yet."""
    found = []
    for file in sorted((data_dir / "runs").glob("*/run.json")):
        try:
            run = _runs.decode(file.read_bytes()).run
        except (OSError, msgspec.MsgspecError):
            found.append(file.parent.name)
            continue
        if not isinstance(run.phase, Over | GivenBack):
            found.append(f"{run.job.batch}/{run.job.job}")
    return found


def lock(data_dir: Path) -> int:
    """Take the data folder for this process; FallowError names who has it.

    The descriptor must stay open as long as the agent lives.
    """
    import fcntl

    path = data_dir / "agent.lock"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FallowError(
            f"The agent's folder {data_dir} cannot be used", f"{error.strerror}: {error.filename}"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            owner = int(os.pread(descriptor, 20, 0))
            os.close(descriptor)
            raise FallowError(
                "A Fallow agent already runs on this computer",
                f"It is process {owner} and has the folder {data_dir}.",
                f"ask it with: tray status --data-dir {shlex.quote(str(data_dir))}; for an agent"
                " of its own name another folder",
            ) from None
        raise FallowError(f"Another process has the folder {data_dir}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _write(folder: Path, name: str, content: bytes) -> None:
    """Replace a record: a killed agent leaves the old one or the new one, never a part."""
    place = f"{folder}/{name}"
    if len(content) <= _ONE_WRITE and _write_over(place, content):
        return
    fresh = f"{place}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        descriptor = os.open(fresh, flags, 0o600)
    except FileNotFoundError:
        os.mkdir(folder, 0o700)
        descriptor = os.open(fresh, flags, 0o600)
    try:
        view = memoryview(content)
        while view:
            # On a disk that is nearly full, a part of it may be all that was written.
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    os.rename(fresh, place)


def _write_over(place: str, content: bytes) -> bool:
    """Write over a record that is no longer than a page, which is never written by halves.

    Ten times as fast as a rename, for which ext4 hurries the new file to the disk.
    """
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        size = os.fstat(descriptor).st_size
        if size > _ONE_WRITE:
            return False
        # Blanks after it mean nothing in JSON; cutting the file would be a second step.
        padded = content.ljust(size)
        return os.pwrite(descriptor, padded, 0) == len(padded)
    finally:
        os.close(descriptor)


def _unknown(attempt: AttemptId) -> Run:
    """Whether it has a process is not known either: one that is found will be ended."""
    job = JobSpec("?", "?", "?", "?", Argv(("false",)), 1)
    return Run(attempt, job, Aborting("lost"))
