"""What the agent says about itself to people: one immutable value for screen, menu and `--json`.

Not the Report to the coordinator (`core` builds both) and not how it looks (`view`, `cli`).
Everything in it is derived; nothing is decided from it. Wall-clock seconds unless said otherwise.
"""

from typing import Literal

from msgspec import Struct

from fallow.shared.runs import Progress, Reason

AgentState = Literal["running", "idle", "paused", "finishing"]
Connection = Literal["online", "offline", "unjoined", "refused"]
RunStateName = Literal["staging", "building", "running", "paused", "ending", "finished", "declined"]


class RunStatus(Struct, frozen=True):
    """One run: whose it is, what it does, the process ids a person may look for in `top`.

    `eta_seconds` are running seconds by its own progress, None where it says none. `cores` is how
    many processors it keeps busy, `memory` its bytes. `why` says why it is paused, for people.
    `leaving`: it is sent to another computer.
    """

    batch: str
    job: str
    owner: str
    state: RunStateName
    attempt: str = ""
    pids: tuple[int, ...] = ()
    run_seconds: float = 0.0
    paused_seconds: float = 0.0
    progress: Progress | None = None
    eta_seconds: float | None = None
    cores: float | None = None
    memory: int | None = None
    why: str = ""
    leaving: bool = False


DayState = Literal["ran", "paused", "free", "off"]


class Span(Struct, frozen=True):
    """A stretch of the last day of this workstation: wall-clock seconds and what it did then."""

    start: float
    end: float
    state: DayState


class SensorStatus(Struct, frozen=True):
    """One sensor: does it see this desk, and if not, why; `last_activity` is wall-clock or None."""

    name: str
    healthy: bool
    why: str = ""
    last_activity: float | None = None
    source: Literal["agent", "tray"] = "agent"


class CoordinatorStatus(Struct, frozen=True):
    """Which coordinator this workstation belongs to, and under which name it knows this one."""

    address: str = ""
    name: str = ""
    detail: str = ""


class PausingStatus(Struct, frozen=True):
    """How jobs are stopped here, in a sentence too, and what else they are held to than cores."""

    way: Literal["unknown", "cgroup", "pid_namespace", "processes"] = "unknown"
    text: str = ""
    held_to: tuple[Literal["memory", "pids"], ...] = ()


class AgentStatus(Struct, frozen=True, rename={"schema_": "schema"}):
    """The whole truth about this workstation, for its owner.

    `verdict` is the presence verdict's kind; `reasons` explains it, the deciding one first. State
    `paused` means that jobs may not run now, whether or not there are any. `lent_until` is the end
    of "use this computer while I work", `finishing` that no job is taken after those that run.
    `may_change`: the person who asks may pause and resume here; others may look.
    """

    state: AgentState
    connection: Connection
    verdict: str
    reasons: tuple[Reason, ...] = ()
    runs: tuple[RunStatus, ...] = ()
    sensors: tuple[SensorStatus, ...] = ()
    coordinator: CoordinatorStatus = CoordinatorStatus()
    accepting: bool = False
    paused_by_hand: bool = False
    paused_until: float | None = None
    lent_until: float | None = None
    finishing: bool = False
    may_change: bool = True
    day: tuple[Span, ...] = ()
    notes: tuple[str, ...] = ()
    pausing: PausingStatus = PausingStatus()
    host: str = ""
    pid: int = 0
    schema_: int = 1
