"""What can happen to one attempt on this machine, and what can be ordered: events and effects.

Not what follows from what (`run`). Events are facts, effects imperatives; each effect that is
answered says by which events.
"""

from typing import TypeAlias

from msgspec import Struct

from fallow.shared.runs import DeclineReason, Exit, Progress, StopReason
from fallow.shared.work.phases import Process

# --- events: facts --------------------------------------------------------------------------------


class Received(Struct, frozen=True):
    """So many bytes of the inputs are here."""

    received: int
    total: int


class Staged(Struct, frozen=True):
    """All inputs are in the cache. `built` says that no build has to be waited for."""

    built: bool


class StagingFailed(Struct, frozen=True):
    """An input cannot be had, or the work folder cannot be made."""

    text: str


class BuildReady(Struct, frozen=True):
    """The batch's built tree is here."""


class BuildFailed(Struct, frozen=True):
    """The batch cannot be built here; or something else forbids the build (`reason`)."""

    text: str
    reason: DeclineReason = "build_failed"


class Placed(Struct, frozen=True):
    """The work folder is ready."""


class Spawned(Struct, frozen=True):
    """The process exists."""

    process: Process


class NotSpawned(Struct, frozen=True):
    """No process could be started, or the program in it never began."""

    reason: DeclineReason
    text: str


class Ended(Struct, frozen=True):
    """The process is gone; `exit` is what its status file says, Crashed when there is none."""

    exit: Exit


class Progressed(Struct, frozen=True):
    """The job wrote to FALLOW_PROGRESS."""

    progress: Progress


class OutputsHashed(Struct, frozen=True):
    """The spool holds everything the manifest lists; `size` is bytes in all."""

    manifest: str
    size: int


class CollectFailed(Struct, frozen=True):
    """The outputs could not be saved on this computer."""

    text: str


class Uploaded(Struct, frozen=True):
    """The coordinator has every byte of the manifest and its files."""


class Damaged(Struct, frozen=True):
    """The spool no longer holds what the manifest says."""


class Lacking(Struct, frozen=True):
    """The coordinator misses blobs that were said to be stored."""


class Withdrawn(Struct, frozen=True):
    """The coordinator or this workstation wants it stopped; `grace` is seconds.

    Nothing is kept of it but the checkpoint of one that is evicted, and what one has done that took
    too much time or memory.
    """

    why: StopReason
    grace: float


class Accepted(Struct, frozen=True):
    """The coordinator has the outcome on its disk, or does not want it."""


class Heard(Struct, frozen=True):
    """The coordinator has taken in a Report with this run in its present phase."""


class Turn(Struct, frozen=True):
    """It may save itself now: no other run does, on a desk in use."""


class Frozen(Struct, frozen=True):
    """The desk is in use: nothing may work."""


class Thawed(Struct, frozen=True):
    """The desk is free again."""


class Restarted(Struct, frozen=True):
    """The agent was started anew and knows the run only from its record.

    `same_boot` is false when the computer was, too: no process lives, and what was not forced to
    disk may be lost.
    """

    same_boot: bool = True


class Expired(Struct, frozen=True):
    """Time has passed."""


Event: TypeAlias = (
    Received
    | Staged
    | StagingFailed
    | BuildReady
    | BuildFailed
    | Placed
    | Spawned
    | NotSpawned
    | Ended
    | Progressed
    | OutputsHashed
    | CollectFailed
    | Uploaded
    | Damaged
    | Lacking
    | Withdrawn
    | Accepted
    | Heard
    | Turn
    | Frozen
    | Thawed
    | Restarted
    | Expired
)


# --- effects: imperatives -------------------------------------------------------------------------


class Fetch(Struct, frozen=True):
    """Bring the inputs into the cache; answered by Received, Staged, StagingFailed."""


class Place(Struct, frozen=True):
    """Make the work folder anew; answered by Placed or StagingFailed."""


class Spawn(Struct, frozen=True):
    """Start the job's process; answered by Spawned or NotSpawned."""


class Find(Struct, frozen=True):
    """Look for a process that was ordered before a restart; answered by Spawned, Ended, Placed."""


class Adopt(Struct, frozen=True):
    """Take over this process; answered by Ended at once when it is gone."""

    process: Process


class Freeze(Struct, frozen=True):
    """Stop every process of the run where it stands."""


class Thaw(Struct, frozen=True):
    """Let every process of the run go on."""


class Terminate(Struct, frozen=True):
    """Ask all of the run, by this signal, to end or to save itself; frozen, it goes on."""

    signal: str = "TERM"


class Kill(Struct, frozen=True):
    """End every process of the run, frozen or not; answered by Ended."""


class Collect(Struct, frozen=True):
    """End leftovers, hash outputs into the spool; answered by OutputsHashed or CollectFailed.

    Of one that was evicted (`exit`) only its checkpoint, and nothing when it left none.
    """

    exit: Exit


class Upload(Struct, frozen=True):
    """Offer the manifest and its files (of a build: its log) to the coordinator: Uploaded.

    `checkpoint`: it goes on elsewhere from these, so they do not wait for a free desk.
    """

    manifest: str
    checkpoint: bool = False


class Drop(Struct, frozen=True):
    """Stop fetching and uploading for the run; remove its work folder and spool."""


class Forget(Struct, frozen=True):
    """Remove all of it, the record too."""


Effect: TypeAlias = (
    Fetch
    | Place
    | Spawn
    | Find
    | Adopt
    | Freeze
    | Thaw
    | Terminate
    | Kill
    | Collect
    | Upload
    | Drop
    | Forget
)
