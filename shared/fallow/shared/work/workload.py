"""The runs and builds of a workstation: what they need of each other.

Not whether they may run (an agent's core judges the desk) nor the life of one (`run`, `build`).
A batch's build starts when the first run needs it, serves all, and ends when none wants it.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from fallow.shared.ids import AttemptId
from fallow.shared.messages import JobSpec, Resources
from fallow.shared.moments import Moment
from fallow.shared.runs import Stopped
from fallow.shared.work import build as builds
from fallow.shared.work import eviction, phases, run, run_words
from fallow.shared.work import orders as words
from fallow.shared.work.build import Build, build_id, is_build
from fallow.shared.work.phases import Run

_IN_PLACE = (
    phases.Placing,
    phases.Held,
    phases.Starting,
    phases.Aborting,
    phases.Alive,
    phases.Stopping,
    phases.Leaving,
    phases.Saving,
    phases.Collecting,
)
_GOING = (phases.Leaving, phases.Saving, phases.Stopping)
_TOLD_AT_ONCE = (phases.Spooled, phases.Over, phases.GivenBack)
# Records of these phases would restart a run exactly where the one before it does.
_UNSAVED = (phases.AwaitingBuild, phases.Placing, phases.Held)


class Workload:
    """All runs and builds here. `frozen` is whether the desk forbids them to work now.

    `changed` becomes true when the coordinator or a person would see a difference, `urgent` when
    the coordinator can act on it. `in_place`: only one job of a batch with a build may be here at
    a time. A run may be paused for `max_pause` seconds, None: as long as its batch says.
    """

    def __init__(self, in_place: bool, frozen: bool, max_pause: float | None = None) -> None:
        self.runs: dict[AttemptId, Run] = {}
        self.builds: dict[str, Build] = {}
        self.frozen = frozen
        self.changed = True
        self.urgent = True
        self.max_pause = max_pause
        self._in_place = in_place

    def add(self, step: run.Step) -> list[words.Effect]:
        """A run that has just been assigned, or given back at once."""
        assert step.run is not None
        fresh = replace(step.run, frozen=self.frozen)
        self.runs[fresh.attempt] = fresh
        self.changed = True
        if not step.effects:
            self.urgent = True
            return []
        return [words.SaveRun(fresh), *(words.Order(fresh.attempt, each) for each in step.effects)]

    def everything(self) -> list[AttemptId]:
        """The names of all runs, and of the builds that are being worked on."""
        return [
            *(build_id(batch) for batch, each in self.builds.items() if _working(each)),
            *self.runs,
        ]

    def tell_all(self, event: run_words.Event, now: Moment) -> list[words.Effect]:
        """The same event to all of them; freezing comes first, for it waits for no disk."""
        effects = []
        for attempt in self.everything():
            effects += self.happened(attempt, event, now)
        effects.sort(key=lambda effect: not _freezes(effect))
        return effects

    def freeze(self, now: Moment) -> list[words.Effect]:
        """The desk is in use: all stop, and those go elsewhere that do not wait for it."""
        self.frozen = True
        return self.tell_all(run_words.Frozen(), now) + self.evict(self._overdue(now), now)

    def thaw(self, now: Moment) -> list[words.Effect]:
        """The desk is free: all go on, the one first that has waited longest.

        None has to wait for another: each has its processors and its memory, also while it pauses.
        """
        self.frozen = False
        self.runs = dict(sorted(self.runs.items(), key=lambda item: _paused_since(item[1])))
        return self.tell_all(run_words.Thawed(), now)

    def evict(self, attempts: Sequence[AttemptId], now: Moment) -> list[words.Effect]:
        """These go elsewhere, with their checkpoints; what has ended by itself stays."""
        effects: list[words.Effect] = []
        for attempt in attempts:
            leave = run_words.Withdrawn("evict", self.runs[attempt].job.grace)
            effects += self.happened(attempt, leave, now)
        return effects + self.reconcile(now) if attempts else []

    def evict_all(self, now: Moment) -> list[words.Effect]:
        """All go elsewhere; the builds that they wait for end with them."""
        return self.evict(tuple(self.runs), now)

    def expired(self, now: Moment) -> list[words.Effect]:
        """Time has passed: for each of them, and for pauses that have become too long."""
        effects = self.tell_all(run_words.Expired(), now)
        return effects + self.evict(self._overdue(now), now)

    def make_room(
        self, held: Mapping[AttemptId, int], available: int, total: int, now: Moment
    ) -> list[words.Effect]:
        """Evict paused runs if they leave too little memory; bytes, see `eviction.crowding`."""
        if any(isinstance(each.phase, _GOING) for each in self.runs.values()):
            # What goes already may be enough.
            return []
        crowding = eviction.crowding(self.runs.values(), held, available, total)
        return self.evict(crowding, now) if crowding else []

    def free_the_disk(
        self, used: Mapping[AttemptId, int], short: int, now: Moment
    ) -> list[words.Effect]:
        """End the run that has filled the disk, if one has; bytes, see `eviction.filling`."""
        if any(isinstance(each.phase, _GOING) for each in self.runs.values()):
            return []
        found = eviction.filling(self.runs.values(), used, short)
        if found is None:
            return []
        return self.happened(found, run_words.Withdrawn("disk", 0.0), now) + self.reconcile(now)

    def _overdue(self, now: Moment) -> list[AttemptId]:
        found = []
        for attempt, each in self.runs.items():
            due = eviction.due(each, self.max_pause)
            if due is not None and due <= now.boot:
                found.append(attempt)
        return found

    def slept(self, seconds: float, now: Moment) -> None:
        """The computer slept so long: no run worked then."""
        for attempt, each in self.runs.items():
            self.runs[attempt] = phases.paused_for(each, seconds, now)

    def forget(self, batch: str) -> list[words.Effect]:
        """Nobody will ask for this batch's build again, unless a run of it is still here."""
        if any(attempt.batch == batch for attempt in self.runs):
            return []
        effects: list[words.Effect] = []
        build = self.builds.get(batch)
        if build is not None:
            if _working(build):
                return []
            del self.builds[batch]
            self.changed = True
            effects.append(words.Order(build_id(batch), run_words.Forget()))
        return [*effects, words.ForgetInputs(batch)]

    @property
    def delivers_checkpoint(self) -> bool:
        """Whether somebody elsewhere waits for what a run here has saved."""
        return any(
            isinstance(each.phase, phases.Spooled)
            and each.phase.exit == Stopped("evict")
            and not each.phase.stored
            for each in self.runs.values()
        )

    def free(self, offer: Resources) -> tuple[int, int]:
        """Processors and bytes of memory that no run holds."""
        here = [each.job for each in self.runs.values() if phases.needs_slot(each)]
        cpus = offer.cpus - sum(each.cpus for each in here)
        return cpus, offer.memory - sum(memory_of(each, offer) for each in here)

    def free_gpus_and_disk(self, offer: Resources) -> tuple[int, int]:
        """GPUs that no run holds, and bytes of disk that none was promised."""
        here = [each.job for each in self.runs.values() if phases.needs_slot(each)]
        gpus = offer.gpus - sum(each.gpus for each in here)
        return gpus, offer.disk - sum(each.disk or 0 for each in here)

    def deadlines(self) -> Iterator[float | None]:
        """When each of them wants `Expired`, in boot-clock seconds."""
        yield from (phases.deadline(each) for each in self.runs.values())
        yield from (eviction.due(each, self.max_pause) for each in self.runs.values())
        yield from (builds.deadline(each) for each in self.builds.values())

    def memory_asked(self) -> dict[AttemptId, int]:
        """Bytes of memory that each run may hold, of those that said how much."""
        asked = {attempt: each.job.memory for attempt, each in self.runs.items()}
        return {attempt: size for attempt, size in asked.items() if size is not None}

    def job_of(self, attempt: AttemptId) -> JobSpec | None:
        """The job of a run; for a build the job that asked for it first."""
        if is_build(attempt):
            build = self.builds.get(attempt.batch)
            return build.job if build is not None else None
        found = self.runs.get(attempt)
        return found.job if found is not None else None

    def happened(
        self, attempt: AttemptId, event: run_words.Event, now: Moment
    ) -> list[words.Effect]:
        """What one of them does about this; of one that is not here, nothing."""
        if is_build(attempt):
            return self._happened_to_build(attempt.batch, event, now)
        before = self.runs.get(attempt)
        if before is None:
            return []
        after, effects = run.handle(before, event, now)
        if after is None:
            del self.runs[attempt]
            self.changed = True
            return [words.Order(attempt, each) for each in effects]
        self.runs[attempt] = after
        return self._followed(attempt, before, after, effects)

    def _followed(
        self,
        attempt: AttemptId,
        before: Run,
        after: Run,
        effects: tuple[run_words.Effect, ...],
    ) -> list[words.Effect]:
        orders: list[words.Effect] = [words.Order(attempt, each) for each in effects]
        same_kind = type(before.phase) is type(after.phase)
        if isinstance(after.phase, phases.Fetching) and same_kind and before.frozen == after.frozen:
            return orders
        if before.phase == after.phase and before.frozen == after.frozen:
            return orders
        self.changed = True
        self.urgent = self.urgent or isinstance(after.phase, _TOLD_AT_ONCE)
        if isinstance(after.phase, _UNSAVED) or _same_on_disk(before, after):
            return orders
        return [words.SaveRun(after), *orders]

    def _happened_to_build(
        self, batch: str, event: run_words.Event, now: Moment
    ) -> list[words.Effect]:
        before = self.builds.get(batch)
        if before is None:
            return []
        after, effects = builds.handle(before, event, now)
        self.builds[batch] = after
        orders: list[words.Effect] = [words.Order(build_id(batch), each) for each in effects]
        if after == before:
            return orders
        self.changed = True
        self.urgent = self.urgent or isinstance(after.state, builds.Built | builds.Failed)
        if isinstance(after.state, builds.Abandoned | builds.Impossible):
            return orders
        return [words.SaveBuild(after), *orders]

    def reconcile(self, now: Moment) -> list[words.Effect]:
        """Give each waiting run its build, start builds that are wanted, end those that are not.

        And let the next run save itself that is to go elsewhere.
        """
        effects = self._next_to_save(now)
        waiting: dict[str, list[Run]] = {}
        for each in self.runs.values():
            if isinstance(each.phase, phases.AwaitingBuild):
                waiting.setdefault(each.attempt.batch, []).append(each)
        for batch, build in list(self.builds.items()):
            if _working(build) and batch not in waiting and not self._fetching(batch):
                stop = run_words.Withdrawn("kill", 0.0)
                effects += self.happened(build_id(batch), stop, now)
            if isinstance(self.builds[batch].state, builds.Abandoned):
                del self.builds[batch]
        for batch, runs in waiting.items():
            effects += self._serve(batch, runs, now)
        return effects

    def _next_to_save(self, now: Moment) -> list[words.Effect]:
        """On a desk in use one at a time: a checkpoint may fill the disk's time, and the memory."""
        leaving = []
        for attempt, each in self.runs.items():
            if isinstance(each.phase, phases.Saving):
                return []
            if isinstance(each.phase, phases.Leaving):
                leaving.append(attempt)
        return self.happened(leaving[0], run_words.Turn(), now) if leaving else []

    def _fetching(self, batch: str) -> bool:
        """Whether a run that is still fetching will want the batch's build."""
        return any(
            attempt.batch == batch
            and each.job.build is not None
            and isinstance(each.phase, phases.Fetching)
            for attempt, each in self.runs.items()
        )

    def _serve(self, batch: str, runs: list[Run], now: Moment) -> list[words.Effect]:
        effects: list[words.Effect] = []
        build = self.builds.get(batch)
        wanted = runs[0].job.build
        assert wanted is not None
        if build is not None and build.key != wanted.key and not _working(build):
            effects.append(words.Order(build_id(batch), run_words.Forget()))
            build = None
        if build is None:
            step = builds.start(batch, runs[0].job, frozen=self.frozen)
            self.builds[batch] = step.build
            self.changed = True
            effects.append(words.SaveBuild(step.build))
            return effects + [words.Order(build_id(batch), each) for each in step.effects]
        match build.state:
            case builds.Built():
                for each in runs:
                    if self._in_place and self._occupied(batch):
                        break
                    effects += self.happened(each.attempt, run_words.BuildReady(), now)
            case builds.Failed(text=text):
                for each in runs:
                    effects += self.happened(each.attempt, run_words.BuildFailed(text), now)
            case builds.Impossible(reason, text):
                del self.builds[batch]
                for each in runs:
                    fact = run_words.BuildFailed(text, reason)
                    effects += self.happened(each.attempt, fact, now)
            case builds.Working() | builds.Abandoned():
                pass
        return effects

    def _occupied(self, batch: str) -> bool:
        return any(
            attempt.batch == batch and isinstance(each.phase, _IN_PLACE)
            for attempt, each in self.runs.items()
        )


def memory_of(job: JobSpec, offer: Resources) -> int:
    """Bytes the job gets: what it asked for, or all."""
    return offer.memory if job.memory is None else job.memory


def _paused_since(each: Run) -> float:
    return each.frozen_at if each.frozen_at is not None else float("inf")


def _same_on_disk(before: Run, after: Run) -> bool:
    """Whether the old record serves as well: an upload that was done is done again in no time."""
    return isinstance(before.phase, phases.Spooled) and isinstance(after.phase, phases.Spooled)


def _working(build: Build) -> bool:
    return isinstance(build.state, builds.Working)


def _freezes(effect: words.Effect) -> bool:
    return isinstance(effect, words.Order) and isinstance(effect.effect, run_words.Freeze)
