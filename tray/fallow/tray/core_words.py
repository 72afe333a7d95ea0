"""What can happen to a workstation's agent, and what it can order: events and effects.

Not what follows from what (`core`), nor the events of a single run (`run_words`), which travel
inside Happened and Order.
"""

from typing import TypeAlias

from msgspec import Struct

from fallow.shared.ids import AttemptId
from fallow.shared.messages import AgentMessage, CoordinatorMessage, Tail
from fallow.shared.moments import Deadline
from fallow.shared.work import run_words
from fallow.shared.work.build import Build
from fallow.shared.work.phases import Run
from fallow.tray.presence import Reading


class Seen(Struct, frozen=True):
    """What the sensors of one place say now: "agent", or one connection of a tray."""

    source: str
    readings: tuple[Reading, ...]
    on_battery: bool | None = None


class SourceGone(Struct, frozen=True):
    """A tray has gone, and its eyes with it."""

    source: str


class Woke(Struct, frozen=True):
    """The computer has slept, for so many seconds."""

    slept: float = 0.0


class PauseAsked(Struct, frozen=True):
    """The owner wants a pause, for so many seconds or (None) until resumed."""

    seconds: float | None


class ResumeAsked(Struct, frozen=True):
    """The owner ends the pause."""


class Joined(Struct, frozen=True):
    """There is a coordinator to talk to, another one than before."""


class Connected(Struct, frozen=True):
    """The control socket is connected."""


class Lost(Struct, frozen=True):
    """The control socket is not connected any more."""


class Denied(Struct, frozen=True):
    """The coordinator does not let this key in, or is not the one we know."""

    reason: str


class Said(Struct, frozen=True):
    """The coordinator sent this."""

    message: CoordinatorMessage


class Happened(Struct, frozen=True):
    """Something happened to a run, or to a build under its own name."""

    attempt: AttemptId
    event: run_words.Event


class Expired(Struct, frozen=True):
    """Time has passed."""


class StopAsked(Struct, frozen=True):
    """The agent is to end; runs go on."""


Event: TypeAlias = (
    Seen
    | SourceGone
    | Woke
    | PauseAsked
    | ResumeAsked
    | Joined
    | Connected
    | Lost
    | Denied
    | Said
    | Happened
    | Expired
    | StopAsked
)


class Order(Struct, frozen=True):
    """Do this for a run or a build."""

    attempt: AttemptId
    effect: run_words.Effect


class SaveRun(Struct, frozen=True):
    """Write this record before anything that follows is done."""

    run: Run


class SaveBuild(Struct, frozen=True):
    """Write this record before anything that follows is done."""

    build: Build


class SavePause(Struct, frozen=True):
    """Remember the owner's pause: a deadline, for ever, or none."""

    pause: Deadline | None
    forever: bool


class HoldTraffic(Struct, frozen=True):
    """Move no bytes (or move them again) on the data socket."""

    held: bool


class ForgetInputs(Struct, frozen=True):
    """Nobody needs this batch's inputs here any more."""

    batch: str


class Send(Struct, frozen=True):
    """Send this to the coordinator."""

    message: AgentMessage


class Reconnect(Struct, frozen=True):
    """Make the connection to the coordinator anew."""


class ShowTail(Struct, frozen=True):
    """Answer this question about a run's output."""

    question: Tail


class Publish(Struct, frozen=True):
    """Whoever watches the agent's status gets the new one."""


Effect: TypeAlias = (
    Order
    | SaveRun
    | SaveBuild
    | SavePause
    | HoldTraffic
    | ForgetInputs
    | Send
    | Reconnect
    | ShowTail
    | Publish
)
