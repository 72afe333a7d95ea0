"""The processes of all runs and builds that are followed: started, found again, frozen, ended.

Not their files (`workbench`), nor one process tree by itself (`processes`). For the loop's thread.
"""

import logging
import signal
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Container, JobSpec
from fallow.shared.runs import Crashed, Exit, Signalled, Stopped
from fallow.shared.work import cores, files, gpus, memory, processes, procfs, run_words
from fallow.shared.work.build import is_build
from fallow.shared.work.cores import Core
from fallow.shared.work.gpus import Gpu
from fallow.shared.work.ground import Ground
from fallow.shared.work.launch import order_of
from fallow.shared.work.phases import Process
from fallow.shared.work.processes import Handle, Identity, NeverStarted, Vanished
from fallow.shared.work.sandbox import SandboxAbility, SandboxPlan, plan_for
from fallow.shared.work.settings import Jobs
from fallow.shared.work.share import OwnSessions

log = logging.getLogger(__name__)

_KILL_PATIENCE = 1.0
_LAST_WORDS = 500

Tell = Callable[[AttemptId, run_words.Event], None]


class Watcher(Protocol):
    """The part of a Loop that is needed here."""

    def watch(self, source: int, ready: Callable[[], None]) -> None: ...
    def unwatch(self, source: int) -> None: ...


class Running:
    """Each run or build that has a process, by its attempt; `folder_of` is where its files are."""

    def __init__(
        self,
        *,
        folder_of: Callable[[AttemptId], Path],
        jobs: Jobs,
        ability: SandboxAbility,
        boot_id: str,
        watcher: Watcher,
        tell: Tell,
        ground: Ground,
        cores: Sequence[Core],
        gpus: Sequence[Gpu],
        covered: tuple[str, ...],
    ) -> None:
        self._folder_of = folder_of
        self._jobs = jobs
        self._ability = ability
        self._boot_id = boot_id
        self._watcher = watcher
        self._tell = tell
        self._ground = ground
        self._cores = cores
        self._gpus = gpus
        self._covered = covered
        self._handles: dict[AttemptId, Handle] = {}
        self._own_sessions: defaultdict[AttemptId, OwnSessions] = defaultdict(OwnSessions)
        self._watched: set[AttemptId] = set()
        self._given: dict[AttemptId, tuple[str, ...]] = {}

    def spawn(self, attempt: AttemptId, job: JobSpec, work: Path) -> None:
        """Start it in this work folder; Spawned or NotSpawned follows."""
        try:
            handle = self._spawn(attempt, job, work)
        except FallowError as error:
            self._given.pop(attempt, None)
            self._tell(attempt, run_words.NotSpawned("sandbox", str(error)))
            return
        self._follow(attempt, handle)
        self._tell(attempt, run_words.Spawned(_process(handle.identity)))

    def find(self, attempt: AttemptId) -> None:
        """Look for it after a crash in the middle of a start; Placed: there is none."""
        identity = processes.find(self._status_of(attempt))
        if identity is None:
            self._tell(attempt, run_words.Placed())
            return
        self._tell(attempt, run_words.Spawned(_process(identity)))
        self.adopt(attempt, _process(identity))

    def adopt(self, attempt: AttemptId, process: Process) -> None:
        """Follow it from now on; Ended at once when it is gone."""
        status = self._status_of(attempt)
        if process.boot_id != self._boot_id:
            self._tell(attempt, run_words.Ended(Crashed()))
            return
        identity = Identity(process.boot_id, process.pid, process.start)
        handle = processes.adopt(identity, status)
        if handle is not None:
            self._given[attempt] = _read_names(self._folder_of(attempt) / files.GPUS)
            self._follow(attempt, handle)
            return
        ending = processes.ending(status)
        if isinstance(ending, Vanished) and not processes.sweep(status):
            log.warning("%s: what is left of it cannot be ended yet", attempt)
        self._say_how(attempt, ending)

    def freeze(self, attempt: AttemptId) -> None:
        """Stop all of it where it stands."""
        handle = self._handles.get(attempt)
        if handle is None:
            return
        tally = handle.containment.freeze()
        if not tally.complete:
            log.warning("%s: after %.1f s something still runs", attempt, tally.seconds)
        log.debug("%s: %d processes stopped in %.4f s", attempt, tally.count, tally.seconds)

    def thaw(self, attempt: AttemptId) -> None:
        """Let all of it go on."""
        if attempt in self._handles:
            self._handles[attempt].containment.thaw()

    def terminate(self, attempt: AttemptId, name: str) -> None:
        """Send all of it the signal of this name, without SIG; frozen, it goes on."""
        if attempt in self._handles:
            self._handles[attempt].containment.terminate(_number(name))

    def kill(self, attempt: AttemptId) -> None:
        """End all of it, frozen or not."""
        handle = self._handles.get(attempt)
        if handle is None:
            return
        left = handle.containment.kill(_KILL_PATIENCE).left
        if left:
            log.warning("%s: processes %s cannot be ended yet", attempt, left)

    def let_go(self, attempt: AttemptId) -> Handle | None:
        """Follow it no more; its handle is the caller's to close."""
        self._given.pop(attempt, None)
        self._own_sessions.pop(attempt, None)
        handle = self._handles.pop(attempt, None)
        self._unwatch(attempt, handle)
        return handle

    def close(self) -> None:
        """Follow none any more; they run on."""
        for attempt in list(self._handles):
            handle = self.let_go(attempt)
            if handle is not None:
                handle.close()

    def obey(self, jobs: Jobs, gpus: Sequence[Gpu]) -> None:
        """Start them in this way from now on, and with these GPUs."""
        self._jobs, self._gpus = jobs, gpus

    def roots(self) -> frozenset[int]:
        """The first process of each, below which all others are; from any thread."""
        return frozenset(each.identity.pid for each in list(self._handles.values()))

    def owns(self, pid: int) -> bool:
        """Whether this process belongs to one of them, even if it has come loose."""
        return procfs.descends(pid, self.roots()) or any(
            pid in each.containment.members() for each in self._handles.values()
        )

    def runs(self) -> list[AttemptId]:
        """Which runs, builds apart, are followed."""
        return [attempt for attempt in self._handles if not is_build(attempt)]

    def pids(self, attempt: AttemptId) -> tuple[int, ...]:
        """The processes of a run, as this computer numbers them."""
        handle = self._handles.get(attempt)
        return handle.containment.members() if handle is not None else ()

    def memory(self) -> dict[AttemptId, int]:
        """Bytes of memory that each run holds."""
        return {each: self._handles[each].containment.memory_bytes() for each in self.runs()}

    def seconds(self) -> dict[AttemptId, float]:
        """Processor seconds that each run has used."""
        return {each: self._handles[each].containment.cpu_seconds() for each in self.runs()}

    def yield_processors(self) -> None:
        """See that none of them, builds too, takes more of the processors than is left over."""
        for attempt, handle in self._handles.items():
            self._own_sessions[attempt].relax(*handle.containment.listed())

    def outgrown(self, most: Mapping[AttemptId, int]) -> list[AttemptId]:
        """Which runs hold more memory than these bytes, where the kernel does not prevent it."""
        held = {each: self._handles[each].containment for each in self.runs() if each in most}
        return [
            attempt
            for attempt, containment in held.items()
            if not containment.bounds_memory
            and memory.exceeds(most[attempt], *containment.listed())
        ]

    def _status_of(self, attempt: AttemptId) -> Path:
        return self._folder_of(attempt) / files.STATUS

    def _spawn(self, attempt: AttemptId, job: JobSpec, work: Path) -> Handle:
        folder = self._folder_of(attempt)
        given = self._give(attempt, job)
        plan = self._plan(job, work, folder / "scratch", is_build(attempt))
        devices = dict.fromkeys(device for each in given for device in each.devices)
        plan = replace(plan, devices=tuple(devices))
        order = order_of(attempt, job, plan, folder, self._jobs, self._gpus, given)
        taken = [handle.processors() for handle in self._handles.values()]
        processors = cores.choose(self._cores, job.cpus, taken)
        bounded = replace(order, ground=self._ground, memory=job.memory, processors=processors)
        return processes.spawn(bounded)

    def _plan(self, job: JobSpec, work: Path, scratch: Path, building: bool) -> SandboxPlan:
        if isinstance(job.action, Container) and not building:
            # An image brings its own view of the computer.
            return SandboxPlan("plain", str(work), str(scratch))
        return plan_for(
            *(self._ability, self._jobs.sandbox, work, scratch),
            *(self._jobs.read_only, self._covered),
            grouped=bool(self._ground.folder),
            network=job.network,
        )

    def _give(self, attempt: AttemptId, job: JobSpec) -> tuple[Gpu, ...]:
        """The GPUs it gets, noted so that the next agent gives them to nobody else."""
        # A build's job is only the one that asked for it first.
        wanted = 0 if is_build(attempt) else job.gpus
        taken = (name for names in self._given.values() for name in names)
        given = gpus.choose(self._gpus, wanted, taken)
        if given is None:
            raise FallowError(f"{wanted} GPUs are needed, and so many are not free here")
        if given:
            self._given[attempt] = tuple(each.name for each in given)
            (self._folder_of(attempt) / files.GPUS).write_text(" ".join(self._given[attempt]))
        return given

    def _follow(self, attempt: AttemptId, handle: Handle) -> None:
        self._handles[attempt] = handle
        self._watched.add(attempt)
        self._watcher.watch(handle.pidfd, lambda: self._ended(attempt))

    def _unwatch(self, attempt: AttemptId, handle: Handle | None) -> None:
        if handle is not None and attempt in self._watched:
            self._watched.discard(attempt)
            self._watcher.unwatch(handle.pidfd)

    def _ended(self, attempt: AttemptId) -> None:
        handle = self._handles[attempt]
        ending = handle.poll()
        if ending is None:
            return
        # Kept for its containment: what is left of the tree has to be ended.
        self._unwatch(attempt, handle)
        self._say_how(attempt, ending, out_of_memory=handle.containment.out_of_memory())

    def _say_how(
        self, attempt: AttemptId, ending: processes.Ending, *, out_of_memory: bool = False
    ) -> None:
        if isinstance(ending, NeverStarted):
            self._tell(attempt, run_words.NotSpawned("sandbox", self._last_words(attempt)))
            return
        exit = _exit(ending)
        if out_of_memory and exit == Signalled(signal.SIGKILL):
            exit = Stopped("memory")
        self._tell(attempt, run_words.Ended(exit))

    def _last_words(self, attempt: AttemptId) -> str:
        folder = self._folder_of(attempt)
        tail = files.tail(folder / "stderr.txt", -1, _LAST_WORDS)
        text = tail[0].decode(errors="replace") if tail is not None else ""
        return "the sandbox could not be made: " + (text.strip().splitlines() or ["?"])[-1]


def _number(name: str) -> int:
    """The number of a signal; SIGTERM for a name that this computer does not know."""
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        return signal.SIGTERM.value


def _read_names(place: Path) -> tuple[str, ...]:
    try:
        return tuple(place.read_text().split())
    except OSError:
        return ()


def _process(identity: Identity) -> Process:
    return Process(identity.boot_id, identity.pid, identity.start)


def _exit(ending: processes.ExitStatus | Vanished) -> Exit:
    return Crashed() if isinstance(ending, Vanished) else ending.exit
