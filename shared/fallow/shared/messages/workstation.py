"""What a workstation's agent and the coordinator say to each other on the control socket.

Not what is done with it (the cores), and not what clients say (`client`). Level-triggered: a Report
is the whole truth about its workstation, so a lost message needs no repair.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from fallow.shared.ids import AttemptId
from fallow.shared.messages.assignment import JobSpec, Resources
from fallow.shared.runs import Progress, RunState, StopReason, Verdict

# --- workstation -> coordinator -------------------------------------------------------------------


class Hello(Struct, frozen=True, tag="hello"):
    """Opens a session. `boot` is the id of the computer's boot, `host` its own name for itself."""

    host: str
    boot: str
    protocol: int
    version: str
    resources: Resources


class RunReport(Struct, frozen=True):
    """One attempt on the workstation. Seconds are the running and the paused time so far."""

    attempt: AttemptId
    state: RunState
    frozen: bool = False
    run_seconds: float = 0.0
    paused_seconds: float = 0.0
    progress: Progress | None = None


class BuildReport(Struct, frozen=True):
    """One batch's build on the workstation; `log` is the hash of its output once that is stored."""

    batch: str
    key: str
    state: Literal["building", "built", "failed"]
    log: str | None = None
    log_size: int = 0
    text: str = ""


class Report(Struct, frozen=True, tag="report"):
    """The whole truth about a workstation.

    `seq` counts the Reports of this session, `heard` is the highest `n` received in it. `accepting`
    is false while no new job may come, whatever the verdict (finishing, shutting down). `people`
    are the public keys with which people at this desk joined, and "uid:1000" for their accounts
    there: whom its trays can tell of things.
    """

    session: int
    seq: int
    heard: int
    verdict: Verdict
    accepting: bool
    builds: tuple[BuildReport, ...] = ()
    runs: tuple[RunReport, ...] = ()
    people: tuple[str, ...] = ()


class Bye(Struct, frozen=True, tag="bye"):
    """The agent ends its session on purpose. Runs go on unless `why` is shutdown."""

    session: int
    why: Literal["stop", "shutdown"]


class Tailed(Struct, frozen=True, tag="tailed"):
    """Answer to Tail: bytes of a live run's output from `offset`; `size` is its length by now."""

    request: int
    data: bytes
    offset: int
    size: int
    found: bool = True


class Noticed(Struct, frozen=True, tag="noticed"):
    """That Notice was shown on a screen."""

    id: int


AgentMessage: TypeAlias = Hello | Report | Bye | Tailed | Noticed


# --- coordinator -> workstation -------------------------------------------------------------------


class Welcome(Struct, frozen=True, tag="welcome"):
    """The session is open; Reports are due every `report_every` seconds and on every change."""

    session: int
    report_every: float
    name: str


class Assign(Struct, frozen=True, tag="assign"):
    """Run this attempt. Saved before it was sent."""

    n: int
    attempt: AttemptId
    job: JobSpec


class Withdraw(Struct, frozen=True, tag="withdraw"):
    """Stop this attempt and keep nothing of it."""

    n: int
    attempt: AttemptId
    why: StopReason
    grace: float


class Accepted(Struct, frozen=True, tag="accepted"):
    """The outcome of this attempt is on the coordinator's disk (or unwanted): drop its spool."""

    attempt: AttemptId
    outcome: Literal["committed", "kept", "superseded", "discarded"]


class Missing(Struct, frozen=True, tag="missing"):
    """The attempt was reported as stored, but these blobs are not here: offer them again."""

    attempt: AttemptId
    hashes: tuple[str, ...]


class Ack(Struct, frozen=True, tag="ack"):
    """Report `seq` was taken in. `forget` lists batches whose build and cache nobody needs."""

    seq: int
    forget: tuple[str, ...] = ()


class Tail(Struct, frozen=True, tag="tail"):
    """Send up to `limit` bytes of a live run's output from `offset`; -1 counts from the end."""

    request: int
    attempt: AttemptId
    stream: Literal["stdout", "stderr"]
    offset: int
    limit: int


class Notice(Struct, frozen=True, tag="notice"):
    """Show this to the person at the desk who joined with the public key `to`; then say Noticed."""

    id: int
    to: str
    title: str
    text: str


class Rejected(Struct, frozen=True, tag="rejected"):
    """This session cannot be: the reason is for the desk's owner to read."""

    reason: str


CoordinatorMessage: TypeAlias = (
    Welcome | Assign | Withdraw | Accepted | Missing | Ack | Tail | Notice | Rejected
)
