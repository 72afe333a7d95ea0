"""What can be done to all processes of one attempt, those that tried to escape as well.

Not the doing: `pid_namespace` and `orphans` are two ways, and a third, with a cgroup of our own,
fits the same Protocol. The opposite is `processes`, which starts them and says how they ended.
"""

import signal
from collections.abc import Collection
from typing import NamedTuple, Protocol

from msgspec import Struct


class Tally(Struct, frozen=True):
    """What a freeze or thaw did: processes reached, seconds it took, passes over them.

    `complete` is false when the time was up before all had obeyed; doing it again is cheap.
    """

    count: int
    seconds: float
    passes: int
    complete: bool


class Killed(Struct, frozen=True):
    """What a kill did: seconds it took, and the processes that were still there at its end."""

    seconds: float
    left: tuple[int, ...] = ()


class Listed(NamedTuple):
    """Numbers of processes, and the open /proc in which they count (None: this computer's)."""

    pids: Collection[int]
    proc: int | None = None


class Containment(Protocol):
    """All processes of one attempt; `within` is the longest a call may take, in seconds."""

    @property
    def follows_escapees_over_restart(self) -> bool:
        """Whether an agent that adopts the run still finds every process of it."""

    @property
    def bounds_memory(self) -> bool:
        """Whether the kernel holds it to the memory that it was given."""

    def members(self) -> tuple[int, ...]:
        """The job's own processes; costs about 15 µs for each process of the computer."""

    def out_of_memory(self) -> bool:
        """Whether the kernel has found that it wanted more memory than it was given."""

    def listed(self) -> Listed:
        """All its processes, what is around the job too; costs less than `members`."""

    def freeze(self, within: float = 5.0) -> Tally:
        """Stops all of them (SIGSTOP), newly started ones too; again on a frozen run is cheap."""

    def thaw(self, within: float = 5.0) -> Tally:
        """Lets all of them run on."""

    def frozen(self) -> bool:
        """Whether there are processes and none of them can run."""

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Asks every process of the job to end, and thaws; returns how many it reached.

        The run is over when all of them have ended, not only the first one; see `kill`.
        """

    def kill(self, within: float = 5.0) -> Killed:
        """Ends all of them, frozen or not, and waits for that; the exit status is still written."""

    def cpu_seconds(self) -> float:
        """Processor time used so far, ended children included."""

    def memory_bytes(self) -> int:
        """Resident memory; pages shared between processes count in each."""

    def close(self) -> None:
        """Gives the descriptors back; the processes run on."""
