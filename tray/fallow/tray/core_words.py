"""What can happen to a workstation's agent, and what it can order: events and effects.

Not what follows from what (`core`), nor the events of a single run (`run_words`), which travel
inside Happened and Order.
"""

from typing import TypeAlias

from msgspec import Struct

from fallow.shared.ids import AttemptId
from fallow.shared.messages import AgentMessage, CoordinatorMessage, Notice, Tail
from fallow.shared.work import run_words
from fallow.shared.work.orders import ForgetInputs as ForgetInputs
from fallow.shared.work.orders import Order as Order
from fallow.shared.work.orders import SaveBuild as SaveBuild
from fallow.shared.work.orders import SaveRun as SaveRun
from fallow.tray.presence import Reading
from fallow.tray.settings import Settings
from fallow.tray.wishes import Wishes


class Seen(Struct, frozen=True):
    """What the sensors of one place say now: "agent", or one connection of a tray.

    What it does not look at is None: the battery, open programs of those that want the computer for
    themselves, the share of all processors that others use.
    """

    source: str
    readings: tuple[Reading, ...]
    on_battery: bool | None = None
    exclusive: tuple[str, ...] | None = None
    foreign_cpu: float | None = None


class SourceGone(Struct, frozen=True):
    """A tray has gone, and its eyes with it."""

    source: str


class Woke(Struct, frozen=True):
    """The computer has slept, for so many seconds."""

    slept: float = 0.0


class MemorySeen(Struct, frozen=True):
    """Bytes of memory that are free and in all, and what each run holds of them."""

    available: int
    total: int
    held: dict[AttemptId, int]


class DiskSeen(Struct, frozen=True):
    """Bytes of disk that each run uses, and that are missing of those that are to stay free."""

    used: dict[AttemptId, int]
    short: int


class PauseAsked(Struct, frozen=True):
    """The owner wants a pause, for so many seconds or (None) until resumed."""

    seconds: float | None


class LendAsked(Struct, frozen=True):
    """The owner lends the computer for so many seconds, even while working on it."""

    seconds: float


class EjectAsked(Struct, frozen=True):
    """The owner sends the jobs elsewhere."""


class FinishAsked(Struct, frozen=True):
    """The owner wants no more jobs after those that run."""


class ResumeAsked(Struct, frozen=True):
    """The owner takes back whatever was asked for by hand."""


class Reconfigured(Struct, frozen=True):
    """The owner has set other rules for this workstation."""

    settings: Settings


class Joined(Struct, frozen=True):
    """There is a coordinator to talk to, another one than before."""


class Connected(Struct, frozen=True):
    """The control socket is connected."""


class Lost(Struct, frozen=True):
    """The control socket is not connected any more."""


class Denied(Struct, frozen=True):
    """The coordinator does not let this key in, or is not the one we know."""

    reason: str


class PeopleCame(Struct, frozen=True):
    """At this source's end are the people with these public keys; until it is gone."""

    source: str
    keys: tuple[str, ...]


class NoticeShown(Struct, frozen=True):
    """That Notice is on a screen."""

    id: int


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


class LeaveAsked(Struct, frozen=True):
    """The agent is to end within so many seconds, and its runs with it: they are given back."""

    within: float


Event: TypeAlias = (
    Seen
    | SourceGone
    | Woke
    | MemorySeen
    | DiskSeen
    | PauseAsked
    | LendAsked
    | EjectAsked
    | FinishAsked
    | ResumeAsked
    | Reconfigured
    | Joined
    | Connected
    | Lost
    | Denied
    | Said
    | Happened
    | PeopleCame
    | NoticeShown
    | Expired
    | StopAsked
    | LeaveAsked
)


class SaveWishes(Struct, frozen=True):
    """Remember what the owner asked for by hand."""

    wishes: Wishes


class HoldTraffic(Struct, frozen=True):
    """Move no bytes (or move them again) on the data socket.

    `but_checkpoints`: those move all the same, since they make the desk its owner's again.
    """

    held: bool
    but_checkpoints: bool = False


class Send(Struct, frozen=True):
    """Send this to the coordinator."""

    message: AgentMessage


class Reconnect(Struct, frozen=True):
    """Make the connection to the coordinator anew."""


class ShowNotice(Struct, frozen=True):
    """Show this on the screen of the person it is to."""

    notice: Notice


class ShowTail(Struct, frozen=True):
    """Answer this question about a run's output."""

    question: Tail


class End(Struct, frozen=True):
    """All is given back: the agent may end."""


class Publish(Struct, frozen=True):
    """Whoever watches the agent's status gets the new one."""


Effect: TypeAlias = (
    Order
    | SaveRun
    | SaveBuild
    | SaveWishes
    | HoldTraffic
    | ForgetInputs
    | Send
    | Reconnect
    | ShowTail
    | ShowNotice
    | End
    | Publish
)
