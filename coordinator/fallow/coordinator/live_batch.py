"""One batch in memory: its jobs, what is shown of them, and its queue.

Not the rules, nor the keeping of all this in step with the records (`world`).
"""

import hashlib
from collections.abc import Sequence

from fallow.coordinator.keeping import PATIENCE
from fallow.coordinator.plan import Group
from fallow.coordinator.queue import Kind, Queue
from fallow.coordinator.records import BatchRecord, JobRecord
from fallow.shared.batch import Priority, Resources, capabilities_of
from fallow.shared.jobspec import Specifications
from fallow.shared.messages import JobStateName
from fallow.shared.moments import Moment
from fallow.shared.sweep import Expansion

_PRIORITIES: dict[Priority, int] = {"low": -1, "normal": 0, "high": 1}


class LiveBatch:
    """One batch in memory."""

    def __init__(self, record: BatchRecord, expansion: Expansion, order: int) -> None:
        self.record = record
        self.expansion = expansion
        self.order = order
        self.specifications = Specifications(record.batch, expansion, record.contents)
        self.jobs: list[JobRecord] = []
        self.shown: list[JobStateName] = []
        self.tally: dict[JobStateName, int] = {}
        # How it stands with what it follows: why that is broken, what of it is left.
        self.stand: tuple[str | None, tuple[str, ...]] | None = None
        self.queue = Queue()
        self._waits: dict[Kind, float] = {}  # boot-clock seconds since when each kind waits
        self.active: set[int] = set()
        self.slots = 0  # how many jobs ran at once when last some did
        # The newest key of its build; None while any key is the one.
        self.rebuilt_key: str | None = None
        self.success_seconds = 0.0
        self.successes = 0

    @property
    def ended(self) -> bool:
        """Whether every job is done."""
        return self._done() == len(self.jobs)

    @property
    def is_held(self) -> bool:
        """Whether nothing of it goes on until a person says so: what is not done is held."""
        held = self.tally.get("held", 0)
        return held > 0 and self._done() + held == len(self.jobs)

    def _done(self) -> int:
        return sum(self.tally.get(each, 0) for each in ("succeeded", "failed", "killed"))

    def kind(self, index: int) -> Kind:
        """The job's kind as long as it avoids nobody."""
        return kind_of_job(self.expansion.resources(index))

    def waits(self, index: int, now: Moment) -> None:
        """A job was queued: jobs of its kind wait from now on, unless they have already."""
        self._waits.setdefault(self.kind(index), now.boot)

    def has_started(self, index: int, now: Moment) -> None:
        """A job of this kind was placed: the others begin to wait anew."""
        kind = self.kind(index)
        if any(each._replace(avoid=()) == kind for each in self.queue.groups):
            self._waits[kind] = now.boot
        else:
            self._waits.pop(kind, None)

    def nothing_waits(self) -> None:
        """The queue is empty."""
        self._waits.clear()

    def has_waited(self, kind: Kind, now: Moment) -> bool:
        """Whether no job of this kind has started for long."""
        since = self._waits.get(kind._replace(avoid=()), now.boot)
        return now.boot - since >= PATIENCE

    def rebuild(self, record: BatchRecord) -> None:
        """From now on only a build with a key of its own counts, if the record asks for that."""
        self.record = record
        build = self.specifications.job(0, record.owner, 1, None).build
        if record.rebuilds and build is not None:
            text = f"{build.key} {record.rebuilds}"
            self.rebuilt_key = hashlib.sha256(text.encode()).hexdigest()

    def ref(self, job: JobRecord | None = None) -> str:
        """NAMESPACE:BATCH or NAMESPACE:BATCH/JOB."""
        head = f"{self.record.namespace}:{self.record.name}"
        return f"{head}/{job.name}" if job is not None else head


def kind_of_job(wishes: Resources) -> Kind:
    """What the planner looks at in a job's wishes."""
    return Kind(wishes.cpus, wishes.memory, wishes.gpus or 0, wishes.disk or 0)


def group_of(
    record: BatchRecord, order: int, kind: Kind, jobs: Sequence[int] = (), waited: bool = False
) -> Group:
    """Jobs of one kind of a batch as the planner sees them."""
    return Group(
        record.uid,
        record.owner,
        order,
        jobs,
        kind.cpus,
        kind.memory,
        capabilities_of(record.batch),
        frozenset(kind.avoid),
        kind.gpus,
        kind.disk,
        _PRIORITIES[record.batch.priority],
        waited,
    )
