"""Results of a batch as a mapping by sweep values: one job's files, paths, words and facts.

Not the fetching (`fetching`) nor the waiting (`python`). Reads only what lies below one folder, so
that results of a local run, of a pull and of last year are the same to it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from fallow.coordinator.deposits import RECORD
from fallow.shared.batch import Scalar
from fallow.shared.errors import FallowError, NotAllSucceeded
from fallow.shared.sweep import Expansion

if TYPE_CHECKING:
    import pandas

# Any, so that `for (re, grid), job in results.items()` is right for a type checker.
Key: TypeAlias = Any
"""Of a sweep with one name its value, with several a tuple of them; else the job's name."""

_SHOWN = 5
_COUNTED = 2000  # jobs whose records are read to be counted, each a file


class NoSuchJob(FallowError, KeyError):
    """There is no job with these values."""


class JobResult:
    """One job: its sweep values, and what it left in its folder."""

    def __init__(self, name: str, values: dict[str, Scalar], folder: Path) -> None:
        self.name = name
        self.values = values
        self.folder = folder
        self._record: dict[str, Any] | None = None

    @property
    def record(self) -> dict[str, Any]:
        """What attempt.json says: exit, times, workstation, hashes; empty when it has not ended."""
        if self._record is None:
            try:
                self._record = json.loads((self.folder / RECORD).read_bytes())
            except (OSError, ValueError):
                return {}
        return self._record

    @property
    def succeeded(self) -> bool:
        """Whether it has ended, and well."""
        return bool(self.record.get("succeeded", False))

    @property
    def stdout(self) -> str:
        """What it wrote to its output, "" when it has written nothing."""
        return self._said("stdout.txt")

    @property
    def stderr(self) -> str:
        """What it complained, "" when there was nothing."""
        return self._said("stderr.txt")

    def path(self, name: str) -> Path:
        """The place of one of its files; FallowError when it left no such file."""
        place = self.folder / name
        if not place.exists():
            left = sorted(str(each.relative_to(self.folder)) for each in self.folder.glob("*"))
            raise FallowError(
                f"Job {self.name!r} left no {name!r}",
                f"It left {', '.join(left[:20])}." if left else "It has not ended yet.",
                "write files into distribute_save/ in the job",
            )
        return place

    def read(self, name: str) -> str:
        """The text of one of its files; FallowError when it left no such file."""
        return self.path(name).read_text()

    def __repr__(self) -> str:
        state = "succeeded" if self.succeeded else "failed" if self.record else "not ended"
        return f"<JobResult {self.name}: {state}>"

    def _said(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(errors="replace")
        except OSError:
            return ""


class Results(Mapping[Key, JobResult]):
    """The jobs of a batch below `folder`, those that failed or have not ended too.

    `results[100, 32]` is the job with these sweep values, `results.at(re=100, grid=32)` the same by
    name, `results.where(re=100)` all that match. Two jobs with the same values are found by name.
    """

    def __init__(
        self, title: str, expansion: Expansion, folder: Path, indices: list[int] | None = None
    ) -> None:
        self.title = title
        self.folder = folder
        self._expansion = expansion
        self._indices = list(range(len(expansion))) if indices is None else indices
        self._names = tuple(expansion.columns())
        keys = [self._key(index) for index in self._indices]
        self._by_key = dict(zip(keys, self._indices, strict=True))
        if len(self._by_key) < len(keys):
            self._by_key = {expansion.name(index): index for index in self._indices}
        self._made: dict[int, JobResult] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sweep, in the order in which a key has their values."""
        return self._names

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_key)

    def __getitem__(self, key: Key) -> JobResult:
        index = self._by_key.get(key)
        if index is None:
            shown = ", ".join(map(repr, list(self._by_key)[:_SHOWN]))
            more = ", …" if len(self._by_key) > _SHOWN else ""
            what = f"({', '.join(self._names)})" if self._names else "the name of a job"
            raise NoSuchJob(
                f"There is no job {key!r} in {self.title}",
                f"A key is {what}: {shown}{more}.",
                "results.where(name=value) finds all jobs with one value",
            )
        return self._job(index)

    def job(self, name: str) -> JobResult:
        """The job of this name; NoSuchJob."""
        index = self._expansion.find(name)
        if index is None or index not in set(self._indices):
            raise NoSuchJob(f"There is no job {name!r} in {self.title}")
        return self._job(index)

    def where(self, **values: Scalar) -> Self:
        """All jobs with these sweep values; NoSuchJob for a name that the sweep has not."""
        for name in values:
            if name not in self._names:
                known = ", ".join(self._names) or "none"
                raise NoSuchJob(f"The sweep has no {name!r}", f"Its names are {known}.")
        matching = [index for index in self._indices if self._matches(index, values)]
        return type(self)(self.title, self._expansion, self.folder, matching)

    def at(self, **values: Scalar) -> JobResult:
        """The one job with these sweep values; NoSuchJob when there is none, or several."""
        found = self.where(**values)
        if len(found) != 1:
            said = ", ".join(f"{name}={value!r}" for name, value in values.items())
            what = f"{len(found)} jobs have" if len(found) else "No job has"
            raise NoSuchJob(f"{what} {said}", hint="results.where(…) gives all that match")
        return next(iter(found.values()))

    def paths(self, name: str) -> dict[Key, Path]:
        """The place of this file of every job that left one, by key."""
        places = {key: self._job(index).folder / name for key, index in self._by_key.items()}
        return {key: place for key, place in places.items() if place.exists()}

    @property
    def failed(self) -> tuple[JobResult, ...]:
        """The jobs without a success: failed, stopped, or not ended."""
        return tuple(job for job in self.values() if not job.succeeded)

    def check(self) -> Self:
        """The results themselves when every job succeeded; NotAllSucceeded names some that did not.

        With the last line that the first of them complained.
        """
        failed = self.failed
        if failed:
            last = (failed[0].stderr.strip().splitlines() or [""])[-1]
            names = ", ".join(job.name for job in failed[:_SHOWN])
            raise NotAllSucceeded(
                f"{len(failed)} of {len(self)} jobs of {self.title} did not succeed",
                names + (", …" if len(failed) > _SHOWN else "") + (f"\n{last}" if last else ""),
            )
        return self

    def frame(
        self, read: Callable[[JobResult], Mapping[str, Any]] | None = None
    ) -> "pandas.DataFrame":
        """One row for each job: sweep values, job, succeeded, seconds, workstation, folder.

        What `read` finds in a job that succeeded becomes columns too. FallowError where pandas is
        not installed.
        """
        try:
            import pandas
        except ImportError:
            raise FallowError(
                "A frame needs pandas, which is not installed here",
                hint="install it with: pip install 'fallow[frame]'",
            ) from None
        return pandas.DataFrame([_row(job, read) for job in self.values()])

    def __repr__(self) -> str:
        what = f"{len(self)} jobs"
        if len(self) <= _COUNTED:
            good = sum(job.succeeded for job in self.values())
            what = f"{good} of {what} succeeded"
        return f"<Results {self.title}: {what}, in {self.folder}>"

    def _key(self, index: int) -> Key:
        values = tuple(self._expansion.values(index).values())
        if not values:
            return self._expansion.name(index)
        return values[0] if len(values) == 1 else values

    def _matches(self, index: int, wanted: Mapping[str, Scalar]) -> bool:
        values = self._expansion.values(index)
        return all(values[name] == value for name, value in wanted.items())

    def _job(self, index: int) -> JobResult:
        job = self._made.get(index)
        if job is None:
            name = self._expansion.name(index)
            job = JobResult(name, self._expansion.values(index), self.folder / name)
            self._made[index] = job
        return job


def _row(job: JobResult, read: Callable[[JobResult], Mapping[str, Any]] | None) -> dict[str, Any]:
    record = job.record
    facts = {
        "job": job.name,
        "succeeded": job.succeeded,
        "run_seconds": record.get("run_seconds"),
        "paused_seconds": record.get("paused_seconds"),
        "workstation": record.get("workstation"),
        "folder": str(job.folder),
    }
    more = read(job) if read is not None and job.succeeded else {}
    return {**job.values, **facts, **more}
