"""What the coordinator replies to a client.

Not the questions (`client`), nor how a reply is shown (`fallow.coordinator.render`).
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from fallow.shared.batch import Batch
from fallow.shared.messages.client import Content
from fallow.shared.runs import OutputFile


class Failed(Struct, frozen=True, tag="failed"):
    """The words of a FallowError; `exit_code` as the command line has it."""

    title: str
    detail: str = ""
    hint: str = ""
    exit_code: int = 1


class Done(Struct, frozen=True, tag="done"):
    """It was done and is on disk; `text` says what in a sentence."""

    text: str


class Need(Struct, frozen=True, tag="need"):
    hashes: tuple[str, ...]


class Submitted(Struct, frozen=True, tag="submitted"):
    namespace: str
    batch: str
    jobs: int
    warnings: tuple[str, ...] = ()


class ExportReply(Struct, frozen=True, tag="export_reply"):
    """A batch as it was handed in, and (index, attempts so far) of each job that is exported."""

    uid: str
    owner: str
    batch: Batch
    contents: dict[str, tuple[Content, ...]]
    jobs: tuple[tuple[int, int], ...]


JobStateName = Literal[
    "waiting",
    "queued",
    "staging",
    "building",
    "running",
    "paused",
    "collecting",
    "stopping",
    "held",
    "exported",
    "succeeded",
    "failed",
    "killed",
]


class JobStatus(Struct, frozen=True):
    """One job as `status --json` shows it."""

    name: str
    state: JobStateName
    attempts: int = 0
    failures: int = 0
    crashes: int = 0
    evictions: int = 0
    workstation: str | None = None
    run_seconds: float = 0.0
    paused_seconds: float = 0.0
    progress: float | None = None
    exit: str | None = None
    reason: str | None = None
    progress_text: str = ""
    eta_seconds: float | None = None


class BatchStatus(Struct, frozen=True, omit_defaults=False):
    """One batch as `status --json` shows it; `jobs` is None unless the batch was named."""

    namespace: str
    batch: str
    owner: str
    submitted: float
    state: str
    counts: dict[str, int]
    eta_seconds: float | None = None
    jobs: tuple[JobStatus, ...] | None = None


class StatusReply(Struct, frozen=True, tag="status_reply"):
    batches: tuple[BatchStatus, ...]


class NodeStatus(Struct, frozen=True):
    """One workstation as `nodes --json` shows it; times are wall-clock seconds."""

    name: str
    state: str
    verdict: str
    why: str
    until: float | None
    since: float | None
    cpus: int
    memory: int
    gpus: int
    capabilities: tuple[str, ...]
    runs: tuple[str, ...]
    last_report_seconds: float | None


class NodesReply(Struct, frozen=True, tag="nodes_reply"):
    """All workstations; and of the coordinator the time by its clock, its release, its address."""

    nodes: tuple[NodeStatus, ...]
    now: float = 0.0
    version: str = ""
    address: str = ""


class Obstacle(Struct, frozen=True):
    """The first reason why one workstation does not run a job: a word for programs, a sentence.

    `until` is the wall-clock second at which it ends by itself, None where nobody knows.
    """

    node: str
    kind: str
    text: str
    until: float | None = None


class WhyReply(Struct, frozen=True, tag="why_reply"):
    """Why one job is not running.

    `ref` is that job, `like_it` how many more of the batch are in its state. `fix` is the nearest
    thing that would start it, `command` how to do it where that is one, said on the workstation
    `at` ("" for here), `until` the wall-clock second at which it starts by itself where that is
    known. `ahead` counts the queued jobs of the same owner that go first, `others` those of other
    people, who take turns; both None for a job that is not queued.
    """

    ref: str
    state: JobStateName
    text: str
    nodes: tuple[Obstacle, ...] = ()
    fix: str = ""
    command: str = ""
    at: str = ""
    until: float | None = None
    like_it: int = 0
    ahead: int | None = None
    others: int | None = None


class LogsReply(Struct, frozen=True, tag="logs_reply"):
    """Bytes from `offset`; `live` is false once the attempt has ended and no more can come.

    `state` and `reason` are the job's, as `status` shows them; `silent`: its workstation, which
    alone has the bytes, gave no answer.
    """

    data: bytes
    offset: int
    size: int
    live: bool
    attempt: int
    state: JobStateName | None = None
    reason: str | None = None
    silent: bool = False


class Happening(Struct, frozen=True, array_like=True, gc=False):
    """One event as `watch` tells it, numbered in the order of happening; `wall` in seconds.

    `ref`, `node` and `text` are "", `attempt` is 0 where it is not about such a thing.
    `run_seconds` and `paused_seconds` are those of an attempt that has finished.
    """

    id: int
    wall: float
    kind: str
    ref: str = ""
    node: str = ""
    attempt: int = 0
    text: str = ""
    run_seconds: float = 0.0
    paused_seconds: float = 0.0


class WatchReply(Struct, frozen=True, tag="watch_reply"):
    """Events, and the `after` with which to ask on; `more`: asking at once brings more."""

    events: tuple[Happening, ...]
    next: int
    more: bool = False


class JobResults(Struct, frozen=True):
    """The files of one job (job name "" for the batch's own, such as build output)."""

    job: str
    state: JobStateName
    files: tuple[OutputFile, ...]
    folders: tuple[str, ...] = ()


class PullReply(Struct, frozen=True, tag="pull_reply"):
    """One page; `next` is the `after` of the following page, None on the last."""

    namespace: str
    batch: str
    jobs: tuple[JobResults, ...]
    next: int | None = None


class InviteReply(Struct, frozen=True, tag="invite_reply"):
    token: str
    role: str
    expires: float


class KeyStatus(Struct, frozen=True):
    name: str
    role: str
    public_key: str
    created: float
    revoked: float | None = None


class KeysReply(Struct, frozen=True, tag="keys_reply"):
    keys: tuple[KeyStatus, ...]


class Enrolled(Struct, frozen=True, tag="enrolled"):
    name: str
    role: str


ClientReply: TypeAlias = (
    Failed
    | Done
    | Need
    | Submitted
    | ExportReply
    | StatusReply
    | NodesReply
    | WhyReply
    | LogsReply
    | PullReply
    | WatchReply
    | InviteReply
    | KeysReply
    | Enrolled
)
