"""Where one attempt on this machine stands: the phases, and what can be read off them.

Not what moves it from one to the next (`run`), and not the wire's coarser words (`runs`), which
`report_state` translates into.
"""

from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fallow.shared import runs
from fallow.shared.ids import AttemptId
from fallow.shared.messages import JobSpec
from fallow.shared.moments import Moment
from fallow.shared.runs import DeclineReason, Exit, Progress, StopReason


class Process(Struct, frozen=True):
    """Which process a run is: never by pid alone. `start` is in clock ticks since the boot."""

    boot_id: str
    pid: int
    start: int


class Fetching(Struct, frozen=True, tag="fetching"):
    """Inputs are coming into the cache; bytes here, bytes in all."""

    received: int = 0
    total: int = 0


class AwaitingBuild(Struct, frozen=True, tag="awaiting_build"):
    """The inputs are here; the batch's build is not done yet."""


class Placing(Struct, frozen=True, tag="placing"):
    """The work folder is being made."""


class Held(Struct, frozen=True, tag="held"):
    """All is ready, but the desk is in use: nothing starts."""


class Starting(Struct, frozen=True, tag="starting"):
    """The process has been ordered; whether it exists is not known yet."""


class Aborting(Struct, frozen=True, tag="aborting"):
    """Unwanted in the instant of its start: it is killed as soon as it is known."""

    why: StopReason


class Alive(Struct, frozen=True, tag="alive"):
    """The job's process exists. `started` is wall-clock seconds."""

    process: Process
    started: float


class Stopping(Struct, frozen=True, tag="stopping"):
    """We are ending the process; at `until` (boot seconds) it is killed, or killed again."""

    process: Process
    started: float
    why: StopReason
    until: float


class Leaving(Struct, frozen=True, tag="leaving"):
    """To be evicted, with a checkpoint to write: frozen until its turn to save itself comes."""

    process: Process
    started: float


class Saving(Struct, frozen=True, tag="saving"):
    """Told to save itself; it works meanwhile, and at `until` (boot seconds) it is killed."""

    process: Process
    started: float
    until: float


class Collecting(Struct, frozen=True, tag="collecting"):
    """The process has ended; its outputs, or its checkpoint, are being hashed into the spool.

    `exit` Stopped: by us, for a reason that keeps something of it.
    """

    exit: Exit
    started: float | None
    ended: float


class Spooled(Struct, frozen=True, tag="spooled"):
    """The outputs lie in the spool until the coordinator has accepted them."""

    exit: Exit
    manifest: str
    size: int
    stored: bool
    started: float | None
    ended: float


class Over(Struct, frozen=True, tag="over"):
    """It has ended and nothing of it is kept; the coordinator is yet to hear so."""

    exit: Exit
    started: float | None
    ended: float | None


class GivenBack(Struct, frozen=True, tag="given_back"):
    """It never ran here and will not; the coordinator is yet to hear so."""

    reason: DeclineReason
    text: str = ""


Phase: TypeAlias = (
    Fetching
    | AwaitingBuild
    | Placing
    | Held
    | Starting
    | Aborting
    | Alive
    | Stopping
    | Leaving
    | Saving
    | Collecting
    | Spooled
    | Over
    | GivenBack
)
PHASES: tuple[type[Phase], ...] = (
    Fetching,
    AwaitingBuild,
    Placing,
    Held,
    Starting,
    Aborting,
    Alive,
    Stopping,
    Leaving,
    Saving,
    Collecting,
    Spooled,
    Over,
    GivenBack,
)
WITH_A_PROCESS = (Alive, Stopping, Leaving, Saving)


class Run(Struct, frozen=True):
    """One attempt here. `frozen` is whether the desk forbids it to work now.

    `ran` and `paused` are seconds up to `since` (boot clock), which is None while no process lives.
    `frozen_at` (boot clock) is when the pause began that it is in, None without one.
    """

    attempt: AttemptId
    job: JobSpec
    phase: Phase = Fetching()
    frozen: bool = False
    ran: float = 0.0
    paused: float = 0.0
    since: float | None = None
    progress: Progress | None = None
    frozen_at: float | None = None


def deadline(run: Run) -> float | None:
    """When `Expired` is due, in boot-clock seconds, or None."""
    match run.phase:
        case Stopping(until=until) | Saving(until=until):
            return until
        case Alive():
            return _limit(run)
        case _:
            return None


def _limit(run: Run) -> float | None:
    """When it will have run for as long as it may; a build may run for ever."""
    if run.job.run_time is None or run.attempt.number == 0 or run.frozen or run.since is None:
        return None
    return run.since + max(run.job.run_time - run.ran, 0.0)


def saves_itself(run: Run) -> bool:
    """Whether it can be told to write a checkpoint; a build cannot."""
    return run.job.checkpoint is not None and run.attempt.number > 0


def stands_still(run: Run) -> bool:
    """Whether it is frozen; one that saves itself works on a desk in use, too."""
    return run.frozen and not isinstance(run.phase, Saving)


def seconds(run: Run, now: Moment) -> tuple[float, float]:
    """Running and paused seconds up to now; frozen time is not running time."""
    gone = max(now.boot - run.since, 0.0) if run.since is not None else 0.0
    return (run.ran, run.paused + gone) if run.frozen else (run.ran + gone, run.paused)


def paused_for(run: Run, length: float, now: Moment) -> Run:
    """The run whose last `length` seconds were no running time: its computer slept.

    Nor could it save itself meanwhile.
    """
    if isinstance(run.phase, Saving):
        run = replace(run, phase=replace(run.phase, until=run.phase.until + length))
    if run.since is None or run.frozen:
        return run
    idle = min(length, max(now.boot - run.since, 0.0))
    return replace(run, paused=run.paused + idle, since=run.since + idle)


def needs_slot(run: Run) -> bool:
    """Whether it holds processors and memory, or is about to."""
    return not isinstance(run.phase, Collecting | Spooled | Over | GivenBack)


def report_state(run: Run) -> runs.RunState:
    """The phase in the words of the wire."""
    match run.phase:
        case Fetching(received, total):
            return runs.Staging(received, total)
        case AwaitingBuild():
            return runs.Building()
        case Placing() | Held() | Starting():
            total = sum(each.size for each in (*run.job.shared, *run.job.inputs))
            return runs.Staging(total, total)
        case Alive():
            return runs.Running()
        case Aborting() | Stopping() | Leaving() | Saving() | Collecting():
            return runs.Ending()
        case Spooled(exit, manifest, size, stored, started, ended):
            return runs.Finished(exit, manifest, size, stored, started, ended)
        case Over(exit, started, ended):
            return runs.Finished(exit, started=started, ended=ended)
        case GivenBack(reason, text):
            return runs.Declined(reason, text)
