"""What comes of a local run's jobs: into the results tree, and into the journal of successes.

Not the running (`local_run`) nor the laying down of files (`archive`, `results`). Opposite:
`local_carrier`, what comes in.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from fallow.coordinator.archive import Archive, Outcome, PutBuildOutput, Tidy
from fallow.coordinator.deposits import Deposit
from fallow.coordinator.local_journal import Journal, Success, put_back
from fallow.coordinator.local_words import Building, Built
from fallow.coordinator.results import Blobs, Results, build_output_name
from fallow.shared.batch import Meta
from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.moments import Moment
from fallow.shared.runs import Crashed, Exit, Exited, exit_text, too_much
from fallow.shared.work import build as builds
from fallow.shared.work import phases
from fallow.shared.work.phases import Run

_STAGING = ".staging"


class Outcomes:
    """The results of one batch below `output`; `post` is told what came of each, from a thread.

    FallowError when `output` cannot be written to.
    """

    def __init__(
        self,
        output: Path,
        notes: Path,
        meta: Meta,
        uid: str,
        host: str,
        blobs: Blobs,
        post: Callable[[Outcome], None],
    ) -> None:
        self.tree = output / meta.namespace / meta.batch_name
        self._staging = output / _STAGING
        self._output = output
        self._meta = meta
        self._uid = uid
        self._host = host
        try:
            results = Results(output, blobs)
            put_back(self._staging, uid, self.tree)
        except OSError as error:
            raise self.failure(error) from None
        self.journal = Journal(notes, self.tree)
        self._archive = Archive(results, post)
        self._archive.start()
        self._pending: set[AttemptId] = set()
        self._build: builds.State | None = None
        self._build_pending = False

    @property
    def pending(self) -> bool:
        """Whether something is on its way."""
        return bool(self._pending) or self._build_pending

    def close(self) -> None:
        """End after what is being written."""
        self._archive.stop()
        with contextlib.suppress(OSError):
            self._staging.rmdir()

    def failure(self, error: Exception) -> FallowError:
        """What to tell when the disk says no."""
        said = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
        return FallowError(
            f"The results cannot be written below {self._output}",
            f"The system says: {said}.",
            "look at its permissions and at the free disk space, then run it again: it goes on",
        )

    def refuse_to_replace(self, job: str) -> None:
        """A job's folder is replaced whole: FallowError when somebody's own files are in it."""
        found = self.journal.foreign(job)
        if found is not None:
            raise FallowError(
                f"{self.tree / job} would be replaced, and {found!r} in it is not Fallow's",
                hint="move that file elsewhere, or choose another --output",
            )

    def next_attempt(self, job: str) -> int:
        """The number of the job's next attempt, whose outcome will be the one that is shown."""
        try:
            self.journal.set_aside(job)
        except OSError as error:
            raise self.failure(error) from None
        return self.journal.attempts(job) + 1

    def hand_in(self, attempt: AttemptId, ended: Run, now: Moment) -> None:
        """Put what an ended run left into its place; once, however often it is said."""
        phase = ended.phase
        assert isinstance(phase, phases.Spooled | phases.Over)
        if attempt in self._pending:
            return
        self._pending.add(attempt)
        ran, paused = phases.seconds(ended, now)
        self._archive.do(
            Deposit(
                attempt=attempt,
                outcome="result" if _is_success(phase.exit) else "failed",
                namespace=ended.job.namespace,
                batch=ended.job.batch,
                job=ended.job.job,
                owner=ended.job.owner,
                workstation=self._host,
                manifest=phase.manifest if isinstance(phase, phases.Spooled) else None,
                exit=phase.exit,
                started=phase.started,
                ended=phase.ended,
                run_seconds=ran,
                paused_seconds=paused,
                inputs={one.path: one.hash for one in (*ended.job.shared, *ended.job.inputs)},
            )
        )

    def settled(self, deposit: Deposit, digest: str) -> str:
        """It is in its place: note a success. Why it is none, "" when it is; FallowError."""
        self._pending.discard(deposit.attempt)
        self._archive.do(Tidy((deposit,)))
        if deposit.outcome == "result":
            self.journal.add(Success(deposit.job, digest, str(deposit.attempt)))
            return ""
        if isinstance(deposit.exit, Crashed):
            return "its process vanished, or what it left could not be saved"
        return too_much(deposit.exit) or exit_text(deposit.exit)

    def unusable(self, deposit: Deposit) -> None:
        """Nothing can be made of what it left."""
        self._pending.discard(deposit.attempt)

    def look_at_build(self, build: builds.Build) -> Building | Built | None:
        """Put what the build said beside the jobs; what is new about it to tell."""
        before, state = self._build, build.state
        if isinstance(before, builds.Built | builds.Failed):
            return None
        if isinstance(state, builds.Working):
            self._build = state
            return Building() if before is None else None
        if not isinstance(state, builds.Built | builds.Failed) or not state.stored:
            return None
        self._build, self._build_pending = state, True
        meta = self._meta
        self._archive.do(
            PutBuildOutput(
                *(self._uid, meta.namespace, meta.batch_name, self._host, state.log, state.size)
            )
        )
        problem = state.text if isinstance(state, builds.Failed) else ""
        return Built(self.tree / build_output_name(self._host), problem)

    def build_settled(self) -> None:
        self._build_pending = False


def _is_success(exit: Exit) -> bool:
    return isinstance(exit, Exited) and exit.code == 0


def unfinished(build: builds.Build) -> bool:
    """Whether more is to come of a build: its end, or what it said."""
    match build.state:
        case builds.Working():
            return True
        case builds.Built(stored=stored) | builds.Failed(stored=stored):
            return not stored
        case _:
            return False
