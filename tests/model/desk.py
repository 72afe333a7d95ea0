"""A workstation for the model: the real agent core over a disk, processes and a wire of lists.

Not the agent's shell: what that does in threads is here one task at a time, when the test says so.
Everything on the wire is really encoded. A crash may fall between any two effects.
"""

import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass, field

from fakes import GIB, SAVED, FakeCoordinator
from fallow.coordinator.events import (
    AgentSaid,
    CheckpointKept,
    Commit,
    CommitIncomplete,
    Committed,
    Event,
    KeepCheckpoint,
)
from fallow.shared.ids import AttemptId
from fallow.shared.messages import (
    Noticed,
    Request,
    Resources,
    Tailed,
    decode_for_agent,
    decode_from,
    encode,
)
from fallow.shared.moments import Moment
from fallow.shared.runs import Crashed, Exit, Exited, Signalled, Stopped
from fallow.shared.work import run_words
from fallow.shared.work.build import Build, build_id, is_build
from fallow.shared.work.phases import Process, Run, Saving
from fallow.tray import core_words as words
from fallow.tray.core import Core
from fallow.tray.presence import Policy, Reading
from fallow.tray.session import Away
from fallow.tray.settings import Settings
from fallow.tray.wishes import Wishes

IDLE_AFTER = 20.0
SETTLE = 2.0


class Died(Exception):
    """The agent was killed between two effects."""


@dataclass
class Proc:
    """A process of the model: it lives on when the agent dies, and dies with the computer."""

    attempt: AttemptId
    identity: Process
    frozen: bool = False
    asked_to_end: bool = False
    exit: Exit | None = None
    by_us: bool = False


@dataclass
class Disk:
    """What survives the agent, and (but for processes) the computer."""

    runs: dict[AttemptId, tuple[Run, str]] = field(default_factory=dict)
    builds: dict[AttemptId, tuple[Build, str]] = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)


class ModelCoordinator(FakeCoordinator):
    """Commits only what its blobs hold, and remembers what it committed."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs: set[str] = set()
        self.results: dict[AttemptId, Commit] = {}

    def _commit(self, commit: Commit | KeepCheckpoint) -> Event:
        if commit.manifest is not None and commit.manifest not in self.blobs:
            return CommitIncomplete(commit.attempt, (commit.manifest,))
        if isinstance(commit, KeepCheckpoint):
            return CheckpointKept(commit.attempt, commit.manifest, SAVED)
        self.on_disk[commit.attempt.job].append((commit.attempt.number, commit.outcome))
        self.results[commit.attempt] = commit
        return Committed(commit.attempt, commit.outcome)


class ModelDesk:
    """One workstation with somebody at it now and then."""

    def __init__(self, office: ModelCoordinator, name: str, cpus: int) -> None:
        self.office = office
        self.name = name
        self.offer = Resources(cpus, 8 * GIB)
        self.boots = 1
        self.disk = Disk()
        self.procs: dict[AttemptId, Proc] = {}
        self.history: list[Proc] = []
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()
        self.linked = False
        self.touched: float | None = None
        self.patience: int | None = None  # effects until the agent is killed
        self._start()

    @property
    def boot_id(self) -> str:
        return f"{self.name}-boot-{self.boots}"

    @property
    def now(self) -> Moment:
        return self.office.now

    # --- the life of the agent ---

    def _start(self) -> None:
        settings = Settings(
            host=self.name,
            boot_id=self.boot_id,
            version="0",
            resources=self.offer,
            policy=Policy(idle_after=IDLE_AFTER, settle=SETTLE),
        )
        self.core = Core(settings, self.now)
        self.tasks: dict[AttemptId, deque[run_words.Event]] = defaultdict(deque)
        self.facts: deque[tuple[AttemptId, run_words.Event]] = deque()
        self.fetched: set[AttemptId] = set()
        effects = self.core.restore(
            [(run, boot == self.boot_id) for run, boot in self.disk.runs.values()],
            [(build, boot == self.boot_id) for build, boot in self.disk.builds.values()],
            self.disk.wishes,
            self.now,
        )
        self._guarded(effects)
        self.look()

    def die(self, with_computer: bool = False) -> None:
        """The agent is killed, or its computer dies; it starts again at once."""
        self.cut(told=False)
        if with_computer:
            self.boots += 1
            for proc in self.procs.values():
                if proc.exit is None:
                    proc.exit, proc.by_us = Crashed(), True
            self.procs.clear()
            self.touched = None
        self.patience = None
        self._start()

    def stop(self) -> None:
        """The agent ends properly and starts again."""
        self.tell(words.StopAsked())
        self.office_hears_all()
        self.die()

    def tell(self, event: words.Event) -> None:
        """One turn of the agent's loop."""
        self._guarded(self.core.handle(event, self.now))

    def _guarded(self, effects: list[words.Effect]) -> None:
        try:
            self._do(effects)
            while self.facts:
                attempt, fact = self.facts.popleft()
                self._do(self.core.handle(words.Happened(attempt, fact), self.now))
            self._do(self.core.turn(self.now))
        except Died:
            self.die()

    def look(self) -> None:
        """What the desk's sensors say."""
        reading = Reading("model", "input", healthy=True, last_activity=self.touched)
        self.tell(words.Seen("agent", (reading,)))

    def touch(self) -> None:
        """Somebody presses a key."""
        self.touched = self.now.boot
        self.look()

    def expire(self) -> None:
        # Sensors are read every few seconds; silent ones would count for nothing.
        self.look()
        due = self.core.deadline()
        if due is not None and due <= self.now.boot:
            self.tell(words.Expired())

    # --- the wire ---

    def connect(self) -> None:
        if not self.linked:
            self.linked = True
            self.tell(words.Connected())

    def cut(self, told: bool = True) -> None:
        """Everything on the way is lost, in both directions."""
        self.linked = False
        self.up.clear()
        self.down.clear()
        self.office.post.pop(self.name, None)
        if told:
            self.tell(words.Lost())

    def fetch_post(self) -> None:
        post = self.office.post.pop(self.name, [])
        if self.linked:
            self.down.extend(post)

    def office_hears(self) -> bool:
        """The oldest message on its way up arrives."""
        if not self.up:
            return False
        message = decode_from("workstation", self.up.popleft())
        assert not isinstance(message, Request | Tailed | Noticed)
        self.office.turn(AgentSaid(self.name, message))
        return True

    def office_hears_all(self) -> None:
        while self.office_hears():
            pass

    def hears(self) -> bool:
        """The oldest message on its way down arrives."""
        self.fetch_post()
        if not self.down:
            return False
        self.tell(words.Said(decode_for_agent(self.down.popleft())))
        return True

    # --- the work ---

    def work(self, which: int) -> bool:
        """The next task of one run is done; an upload needs the wire."""
        ready = [
            attempt
            for attempt, tasks in self.tasks.items()
            if tasks and (self.linked or not isinstance(tasks[0], run_words.Uploaded))
        ]
        if not ready:
            return False
        attempt = ready[which % len(ready)]
        event = self.tasks[attempt].popleft()
        if isinstance(event, run_words.Uploaded):
            found = self._spooled(attempt)
            if found is not None:
                self.office.blobs.add(found)
        self.tell(words.Happened(attempt, event))
        return True

    def living(self) -> list[Proc]:
        return [proc for proc in self.procs.values() if proc.exit is None]

    def ends(self, proc: Proc, exit: Exit) -> None:
        """A process that is not frozen ends; asked to, it may still say 0."""
        assert proc.exit is None
        assert not proc.frozen
        proc.exit, proc.by_us = exit, proc.asked_to_end
        self.tell(words.Happened(proc.attempt, run_words.Ended(exit)))

    def _spooled(self, attempt: AttemptId) -> str | None:
        if is_build(attempt):
            build = self.core.work.builds.get(attempt.batch)
            return getattr(build.state, "log", None) if build is not None else None
        run = self.core.work.runs.get(attempt)
        return getattr(run.phase, "manifest", None) if run is not None else None

    def _do(self, effects: list[words.Effect]) -> None:
        for effect in effects:
            if self.patience is not None:
                self.patience -= 1
                if self.patience <= 0:
                    raise Died
            match effect:
                case words.Order(attempt, order):
                    self._order(attempt, order)
                case words.SaveRun(run):
                    self.disk.runs[run.attempt] = (run, self.boot_id)
                case words.SaveBuild(build):
                    self.disk.builds[build_id(build.batch)] = (build, self.boot_id)
                case words.SaveWishes(wishes):
                    self.disk.wishes = wishes
                case words.Send(message):
                    if self.linked:
                        self.up.append(encode(message))
                case words.Reconnect():
                    self.linked = False
                    self.up.clear()
                    self.down.clear()
                    self.office.post.pop(self.name, None)

    def _order(self, attempt: AttemptId, order: run_words.Effect) -> None:
        proc = self.procs.get(attempt)
        match order:
            case run_words.Fetch():
                job = self.core.work.job_of(attempt)
                assert job is not None
                self.tasks[attempt].append(run_words.Staged(built=job.build is None))
            case run_words.Place():
                self.tasks[attempt].append(run_words.Placed())
            case run_words.Spawn():
                assert proc is None or proc.exit is not None, f"{attempt} runs twice"
                identity = Process(self.boot_id, len(self.history) + 1, 0)
                proc = self.procs[attempt] = Proc(attempt, identity)
                self.history.append(proc)
                self.facts.append((attempt, run_words.Spawned(identity)))
            case run_words.Find():
                if proc is None:
                    self.facts.append((attempt, run_words.Placed()))
                else:
                    self.facts.append((attempt, run_words.Spawned(proc.identity)))
                    self._adopt(attempt, proc)
            case run_words.Adopt():
                self._adopt(attempt, proc)
            case run_words.Freeze():
                if proc is not None:
                    proc.frozen = True
            case run_words.Thaw():
                if proc is not None:
                    proc.frozen = False
            case run_words.Terminate():
                if proc is not None:
                    proc.asked_to_end, proc.frozen = True, False
            case run_words.Kill():
                if proc is not None and proc.exit is None:
                    proc.exit, proc.by_us = Signalled(9), True
                    self.facts.append((attempt, run_words.Ended(proc.exit)))
            case run_words.Collect(exit):
                if exit == Stopped("evict") and attempt.number % 3 == 0:
                    self.tasks[attempt].append(run_words.CollectFailed("it left no checkpoint"))
                    return
                manifest = hashlib.sha256(f"{self.name}{attempt}{exit}".encode()).hexdigest()
                self.tasks[attempt].append(run_words.OutputsHashed(manifest, 7))
            case run_words.Upload():
                self.tasks[attempt].append(run_words.Uploaded())
            case run_words.Drop():
                self.tasks.pop(attempt, None)
            case run_words.Forget():
                self.tasks.pop(attempt, None)
                self.disk.runs.pop(attempt, None)
                self.disk.builds.pop(attempt, None)
                self.procs.pop(attempt, None)

    def _adopt(self, attempt: AttemptId, proc: Proc | None) -> None:
        if proc is None:
            self.facts.append((attempt, run_words.Ended(Crashed())))
        elif proc.exit is not None:
            self.facts.append((attempt, run_words.Ended(proc.exit)))

    # --- what must hold ---

    def breaches(self) -> list[str]:
        found = []
        if not self.core.verdict.runs:
            found += [
                f"{proc.attempt} runs at {self.name} while {self.core.verdict.kind}"
                for proc in self.living()
                if not proc.frozen and not self._saves_itself(proc)
            ]
        if self.linked and isinstance(self.core.session.link, Away):
            found.append(f"{self.name} has a connection and does nothing with it")
        return found

    def _saves_itself(self, proc: Proc) -> bool:
        run = self.core.work.runs.get(proc.attempt)
        return run is not None and isinstance(run.phase, Saving)

    def is_empty(self) -> bool:
        return not (self.core.work.runs or self.living() or self.disk.runs)


def succeeded_by_itself(desks: list[ModelDesk], attempt: AttemptId) -> bool:
    """Whether the attempt's process, of which there was one, ended with 0 and not through us."""
    procs = [proc for desk in desks for proc in desk.history if proc.attempt == attempt]
    return bool(procs) and procs[-1].exit == Exited(0) and not procs[-1].by_us
