"""What a client asks of the coordinator: one request each, answered by one reply (`replies`).

Not what workstations say (`workstation`).
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from fallow.shared.batch import Batch
from fallow.shared.messages.data import CHUNK
from fallow.shared.runs import Exit


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


class Hold(Struct, frozen=True, tag="hold"):
    """Start nothing of it any more until a release; what runs goes on."""

    ref: str


class Release(Struct, frozen=True, tag="release"):
    """Let what is held go on, whatever held it."""

    ref: str


class Retry(Struct, frozen=True, tag="retry"):
    """Run jobs again that are over, as if for the first time.

    `which`: "unsuccessful" those that failed or were killed, "failed" those that failed, "all"
    those that succeeded too, "lost" those whose workstations are silent. `rebuild`: every
    workstation builds the batch anew. `once` is the client's random word: said again, it is done
    once.
    """

    ref: str
    which: Literal["unsuccessful", "failed", "lost", "all"] = "unsuccessful"
    rebuild: bool = False
    once: str = ""


class Drain(Struct, frozen=True, tag="drain"):
    """Give this workstation no new jobs; `now`: what runs there goes elsewhere at once."""

    node: str
    now: bool = False


class Undrain(Struct, frozen=True, tag="undrain"):
    """Give it jobs again, if the desk's owner agrees."""

    node: str


class Why(Struct, frozen=True, tag="why"):
    """Why a job, or the first of a batch that waits, is not running."""

    ref: str


class Export(Struct, frozen=True, tag="export"):
    """Hand the jobs of a batch that wait to a cluster, as this export (a word of one's own).

    Without a word nothing changes. The reply is ExportReply, the same for the same word.
    """

    ref: str
    export: str = ""


class Imported(Struct, frozen=True):
    """One attempt that ended on a cluster, as `Finished` of a run; its files are sent before."""

    index: int
    number: int
    exit: Exit
    manifest: str | None
    size: int
    started: float | None
    ended: float | None
    run_seconds: float


class Import(Struct, frozen=True, tag="import"):
    """What came back of an export; `killed` are jobs (by index) that were ended there."""

    ref: str
    export: str
    attempts: tuple[Imported, ...]
    killed: tuple[int, ...] = ()


class Status(Struct, frozen=True, tag="status"):
    """All batches, or one with its jobs; `after` and `limit` page through the jobs.

    `live`: only jobs that are on a workstation now.
    """

    ref: str | None = None
    jobs: bool = True
    after: int = 0
    limit: int | None = None
    live: bool = False


class Nodes(Struct, frozen=True, tag="nodes"):
    pass


class Logs(Struct, frozen=True, tag="logs"):
    """Output of one job: of its live attempt, or of the newest kept one.

    `offset` -1: the last `limit` bytes.
    """

    ref: str
    stream: Literal["stdout", "stderr"] = "stdout"
    attempt: int | None = None
    offset: int = 0
    limit: int = CHUNK


class Watch(Struct, frozen=True, tag="watch"):
    """What happened after event number `after`, oldest first, of `ref` alone where it is named.

    `after` None: from the first event at or after wall-clock second `since`, or, without that, only
    what is still to come. Where there is nothing yet, the answer waits up to `wait` seconds.
    """

    ref: str | None = None
    after: int | None = None
    since: float | None = None
    limit: int = 1000
    wait: float = 0.0


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
    Submit
    | Kill
    | Remove
    | Hold
    | Release
    | Retry
    | Export
    | Import
    | Drain
    | Undrain
    | Why
    | Status
    | Nodes
    | Logs
    | Pull
    | Watch
    | Invite
    | Keys
    | Revoke
    | Enrol
)
