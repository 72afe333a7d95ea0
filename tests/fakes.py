"""The fakes that tests share: small, scripted, and no mocks.

Coordinator half: its shell without disk and socket, and a workstation that says what it is told
to. Messages are really encoded and decoded on their way.
"""

from collections import defaultdict
from typing import TypeVar

import msgspec

from fallow.coordinator.core import Core
from fallow.coordinator.events import (
    AgentSaid,
    Answer,
    Caller,
    Change,
    CheckpointKept,
    ClientAsked,
    Commit,
    CommitFailed,
    CommitIncomplete,
    Committed,
    Do,
    Event,
    Expired,
    KeepBuildLog,
    KeepCheckpoint,
    NodeJoined,
    Step,
    Submission,
    ToNode,
)
from fallow.coordinator.records import (
    AttemptRecord,
    BatchRecord,
    BuildRecord,
    CheckpointRecord,
    DropBatch,
    DropCheckpoint,
    Ended,
    EventRecord,
    JobRecord,
    Loaded,
    NodeRecord,
    Save,
)
from fallow.shared.batch import (
    Batch,
    Checkpoint,
    Command,
    CommandInitialize,
    Meta,
    Range,
    Resources,
    Sweep,
)
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import (
    PROTOCOL,
    Accepted,
    Ack,
    AgentMessage,
    Assign,
    BuildReport,
    Bye,
    ClientReply,
    CoordinatorMessage,
    Export,
    Hello,
    Import,
    Input,
    JobSpec,
    Missing,
    Nodes,
    Noticed,
    Report,
    Request,
    RunReport,
    Status,
    Submit,
    Tailed,
    Welcome,
    Why,
    Withdraw,
    decode_for_agent,
    decode_from,
    encode,
)
from fallow.shared.messages import Resources as Offer
from fallow.shared.moments import Moment
from fallow.shared.runs import Exit, Exited, Finished, Running, RunState, StopReason, Verdict
from fallow.shared.work import run_words
from fallow.shared.work.build import build_id, is_build
from fallow.shared.work.phases import Process
from fallow.tray import core_words as words
from fallow.tray.core import Core as AgentCore
from fallow.tray.presence import Policy, Reading
from fallow.tray.settings import Settings

ANA = Caller("ana", "submitter")
GIB = 1 << 30
AWAY = Verdict("away")
MANIFEST = "ab" * 32
SAVED = (Input("checkpoint/state", "5a" * 32, 12),)
_T = TypeVar("_T")


class MemoryStore:
    """Keeps records as bytes by key, as a store would."""

    def __init__(self) -> None:
        self.rows: dict[type, dict[object, bytes]] = defaultdict(dict)
        self.audit: list[EventRecord] = []

    def commit(self, saves: tuple[Save, ...]) -> None:
        for save in saves:
            match save:
                case EventRecord():
                    self.audit.append(save)
                case DropBatch(uid):
                    self._drop(uid)
                case BatchRecord():
                    self._put(save, save.uid)
                case JobRecord():
                    self._put(save, save.id)
                case AttemptRecord():
                    self._put(save, save.id)
                case BuildRecord():
                    self._put(save, (save.batch, save.node))
                case NodeRecord():
                    self._put(save, save.name)
                case CheckpointRecord():
                    self._put(save, save.job)
                case DropCheckpoint(job):
                    del self.rows[CheckpointRecord][job]

    def load(self) -> Loaded:
        return Loaded(
            batches=self._all(BatchRecord),
            jobs=self._all(JobRecord),
            attempts=self._all(AttemptRecord),
            builds=self._all(BuildRecord),
            nodes=self._all(NodeRecord),
            checkpoints=self._all(CheckpointRecord),
        )

    def attempt(self, id: AttemptId) -> AttemptRecord | None:
        row = self.rows[AttemptRecord].get(id)
        return msgspec.json.decode(row, type=AttemptRecord) if row is not None else None

    def _put(self, save: Save, key: object) -> None:
        self.rows[type(save)][key] = msgspec.json.encode(save)

    def _all(self, kind: type[_T]) -> tuple[_T, ...]:
        return tuple(msgspec.json.decode(row, type=kind) for row in self.rows[kind].values())

    def _drop(self, uid: str) -> None:
        self.rows[BatchRecord].pop(uid, None)
        for kind in (JobRecord, AttemptRecord, CheckpointRecord):
            rows = self.rows[kind]
            for key in [key for key in rows if getattr(key, "batch", None) == uid]:
                del rows[key]
        builds = self.rows[BuildRecord]
        for key in [key for key in builds if isinstance(key, tuple) and key[0] == uid]:
            del builds[key]


class FakeCoordinator:
    """The coordinator's shell without disk and socket: step, plan, save, then send, then do.

    `lacking` names blobs that are not here, by attempt; `commits_wait` keeps commits under way.
    """

    def __init__(self) -> None:
        self.now = Moment(100.0, 1_000_100.0)
        self.core = Core("boot-c")
        self.store = MemoryStore()
        self.post: dict[str, list[bytes]] = defaultdict(list)
        self.answers: dict[int, ClientReply] = {}
        self.done: list[Do] = []
        self.under_way: list[Commit | KeepCheckpoint] = []
        self.on_disk: dict[JobId, list[tuple[int, str]]] = defaultdict(list)
        self.lacking: dict[AttemptId, tuple[str, ...]] = {}
        self.broken: dict[AttemptId, str] = {}
        self.commits_wait = False
        self._replies = 0
        self._uids = 0

    def turn(self, *events: Event) -> None:
        """One turn of the loop: the events, a plan, and whatever the effects lead to."""
        waiting = list(events)
        while waiting:
            steps = [self.core.handle(event, self.now) for event in waiting]
            steps.append(self.core.plan(self.now))
            waiting = self._act(steps)
            assert self.core.check() == []

    def _act(self, steps: list[Step]) -> list[Event]:
        self.store.commit(tuple(save for step in steps for save in step.save))
        for step in steps:
            for send in step.send:
                match send:
                    case Answer(reply, body):
                        assert reply not in self.answers
                        self.answers[reply] = body
                    case ToNode(node, message):
                        if isinstance(message, Assign):
                            assert self.store.attempt(message.attempt), "sent before it was saved"
                        self.post[node].append(encode(message))
        for step in steps:
            self.done.extend(step.do)
            self.under_way.extend(
                each for each in step.do if isinstance(each, Commit | KeepCheckpoint)
            )
        return [] if self.commits_wait else self._commit_all()

    def _commit_all(self) -> list[Event]:
        commits, self.under_way = self.under_way, []
        return [self._commit(commit) for commit in commits]

    def _commit(self, commit: Commit | KeepCheckpoint) -> Event:
        id = commit.attempt
        if id in self.broken:
            return CommitFailed(id, self.broken[id], permanent=True)
        if id in self.lacking:
            return CommitIncomplete(id, self.lacking[id])
        if isinstance(commit, KeepCheckpoint):
            return CheckpointKept(id, commit.manifest, SAVED)
        self.on_disk[id.job].append((id.number, commit.outcome))
        return Committed(id, commit.outcome)

    def finish_commits(self) -> None:
        """Let the commits that were under way come to their end."""
        self.commits_wait = False
        self.turn(*self._commit_all())

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with an Expired at each deadline on the way."""
        end = self.now.plus(seconds)
        while (due := self.core.deadline()) is not None and due <= end.boot:
            self.now = self.now.plus(max(due - self.now.boot, 0.0))
            self.turn(Expired())
        self.now = Moment(max(end.boot, self.now.boot), max(end.wall, self.now.wall))
        self.turn(Expired())

    def restart(self) -> None:
        """Die here and start again with what was saved; commits under way never happened."""
        self.post.clear()
        self.under_way.clear()
        loaded = self.store.load()
        world = self.core.world
        assert {each.id: each for each in loaded.attempts} == world.attempts
        jobs = {job.id: job for batch in world.batches.values() for job in batch.jobs}
        assert {each.id: each for each in loaded.jobs} == jobs
        assert {each.job: each for each in loaded.checkpoints} == world.checkpoints
        self.core = Core("boot-c")
        step = self.core.restore(loaded, self.now)
        assert self.core.check() == []
        ended = {each.id for each in loaded.attempts if isinstance(each.state, Ended)}
        again: list[Event] = []
        for job, kept in self.on_disk.items():
            for number, outcome in kept:
                id = AttemptId(job.batch, job.index, number)
                if id not in ended:
                    again.append(Committed(id, "result" if outcome == "result" else "failed"))
        self.turn(*self._act([step]), *again, Expired())

    # --- what people do ---

    def ask(
        self, body: Change | Export | Import | Status | Nodes | Why, caller: Caller = ANA
    ) -> ClientReply:
        self._replies += 1
        self.turn(ClientAsked(self._replies, caller, body))
        return self.answers[self._replies]

    def submit(
        self,
        batch: Batch,
        caller: Caller = ANA,
        *,
        once: str = "",
        missing: tuple[str, ...] = (),
        dry_run: bool = False,
    ) -> ClientReply:
        self._replies += 1
        self._uids += 1
        request = Submit(batch, {}, once or f"once-{self._uids}", dry_run)
        uid = f"u{self._uids:07}"
        self.turn(Submission(self._replies, caller, uid, request, missing))
        return self.answers[self._replies]

    def uid(self, name: str) -> str:
        batch, _ = self.core.find(name)
        return batch.record.uid

    def job(self, ref: str) -> JobRecord:
        _, job = self.core.find(ref)
        assert job is not None
        return job

    def shown(self, ref: str) -> list[str]:
        """The states of a batch's jobs, as `status` shows them."""
        batch, _ = self.core.find(ref)
        return list(batch.shown)

    def notes(self, *kinds: str) -> list[str]:
        """Lines of the audit of these kinds."""
        return [
            " ".join(filter(None, (note.kind, note.ref, note.node, note.text)))
            for note in self.store.audit
            if note.kind in kinds
        ]

    def logs_kept(self) -> list[KeepBuildLog]:
        return [each for each in self.done if isinstance(each, KeepBuildLog)]


class ScriptedAgent:
    """A workstation's agent that says what the test tells it to."""

    def __init__(
        self,
        coordinator: FakeCoordinator,
        name: str,
        cpus: int = 2,
        memory: int = 8 * GIB,
        capabilities: tuple[str, ...] = (),
    ) -> None:
        self.coordinator = coordinator
        self.name = name
        self.offer = Offer(cpus, memory, capabilities=capabilities)
        self.boot = "boot-1"
        self.session = 0
        self.seq = 0
        self.heard = 0
        self.verdict = AWAY
        self.accepting = True
        self.runs: dict[AttemptId, RunReport] = {}
        self.builds: dict[str, BuildReport] = {}
        self.assigned: list[Assign] = []
        self.forgotten: list[str] = []
        coordinator.turn(NodeJoined(name))

    def say(self, message: AgentMessage) -> list[str]:
        """Send it; what comes back, in short words."""
        decoded = decode_from("workstation", encode(message))
        assert not isinstance(decoded, Tailed | Noticed | Request)
        self.coordinator.turn(AgentSaid(self.name, decoded))
        return self.read()

    def read(self) -> list[str]:
        """Take in what the coordinator sent, in short words (Acks only where they forget)."""
        post = self.coordinator.post.pop(self.name, [])
        words = [self._hear(decode_for_agent(data)) for data in post]
        return [word for word in words if word]

    def _hear(self, message: CoordinatorMessage) -> str:
        match message:
            case Welcome(session):
                self.session, self.seq, self.heard = session, 0, 0
                return f"welcome {session}"
            case Assign(n, attempt):
                self.heard = n
                self.assigned.append(message)
                return f"assign {short(attempt)}"
            case Withdraw(n, attempt, why):
                self.heard = n
                return f"withdraw {short(attempt)} {why}"
            case Accepted(attempt, outcome):
                self.runs.pop(attempt, None)
                return f"accepted {short(attempt)} {outcome}"
            case Missing(attempt, hashes):
                return f"missing {short(attempt)} {len(hashes)}"
            case Ack(_, forget):
                self.forgotten.extend(forget)
                return f"forget {len(forget)}" if forget else ""
            case _:
                return repr(message)

    def hello(self) -> list[str]:
        return self.say(Hello("host-" + self.name, self.boot, PROTOCOL, "0.1", self.offer))

    def report(self) -> list[str]:
        self.seq += 1
        return self.say(
            Report(
                self.session,
                self.seq,
                self.heard,
                self.verdict,
                self.accepting,
                tuple(self.builds.values()),
                tuple(self.runs.values()),
            )
        )

    def connect(self) -> list[str]:
        """Hello and a first Report."""
        return self.hello() + self.report()

    def bye(self, why: str = "stop") -> list[str]:
        return self.say(Bye(self.session, "shutdown" if why == "shutdown" else "stop"))

    def run(
        self,
        state: RunState = Running(),  # noqa: B008 - frozen
        attempt: AttemptId | None = None,
        *,
        frozen: bool = False,
        seconds: float = 0.0,
    ) -> list[str]:
        """Report the attempt (else the one assigned last) in this state."""
        id = attempt if attempt is not None else self.assigned[-1].attempt
        self.runs[id] = RunReport(id, state, frozen, seconds)
        return self.report()

    def finish(
        self,
        exit: Exit = Exited(0),  # noqa: B008 - frozen
        attempt: AttemptId | None = None,
        *,
        stored: bool = True,
        seconds: float = 60.0,
    ) -> list[str]:
        """Report the attempt (else the one assigned last) as finished."""
        ended = self.coordinator.now.wall
        state = Finished(exit, MANIFEST, 7, stored, ended - seconds, ended)
        return self.run(state, attempt, seconds=seconds)

    def cut(self) -> None:
        """What was sent since the last reading is lost."""
        self.coordinator.post.pop(self.name, None)

    @property
    def last(self) -> AttemptId:
        return self.assigned[-1].attempt


def short(attempt: AttemptId) -> str:
    """Job 3's attempt 2 is "3#2"."""
    return f"{attempt.index}#{attempt.number}"


def sweep_batch(
    name: str = "sweep",
    jobs: int = 3,
    *,
    cpus: int | None = None,
    memory: int | None = None,
    build: bool = False,
    capabilities: tuple[str, ...] = (),
    namespace: str = "ana",
    checkpoint: Checkpoint | None = None,
) -> Batch:
    """A batch of so many jobs named j0, j1, …"""
    return Batch(
        meta=Meta(namespace=namespace, batch_name=name, capabilities=capabilities),
        command=Command(
            initialize=CommandInitialize(run="make" if build else None),
            run="echo {n}",
            name="j{n}",
            sweep=Sweep(values={"n": Range(start=0, to=jobs - 1)}),
        ),
        resources=Resources(cpus=cpus, memory=memory),
        checkpoint=checkpoint,
    )


# --- workstation half -----------------------------------------------------------------------------


class FakeDesk:
    """An agent's core without a shell: events in, effects out as short words; messages encoded.

    `AttemptId`s are written as job-number, builds as "build". The desk is free at the start.
    """

    def __init__(
        self,
        *,
        cpus: int = 2,
        in_place: bool = False,
        unable: str | None = None,
        max_pause: float | None = None,
        gpus: int = 0,
        disk: int = 0,
    ) -> None:
        self.now = Moment(1000.0, 1_000_000.0)
        self.settings = Settings(
            host="desk",
            boot_id="boot-1",
            version="0",
            resources=Offer(cpus, 8 * GIB, gpus=gpus, disk=disk),
            policy=Policy(idle_after=600.0, settle=30.0),
            in_place=in_place,
            unable=unable,
            max_pause=max_pause,
        )
        self.core = AgentCore(self.settings, self.now)
        self.touched = self.now.boot - 700.0
        self.now = self.now.plus(40.0)
        self.reports: list[Report] = []
        self._n = 0

    def do(self, *events: words.Event) -> list[str]:
        """What follows from the events, then what the end of the turn adds."""
        effects = [each for event in events for each in self.core.handle(event, self.now)]
        effects += self.core.turn(self.now)
        return [text for each in effects if (text := self._text(each))]

    def online(self) -> None:
        """A session in which the first Report has been taken in, at a free desk."""
        self.look()
        self.do(words.Connected())
        self.do(words.Said(Welcome(1, 5.0, "desk")))
        self.do(words.Said(Ack(1)))

    def look(self) -> list[str]:
        """The sensors say what there is to see."""
        return self.do(self._sight())

    def _sight(self) -> words.Seen:
        reading = Reading("keys", "input", healthy=True, last_activity=self.touched)
        return words.Seen("tray-1", (reading,))

    def touch(self) -> list[str]:
        """Somebody presses a key."""
        self.touched = self.now.boot
        return self.look()

    def wait(self, seconds: float, *, watched: bool = True) -> list[str]:
        """Time passes, the sensors say the same again, and what is due by then is done."""
        self.now = self.now.plus(seconds)
        return self.do(*([self._sight()] if watched else ()), words.Expired())

    def assign(self, job: JobSpec, index: int = 1, number: int = 1) -> list[str]:
        self._n += 1
        return self.said(Assign(self._n, AttemptId("b", index, number), job))

    def withdraw(self, why: StopReason, index: int = 1, grace: float = 10.0) -> list[str]:
        self._n += 1
        return self.said(Withdraw(self._n, AttemptId("b", index, 1), why, grace))

    def said(self, message: CoordinatorMessage) -> list[str]:
        return self.do(words.Said(decode_for_agent(encode(message))))

    def happened(self, event: run_words.Event, index: int = 1) -> list[str]:
        return self.do(words.Happened(AttemptId("b", index, 1), event))

    def build(self, event: run_words.Event) -> list[str]:
        return self.do(words.Happened(build_id("b"), event))

    def running(self, job: JobSpec, index: int = 1) -> None:
        """A run without a build, brought to life."""
        self.assign(job, index)
        self.happened(run_words.Staged(built=True), index)
        self.happened(run_words.Placed(), index)
        self.happened(run_words.Spawned(Process("boot-1", 100 + index, 1)), index)

    def restart(self, *, same_boot: bool = True) -> list[str]:
        """The agent dies and comes back with its records, blind as at every start."""
        runs = [(run, same_boot) for run in self.core.work.runs.values()]
        builds = [(build, same_boot) for build in self.core.work.builds.values()]
        wishes = self.core.desk.wishes
        self.core = AgentCore(self.settings, self.now)
        effects = self.core.restore(runs, builds, wishes, self.now)
        return [text for each in effects if (text := self._text(each))]

    @property
    def phases(self) -> dict[str, str]:
        return {
            _brief(attempt): type(run.phase).__name__
            for attempt, run in self.core.work.runs.items()
        }

    def _text(self, effect: words.Effect) -> str:
        match effect:
            case words.Order(attempt, order):
                return f"{type(order).__name__} {_brief(attempt)}"
            case words.SaveRun(run):
                return f"save {_brief(run.attempt)} {type(run.phase).__name__}"
            case words.SaveBuild(build):
                return f"save build {type(build.state).__name__}"
            case words.HoldTraffic(held, but_checkpoints):
                if but_checkpoints:
                    return "let checkpoints go"
                return "hold traffic" if held else "let traffic go"
            case words.Send(message):
                said = decode_from("workstation", encode(message))
                if isinstance(said, Report):
                    self.reports.append(said)
                return f"say {type(said).__name__}"
            case words.Publish():
                return ""
            case _:
                return type(effect).__name__


def _brief(attempt: AttemptId) -> str:
    return "build" if is_build(attempt) else f"{attempt.index}-{attempt.number}"
