"""Puts what the jobs of an exported folder left into its results, in the layout of any results.

Not how a job is (`ends`), nor the tree itself (`fallow.coordinator.results`). It may be called at
any time, also while jobs run: what is there and whole is taken, once. The opposite is `export`.
"""

import contextlib
import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from fallow.coordinator.deposits import RECORD, Deposit, Unusable
from fallow.coordinator.manifests import ATTEMPTS
from fallow.coordinator.results import Results
from fallow.coordinator.slurm import client
from fallow.coordinator.slurm.ends import Attempt, Fate, State, decide, read_sums
from fallow.coordinator.slurm.export import FolderManifest, read_manifest
from fallow.coordinator.slurm.found import Folder
from fallow.shared.blobs import BlobStore
from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.jobspec import Specifications
from fallow.shared.messages import encode
from fallow.shared.runs import Crashed, Manifest
from fallow.shared.sweep import Expansion
from fallow.shared.work import outputs

RESULTS = "results"
_OWN = ".collected"
_TOGETHER = 64  # attempts committed at once, since each commit waits for the disk


class Problem(Struct, frozen=True):
    """One job that has not succeeded although it is over, or whose files are not whole."""

    job: str
    state: State
    reason: str


class Collected(Struct, frozen=True, kw_only=True):
    """What one call found: how many jobs are how, and what is new in the results."""

    counts: dict[State, int]
    taken: int
    unchanged: int
    problems: tuple[Problem, ...]
    damaged: tuple[Problem, ...]
    build: str
    asked: float | None

    @property
    def over(self) -> bool:
        """Whether nothing more can come by itself."""
        return not any(self.counts.get(each, 0) for each in ("queued", "running", "exported"))


class Taken(Struct, frozen=True):
    """An attempt whose files are whole and among the blobs, before it is in the results."""

    index: int
    attempt: Attempt
    deposit: Deposit


class Collection:
    """One call of `collect`; `blobs` and `manifest` are for whoever hands the results on."""

    def __init__(self, root: Path, progress: Callable[[int], None] = lambda _: None) -> None:
        self.manifest: FolderManifest = read_manifest(root)
        self._root = root
        self._progress = progress
        self._expansion = Expansion(self.manifest.batch)
        self._specifications = Specifications(
            self.manifest.batch, self._expansion, self.manifest.contents
        )
        self._asked_now = client.note_words(root)
        self._folder = Folder(root)
        _own(root).mkdir(mode=0o700, exist_ok=True)
        self.blobs = BlobStore(_own(root) / "blobs", durable=False)
        self._results = Results(root / RESULTS, self.blobs)

    @property
    def jobs(self) -> tuple[int, ...]:
        """The indices of the exported jobs."""
        known = self.manifest.jobs
        return known if known is not None else tuple(range(len(self._expansion)))

    def name(self, index: int) -> str:
        return self._expansion.name(index)

    def fate(self, index: int, build: str) -> Fate:
        """How this job is now."""
        return decide(
            self._folder.attempts(index),
            self._folder.word(index),
            submitted=self._folder.submitted(index),
            asked=self._asked_now,
            build=build,
        )

    def collect(self) -> Collected:
        """Take what is new into the results; FallowError when the disk says no."""
        try:
            return self._collect()
        except OSError as error:
            raise FallowError(
                f"{self._root / RESULTS} cannot be written", f"{error.strerror}: {error.filename}"
            ) from None

    def close(self) -> None:
        """Remove what was only there for this call."""
        with contextlib.suppress(OSError):
            (self._root / RESULTS / ".staging").rmdir()
        shutil.rmtree(_own(self._root), ignore_errors=True)

    def _collect(self) -> Collected:
        build = self.collect_build()
        counts: dict[State, int] = {}
        problems: list[Problem] = []
        damaged: list[Problem] = []
        waiting: list[Taken] = []
        taken = unchanged = 0
        for index in self.jobs:
            fate = self.fate(index, build)
            for attempt in fate.shown:
                if self._is_in_results(index, attempt):
                    unchanged += 1
                    continue
                try:
                    waiting.append(self.take(index, attempt))
                except Damaged as error:
                    damaged.append(Problem(self.name(index), fate.state, str(error)))
                    continue
            if len(waiting) >= _TOGETHER:
                taken += self._commit(waiting, damaged)
            counts[fate.state] = counts.get(fate.state, 0) + 1
            if fate.state in {"failed", "killed"}:
                problems.append(Problem(self.name(index), fate.state, fate.reason))
            self._progress(1)
        taken += self._commit(waiting, damaged)
        self._results.tidy_all()
        return Collected(
            counts=counts,
            taken=taken,
            unchanged=unchanged,
            problems=tuple(problems),
            damaged=tuple(damaged),
            build=build,
            asked=self._folder.asked,
        )

    def _commit(self, waiting: list[Taken], damaged: list[Problem]) -> int:
        """Put these into the results, each job's attempts in their order; how many were."""
        done = 0
        for group in _one_of_each(waiting):
            deposits = [each.deposit for each in group]
            for each in self._results.commit(deposits):
                if isinstance(each, Unusable):
                    damaged.append(Problem(each.deposit.job, "failed", each.why))
                else:
                    done += 1
            self._results.tidy(deposits)
        waiting.clear()
        return done

    # --- one attempt ------------------------------------------------------------------------------

    def id_of(self, index: int, number: int) -> AttemptId:
        """What this attempt is called, after those that the coordinator knows already."""
        origin = self.manifest.origin
        if origin is None:
            return AttemptId(self.manifest.id, index, number)
        return AttemptId(origin.uid, index, number + origin.attempts.get(index, 0))

    def take(self, index: int, attempt: Attempt) -> Taken:
        """Take the files of one attempt among the blobs; Damaged when they are not whole."""
        here = self._folder.run(index) / str(attempt.number)
        words = {name: here / name for name in ("stdout.txt", "stderr.txt")}
        listed = outputs.collect(here, words, self.blobs)
        self._check(here, attempt, listed)
        ended = attempt.ended
        good = ended is not None and ended.good
        job = self._specifications.job(index, self.manifest.owner, 1, None)
        deposit = Deposit(
            attempt=self.id_of(index, attempt.number),
            outcome="result" if good else "failed",
            namespace=job.namespace,
            batch=job.batch,
            job=job.job,
            owner=self.manifest.owner,
            workstation=attempt.began.node,
            manifest=self.blobs.put_bytes(encode(listed)),
            exit=ended.exit if ended is not None else Crashed(),
            started=ended.started if ended is not None else None,
            ended=ended.ended if ended is not None else None,
            run_seconds=ended.run_seconds if ended is not None else 0.0,
            paused_seconds=0.0,
            inputs={one.path: one.hash for one in (*job.shared, *job.inputs)},
        )
        return Taken(index, attempt, deposit)

    def _check(self, here: Path, attempt: Attempt, listed: Manifest) -> None:
        """Damaged where what was taken is not what it was on the cluster."""
        if attempt.ended is None:
            return  # it was cut off before it could say
        where = here.relative_to(self._root)
        try:
            data = (here / "sums").read_bytes()
            if hashlib.sha256(data).hexdigest() != attempt.ended.sums:
                raise Damaged(f"{where / 'sums'} is not what it was on the cluster")
            sums = read_sums(data.decode(errors="backslashreplace"))
        except (OSError, ValueError) as error:
            raise Damaged(f"{where} is not whole: {error}") from None
        # Contents are compared, not places: some are renamed on the way into the results.
        taken = Counter(file.hash for file in listed.files)
        for path, wanted in sums.items():
            taken[wanted] -= 1
            if taken[wanted] < 0:
                raise Damaged(f"{where / path} is not what it was on the cluster")

    def _is_in_results(self, index: int, attempt: Attempt) -> bool:
        """Whether this very outcome is; another one of the same attempt is removed.

        For an attempt that seemed dead may yet have said how it ended, on a slow file system.
        """
        meta = self.manifest.batch.meta
        job = self._root / RESULTS / meta.namespace / meta.batch_name / self.name(index)
        id = self.id_of(index, attempt.number)
        good = attempt.ended is not None and attempt.ended.good
        for folder in (job, job / ATTEMPTS / str(id.number)):
            found = _record_in(folder)
            if found is None or found.id != str(id):
                continue
            if found.succeeded == good and (found.ended is None) == (attempt.ended is None):
                return True
            shutil.rmtree(folder)
        return False

    # --- the build --------------------------------------------------------------------------------

    def collect_build(self) -> str:
        """Put the builds' output beside the jobs; why the last one failed, else empty."""
        builds = self._folder.builds()
        meta = self.manifest.batch.meta
        for attempt in builds:
            log = self._root / "build" / str(attempt.number) / "log.txt"
            if attempt.ended is not None and log.is_file():
                hash, _ = self.blobs.put_file(log)
                self._results.put_build_output(
                    meta.namespace, meta.batch_name, attempt.began.node, hash
                )
        if not builds or builds[-1].ended is None or builds[-1].ended.good:
            return ""
        ended = builds[-1].ended
        log_place = f"build/{builds[-1].number}/log.txt"
        what = f"failed with exit code {ended.code}" if ended.how == "exited" else "was cut off"
        return f"the build {what} (see {log_place})"


class Damaged(Exception):
    """Files of an attempt are not what they were on the cluster; the text says which."""


class _Record(Struct):
    id: str
    succeeded: bool
    ended: str | None = None


def _record_in(folder: Path) -> _Record | None:
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=_Record)
    except (OSError, msgspec.MsgspecError):
        return None


def _one_of_each(waiting: list[Taken]) -> Iterator[list[Taken]]:
    """The same in groups in which no job comes twice, in their order."""
    group: list[Taken] = []
    seen: set[int] = set()
    for each in waiting:
        if each.index in seen:
            yield group
            group, seen = [], set()
        group.append(each)
        seen.add(each.index)
    if group:
        yield group


def _own(root: Path) -> Path:
    return root / _OWN
