"""The shell of `coordinator run`: one batch on this computer, with what workstations run jobs by.

Not the decisions (`local_queue`, `shared.work`). There is no coordinator: results go straight into
their tree. Opposite: `server` and an agent together; what is between those two is missing here.
"""

import contextlib
import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeAlias

from fallow.coordinator.archive import Broken, BuildOutputPut, Outcome
from fallow.coordinator.deposits import Deposit, Deposited, Unusable
from fallow.coordinator.local_carrier import LocalCarrier, Moved
from fallow.coordinator.local_home import LocalHome
from fallow.coordinator.local_journal import digest_of
from fallow.coordinator.local_outcomes import Outcomes, unfinished
from fallow.coordinator.local_queue import LocalQueue, Room, slot_for
from fallow.coordinator.local_words import (
    Advanced,
    Began,
    Counted,
    Fact,
    GaveUp,
    Interrupted,
    NotDone,
    Over,
    Summary,
    Unhidden,
)
from fallow.shared.batch import Batch
from fallow.shared.blobs import BlobStore
from fallow.shared.clock import Clock, SystemClock, boot_id, slept
from fallow.shared.ids import AttemptId
from fallow.shared.inputs import Gathered
from fallow.shared.jobspec import Specifications
from fallow.shared.loop import Loop
from fallow.shared.runs import Stopped, too_much
from fallow.shared.sweep import Expansion
from fallow.shared.work import ground, machine, orders, phases, run, run_words
from fallow.shared.work.gpus import Gpu
from fallow.shared.work.phases import Run
from fallow.shared.work.sandbox import probe
from fallow.shared.work.settings import Jobs
from fallow.shared.work.spool import Spool
from fallow.shared.work.workbench import Workbench
from fallow.shared.work.workload import Workload

log = logging.getLogger(__name__)

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHORTEST_SLEEP = 1.0
_PROGRESS_EVERY = 2.0

Happened: TypeAlias = tuple[AttemptId, run_words.Event]
Posted: TypeAlias = Happened | Moved | Outcome | int
"""What other threads and signals tell the loop; an int is a signal's number."""


class LocalRun:
    """One batch on this computer; `run` once. `tell` hears how it goes, in the loop's thread.

    `visible` are folders of this computer that jobs may read, `home` is where all runs work.
    FallowError where this computer cannot run it, or somebody else runs it already.
    """

    def __init__(
        self,
        batch: Batch,
        expansion: Expansion,
        gathered: Gathered,
        output: Path,
        *,
        room: Room,
        gpus: tuple[Gpu, ...],
        visible: tuple[str, ...],
        owner: str,
        home: Path,
        tell: Callable[[Fact], None],
        clock: Clock | None = None,
    ) -> None:
        self._batch = batch
        self._expansion = expansion
        self._specs = Specifications(batch, expansion, gathered.contents)
        self._room = room
        self._say = tell
        self._clock = clock or SystemClock()
        self._owner = owner
        self._names: dict[AttemptId, str] = {}
        self._began: dict[AttemptId, float | None] = {}
        self._progress_at = self._clock.now().boot
        self._unchanged = 0
        self._succeeded = 0
        self._not_done: list[NotDone] = []
        self._signal: int | None = None
        self._broken: Exception | None = None
        self._facts: deque[Happened] = deque()
        self._asleep = slept()
        meta = batch.meta
        tree = (output / meta.namespace / meta.batch_name).absolute()
        self._home = LocalHome(home, tree)
        self._uid = self._home.word
        try:
            self._set_up(gathered, output, gpus, visible)
        except BaseException:
            self._home.close()
            raise

    def _set_up(
        self, gathered: Gathered, output: Path, gpus: tuple[Gpu, ...], visible: tuple[str, ...]
    ) -> None:
        folder = self._home.folder_of_all
        self._loop: Loop[Posted] = Loop(
            self._clock, on_event=self._take, on_turn=self._turn, deadline=self._deadline
        )
        ability, groups = probe(), ground.probe()
        # One's own jobs on one's own account: where nothing can hide it from them, they run too.
        jobs = Jobs(
            sandbox="none" if ability.kind == "none" else "auto",
            read_only=visible,
            nice=0,
        )
        in_place = ability.kind == "none"
        if in_place:
            self._say(Unhidden(ability.why))
        self._work = Workload(in_place, frozen=False)
        cache, spool = BlobStore(folder / "cache", durable=False), Spool(folder / "spool")
        self._bench = Workbench(
            folders=self._home,
            cache=cache,
            spool=spool,
            jobs=jobs,
            ability=ability,
            in_place=in_place,
            boot_id=boot_id(),
            watcher=self._loop,
            post=lambda attempt, fact: self._loop.post((attempt, fact)),
            tell=lambda attempt, fact: self._facts.append((attempt, fact)),
            ground=groups,
            cores=machine.cores(),
            gpus=gpus,
        )
        self._carrier = LocalCarrier(gathered.files, cache, self._loop.post)
        self._bench.deliveries.carry_with(self._carrier)
        self._outcomes = Outcomes(
            output,
            self._home.notes,
            self._batch.meta,
            self._uid,
            machine.own_name(),
            spool.blobs,
            self._loop.post,
        )

    def run(self) -> Summary:
        """Run what has not succeeded yet; Interrupted after a signal, when nothing is left."""
        try:
            wanted = [index for index in range(len(self._expansion)) if not self._is_done(index)]
            for index in wanted:
                self._outcomes.refuse_to_replace(self._expansion.name(index))
            self._unchanged = len(self._expansion) - len(wanted)
            self._say(Counted(len(self._expansion), self._unchanged))
            self._queue = LocalQueue(wanted, self._room, self._batch.on_failure)
            with self._told_by_signals():
                if wanted:
                    self._start_jobs()
                    self._drain()
                    self._loop.run()
        finally:
            self._close()
        if self._broken is not None:
            raise self._outcomes.failure(self._broken)
        if self._signal is not None:
            raise Interrupted(self._signal)
        meta = self._batch.meta
        return Summary(
            meta.namespace,
            meta.batch_name,
            self._outcomes.tree,
            self._unchanged + self._succeeded,
            self._unchanged,
            tuple(self._not_done),
        )

    def _close(self) -> None:
        self._bench.close()
        self._carrier.close()
        self._outcomes.close()
        self._loop.close()
        self._home.close()

    @contextlib.contextmanager
    def _told_by_signals(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Whoever began us with one of them ignored, as nohup does, meant that.
        wanted = (*_ENDING_SIGNALS, signal.SIGTSTP)
        heard = [each for each in wanted if signal.getsignal(each) is not signal.SIG_IGN]
        with self._loop.hearing_signals(heard, self._loop.post):
            yield

    # --- which jobs ---

    def _is_done(self, index: int) -> bool:
        job, journal = self._expansion.name(index), self._outcomes.journal
        return journal.knows(job) and journal.holds(job, self._digest(index))

    def _digest(self, index: int) -> str:
        return digest_of(self._specs.job(index, "", 1, None))

    def _start_jobs(self) -> None:
        if self._signal is not None:
            return
        while True:
            now = self._clock.now()
            index = self._queue.candidate(now.boot)
            if index is None:
                return
            slot = slot_for(self._expansion.resources(index), self._room)
            if not self._queue.fits(slot):
                return
            self._queue.start(index, slot, now.boot)
            job = self._specs.job(index, self._owner, slot.cpus, slot.memory)
            attempt = AttemptId(self._uid, index, self._outcomes.next_attempt(job.job))
            self._names[attempt] = job.job
            self._do(self._work.add(run.start(attempt, job, now)))

    # --- what happens ---

    def _take(self, event: Posted) -> None:
        match event:
            case signal.SIGTSTP:
                self._stand_still()
            case int():
                self._interrupt(event)
            case Deposited(deposit):
                self._settled(deposit)
            case Unusable(deposit, why):
                self._outcomes.unusable(deposit)
                self._gone(deposit.attempt, "failed", why)
            case BuildOutputPut():
                self._outcomes.build_settled()
            case Broken(error):
                self._broken = error
                self._loop.stop()
            case tuple():
                self._happened(*event)
            case _ if isinstance(event, Moved):
                self._bench.deliveries.moved(event)
        self._drain()

    def _turn(self) -> None:
        asleep = slept()
        now = self._clock.now()
        if asleep - self._asleep >= _SHORTEST_SLEEP:
            self._work.slept(asleep - self._asleep, now)
        self._asleep = asleep
        due = min((each for each in self._work.deadlines() if each is not None), default=None)
        if due is not None and now.boot >= due:
            self._do(self._work.expired(now))
        if now.boot >= self._progress_at:
            self._progress_at = now.boot + _PROGRESS_EVERY
            self._bench.look_at_progress()
            self._bench.look_at_memory(self._work.memory_asked())
        self._drain()
        self._start_jobs()
        self._drain()
        if self._is_over():
            self._loop.stop()

    def _is_over(self) -> bool:
        if self._work.runs or self._outcomes.pending:
            return False
        if any(unfinished(each) for each in self._work.builds.values()):
            return False
        return self._queue.over() or self._signal is not None

    def _deadline(self) -> float | None:
        due = [*self._work.deadlines(), self._queue.deadline()]
        if self._began:
            due.append(self._progress_at)
        return min((each for each in due if each is not None), default=None)

    def _drain(self) -> None:
        """What was found out while orders were carried out, and what follows for the others."""
        while True:
            while self._facts:
                self._happened(*self._facts.popleft())
            self._do(self._work.reconcile(self._clock.now()))
            self._look()
            if not self._facts:
                return

    def _happened(self, attempt: AttemptId, event: run_words.Event) -> None:
        self._do(self._work.happened(attempt, event, self._clock.now()))

    def _do(self, effects: list[orders.Effect]) -> None:
        for effect in effects:
            # Nothing is written down: no later process goes on with what this one began.
            if isinstance(effect, orders.Order):
                job = self._work.job_of(effect.attempt)
                self._bench.order(effect.attempt, effect.effect, job)

    def _look(self) -> None:
        """Say what is new, and deposit what has ended."""
        for attempt, each in list(self._work.runs.items()):
            match each.phase:
                case phases.Alive():
                    self._look_at_running(attempt, each)
                case phases.Spooled(stored=True) | phases.Over():
                    self._deposit(attempt, each)
                case phases.GivenBack(reason, text):
                    if reason == "build_failed":
                        self._give_up(text)
                    self._gone(attempt, "not_run", text)
                case _:
                    pass
        for build in self._work.builds.values():
            news = self._outcomes.look_at_build(build)
            if news is not None:
                self._say(news)

    def _look_at_running(self, attempt: AttemptId, each: Run) -> None:
        if attempt not in self._began:
            self._began[attempt] = None
            self._say(Began(each.job.job))
        share = each.progress.share if each.progress is not None else None
        if share is not None and share != self._began[attempt]:
            self._began[attempt] = share
            self._say(Advanced(each.job.job, share))

    def _deposit(self, attempt: AttemptId, ended: Run) -> None:
        """Hand the outcome in, unless it was our own doing."""
        assert isinstance(ended.phase, phases.Spooled | phases.Over)
        exit = ended.phase.exit
        if isinstance(exit, Stopped) and not too_much(exit):
            self._gone(attempt, None)
        else:
            self._outcomes.hand_in(attempt, ended, self._clock.now())

    def _settled(self, deposit: Deposit) -> None:
        why = self._outcomes.settled(deposit, self._digest(deposit.attempt.index))
        how = "failed" if why else "succeeded"
        self._gone(deposit.attempt, how, why, deposit.run_seconds)

    def _gone(
        self, attempt: AttemptId, how: str | None, why: str = "", seconds: float = 0.0
    ) -> None:
        """The attempt is over and told; nothing of it is kept here. `how` None: it was stopped."""
        self._began.pop(attempt, None)
        job, now = self._names.pop(attempt), self._clock.now()
        again = self._queue.ended(attempt.index, now.boot, failed=how == "failed")
        match how:
            case "succeeded":
                self._succeeded += 1
                self._say(Over(job, "succeeded", "", seconds))
            case "failed":
                self._say(Over(job, "failed", why, seconds, again))
                if not again:
                    self._not_done.append(NotDone(job, "failed", why))
            case "not_run":
                self._say(Over(job, "not_run", why))
                self._not_done.append(NotDone(job, "not_run", why))
        event = (
            run_words.Accepted()
            if isinstance(self._work.runs[attempt].phase, phases.Spooled)
            else run_words.Heard()
        )
        self._happened(attempt, event)

    def _give_up(self, why: str) -> None:
        names = [self._expansion.name(index) for index in self._queue.give_up()]
        self._not_done += [NotDone(name, "not_run", why) for name in names]
        if names:
            self._say(GaveUp(len(names), why))

    # --- the end before its time ---

    def _stand_still(self) -> None:
        """Ctrl-Z: the jobs first, which are in sessions of their own; then this program."""
        self._do(self._work.freeze(self._clock.now()))
        os.kill(os.getpid(), signal.SIGSTOP)
        # Only now does it go on: somebody has said `fg`.
        self._do(self._work.thaw(self._clock.now()))

    def _interrupt(self, number: int) -> None:
        """End what runs; who says it twice does not wait for results that are being saved."""
        if self._signal is not None:
            self._loop.stop()
            return
        self._signal = number
        self._queue.give_up()
        now = self._clock.now()
        for attempt in self._work.everything():
            if attempt not in self._work.runs or phases.needs_slot(self._work.runs[attempt]):
                self._do(self._work.happened(attempt, run_words.Withdrawn("kill", 0.0), now))
