"""What happens to the coordinator's core, and what it wants done: events in, effects out.

Events are facts, effects imperatives. Not the deciding (`core`) nor the doing (`server`).
The opposite is `records`, which says what is kept.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from fallow.coordinator.records import Save
from fallow.coordinator.telling import Message
from fallow.shared.ids import AttemptId
from fallow.shared.messages import (
    Bye,
    ClientReply,
    CoordinatorMessage,
    Drain,
    Export,
    Hello,
    Hold,
    Import,
    Input,
    Kill,
    Nodes,
    Release,
    Remove,
    Report,
    Retry,
    Status,
    Submit,
    Undrain,
    Why,
)
from fallow.shared.runs import Exit

# --- events ---------------------------------------------------------------------------------------


class Caller(Struct, frozen=True):
    """Who asks: the name of the key (or the local user, who is an admin) and its role."""

    name: str
    role: Literal["submitter", "admin"]


class AgentSaid(Struct, frozen=True):
    """A workstation, known by its key, sent this. (Tailed is the shell's own affair.)"""

    node: str
    message: Hello | Report | Bye


class Submission(Struct, frozen=True):
    """Somebody wants to submit; `uid` is a fresh random word, `missing` the blobs not here yet.

    `reply` is an opaque handle of the shell; exactly one Answer comes back for it.
    """

    reply: int
    caller: Caller
    uid: str
    request: Submit
    missing: tuple[str, ...] = ()


Change: TypeAlias = Kill | Remove | Hold | Release | Retry | Drain | Undrain
"""What people want changed."""


class ClientAsked(Struct, frozen=True):
    """Any other question the core answers; exactly one Answer comes back for `reply`."""

    reply: int
    caller: Caller
    body: Change | Export | Import | Status | Nodes | Why


class Committed(Struct, frozen=True):
    """The outcome of this attempt is in the results tree, on disk for good.

    Also posted after a start, for each commit on disk whose attempt has not ended.
    """

    attempt: AttemptId
    outcome: Literal["result", "failed"]


class CheckpointKept(Struct, frozen=True):
    """What the evicted attempt saved of itself is here; `files` by places in the work folder."""

    attempt: AttemptId
    manifest: str
    files: tuple[Input, ...]


class CommitIncomplete(Struct, frozen=True):
    """These blobs of the attempt are not here; nothing was changed."""

    attempt: AttemptId
    missing: tuple[str, ...]


class CommitFailed(Struct, frozen=True):
    """The commit could not be made; nothing was changed.

    `permanent` when trying again cannot help (the manifest itself is bad), else it is tried again.
    """

    attempt: AttemptId
    text: str
    permanent: bool = False


class NodeJoined(Struct, frozen=True):
    """A workstation's key was enrolled."""

    name: str


class NodeRevoked(Struct, frozen=True):
    """A workstation's key was revoked; its connection counts for nothing from now on."""

    name: str


class Expired(Struct, frozen=True):
    """The instant that `deadline()` named has come."""


Event: TypeAlias = (
    AgentSaid
    | Submission
    | ClientAsked
    | Committed
    | CheckpointKept
    | CommitIncomplete
    | CommitFailed
    | NodeJoined
    | NodeRevoked
    | Expired
)

# --- effects --------------------------------------------------------------------------------------


class ToNode(Struct, frozen=True):
    """Send this to the workstation's live connection; lost if it has none."""

    node: str
    message: CoordinatorMessage


class Answer(Struct, frozen=True):
    """Answer a client's question."""

    reply: int
    body: ClientReply


Send: TypeAlias = ToNode | Answer


class Commit(Struct, frozen=True, kw_only=True):
    """Put the outcome of this attempt into the results tree, then post Committed.

    Or post CommitIncomplete or CommitFailed. `outcome` "result" goes to the job's folder for good,
    "failed" to `.attempts/<n>/` and, until a success, to the job's folder. `manifest` None: no
    files. `started` and `ended` are wall-clock seconds of the workstation.
    """

    attempt: AttemptId
    outcome: Literal["result", "failed"]
    manifest: str | None
    namespace: str
    batch: str
    job: str
    node: str
    exit: Exit
    started: float | None
    ended: float | None
    run_seconds: float
    paused_seconds: float


class KeepCheckpoint(Struct, frozen=True):
    """Look whether all that this manifest lists is here, then post CheckpointKept.

    Or post CommitIncomplete or CommitFailed.
    """

    attempt: AttemptId
    manifest: str


class KeepBuildLog(Struct, frozen=True):
    """Write this blob beside the jobs as `build_output_<node>.txt`."""

    namespace: str
    batch: str
    node: str
    log: str
    size: int


class RemoveTree(Struct, frozen=True):
    """Remove the batch's results; the blobs that only it needed may go too."""

    uid: str
    namespace: str
    batch: str


class DropOutputs(Struct, frozen=True):
    """Nobody wants what this manifest lists: of what is here of it, keep nothing."""

    manifest: str


class Tell(Struct, frozen=True):
    """Keep this message about a batch's end, in the same transaction, and see that it is told."""

    message: Message


Do: TypeAlias = Commit | KeepCheckpoint | KeepBuildLog | RemoveTree | DropOutputs | Tell


class Step(Struct, frozen=True):
    """The effects of one event: save all of `save` to disk first, then send, then do."""

    save: tuple[Save, ...] = ()
    send: tuple[Send, ...] = ()
    do: tuple[Do, ...] = ()


NOTHING = Step()
