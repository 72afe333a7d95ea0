"""What an attempt is doing and how it ended: the one vocabulary of agent, wire, store and screen.

Not the life of a job (`fallow.coordinator.job`) nor that of a run (`fallow.shared.work.run`):
those decide, this names.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

StopReason = Literal["kill", "superseded", "evict", "lost", "run_time", "memory", "disk"]
"""Why we stop an attempt; `run_time`, `memory`, `disk`: it took more of that than it may."""
_STRENGTH: dict[StopReason, int] = {
    "evict": 0,
    "run_time": 1,
    "memory": 2,
    "disk": 3,
    "lost": 4,
    "superseded": 5,
    "kill": 6,
}

DeclineReason = Literal["does_not_fit", "owner", "staging", "build_failed", "sandbox", "stopping"]
"""Why a workstation gives an attempt back that never ran."""


def stronger(one: StopReason, other: StopReason) -> StopReason:
    """The one that stays: kill > superseded > lost > disk > memory > run_time > evict."""
    return max(one, other, key=_STRENGTH.__getitem__)


class Exited(Struct, frozen=True, tag="exited"):
    """The job's program ended by itself with this code; 0 is success."""

    code: int


class Signalled(Struct, frozen=True, tag="signalled"):
    """The job's program was ended by a signal that we did not send."""

    signal: int


class Stopped(Struct, frozen=True, tag="stopped"):
    """We ended it, so its exit code says nothing."""

    why: StopReason


class Crashed(Struct, frozen=True, tag="crashed"):
    """Its computer died under it: the process is gone and left no exit status."""


Exit: TypeAlias = Exited | Signalled | Stopped | Crashed


def too_much(exit: Exit | None) -> str:
    """What an attempt took more of than it may, in words; "" if it was not stopped for that.

    Such an attempt has failed; its outputs are kept, but of one that filled the disk.
    """
    match exit:
        case Stopped("run_time"):
            return "run_time: it ran for longer than its limit"
        case Stopped("memory"):
            return "memory: it held more than it may"
        case Stopped("disk"):
            return "disk: it filled its computer's disk; `resources: disk` asks for room"
        case _:
            return ""


def exit_text(exit: Exit) -> str:
    """How an attempt ended, in a word or two."""
    match exit:
        case Exited(code):
            return f"exit code {code}" if code else "0"
        case Signalled(signal):
            return f"signal {signal}"
        case Crashed():
            return "its computer died"
        case Stopped(why):
            return f"stopped: {why}"


class Staging(Struct, frozen=True, tag="staging"):
    """Inputs are coming: bytes here, bytes in all."""

    received: int = 0
    total: int = 0


class Building(Struct, frozen=True, tag="building"):
    """The batch's build runs here, or this run waits for it."""


class Running(Struct, frozen=True, tag="running"):
    """The job's program runs (or is frozen: that is another word of the report)."""


class Ending(Struct, frozen=True, tag="ending"):
    """The program has ended or is being ended; outputs are being hashed."""


class Finished(Struct, frozen=True, tag="finished"):
    """All is over here and spooled: how it ended, and the manifest that lists its outputs.

    `manifest` is the hash of an encoded `Manifest`, None when nothing is kept (killed, superseded).
    Of an evicted run it lists the checkpoint, by places in the work folder.
    `stored` is true once the coordinator has said `Have` to the manifest and everything in it.
    `started` and `ended` are wall-clock seconds, None when the program never started.
    """

    exit: Exit
    manifest: str | None = None
    size: int = 0
    stored: bool = False
    started: float | None = None
    ended: float | None = None


class Declined(Struct, frozen=True, tag="declined"):
    """It never ran here and will not; costs the job nothing."""

    reason: DeclineReason
    text: str = ""


RunState: TypeAlias = Staging | Building | Running | Ending | Finished | Declined


class Progress(Struct, frozen=True):
    """What the job wrote to FALLOW_PROGRESS: a share from 0 to 1 and a word."""

    share: float
    text: str = ""


class OutputFile(Struct, frozen=True):
    """One file of a result: place below the job's folder, SHA-256 in hex, bytes."""

    path: str
    hash: str
    size: int
    executable: bool = False


class Manifest(Struct, frozen=True):
    """Everything an attempt leaves behind; `folders` are empty ones, `notes` what was left out."""

    files: tuple[OutputFile, ...] = ()
    folders: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


VerdictKind = Literal["away", "settling", "present", "barred"]


class Reason(Struct, frozen=True):
    """One reason of a verdict: a word for programs, a sentence for people, wall-clock end."""

    kind: str
    text: str
    until: float | None = None


class Verdict(Struct, frozen=True):
    """May jobs run on this workstation now? `reasons` explains, the deciding one first."""

    kind: VerdictKind
    reasons: tuple[Reason, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether runs may use the processor."""
        return self.kind in {"away", "settling"}

    @property
    def accepts(self) -> bool:
        """Whether new jobs may come."""
        return self.kind == "away"

    @property
    def why(self) -> str:
        return self.reasons[0].text if self.reasons else ""

    @property
    def until(self) -> float | None:
        return self.reasons[0].until if self.reasons else None
