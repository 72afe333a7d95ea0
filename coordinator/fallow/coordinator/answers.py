"""The questions about what jobs left: output and results, answered from the store and the disk.

Not the state of batches and workstations: the core answers that. Output of a live run is its
workstation's to give; the answer then waits here until it comes. Opposite: `client`.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from fallow.coordinator.core import Core
from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.manifests import ATTEMPTS
from fallow.coordinator.records import (
    AttemptRecord,
    Collecting,
    Done,
    Ended,
    JobRecord,
    Live,
    Stopping,
)
from fallow.coordinator.results import build_output_name
from fallow.coordinator.status import job_status
from fallow.coordinator.store import Store
from fallow.shared.blobs import BlobStore
from fallow.shared.errors import Refused, UsageError
from fallow.shared.ids import JobId
from fallow.shared.messages import (
    CHUNK,
    Failed,
    JobResults,
    Logs,
    LogsReply,
    Pull,
    PullReply,
    Tail,
    Tailed,
)
from fallow.shared.moments import Moment
from fallow.shared.runs import OutputFile

_PATIENCE = 10.0  # seconds a workstation has to answer for a live run
_PAGE = 1000  # jobs
_PAGE_BYTES = 8 << 20  # of lists of files; a failed attempt's are listed twice

LogsAnswer = LogsReply | Failed


class _Waiting(Struct):
    reply: int
    node: str
    attempt: int
    deadline: float
    ask: Logs
    uid: str
    index: int


class Answers:
    """Answers Logs and Pull; `tell` sends to a workstation, `answer` to a client."""

    def __init__(
        self,
        core: Core,
        store: Store,
        blobs: BlobStore,
        tell: Callable[[str, Tail], None],
        answer: Callable[[int, LogsAnswer], None],
    ) -> None:
        self._core = core
        self._store = store
        self._blobs = blobs
        self._tell = tell
        self._answer = answer
        self._waiting: dict[int, _Waiting] = {}
        self._tails = 0

    def logs(self, reply: int, ask: Logs, now: Moment) -> None:
        """Answer now, or when the workstation has."""
        uid, job = self._find_job(ask.ref)
        attempts = self._core.attempts_of(job.id)
        if not attempts and ask.attempt is None:
            live = not isinstance(job.state, Done)
            self._say(reply, job, LogsReply(b"", 0, 0, live, 0), now)
            return
        attempt = _wanted(attempts, ask.attempt, ask.ref)
        kept = self._kept(uid, job.id.index, attempt.id.number, f"{ask.stream}.txt")
        if kept is not None:
            self._say(reply, job, self._from_disk(kept, ask, attempt.id.number), now)
        elif isinstance(attempt.state, Live | Collecting | Stopping):
            self._tails += 1
            self._waiting[self._tails] = _Waiting(
                reply, attempt.node, attempt.id.number, now.boot + _PATIENCE, ask, uid, job.id.index
            )
            limit = max(0, min(ask.limit, CHUNK))
            self._tell(attempt.node, Tail(self._tails, attempt.id, ask.stream, ask.offset, limit))
        elif isinstance(attempt.state, Ended):
            # Ended with nothing kept: killed, lost or given back.
            self._say(reply, job, LogsReply(b"", 0, 0, False, attempt.id.number), now)
        else:
            self._say(reply, job, LogsReply(b"", 0, 0, True, attempt.id.number), now)

    def tailed(self, node: str, tailed: Tailed, now: Moment) -> None:
        """A workstation's answer has come."""
        waiting = self._waiting.get(tailed.request)
        if waiting is None or waiting.node != node:
            return
        del self._waiting[tailed.request]
        job = self._core.world.job(JobId(waiting.uid, waiting.index))
        if job is None:
            self._answer(waiting.reply, Failed(f"{waiting.ask.ref} was removed"))
            return
        if tailed.found:
            reply = LogsReply(tailed.data, tailed.offset, tailed.size, True, waiting.attempt)
            self._say(waiting.reply, job, reply, now)
            return
        # It may have been committed meanwhile.
        name = f"{waiting.ask.stream}.txt"
        kept = self._kept(waiting.uid, waiting.index, waiting.attempt, name)
        if kept is not None:
            found = self._from_disk(kept, waiting.ask, waiting.attempt)
            self._say(waiting.reply, job, found, now)
        else:
            empty = LogsReply(b"", 0, 0, True, waiting.attempt)
            self._say(waiting.reply, job, empty, now)

    def _say(self, reply: int, job: JobRecord, said: LogsAnswer, now: Moment) -> None:
        """Answer, and say how the job is: its output alone does not tell why nothing comes."""
        if isinstance(said, LogsReply):
            shown = job_status(self._core.world, job, now)
            said = msgspec.structs.replace(said, state=shown.state, reason=shown.reason)
        self._answer(reply, said)

    def expire(self, now: Moment) -> None:
        """Give up on workstations that did not answer in time."""
        for number, waiting in list(self._waiting.items()):
            if waiting.deadline <= now.boot:
                del self._waiting[number]
                job = self._core.world.job(JobId(waiting.uid, waiting.index))
                offset = max(waiting.ask.offset, 0)
                nothing = LogsReply(b"", offset, offset, True, waiting.attempt, silent=True)
                if job is not None:
                    self._say(waiting.reply, job, nothing, now)
                else:
                    self._answer(waiting.reply, nothing)

    def deadline(self) -> float | None:
        return min((waiting.deadline for waiting in self._waiting.values()), default=None)

    def pull(self, ask: Pull) -> PullReply:
        """One page of the files that the results of a batch or job consist of."""
        batch, job = self._core.find(ask.ref)
        uid = batch.record.uid
        beside: tuple[JobResults, ...] = ()
        following = None
        if job is not None:
            jobs = [job]
        else:
            after = max(ask.after, 0)
            limit = max(1, min(ask.limit, _PAGE))
            jobs = self._that_fit(uid, batch.jobs[after : after + limit])
            if jobs and after + len(jobs) < len(batch.jobs):
                following = after + len(jobs)
            if after == 0:
                beside = self._beside(uid)
        return PullReply(
            batch.record.namespace,
            batch.record.name,
            (*beside, *self._results(batch, jobs)),
            following,
        )

    def _that_fit(self, uid: str, jobs: list[JobRecord]) -> list[JobRecord]:
        """As many of these jobs as one message can list the files of; at least one."""
        if not jobs:
            return jobs
        taken = self._store.listed_bytes(uid, jobs[0].id.index, jobs[-1].id.index)
        room = _PAGE_BYTES
        for count, job in enumerate(jobs):
            room -= taken.get(job.id.index, 0)
            if room < 0:
                return jobs[: max(count, 1)]
        return jobs

    def _beside(self, uid: str) -> tuple[JobResults, ...]:
        """What the builds said; collecting while a log of theirs is still on its way."""
        outputs = tuple(self._store.build_outputs(uid))
        here = {file.path for file in outputs}
        coming = any(
            node.session is not None
            and uid in node.builds
            and node.builds[uid].state in {"built", "failed"}
            and build_output_name(node.name) not in here
            for node in self._core.world.nodes.values()
        )
        if not outputs and not coming:
            return ()
        return (JobResults("", "collecting" if coming else "succeeded", outputs),)

    def _find_job(self, text: str) -> tuple[str, JobRecord]:
        batch, job = self._core.find(text)
        if job is None:
            job = batch.jobs[0]
            if len(batch.jobs) > 1:
                raise UsageError(
                    f"{text} is a batch of several jobs",
                    hint=f"name one, for example {batch.ref()}/{job.name}",
                )
        return batch.record.uid, job

    def _results(self, batch: LiveBatch, jobs: Sequence[JobRecord]) -> list[JobResults]:
        if not jobs:
            return []
        uid = batch.record.uid
        first, last = jobs[0].id.index, jobs[-1].id.index
        results = self._store.results(uid, first, last)
        files = self._store.result_files(uid, first, last)
        found: list[JobResults] = []
        for job in jobs:
            listed: list[OutputFile] = []
            folders: list[str] = []
            attempts = results.get(job.id.index, [])
            for number, outcome, empty in attempts:
                if outcome == "failed":
                    below = f"{ATTEMPTS}/{number}/"
                    for file in files.get((job.id.index, number), []):
                        moved = OutputFile(below + file.path, file.hash, file.size, file.executable)
                        listed.append(moved)
                    folders += [below + folder for folder in empty]
            if attempts:
                number, _, empty = _shown(attempts)
                listed += files.get((job.id.index, number), [])
                folders += empty
            found.append(
                JobResults(job.name, batch.shown[job.id.index], tuple(listed), tuple(folders))
            )
        return found

    def _kept(self, uid: str, index: int, number: int, path: str) -> OutputFile | None:
        for file in self._store.result_files(uid, index, index).get((index, number), []):
            if file.path == path:
                return file
        return None

    def _from_disk(self, file: OutputFile, ask: Logs, number: int) -> LogsReply | Failed:
        limit = max(0, min(ask.limit, CHUNK))
        offset = max(file.size - limit, 0) if ask.offset < 0 else min(ask.offset, file.size)
        data = b""
        if file.size:
            try:
                with self._blobs.path(file.hash).open("rb") as stream:
                    stream.seek(offset)
                    data = stream.read(limit)
            except OSError as error:
                return Failed("The output cannot be read any more", f"The system says: {error}.")
        return LogsReply(data, offset, file.size, False, number)


def _wanted(attempts: Sequence[AttemptRecord], number: int | None, ref: str) -> AttemptRecord:
    if number is None:
        # What was given back before it ran has no output worth showing first.
        ran = [it for it in attempts if not _never_ran(it)]
        return (ran or attempts)[-1]
    for attempt in attempts:
        if attempt.id.number == number:
            return attempt
    known = ", ".join(str(attempt.id.number) for attempt in attempts)
    raise Refused(
        f"{ref} has no attempt {number}", hint=f"there are: {known}" if known else "none has begun"
    )


def _never_ran(attempt: AttemptRecord) -> bool:
    return isinstance(attempt.state, Ended) and attempt.state.how in ("declined", "lost")


def _shown(attempts: list[tuple[int, str, tuple[str, ...]]]) -> tuple[int, str, tuple[str, ...]]:
    """The attempt whose files are in the job's own folder: the last success, else the last."""
    for attempt in reversed(attempts):
        if attempt[1] == "result":
            return attempt
    return attempts[-1]
