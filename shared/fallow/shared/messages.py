"""Every message on the wire, who may send it, and how it is encoded.

Not how messages travel (`transport`) nor what is done with them (the cores). Level-triggered: an
agent's Report is the whole truth about its workstation, so a lost message needs no repair.
PROTOCOL.md is the prose of this page.
"""

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from fallow.shared.batch import Batch
from fallow.shared.ids import AttemptId, parse_attempt
from fallow.shared.runs import Manifest, OutputFile, Progress, RunState, StopReason, Verdict

PROTOCOL = 1
CHUNK = 256 * 1024

Role = Literal["workstation", "submitter", "admin", "newcomer"]
"""What a key may do; `newcomer` is the one-time key inside a token."""


# --- what a workstation offers and is given -------------------------------------------------------


class Resources(Struct, frozen=True):
    """What a workstation offers: physical cores, bytes of memory, bytes of disk, words."""

    cpus: int
    memory: int
    gpus: int = 0
    disk: int = 0
    capabilities: tuple[str, ...] = ()


class Input(Struct, frozen=True):
    """One input file: its place below `input/`, SHA-256 in hex, bytes."""

    path: str
    hash: str
    size: int
    executable: bool = False


class Shell(Struct, frozen=True, tag="shell"):
    """A line for `sh -c`; values in it are already quoted."""

    line: str


class Argv(Struct, frozen=True, tag="argv"):
    """A program and its arguments, no shell."""

    words: tuple[str, ...]


class Script(Struct, frozen=True, tag="script"):
    """A Python file placed in the work folder as `name` and run as `python3 ./name args…`."""

    name: str
    hash: str
    size: int
    args: tuple[str, ...] = ()


Action: TypeAlias = Shell | Argv | Script


class BuildSpec(Struct, frozen=True):
    """What is run once per batch and workstation; `key` changes whenever action or inputs do."""

    key: str
    action: Action
    env: dict[str, str] = {}


class JobSpec(Struct, frozen=True):
    """All a workstation needs to run one job.

    `shared` are the batch's inputs (for the build too), `inputs` the job's own; where both have a
    path, the job's wins. `memory` is bytes or None for all. `grace` is seconds between SIGTERM and
    SIGKILL when it is withdrawn. Without `network` neither it nor its build may use any.
    """

    namespace: str
    batch: str
    job: str
    owner: str
    action: Action
    cpus: int
    memory: int | None = None
    build: BuildSpec | None = None
    env: dict[str, str] = {}
    shared: tuple[Input, ...] = ()
    inputs: tuple[Input, ...] = ()
    grace: float = 10.0
    network: bool = True


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
    is false while no new job may come, whatever the verdict (finishing, shutting down).
    """

    session: int
    seq: int
    heard: int
    verdict: Verdict
    accepting: bool
    builds: tuple[BuildReport, ...] = ()
    runs: tuple[RunReport, ...] = ()


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


class Rejected(Struct, frozen=True, tag="rejected"):
    """This session cannot be: the reason is for the desk's owner to read."""

    reason: str


# --- client -> coordinator: one request, one reply ------------------------------------------------


class Content(Struct, frozen=True):
    """One file behind a path of a batch: `below` is "" for a file, else its place in the folder."""

    below: str
    hash: str
    size: int
    executable: bool = False


class Submit(Struct, frozen=True, tag="submit"):
    """A batch and what its paths hold. `once` is the client's random word for this submission.

    The reply is Need (upload these, then send the same again) or Submitted. Nothing is saved
    before Submitted; the same `once` again gets the same answer.
    """

    batch: Batch
    contents: dict[str, tuple[Content, ...]]
    once: str
    dry_run: bool = False


class Kill(Struct, frozen=True, tag="kill"):
    ref: str


class Remove(Struct, frozen=True, tag="remove"):
    ref: str


class Status(Struct, frozen=True, tag="status"):
    """All batches, or one with its jobs; `after` and `limit` page through the jobs."""

    ref: str | None = None
    jobs: bool = True
    after: int = 0
    limit: int | None = None


class Nodes(Struct, frozen=True, tag="nodes"):
    pass


class Logs(Struct, frozen=True, tag="logs"):
    """Output of one job: of its live attempt, or of the newest kept one. `offset` -1: the end."""

    ref: str
    stream: Literal["stdout", "stderr"] = "stdout"
    attempt: int | None = None
    offset: int = 0
    limit: int = CHUNK


class Pull(Struct, frozen=True, tag="pull"):
    """The files that results consist of, job by job, from job number `after` on."""

    ref: str
    after: int = 0
    limit: int = 500


class Invite(Struct, frozen=True, tag="invite"):
    """Make a token: `expires` is seconds from now, `local` allows a loopback-only address."""

    role: Literal["workstation", "submitter", "admin"]
    name: str | None = None
    expires: float = 3600.0
    uses: int = 1
    local: bool = False


class Keys(Struct, frozen=True, tag="keys"):
    pass


class Revoke(Struct, frozen=True, tag="revoke"):
    name: str


class Enrol(Struct, frozen=True, tag="enrol"):
    """The only verb of a token's key: let this public key in."""

    public_key: str
    name: str


ClientVerb: TypeAlias = (
    Submit | Kill | Remove | Status | Nodes | Logs | Pull | Invite | Keys | Revoke | Enrol
)


# --- coordinator -> client ------------------------------------------------------------------------


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
    nodes: tuple[NodeStatus, ...]


class LogsReply(Struct, frozen=True, tag="logs_reply"):
    """Bytes from `offset`; `live` is false once the attempt has ended and no more can come."""

    data: bytes
    offset: int
    size: int
    live: bool
    attempt: int


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
    | StatusReply
    | NodesReply
    | LogsReply
    | PullReply
    | InviteReply
    | KeysReply
    | Enrolled
)


class Request(Struct, frozen=True, tag="request"):
    """A client's question; `id` comes back in the Reply."""

    id: int
    body: ClientVerb


class Reply(Struct, frozen=True, tag="reply"):
    id: int
    body: ClientReply


# --- the data socket ------------------------------------------------------------------------------


class Fetch(Struct, frozen=True, tag="fetch"):
    """Receiver to sender: send these bytes of this blob; request and credit in one."""

    hash: str
    offset: int
    length: int


class Chunk(Struct, frozen=True, tag="chunk"):
    """Sender to receiver; the bytes are the message's second frame."""

    hash: str
    offset: int


class Offer(Struct, frozen=True, tag="offer"):
    """Sender to receiver: I have a blob of this hash and size. Answered by Have or Fetch."""

    hash: str
    size: int


class Have(Struct, frozen=True, tag="have"):
    """Receiver to sender: complete, verified and on disk here."""

    hash: str


class Gone(Struct, frozen=True, tag="gone"):
    """Either way: this blob cannot be had (or cannot be stored), and why."""

    hash: str
    why: str


DataMessage: TypeAlias = Fetch | Chunk | Offer | Have | Gone


# --- who may say what, and the bytes --------------------------------------------------------------

AgentMessage: TypeAlias = Hello | Report | Bye | Tailed
CoordinatorMessage: TypeAlias = (
    Welcome | Assign | Withdraw | Accepted | Missing | Ack | Tail | Rejected
)

VERBS: dict[Role, frozenset[type]] = {
    "workstation": frozenset({Hello, Report, Bye, Tailed}),
    "submitter": frozenset({Submit, Kill, Remove, Status, Nodes, Logs, Pull}),
    "admin": frozenset({Submit, Kill, Remove, Status, Nodes, Logs, Pull, Invite, Keys, Revoke}),
    "newcomer": frozenset({Enrol}),
}
"""The literal table of verbs per role; what is not here is refused."""

DATA_VERBS: dict[Role, frozenset[type]] = {
    "workstation": frozenset({Fetch, Chunk, Offer, Have, Gone}),
    "submitter": frozenset({Fetch, Chunk, Offer, Have, Gone}),
    "admin": frozenset({Fetch, Chunk, Offer, Have, Gone}),
    "newcomer": frozenset(),
}

_encoder = msgspec.msgpack.Encoder()
_to_coordinator: msgspec.msgpack.Decoder[AgentMessage | Request] = msgspec.msgpack.Decoder(
    AgentMessage | Request
)
_to_agent: msgspec.msgpack.Decoder[CoordinatorMessage] = msgspec.msgpack.Decoder(CoordinatorMessage)
_to_client: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_data: msgspec.msgpack.Decoder[DataMessage] = msgspec.msgpack.Decoder(DataMessage)
_manifest: msgspec.msgpack.Decoder[Manifest] = msgspec.msgpack.Decoder(Manifest)


class Malformed(ValueError):
    """Bytes that are no message of ours, or not one the sender's role may send."""


def encode(message: object) -> bytes:
    """The bytes of any message or Manifest."""
    return _encoder.encode(message)


def decode_from(role: Role, data: bytes) -> AgentMessage | Request:
    """Read what a peer of this role sent to the coordinator; Malformed if it may not say that."""
    try:
        message = _to_coordinator.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None
    verb = type(message.body) if isinstance(message, Request) else type(message)
    if verb not in VERBS[role]:
        raise Malformed(f"a {role} may not say {verb.__name__}")
    return message


def decode_for_agent(data: bytes) -> CoordinatorMessage:
    """Read what the coordinator sent to a workstation; Malformed if it is none of its messages.

    Folders are called after attempts, so one whose batch is no plain word is refused here.
    """
    try:
        message = _to_agent.decode(data)
        if isinstance(message, Assign | Withdraw | Accepted | Missing | Tail):
            parse_attempt(str(message.attempt))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(str(error)) from None
    return message


def decode_reply(data: bytes) -> Reply:
    """Read the coordinator's reply to a client; Malformed if it is none."""
    try:
        return _to_client.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None


def decode_data(data: bytes) -> DataMessage:
    """Read the header frame of a message on the data socket; Malformed if it is none."""
    try:
        return _data.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None


def decode_manifest(data: bytes) -> Manifest:
    """Read an encoded Manifest; Malformed if it is none."""
    try:
        return _manifest.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None
