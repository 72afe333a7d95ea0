"""What the coordinator keeps: one frozen record per batch, job, attempt, build and workstation.

Not the rules that change them (`job`, `attempt`, `core`), nor SQLite (`store`).
A record among a step's saves is an upsert by its key; `DropBatch` removes a batch and all below it.
The opposite is `events`, which says what happens.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from fallow.shared.batch import Batch
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import Content, Input, Resources
from fallow.shared.moments import Deadline
from fallow.shared.runs import Exit, StopReason

# --- the states of a job --------------------------------------------------------------------------


class Avoid(Struct, frozen=True, gc=False):
    """A workstation this job stays away from until then."""

    node: str
    until: Deadline


class Waiting(Struct, frozen=True, tag="waiting", gc=False):
    """For batches (their references) that have not succeeded yet."""

    batches: tuple[str, ...] = ()


class Queued(Struct, frozen=True, tag="queued", gc=False):
    """Ready, with no live attempt; `not_before` is a back-off, None when it may start now."""

    not_before: Deadline | None = None
    avoid: tuple[Avoid, ...] = ()


class Active(Struct, frozen=True, tag="active", gc=False):
    """One or more attempts (their numbers) that have not ended and are not doubtful."""

    attempts: tuple[int, ...]
    avoid: tuple[Avoid, ...] = ()


HeldBy = Literal["hand", "crashes", "build", "after", "other"]
"""What held a job: a person, its crashes, its build, a batch that it follows."""


class Held(Struct, frozen=True, tag="held", gc=False):
    """Stopped until a person says otherwise; `why` is a sentence."""

    why: str
    by: HeldBy = "other"


class Exported(Struct, frozen=True, tag="exported", gc=False):
    """Handed to SLURM in this export."""

    export: str


Outcome = Literal["succeeded", "failed", "killed"]


class Done(Struct, frozen=True, tag="done", gc=False):
    """Over; `attempt` is the number of the attempt whose outcome counts, None if none ever ran."""

    outcome: Outcome
    attempt: int | None = None


JobState: TypeAlias = Waiting | Queued | Active | Held | Exported | Done

# --- the states of an attempt ---------------------------------------------------------------------

Phase = Literal["staging", "building", "running", "ending"]


class Assigned(Struct, frozen=True, tag="assigned", gc=False):
    """Saved, and sent or about to be; not yet seen in a Report."""


class Live(Struct, frozen=True, tag="live", gc=False):
    """Seen on its workstation."""

    phase: Phase
    frozen: bool = False


class Collecting(Struct, frozen=True, tag="collecting", gc=False):
    """The run is over and its outcome is on its way here; takes no processors any more."""

    exit: Exit
    manifest: str | None = None
    size: int = 0


class Stopping(Struct, frozen=True, tag="stopping", gc=False):
    """Withdrawn; ends when its workstation says so, or is silent for too long.

    `finished`: its run was over before, so that it takes no processors any more.
    """

    why: StopReason
    finished: bool = False


How = Literal[
    "succeeded",
    "failed",
    "crashed",
    "declined",
    "lost",
    "evicted",
    "killed",
    "superseded",
]
"""How an attempt ended; `superseded` also when its outcome came after another attempt's success."""


class Ended(Struct, frozen=True, tag="ended", gc=False):
    """Over for good; `text` is why, for people, where `how` does not say it all."""

    how: How
    text: str = ""


AttemptState: TypeAlias = Assigned | Live | Collecting | Stopping | Ended

# --- records --------------------------------------------------------------------------------------


class BatchRecord(Struct, frozen=True, kw_only=True):
    """One batch. Key: `uid` (8 letters and digits, never reused); unique: (namespace, name).

    `submitted` is wall-clock seconds, `lost_after` the seconds of silence after which another
    attempt may start, `once` the client's random word for this submission. `after` are the
    full references of what must have succeeded before, `rebuilds` counts how often every
    workstation was told to build it anew, `retried` is the random word of its last retry.
    """

    uid: str
    namespace: str
    name: str
    owner: str
    submitted: float
    jobs: int
    batch: Batch
    contents: dict[str, tuple[Content, ...]]
    once: str
    lost_after: float = 1800.0
    after: tuple[str, ...] = ()
    rebuilds: int = 0
    retried: str = ""


class JobRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One job. Key: `id`. `attempts` is the highest attempt number given out so far.

    `killed` is the saved intention of a kill, `killed_by` whose it is where that is known, `hold`
    that of a hold: a sentence, "" for none;
    `crashed_on` the different workstations that died under it. Attempts up to the number `earlier`
    were made before it was last tried anew; no counter here counts them.
    """

    id: JobId
    name: str
    state: JobState
    attempts: int = 0
    failures: int = 0
    crashes: int = 0
    evictions: int = 0
    killed: bool = False
    crashed_on: tuple[str, ...] = ()
    hold: str = ""
    earlier: int = 0
    killed_by: str = ""


class AttemptRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One attempt. Key: `id`.

    `cpus`, `memory`, `disk` (bytes) and `gpus` are what it was given, `whole` that this is all the
    processors and memory of the workstation; `assigned` and `closed` wall-clock seconds here,
    `started` and `ended` wall-clock seconds of its workstation, None where unknown.
    `run_seconds` and `paused_seconds` are as last saved. `doubtful`: its workstation is silent, so
    another attempt may start, but this one may still win.
    """

    id: AttemptId
    node: str
    state: AttemptState
    cpus: int
    memory: int
    gpus: int = 0
    disk: int = 0
    whole: bool = False
    assigned: float
    exit: Exit | None = None
    manifest: str | None = None
    started: float | None = None
    ended: float | None = None
    closed: float | None = None
    run_seconds: float = 0.0
    paused_seconds: float = 0.0
    doubtful: bool = False


class BuildRecord(Struct, frozen=True, kw_only=True):
    """One batch's build on one workstation. Key: (`batch`, `node`); `log` is a blob's hash."""

    batch: str
    node: str
    key: str
    state: Literal["building", "built", "failed"]
    log: str | None = None
    log_size: int = 0
    text: str = ""


class NodeRecord(Struct, frozen=True, kw_only=True):
    """One workstation. Key: `name`. Wall-clock seconds.

    `sessions` counts the sessions opened so far, so that no number comes twice. `boot` is the id
    of the computer's boot at the last Hello, `seen` the wall-clock time of that Hello. `drained`
    names the admin who lets no new jobs start there, "" for nobody.
    """

    name: str
    joined: float
    resources: Resources | None = None
    host: str = ""
    boot: str = ""
    sessions: int = 0
    seen: float | None = None
    revoked: float | None = None
    drained: str = ""


class EventRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One line of the audit; appended, never changed.

    `ref` is NAMESPACE:BATCH[/JOB] or "", `attempt` 0 when it is about no attempt. Kinds: joined,
    revoked, online, offline, verdict, quarantined, drained, undrained, submitted, removed, killed,
    held, released, retried, assigned, staging, building, running, ending, paused, resumed,
    finished, stopping, doubtful, ended, done, built, build_failed, told, trouble. `finished` says
    how long it ran and was paused.
    """

    wall: float
    kind: str
    ref: str = ""
    node: str = ""
    attempt: int = 0
    text: str = ""
    run_seconds: float = 0.0
    paused_seconds: float = 0.0


class CheckpointRecord(Struct, frozen=True, kw_only=True):
    """What a job can go on from. Key: `job`.

    `attempt` is the number of the evicted one that left it, `manifest` the blob that lists it,
    `files` the same by their places in the work folder.
    """

    job: JobId
    attempt: int
    manifest: str
    files: tuple[Input, ...] = ()


class DropCheckpoint(Struct, frozen=True):
    """Nobody goes on from this job's checkpoint any more."""

    job: JobId


class DropBatch(Struct, frozen=True):
    """Remove the batch with its jobs, attempts, builds and results rows; the audit stays."""

    uid: str


Save: TypeAlias = (
    BatchRecord
    | JobRecord
    | AttemptRecord
    | BuildRecord
    | NodeRecord
    | EventRecord
    | CheckpointRecord
    | DropCheckpoint
    | DropBatch
)


class Loaded(Struct, frozen=True, kw_only=True):
    """Everything the store holds that `Core.restore` needs, in any order."""

    batches: tuple[BatchRecord, ...] = ()
    jobs: tuple[JobRecord, ...] = ()
    attempts: tuple[AttemptRecord, ...] = ()
    builds: tuple[BuildRecord, ...] = ()
    nodes: tuple[NodeRecord, ...] = ()
    checkpoints: tuple[CheckpointRecord, ...] = ()
