"""Everything the core knows, in memory: records, their indexes, and the effects of this step.

Not the rules: this keeps counts, queues and alarms in step with the records that the rules put.
Mutable, and touched only from within one step; the records in it are frozen.
"""

from collections.abc import Iterable

from fallow.coordinator.alarms import Alarms
from fallow.coordinator.attempt import is_over
from fallow.coordinator.events import Do, Send, Step
from fallow.coordinator.fairshare import LIVE_WEIGHT, Usage, charge, fade
from fallow.coordinator.live_batch import LiveBatch, group_of
from fallow.coordinator.node import QUIET_AFTER, Workstation
from fallow.coordinator.plan import Group
from fallow.coordinator.queue import Kind
from fallow.coordinator.records import (
    Active,
    Assigned,
    AttemptRecord,
    BatchRecord,
    BuildRecord,
    CheckpointRecord,
    Collecting,
    Done,
    DropBatch,
    EventRecord,
    Held,
    JobRecord,
    Live,
    NodeRecord,
    Queued,
    Save,
    Waiting,
)
from fallow.coordinator.telling import Ways
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import JobStateName
from fallow.shared.moments import Deadline, Moment
from fallow.shared.sweep import Expansion

_ADVANCE: dict[JobStateName, int] = {
    "stopping": 0,
    "staging": 1,
    "building": 2,
    "paused": 3,
    "running": 4,
    "collecting": 5,
}


class World:
    """All batches, attempts and workstations, and what the present step has to save and send."""

    def __init__(self, boot_id: str) -> None:
        self.boot_id = boot_id
        self.batches: dict[str, LiveBatch] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.once: dict[tuple[str, str], str] = {}
        self.attempts: dict[AttemptId, AttemptRecord] = {}
        self.nodes: dict[str, Workstation] = {}
        self.usage: dict[str, Usage] = {}
        self.committing: dict[JobId, AttemptId] = {}
        self.checkpoints: dict[JobId, CheckpointRecord] = {}
        self.alarms = Alarms()
        self.ways = Ways()
        self.version = ""
        self.address = ""
        self.plan_wanted = True
        # Which batches follow another, by the reference of that; and those with news for them.
        self.followers: dict[str, set[str]] = {}
        self.news: dict[str, None] = {}
        self._orders = 0
        self._save: list[Save] = []
        self._send: list[Send] = []
        self._do: list[Do] = []

    # --- the effects of this step ---

    def save(self, record: Save) -> None:
        self._save.append(record)

    def send(self, message: Send) -> None:
        self._send.append(message)

    def do(self, effect: Do) -> None:
        self._do.append(effect)

    def say(
        self,
        wall: float,
        kind: str,
        batch: LiveBatch | None = None,
        job: JobRecord | None = None,
        attempt: AttemptRecord | None = None,
        node: str = "",
        text: str = "",
    ) -> None:
        """Add a line to the audit."""
        self._save.append(
            EventRecord(
                wall=wall,
                kind=kind,
                ref=batch.ref(job) if batch is not None else "",
                node=attempt.node if attempt is not None else node,
                attempt=attempt.id.number if attempt is not None else 0,
                text=text,
                run_seconds=attempt.run_seconds if kind == "finished" and attempt else 0.0,
                paused_seconds=attempt.paused_seconds if kind == "finished" and attempt else 0.0,
            )
        )

    def drain(self) -> Step:
        """The step's effects; the next step begins with none."""
        if not (self._save or self._send or self._do):
            return Step()
        step = Step(tuple(self._save), tuple(self._send), tuple(self._do))
        self._save, self._send, self._do = [], [], []
        return step

    # --- looking up ---

    def job(self, id: JobId) -> JobRecord | None:
        batch = self.batches.get(id.batch)
        if batch is None or not 0 <= id.index < len(batch.jobs):
            return None
        return batch.jobs[id.index]

    def attempts_of(self, job: JobRecord) -> list[AttemptRecord]:
        """All attempts of the job, oldest first."""
        batch, index = job.id.batch, job.id.index
        every = (AttemptId(batch, index, number) for number in range(1, job.attempts + 1))
        return [self.attempts[id] for id in every if id in self.attempts]

    def groups(self, now: Moment) -> list[Group]:
        """What the planner sees of the queues."""
        return [
            group_of(batch.record, batch.order, kind, jobs, batch.has_waited(kind, now))
            for batch in self.batches.values()
            if len(batch.queue)
            for kind, jobs in batch.queue.groups.items()
        ]

    def shares(self, wall: float) -> dict[str, float]:
        """What each owner's use of late counts, live processors included."""
        found = {owner: fade(usage, wall) for owner, usage in self.usage.items()}
        for node in self.nodes.values():
            for attempt in node.attempts.values():
                owner = self.batches[attempt.id.batch].record.owner
                found[owner] = found.get(owner, 0.0) + attempt.cpus * LIVE_WEIGHT
        return found

    # --- putting ---

    def add_batch(self, record: BatchRecord, expansion: Expansion) -> LiveBatch:
        """Take a batch in; its jobs follow by `add_jobs`."""
        self._orders += 1
        batch = LiveBatch(record, expansion, self._orders)
        if record.rebuilds:
            batch.rebuild(record)
        self.batches[record.uid] = batch
        self.names[record.namespace, record.name] = record.uid
        self.once[record.owner, record.once] = record.uid
        for ref in record.after:
            self.followers.setdefault(_batch_of(ref), set()).add(record.uid)
        return batch

    def add_jobs(self, batch: LiveBatch, jobs: Iterable[JobRecord], now: Moment) -> None:
        """Take the batch's jobs in, by rising index."""
        plain: dict[Kind, list[int]] = {}
        for job in jobs:
            index = len(batch.jobs)
            batch.jobs.append(job)
            shown = self.shown(job)
            batch.shown.append(shown)
            batch.tally[shown] = batch.tally.get(shown, 0) + 1
            state = job.state
            if type(state) is Queued:
                if state.not_before is None and not state.avoid:
                    plain.setdefault(batch.kind(index), []).append(index)
                else:
                    self._file(batch, job, state, now)
            elif type(state) is Active:
                batch.active.add(index)
        for kind, indices in plain.items():
            batch.queue.fill(kind, indices)
            batch.waits(indices[0], now)
        self.plan_wanted = True

    def drop_batch(self, batch: LiveBatch) -> None:
        """Forget the batch and all below it, here and in the store."""
        uid = batch.record.uid
        del self.batches[uid]
        del self.names[batch.record.namespace, batch.record.name]
        self.once.pop((batch.record.owner, batch.record.once), None)
        for ref in batch.record.after:
            self.followers[_batch_of(ref)].discard(uid)
        self._tell_followers(batch)
        for job in batch.jobs:
            self.checkpoints.pop(job.id, None)
            for attempt in self.attempts_of(job):
                del self.attempts[attempt.id]
        for node in self.nodes.values():
            node.builds.pop(uid, None)
            node.attempts = {id: each for id, each in node.attempts.items() if id.batch != uid}
        self.save(DropBatch(uid))

    def put_job(self, old: JobRecord, new: JobRecord, now: Moment) -> None:
        """Replace a job's record."""
        batch = self.batches[new.id.batch]
        index = new.id.index
        batch.jobs[index] = new
        self.save(new)
        was, state = old.state, new.state
        if was is not state:
            if type(state) is Done or type(was) is Done:
                self._tell_followers(batch)
            if type(was) is Queued:
                batch.queue.drop(index, batch.kind(index))
                if not batch.queue:
                    batch.nothing_waits()
            elif type(was) is Active:
                batch.active.discard(index)
            if type(state) is Queued:
                self._file(batch, new, state, now)
            elif type(state) is Active:
                batch.active.add(index)
        if batch.active:
            batch.slots = len(batch.active)
        self.show(new)

    def put_attempt(self, record: AttemptRecord) -> None:
        """Replace an attempt's record, or add one."""
        self.attempts[record.id] = record
        node = self.nodes.get(record.node)
        if node is not None:
            if is_over(record):
                node.attempts.pop(record.id, None)
            else:
                node.attempts[record.id] = record
        self.save(record)

    def put_build(self, record: BuildRecord) -> None:
        self.nodes[record.node].builds[record.batch] = record
        self.save(record)

    def add_node(self, record: NodeRecord, now: Moment) -> Workstation:
        node = self.nodes[record.name] = Workstation(record, now)
        return node

    def charge(self, attempt: AttemptRecord) -> None:
        """Put an ended attempt on its owner's account."""
        batch = self.batches.get(attempt.id.batch)
        if batch is None or attempt.closed is None or not attempt.run_seconds:
            return
        owner = batch.record.owner
        used = attempt.run_seconds * attempt.cpus
        self.usage[owner] = charge(self.usage.get(owner, Usage()), used, attempt.closed)

    def _tell_followers(self, batch: LiveBatch) -> None:
        if self.followers and (ref := batch.ref()) in self.followers:
            self.news[ref] = None

    # --- the shown state ---

    def show(self, job: JobRecord) -> None:
        """Bring the counts in step with a job or one of its attempts."""
        batch = self.batches[job.id.batch]
        was, shown = batch.shown[job.id.index], self.shown(job)
        if was != shown:
            batch.shown[job.id.index] = shown
            batch.tally[was] -= 1
            batch.tally[shown] = batch.tally.get(shown, 0) + 1

    def shown(self, job: JobRecord) -> JobStateName:
        """The job's state in the words of `status`."""
        state = job.state
        kind = type(state)
        if kind is Queued:
            return "queued"
        if type(state) is Done:
            return state.outcome
        if kind is Waiting:
            return "waiting"
        if kind is Held:
            return "held"
        if type(state) is not Active:
            return "exported"
        if job.killed:
            return "stopping"
        batch, index = job.id.batch, job.id.index
        names = [_shown(self.attempts[AttemptId(batch, index, n)]) for n in state.attempts]
        return max(names, key=_ADVANCE.__getitem__)

    # --- the queue and the alarms ---

    def _file(self, batch: LiveBatch, job: JobRecord, state: Queued, now: Moment) -> None:
        index = job.id.index
        if state.not_before is not None:
            left = state.not_before.remaining(now, self.boot_id)
            if left > 0:
                batch.queue.set_aside(index)
                self.alarms.add(now.boot + left, "refile", job.id.batch, index)
                return
        kind = batch.kind(index)
        if state.avoid:
            left_by_node = {
                each.node: each.until.remaining(now, self.boot_id) for each in state.avoid
            }
            avoid = sorted(node for node, left in left_by_node.items() if left > 0)
            if avoid:
                kind = kind._replace(avoid=tuple(avoid))
                first = min(left_by_node[node] for node in avoid)
                self.alarms.add(now.boot + first, "refile", job.id.batch, index)
        batch.queue.add(index, kind)
        batch.waits(index, now)
        self.plan_wanted = True

    def refile(self, id: JobId, now: Moment) -> None:
        """Look again at when and where a queued job may start."""
        job = self.job(id)
        if job is not None and type(job.state) is Queued:
            batch = self.batches[id.batch]
            batch.queue.drop(id.index, batch.kind(id.index))
            self._file(batch, job, job.state, now)

    def listen(self, node: Workstation) -> None:
        """Look whether the workstation is silent, once it may be."""
        if not node.listening:
            node.listening = True
            self.alarms.add(node.heard + QUIET_AFTER, "quiet", node.name)

    def watch(self, node: Workstation, boot: float) -> None:
        """Look at this boot-clock second, or an earlier one, whether it was silent for too long."""
        if node.watched is None or boot < node.watched:
            node.watched = boot
            self.alarms.add(boot, "silence", node.name)

    def deadline(self, seconds: float, now: Moment) -> Deadline:
        return Deadline.after(seconds, now, self.boot_id)


def _batch_of(ref: str) -> str:
    return ref.partition("/")[0]


def _shown(attempt: AttemptRecord) -> JobStateName:
    state = attempt.state
    if type(state) is Live:
        if state.frozen:
            return "paused"
        # While ending, the outputs are being hashed.
        return "collecting" if state.phase == "ending" else state.phase
    if type(state) is Assigned:
        return "staging"
    if type(state) is Collecting:
        return "collecting"
    return "stopping"
