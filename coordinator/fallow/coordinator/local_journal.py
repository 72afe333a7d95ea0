"""Which jobs of a batch have succeeded in a results folder already, and still would be the same.

Not the results themselves (`results`). A job is told by a digest of all that it is made of: what
is run, with which environment and inputs; on how many processors does not matter.

    <cache of the user>/fallow/run/<word>.jsonl    one line per success, the last one counts
"""

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from fallow.coordinator.deposits import RECORD
from fallow.coordinator.manifests import ATTEMPTS
from fallow.shared.errors import FallowError
from fallow.shared.messages import JobSpec
from fallow.shared.work.trees import remove_tree


class Success(Struct, frozen=True):
    """A job that succeeded: its name, its digest, and the attempt whose files are there."""

    job: str
    digest: str
    attempt: str


class _Listed(Struct, frozen=True):
    size: int


class _Shown(Struct, frozen=True):
    """What is needed of attempt.json."""

    id: str
    attempt: int
    succeeded: bool
    outputs: dict[str, _Listed] = {}


class _Whose(Struct, frozen=True):
    job: str


class Journal:
    """The successes of one batch in one output folder: where they are noted, and its results."""

    def __init__(self, notes: Path, results: Path) -> None:
        self._results = results
        self._path = notes
        self._known: dict[str, Success] = {}
        try:
            noted = self._path.read_bytes()
        except OSError:
            noted = b""
        self._cut_off = noted != b"" and not noted.endswith(b"\n")
        for line in noted.splitlines():
            try:
                success = msgspec.json.decode(line, type=Success)
            except msgspec.MsgspecError:
                # A line that was cut off says nothing: its job runs again.
                continue
            self._known[success.job] = success

    def knows(self, job: str) -> bool:
        """Whether a job of this name has ever succeeded here."""
        return job in self._known

    def holds(self, job: str, digest: str) -> bool:
        """Whether this very job succeeded and its files are there as they were put."""
        success = self._known.get(job)
        if success is None or success.digest != digest:
            return False
        shown = self._shown(job)
        if shown is None or not shown.succeeded or shown.id != success.attempt:
            return False
        folder = self._results / job
        return all(_size(folder / path) == each.size for path, each in shown.outputs.items())

    def attempts(self, job: str) -> int:
        """The number of the job's last attempt, as its folder tells; 0 when there was none."""
        shown = self._shown(job)
        numbers = [0 if shown is None else shown.attempt]
        with contextlib.suppress(OSError):
            kept = os.listdir(self._results / job / ATTEMPTS)
            numbers += [int(name) for name in kept if name.isdecimal()]
        return max(numbers)

    def set_aside(self, job: str) -> None:
        """Move a success that holds no longer to the earlier attempts; again, it goes on.

        What runs in its place may fail, and must not be taken for a success then.
        """
        shown = self._shown(job)
        if shown is None or not shown.succeeded:
            return
        folder = self._results / job
        aside = folder / ATTEMPTS / str(shown.attempt)
        aside.mkdir(parents=True, exist_ok=True)
        names = [name for name in os.listdir(folder) if name not in {ATTEMPTS, RECORD}]
        # The record last: without it nobody would know where the rest belongs.
        for name in (*names, RECORD):
            (folder / name).rename(aside / name)

    def foreign(self, job: str) -> str | None:
        """A file in the job's folder that no run of ours has put there, None when all are ours."""
        folder = self._results / job
        if not folder.is_dir():
            return None
        shown = self._shown(job)
        known = {RECORD, *shown.outputs} if shown is not None else set()
        for place, folders, names in os.walk(folder):
            if shown is not None and Path(place) == folder and ATTEMPTS in folders:
                folders.remove(ATTEMPTS)
            for name in names:
                path = str((Path(place) / name).relative_to(folder))
                if path not in known:
                    return path
        return None

    def add(self, success: Success) -> None:
        """Note a success that is in the results; FallowError when it cannot be written."""
        self._known[success.job] = success
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                before = b"\n" if self._cut_off else b""
                file.write(before + msgspec.json.encode(success) + b"\n")
        except OSError as error:
            raise FallowError(
                f"{self._path} cannot be written", os.strerror(error.errno or 0)
            ) from None
        self._cut_off = False

    def _shown(self, job: str) -> _Shown | None:
        try:
            return msgspec.json.decode((self._results / job / RECORD).read_bytes(), type=_Shown)
        except (OSError, msgspec.MsgspecError):
            return None


def digest_of(job: JobSpec) -> str:
    """What the job is made of, whatever it may use of a computer and however long it may run."""
    made_of = (job.action, job.build, job.env, job.shared, job.inputs, job.network)
    return hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()


def put_back(staging: Path, uid: str, batch: Path) -> None:
    """Undo what a run that was killed had half moved; `uid` is what its attempts begin with."""
    for left in sorted(staging.glob(f"{uid}-*")):
        try:
            job = msgspec.json.decode((left / RECORD).read_bytes(), type=_Whose).job
        except (OSError, msgspec.MsgspecError):
            job = ""
        place = batch / job
        if job and left.suffix == ".old" and place.parent == batch and not place.exists():
            left.rename(place)
            continue
        earlier = left / ATTEMPTS
        if left.suffix == ".old" and job and earlier.is_dir():
            (place / ATTEMPTS).mkdir(exist_ok=True)
            for attempt in os.listdir(earlier):
                if not (place / ATTEMPTS / attempt).exists():
                    (earlier / attempt).rename(place / ATTEMPTS / attempt)
        remove_tree(left)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
