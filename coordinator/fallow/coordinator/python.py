"""The Python API's far half: a batch run here, or handed in and waited for, and its results.

Not the batch itself (`shared.batch`, whose methods lead here). The opposite are the verbs, which
say the same to a person at a terminal.
"""

import contextlib
import os
import re
import secrets
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from fallow.coordinator import local_start
from fallow.coordinator.client import Client
from fallow.coordinator.deposits import RECORD
from fallow.coordinator.handing_in import hand_in
from fallow.coordinator.local_words import (
    Began,
    Counted,
    Fact,
    GaveUp,
    Interrupted,
    Over,
    Unhidden,
)
from fallow.coordinator.python_progress import Show, progress
from fallow.coordinator.python_results import JobResult, NoSuchJob, Results
from fallow.coordinator.waiting import all_over, look, looks
from fallow.shared.batch import Batch
from fallow.shared.batchtext import check_made
from fallow.shared.errors import FallowError
from fallow.shared.inputs import gather
from fallow.shared.messages import BatchStatus, Done, Kill, Retry
from fallow.shared.sweep import Expansion

__all__ = ["JobResult", "NoSuchJob", "Results", "SubmittedBatch", "run", "submit", "submitted"]

PathLike = str | os.PathLike[str]
_RECORDS = rf"^[^/]+/{re.escape(RECORD)}$"


def run(
    batch: Batch,
    output: PathLike = ".",
    *,
    jobs: int | None = None,
    folder: PathLike = ".",
    read_only: Iterable[PathLike] = (),
    progress: bool = True,
    home: Path | None = None,
) -> Results:
    """See `Batch.run`; `home` is where it works, None: in the user's cache."""
    batch, expansion = check_made(batch)
    for note in local_start.notes_here(batch, expansion, Path(folder), Path(output)):
        warnings.warn(note, stacklevel=3)
    gathered = gather(batch, expansion, Path(folder))
    with _shown(batch, progress) as show:
        try:
            summary = local_start.run_here(
                batch,
                expansion,
                gathered,
                Path(output),
                side_by_side=jobs,
                read_only=map(Path, read_only),
                tell=_Counting(show).tell,
                home=home,
            )
        except Interrupted as interrupted:
            local_start.pass_on(interrupted)
            raise
    return Results(_ref(batch), expansion, summary.folder.absolute())


def submit(
    batch: Batch,
    coordinator: PathLike | None = None,
    *,
    folder: PathLike = ".",
    progress: bool = True,
) -> "SubmittedBatch":
    """See `Batch.submit`."""
    batch, expansion = check_made(batch)
    gathered = gather(batch, expansion, Path(folder))
    with _client(coordinator) as client:
        done = hand_in(client, batch, gathered, quiet=not progress)
    return SubmittedBatch(batch, expansion, coordinator, done.warnings)


def submitted(batch: Batch, coordinator: PathLike | None = None) -> "SubmittedBatch":
    """See `Batch.submitted`."""
    batch, expansion = check_made(batch)
    found = SubmittedBatch(batch, expansion, coordinator)
    jobs = sum(found.status().counts.values())
    if jobs != len(expansion):
        raise FallowError(
            f"{found.ref} is another batch of that name",
            f"It has {jobs} jobs, this one {len(expansion)}.",
            "make the same batch as when it was submitted, or load its file",
        )
    return found


class SubmittedBatch:
    """A batch that a coordinator has; every method asks it anew."""

    def __init__(
        self,
        batch: Batch,
        expansion: Expansion,
        coordinator: PathLike | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.batch = batch
        self.ref = _ref(batch)
        self.warnings = warnings
        self._expansion = expansion
        self._coordinator = coordinator

    def __repr__(self) -> str:
        return f"<SubmittedBatch {self.ref}: {len(self._expansion)} jobs>"

    def status(self, *, jobs: bool = False) -> BatchStatus:
        """Its state, counts per state and estimate; with `jobs` every job as well. FallowError."""
        with _client(self._coordinator) as client:
            return look(client, self.ref, jobs=jobs)

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> Self:
        """Wait until every job is over or held, and return the batch itself.

        TimeoutError after so many seconds; the batch goes on. Jobs that fail are no error here:
        see `results`.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with _client(self._coordinator) as client, _shown(self.batch, progress) as show:
            for batch in looks(client, self.ref):
                show(batch.counts)
                if end is not None and time.monotonic() > end and not all_over(batch):
                    raise TimeoutError(f"{self.ref} has not ended within {timeout:g} s")
        return self

    def results(
        self, dest: PathLike = ".", *, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> Results:
        """Fetch what is there and not here yet, below `dest`, as `coordinator pull` does.

        Of the files, by JOB/PATH, only those that match one of the expressions `include` and none
        of `exclude`; attempt.json always, which says how the job ended.
        """
        from fallow.coordinator import fetching

        with _client(self._coordinator) as client:
            done = fetching.fetch(
                client,
                self.ref,
                Path(dest),
                fetching.Filter.of((*include, _RECORDS) if include else (), exclude),
                dry_run=False,
                moved=lambda count: None,
            )
        folder = Path(dest).absolute() / done.namespace / done.batch
        return Results(self.ref, self._expansion, folder)

    def retry(self, which: Literal["unsuccessful", "failed", "lost", "all"] = "failed") -> None:
        """Run jobs of it again that are over, as if for the first time, with the same inputs."""
        with _client(self._coordinator) as client:
            client.ask(Retry(self.ref, which, once=secrets.token_hex(16)), Done)

    def kill(self) -> None:
        """Stop what of it is not over, for good."""
        with _client(self._coordinator) as client:
            client.ask(Kill(self.ref), Done)


class _Counting:
    """A local run's facts as counts per state."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._counts = {"succeeded": 0, "failed": 0, "not run": 0, "running": 0, "queued": 0}
        self._running: set[str] = set()

    def tell(self, fact: Fact) -> None:
        counts = self._counts
        match fact:
            case Counted(jobs, unchanged):
                counts["succeeded"], counts["queued"] = unchanged, jobs - unchanged
            case Began(job):
                self._running.add(job)
                counts["running"] += 1
                counts["queued"] -= 1
            case Over(job, how, again=again):
                counts["running" if job in self._running else "queued"] -= 1
                self._running.discard(job)
                counts["queued" if again else how.replace("_", " ")] += 1
            case Unhidden(why):
                warnings.warn(f"jobs are not kept from your own files: {why}", stacklevel=2)
            case GaveUp(jobs):
                counts["queued"] -= jobs
                counts["not run"] += jobs
            case _:
                pass
        self._show(counts)


def _client(coordinator: PathLike | None) -> Client:
    return Client(None if coordinator is None else os.fspath(coordinator))


def _ref(batch: Batch) -> str:
    return f"{batch.meta.namespace}:{batch.meta.batch_name}"


def _shown(batch: Batch, wanted: bool) -> contextlib.AbstractContextManager[Show]:
    return progress(_ref(batch), wanted)
