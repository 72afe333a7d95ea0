"""The coordinator's decisions: events in, what to save, send and do out.

Not the shell (`server`): nothing here reads a clock or touches a socket or a disk. The caller
saves all of a Step before it sends or does any of it, and calls `plan` once per turn of its loop.
"""

from collections.abc import Callable

from msgspec.structs import replace

from fallow.coordinator import (
    asking,
    changing,
    checkpoints,
    exporting,
    following,
    hearing,
    invariants,
    lookup,
    placing,
    status,
    why,
)
from fallow.coordinator import attempt as attempts
from fallow.coordinator.attempt import is_over
from fallow.coordinator.events import (
    AgentSaid,
    Answer,
    CheckpointKept,
    ClientAsked,
    CommitFailed,
    CommitIncomplete,
    Committed,
    Event,
    Expired,
    NodeJoined,
    NodeRevoked,
    Step,
    Submission,
    ToNode,
)
from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.lives import (
    happen,
    is_committing,
    spec_of,
    stop,
)
from fallow.coordinator.node import QUIET_AFTER, Workstation, is_cluster
from fallow.coordinator.records import (
    AttemptRecord,
    BuildRecord,
    Done,
    JobRecord,
    Loaded,
    NodeRecord,
    Stopping,
)
from fallow.coordinator.world import World
from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import (
    ClientReply,
    Drain,
    Export,
    Hold,
    Import,
    JobSpec,
    Kill,
    Missing,
    Nodes,
    NodesReply,
    Release,
    Remove,
    Retry,
    Status,
    StatusReply,
    Undrain,
    Why,
)
from fallow.shared.moments import Moment
from fallow.shared.sweep import Expansion

OVERSLEPT = 30.0
"""An alarm later than this by so many seconds means that this computer slept, not the others."""


class Core:
    """All that the coordinator knows and decides."""

    def __init__(self, boot_id: str) -> None:
        self.world = World(boot_id)

    # --- the shell's side -------------------------------------------------------------------------

    def restore(self, loaded: Loaded, now: Moment) -> Step:
        """Take in what the store holds; live attempts await a Report from now on.

        The Step repeats effects that may have been lost with the last process. Events of commits
        that are on disk already must come next.
        """
        world = self.world
        for node in loaded.nodes:
            world.add_node(node, now)
        for attempt in loaded.attempts:
            world.attempts[attempt.id] = attempt
            if is_over(attempt):
                continue
            if attempt.node not in world.nodes:
                world.add_node(NodeRecord(name=attempt.node, joined=now.wall), now)
            world.nodes[attempt.node].attempts[attempt.id] = attempt
        by_batch: dict[str, list[JobRecord]] = {each.uid: [] for each in loaded.batches}
        for job in loaded.jobs:
            by_batch[job.id.batch].append(job)
        for record in sorted(loaded.batches, key=lambda each: (each.submitted, each.uid)):
            batch = world.add_batch(record, Expansion(record.batch))
            ordered = sorted(by_batch[record.uid], key=lambda job: job.id.index)
            world.add_jobs(batch, ordered, now)
            for job in ordered:
                if type(job.state) is Done and job.state.outcome == "succeeded":
                    self._count_success(batch, job)
        for checkpoint in loaded.checkpoints:
            world.checkpoints[checkpoint.job] = checkpoint
        for build in loaded.builds:
            if build.node in world.nodes and not _is_outdated(world, build):
                world.nodes[build.node].builds[build.batch] = build
            if build.log is not None and build.batch in world.batches:
                world.do(hearing.keep_log(world, build))
        for attempt in sorted(loaded.attempts, key=lambda each: each.closed or 0.0):
            if is_over(attempt):
                world.charge(attempt)
            else:
                placing.watch(world, attempt, now)
        for batch in list(world.batches.values()):
            following.look(world, batch, now)
        return world.drain()

    def handle(self, event: Event, now: Moment) -> Step:
        """Take in one event; the Step's saves must be on disk before the rest of it is done."""
        due = self.world.alarms.next()
        if due is not None and now.boot - due > OVERSLEPT:
            for node in self.world.nodes.values():
                node.heard = min(node.heard + now.boot - due, now.boot)
        match event:
            case AgentSaid(name, message):
                hearing.hear(self.world, name, message, now)
            case Committed() | CheckpointKept() | CommitIncomplete() | CommitFailed():
                self._on_commit(event, now)
            case ClientAsked():
                self._on_question(event, now)
            case Submission():
                asking.submit(self.world, event, now)
            case NodeJoined(name):
                self._on_joined(name, now)
            case NodeRevoked(name):
                self._on_revoked(name, now)
            case Expired():
                self._on_expired(now)
        following.settle(self.world, now)
        return self.world.drain()

    def plan(self, now: Moment) -> Step:
        """Place queued jobs, if anything changed since the last time that could let one start."""
        world = self.world
        if world.plan_wanted:
            world.plan_wanted = False
            placing.place_all(world, now)
        return world.drain()

    def deadline(self) -> float | None:
        """The boot-clock second at which Expired is due, or None."""
        return self.world.alarms.next()

    def check(self) -> list[str]:
        """Every rule about the whole that does not hold; empty unless there is a bug."""
        return invariants.violations(self.world)

    # --- questions of the shell -------------------------------------------------------------------

    def find(self, ref: str) -> tuple[LiveBatch, JobRecord | None]:
        """The batch, and the job where one is named; FallowError when none or several are meant."""
        return lookup.find(self.world, ref)

    def attempts_of(self, job: JobId) -> tuple[AttemptRecord, ...]:
        """All attempts of a job, oldest first."""
        record = self.world.job(job)
        return tuple(self.world.attempts_of(record)) if record is not None else ()

    def spec(self, attempt: AttemptId) -> JobSpec | None:
        """What its workstation was told to run, None for an attempt of a batch that is gone."""
        record = self.world.attempts.get(attempt)
        batch = self.world.batches.get(attempt.batch)
        if record is None or batch is None:
            return None
        return spec_of(batch, record)

    # --- events -----------------------------------------------------------------------------------

    def _on_commit(
        self, event: Committed | CheckpointKept | CommitIncomplete | CommitFailed, now: Moment
    ) -> None:
        world = self.world
        if world.committing.get(event.attempt.job) == event.attempt:
            del world.committing[event.attempt.job]
        record = world.attempts.get(event.attempt)
        job = world.job(event.attempt.job)
        if record is None or job is None:
            return
        match event:
            case Committed(_, outcome):
                happen(world, record, attempts.Kept(outcome), now)
                return
            case CheckpointKept(_, manifest, files):
                if attempts.is_evicted(record) and not is_over(record):
                    checkpoints.keep(world, record.id, manifest, files)
                    happen(world, record, attempts.Kept("checkpoint"), now)
                return
            case CommitFailed(_, text, permanent):
                batch = world.batches[job.id.batch]
                world.say(now.wall, "trouble", batch, job, record, text=text)
                if permanent:
                    happen(world, record, attempts.Unusable(text), now)
            case CommitIncomplete(_, missing):
                if not job.killed:
                    world.send(ToNode(record.node, Missing(record.id, missing)))
        if job.killed:
            # The kill came while the commit was under way.
            stop(world, world.attempts[event.attempt], "kill", now)

    def _on_question(self, event: ClientAsked, now: Moment) -> None:
        world, body = self.world, event.body
        match body:
            case Kill() | Remove() | Hold() | Release() | Retry() | Drain() | Undrain():
                changing.change(world, event.reply, event.caller, body, now)
            case Why(ref):
                world.send(Answer(event.reply, _or_failed(lambda: why.why(world, ref, now))))
            case Export() | Import():
                exporting.answer(world, event.reply, event.caller, body, now)
            case Nodes():
                some = (node for node in world.nodes.values() if not is_cluster(node.name))
                nodes = sorted(some, key=lambda node: node.name)
                shown = [status.node_status(world, node, now) for node in nodes]
                world.send(
                    Answer(
                        event.reply,
                        NodesReply(tuple(shown), now.wall, world.version, world.address),
                    )
                )
            case Status():
                world.send(Answer(event.reply, _or_failed(lambda: self._status(body, now))))

    def _status(self, body: Status, now: Moment) -> StatusReply:
        world = self.world
        if body.ref is None:
            batches = world.batches.values()
            return StatusReply(tuple(status.batch_status(world, each, now) for each in batches))
        batch, job = lookup.find(world, body.ref)
        shown: tuple[JobRecord, ...] | None = None
        if body.jobs:
            end = None if body.limit is None else body.after + body.limit
            if job is not None:
                shown = (job,)
            elif body.live:
                shown = tuple(batch.jobs[index] for index in sorted(batch.active)[body.after : end])
            else:
                shown = tuple(batch.jobs[body.after : end])
        return StatusReply((status.batch_status(world, batch, now, shown),))

    def _on_joined(self, name: str, now: Moment) -> None:
        world = self.world
        known = world.nodes.get(name)
        if known is not None and known.record.revoked is None:
            return
        sessions = known.record.sessions if known is not None else 0
        record = NodeRecord(name=name, joined=now.wall, sessions=sessions)
        if known is not None:
            known.record = record
        else:
            world.add_node(record, now)
        world.save(record)
        world.say(now.wall, "joined", node=name)

    def _on_revoked(self, name: str, now: Moment) -> None:
        node = self.world.nodes.get(name)
        if node is None or node.record.revoked is not None:
            return
        node.close(now)
        node.record = replace(node.record, revoked=now.wall)
        self.world.save(node.record)
        self.world.say(now.wall, "revoked", node=name)
        for record in list(node.attempts.values()):
            if not is_committing(self.world, record):
                stop(self.world, record, "lost", now)
                happen(self.world, self.world.attempts[record.id], attempts.Silent(), now)

    def _on_expired(self, now: Moment) -> None:
        world = self.world
        for _, what, whom, index in world.alarms.take_due(now.boot):
            match what:
                case "replan":
                    world.plan_wanted = True
                case "refile":
                    world.refile(JobId(whom, index), now)
                case "quiet":
                    self._on_quiet(world.nodes[whom], now)
                case "silence":
                    self._on_silence(whom, now)

    def _on_quiet(self, node: Workstation, now: Moment) -> None:
        node.listening = False
        if node.session is None:
            return
        if now.boot < node.heard + QUIET_AFTER:
            self.world.listen(node)
        else:
            text = f"no word for {now.boot - node.heard:.0f} s"
            self.world.say(now.wall, "offline", node=node.name, text=text)

    def _on_silence(self, name: str, now: Moment) -> None:
        world = self.world
        node = world.nodes[name]
        node.watched = None
        for record in list(node.attempts.values()):
            lost_after = world.batches[record.id.batch].record.lost_after
            silent_at = node.heard + lost_after
            if now.boot >= silent_at:
                if not is_committing(world, record) and not _is_waited_for(world, record):
                    happen(world, record, attempts.Silent(), now)
                # What is only doubted now may be found again, and be lost for good later.
                silent_at = now.boot + lost_after
            if record.id in node.attempts:
                world.watch(node, silent_at)

    def _count_success(self, batch: LiveBatch, job: JobRecord) -> None:
        record = status.current_attempt(self.world, job)
        if record is not None:
            batch.successes += 1
            batch.success_seconds += record.run_seconds


def _or_failed(answer: Callable[[], ClientReply]) -> ClientReply:
    try:
        return answer()
    except FallowError as error:
        return asking.failed(error)


def _is_outdated(world: World, build: BuildRecord) -> bool:
    """Whether it was built before everything was told to build it anew."""
    batch = world.batches.get(build.batch)
    return batch is not None and batch.rebuilt_key not in {None, build.key}


def _is_waited_for(world: World, record: AttemptRecord) -> bool:
    """Whether its batch would rather wait for the workstation than start it again."""
    wishes = world.batches[record.id.batch].record.batch.on_lost
    return wishes.then == "wait" and type(record.state) is not Stopping
