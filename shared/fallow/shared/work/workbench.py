"""Carries out the orders for runs and builds: blobs, files, processes. Tells what came of them.

Not the decisions (`workload`) nor the loop around it: an agent's, or a local run's. All methods are
for the loop's thread; what is slow goes to the workshop or the data thread, whose answers come back
as posted facts. For a job with next to no files, going there would cost more than doing it.
"""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fallow.shared.blobs import BlobStore
from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.messages import JobSpec, Tail, Tailed
from fallow.shared.runs import Exit, Exited, Stopped
from fallow.shared.work import checkpoint, files, progress, run_words
from fallow.shared.work.build import is_build
from fallow.shared.work.cores import Core
from fallow.shared.work.deliveries import Deliveries
from fallow.shared.work.gpus import Gpu
from fallow.shared.work.ground import NOWHERE, Ground
from fallow.shared.work.processes import Handle
from fallow.shared.work.running import Running, Watcher
from fallow.shared.work.sandbox import SandboxAbility
from fallow.shared.work.settings import Jobs
from fallow.shared.work.spool import Spool
from fallow.shared.work.workshop import Workshop

log = logging.getLogger(__name__)

_LONGEST_TAIL = 1 << 20

Post = Callable[[AttemptId, run_words.Event], None]


class Folders(Protocol):
    """Where each run and each build has its folder."""

    def folder(self, attempt: AttemptId) -> Path: ...
    def build_folder(self, batch: str) -> Path: ...


class Workbench:
    """Everything that is being done for runs and builds on this workstation.

    `post` hands a fact to the loop from any thread; `tell` hands it on in the loop's own turn.
    """

    def __init__(
        self,
        *,
        folders: Folders,
        cache: BlobStore,
        spool: Spool,
        jobs: Jobs,
        ability: SandboxAbility,
        in_place: bool,
        boot_id: str,
        watcher: Watcher,
        post: Post,
        tell: Post,
        ground: Ground = NOWHERE,
        cores: Sequence[Core] = (),
        gpus: Sequence[Gpu] = (),
        covered: tuple[str, ...] = (),
    ) -> None:
        self._folders = folders
        self._cache = cache
        self._spool = spool
        self._ability = ability
        self._in_place = in_place
        self._post = post
        self._tell = tell
        self.deliveries = Deliveries(cache, spool.blobs, tell, self._look_at_output)
        self._workshop = Workshop()
        self._running = Running(
            folder_of=folders.folder,
            jobs=jobs,
            ability=ability,
            boot_id=boot_id,
            watcher=watcher,
            tell=tell,
            ground=ground,
            cores=cores,
            gpus=gpus,
            covered=covered,
        )
        self._roots: dict[AttemptId, str] = {}
        self._progress: dict[AttemptId, str] = {}
        self._works: dict[AttemptId, Path] = {}
        self._placed: set[AttemptId] = set()
        self._restored: set[AttemptId] = set()
        self._spent: dict[AttemptId, JobSpec] = {}
        self._from_before: set[AttemptId] = set()

    def order(self, attempt: AttemptId, effect: run_words.Effect, job: JobSpec | None) -> None:
        """Do this for a run or a build; `job` is None when it is gone already."""
        match effect:
            case run_words.Freeze():
                self._running.freeze(attempt)
            case run_words.Thaw():
                self._running.thaw(attempt)
            case run_words.Terminate(name):
                self._running.terminate(attempt, name)
            case run_words.Kill():
                self._running.kill(attempt)
            case run_words.Upload(manifest, is_checkpoint):
                self._upload(attempt, manifest, is_checkpoint)
                # Not before: until the record says that they are spooled, all is still here.
                if job is not None and is_build(attempt):
                    # Delivered once more, or after a restart: a job may be in the folder by now.
                    if attempt in self._placed:
                        self._clear_work(attempt, job)
                elif job is not None and self._in_place:
                    self._clear_work(attempt, job)
                elif job is not None:
                    self._spent[attempt] = job
            case run_words.Drop():
                self._drop(attempt, job)
            case run_words.Forget():
                self._forget(attempt)
            case _ if job is not None:
                self._order_for(attempt, effect, job)

    def _order_for(self, attempt: AttemptId, effect: run_words.Effect, job: JobSpec) -> None:
        match effect:
            case run_words.Fetch():
                self.deliveries.fetch(attempt, files.blobs_of(job), job.build is None)
            case run_words.Place():
                self._placed.add(attempt)
                if files.needs_little(job) and attempt not in self._restored:
                    self._place(attempt, job, self._tell)
                else:
                    self._workshop.do(
                        self._bench(attempt, job), lambda: self._place(attempt, job, self._post)
                    )
            case run_words.Spawn():
                self._works[attempt] = self._work_of(attempt, job)
                self._running.spawn(attempt, job, self._works[attempt])
            case run_words.Find():
                self._works[attempt] = self._work_of(attempt, job)
                self._running.find(attempt)
            case run_words.Adopt(process):
                self._works[attempt] = self._work_of(attempt, job)
                self._running.adopt(attempt, process)
            case run_words.Collect(exit):
                self._begin_to_collect(attempt, job, exit)

    def found(self, attempt: AttemptId, root: str | None, same_boot: bool) -> None:
        """A run or build of before a restart; `root` names its outputs where they are spooled.

        Of another boot, its outputs are looked at before they are delivered.
        """
        self._restored.add(attempt)
        if root is not None:
            self._roots[attempt] = root
            self._spool.use_again(root, is_build(attempt))
        if not same_boot:
            self._from_before.add(attempt)

    def clean_up(self, strays: Iterable[Path]) -> None:
        """At the start, when all has been found: remove what belongs to nothing."""
        for number, place in enumerate(strays):
            # Out of the way at once: a run or a build of the same name may begin meanwhile.
            aside = place.with_name(f".removed-{os.getpid()}-{number}")
            with contextlib.suppress(OSError):
                place = place.rename(aside)
            self._workshop.do(place, functools.partial(files.remove, place))
        self._spool.remove_strays()

    def clear_spent(self) -> None:
        """Remove the work folders of runs that wait for long to be accepted; to be called at times.

        Most are accepted at once, and then all of a run is removed in one go.
        """
        spent, self._spent = self._spent, {}
        for attempt, job in spent.items():
            self._clear_work(attempt, job)

    def obey(self, jobs: Jobs, gpus: Sequence[Gpu]) -> None:
        """Start jobs in this way from now on, and with these GPUs."""
        self._running.obey(jobs, gpus)

    def roots(self) -> frozenset[int]:
        """The first process of each run and build; may be asked from another thread."""
        return self._running.roots()

    def owns(self, pid: int) -> bool:
        """Whether this process belongs to a run or build, even if it has come loose."""
        return self._running.owns(pid)

    def look_at_progress(self) -> None:
        """Read what the jobs say of themselves."""
        for attempt in self._running.runs():
            text = files.read_progress(self._works[attempt])
            if text is None or text == self._progress.get(attempt):
                continue
            self._progress[attempt] = text
            said = progress.parse(text)
            if said is not None:
                self._tell(attempt, run_words.Progressed(said))

    def tail(self, question: Tail) -> Tailed:
        """The bytes of a run's output that were asked for."""
        name = "stdout.txt" if question.stream == "stdout" else "stderr.txt"
        place = self._folders.folder(question.attempt) / name
        found = files.tail(place, question.offset, min(max(question.limit, 0), _LONGEST_TAIL))
        if found is None:
            return Tailed(question.request, b"", 0, 0, found=False)
        return Tailed(question.request, *found)

    def pids(self, attempt: AttemptId) -> tuple[int, ...]:
        """The processes of a run, as this computer numbers them."""
        return self._running.pids(attempt)

    def memory(self) -> dict[AttemptId, int]:
        """Bytes of memory that each run holds."""
        return self._running.memory()

    def seconds(self) -> dict[AttemptId, float]:
        """Processor seconds that each run has used."""
        return self._running.seconds()

    def look_at_memory(self, most: Mapping[AttemptId, int]) -> None:
        """End the runs that hold more than these bytes, where the kernel does not prevent it."""
        for attempt in self._running.outgrown(most):
            self._tell(attempt, run_words.Withdrawn("memory", 0.0))

    def yield_processors(self) -> None:
        """See that no run or build takes more of the processors than is left over."""
        self._running.yield_processors()

    def close(self) -> None:
        """Let go of everything; processes run on."""
        self._workshop.close()
        self._running.close()

    # --- files ---

    def _bench(self, attempt: AttemptId, job: JobSpec | None) -> object:
        """Where a batch's jobs share one work folder, their files are moved one by one."""
        shared = is_build(attempt) if job is None else job.build is not None
        return attempt.batch if self._in_place and shared else attempt

    def _work_of(self, attempt: AttemptId, job: JobSpec) -> Path:
        if self._in_place and job.build is not None:
            return self._folders.build_folder(attempt.batch) / "work"
        return self._folders.folder(attempt) / "work"

    def _place(self, attempt: AttemptId, job: JobSpec, say: Post) -> None:
        folder, work = self._folders.folder(attempt), self._work_of(attempt, job)
        try:
            if is_build(attempt):
                files.place_build(folder, work, job, self._cache.path)
            else:
                tree = self._folders.build_folder(attempt.batch) / "tree"
                files.place_run(folder, work, job, self._cache.path, tree if job.build else None)
        except Exception as error:
            say(attempt, run_words.StagingFailed(_say(error)))
        else:
            say(attempt, run_words.Placed())

    def _begin_to_collect(self, attempt: AttemptId, job: JobSpec, exit: Exit) -> None:
        handle = self._let_go(attempt)
        followed = self._ability.kind == "bubblewrap" and attempt not in self._restored
        outputs = not is_build(attempt) and exit != Stopped("evict")
        if followed and outputs and files.left_little(self._folders.folder(attempt)):
            self._collect(attempt, job, handle, exit, self._tell)
        else:
            self._workshop.do(
                self._bench(attempt, job),
                lambda: self._collect(attempt, job, handle, exit, self._post),
            )

    def _collect(
        self, attempt: AttemptId, job: JobSpec, handle: Handle | None, exit: Exit, say: Post
    ) -> None:
        try:
            if handle is not None:
                left = handle.containment.kill().left
                handle.close()
                if left:
                    log.warning("%s: processes %s cannot be ended", attempt, left)
            taken = self._take(attempt, job, exit)
            if taken is None:
                say(attempt, run_words.CollectFailed("it left no checkpoint"))
                return
            # Here already: who drops the run before it is told so must find what to release.
            self._roots[attempt] = taken[0]
        except Exception as error:
            # Also of a fault of ours: a run that nothing follows on would stay here for ever.
            log.warning("the outputs of %s cannot be saved: %s", attempt, _say(error))
            say(attempt, run_words.CollectFailed(_say(error)))
            return
        say(attempt, run_words.OutputsHashed(*taken))

    def _take(self, attempt: AttemptId, job: JobSpec, exit: Exit) -> tuple[str, int] | None:
        """What it leaves behind, now in the spool: (hash of the list, bytes); None if nothing."""
        folder, work = self._folders.folder(attempt), self._work_of(attempt, job)
        if is_build(attempt):
            return self._spool.take_build(folder, work, keep=exit == Exited(0))
        if exit == Stopped("evict") and job.checkpoint is not None:
            return self._spool.take_checkpoint(work, checkpoint.places(job.checkpoint))
        return self._spool.take_run(folder, work)

    def _let_go(self, attempt: AttemptId) -> Handle | None:
        self._works.pop(attempt, None)
        self._progress.pop(attempt, None)
        return self._running.let_go(attempt)

    def _upload(self, attempt: AttemptId, root: str, urgent: bool) -> None:
        self._roots[attempt] = root
        if attempt in self._from_before:
            self._from_before.discard(attempt)
            self._workshop.do(attempt, lambda: self._verify(attempt, root))
            return
        try:
            items = self._spool.items(root, is_build(attempt))
        except FallowError as error:
            log.warning("the outputs of %s are lost: %s", attempt, error)
            self._tell(attempt, run_words.Damaged())
            return
        self.deliveries.upload(attempt, items, urgent=urgent)

    def _clear_work(self, attempt: AttemptId, job: JobSpec) -> None:
        places = [self._folders.folder(attempt) / "scratch", *self._own_work(attempt, job)]

        def clear() -> None:
            for place in places:
                files.remove(place)

        self._workshop.do(self._bench(attempt, job), clear)

    def _own_work(self, attempt: AttemptId, job: JobSpec | None) -> list[Path]:
        """Its work folder, unless that is shared and somebody else may be in it."""
        own = self._folders.folder(attempt) / "work"
        if job is None or attempt not in self._placed:
            return [own]
        self._placed.discard(attempt)
        return [self._work_of(attempt, job)]

    def _verify(self, attempt: AttemptId, root: str) -> None:
        """After a boot: a power failure may have taken what was not forced to disk."""
        whole = self._spool.whole(root, is_build(attempt))
        self._post(attempt, run_words.Lacking() if whole else run_words.Damaged())

    def _look_at_output(self, attempt: AttemptId, hash: str) -> None:
        """The fault may be this disk's, and then no later try would help."""

        def look() -> None:
            if not self._spool.holds(hash):
                self._post(attempt, run_words.Damaged())

        self._workshop.do(attempt, look)

    def _drop(self, attempt: AttemptId, job: JobSpec | None, whole: Path | None = None) -> None:
        self.deliveries.stop(attempt)
        handle = self._let_go(attempt)
        if handle is not None:
            handle.close()
        self._from_before.discard(attempt)
        self._spent.pop(attempt, None)
        folder = self._folders.folder(attempt)
        places = [folder / "scratch", *self._own_work(attempt, job)] if whole is None else [whole]

        def clear() -> None:
            for place in places:
                files.remove(place)
            root = self._roots.pop(attempt, None)
            if root is not None:
                self._spool.release(root, is_build(attempt))

        self._workshop.do(self._bench(attempt, job), clear)

    def _forget(self, attempt: AttemptId) -> None:
        folder = self._folders.folder(attempt)
        # Without its record it is gone, whatever happens to the rest.
        (folder / ("build.json" if is_build(attempt) else "run.json")).unlink(missing_ok=True)
        self._drop(attempt, None, folder)
        self._placed.discard(attempt)
        self._restored.discard(attempt)


def _say(error: Exception) -> str:
    if not isinstance(error, FallowError | OSError):
        log.error("a fault of Fallow", exc_info=error)
        return f"a fault of Fallow on this workstation ({type(error).__name__}: {error})"
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.filename else str(error)
    return f"{error.title}. {error.detail}" if error.detail else error.title
