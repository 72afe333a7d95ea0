"""Waiting for a batch to end, at a terminal or in Python: looking again, showing how far it is.

Not the looking at one moment (`verbs.status`).
"""

import re
import sys
import time
from collections.abc import Callable, Iterator

from msgspec import Struct

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.logs import Follower
from fallow.shared.messages import BatchStatus, Status, StatusReply

_FIRST, _LAST = 0.02, 1.0  # seconds between two looks: short for a short batch
_OVER = ("succeeded", "failed", "killed")
_QUIET = ("waiting", "queued", "exported")
_ANY_MOMENT = "about to start"
_SECONDS = re.compile(r"\b\d+ s\b")


class Waited(Struct, frozen=True):
    """How the waiting ended: counts per state, and the batch's own word for it."""

    state: str
    counts: dict[str, int]

    @property
    def all_succeeded(self) -> bool:
        return self.counts.get("succeeded", 0) == sum(self.counts.values())

    def words(self) -> str:
        return ", ".join(f"{number} {state}" for state, number in self.counts.items() if number)


def wait_for_batch(client: Client, ref: str, *, follow: bool, quiet: bool) -> Waited:
    """Look until every job is over, or what is not over is held."""
    followers: dict[str, Follower] = {}
    standstill = Standstill(ref, _teller(""))
    with render.job_progress(ref, quiet or follow) as show:
        for batch in looks(client, ref, jobs=follow):
            show(batch.counts)
            if follow:
                standstill.look(batch)
                _follow(client, ref, batch, followers)
    return Waited(batch.state, batch.counts)


def looks(client: Client, ref: str, *, jobs: bool = False) -> Iterator[BatchStatus]:
    """The batch again and again, the last time when every job is over or held; waits between."""
    pause = _FIRST
    while True:
        batch = look(client, ref, jobs=jobs)
        yield batch
        if all_over(batch):
            return
        time.sleep(pause)
        pause = min(pause * 1.2, _LAST)


def all_over(batch: BatchStatus) -> bool:
    """Whether nothing more comes of it by itself: every job is over or held."""
    over = sum(batch.counts.get(state, 0) for state in (*_OVER, "held"))
    return over == sum(batch.counts.values())


def look(client: Client, ref: str, *, jobs: bool = False) -> BatchStatus:
    """The batch at this moment; with `jobs` each of them as well."""
    return client.ask_patiently(Status(ref, jobs=jobs), StatusReply).batches[0]


class Standstill:
    """Tells why nothing of a batch runs: once, and again when that is another reason."""

    def __init__(self, ref: str, tell: Callable[[str], None]) -> None:
        self._ref = ref
        self._tell = tell
        self._told = ""

    def look(self, batch: BatchStatus) -> None:
        """The batch, with its jobs, as it is now."""
        jobs = [job for job in batch.jobs or () if job.state not in (*_OVER, "held")]
        if any(job.state not in _QUIET for job in jobs):
            return
        reasons = (f"{job.state}: {job.reason or 'a cluster has it'}" for job in jobs)
        reason = next((each for each in reasons if not each.endswith(_ANY_MOMENT)), "")
        # The seconds that it says are others each time.
        kind = _SECONDS.sub("", reason)
        if reason and kind != self._told:
            helps = "" if self._told else f"; what helps: coordinator why {self._ref}"
            self._told = kind
            self._tell(reason + helps)


def _follow(client: Client, ref: str, batch: BatchStatus, followers: dict[str, Follower]) -> None:
    """Write what is new of every job that has begun; a job is left alone once nothing can come."""
    several = len(batch.jobs or ()) > 1
    for job in batch.jobs or ():
        if job.state in _QUIET:
            continue
        follower = followers.get(job.name)
        if follower is None:
            follower = Follower(
                client, f"{ref}/{job.name}", "stdout", None, _teller(job.name if several else "")
            )
            followers[job.name] = follower
        if follower.over:
            continue
        follower.more(_writer(job.name if several else ""))


def _teller(job: str) -> Callable[[str], None]:
    def tell(what: str) -> None:
        sys.stdout.buffer.flush()
        print(render.clean(f"{job} [{what}]" if job else f"[{what}]"), file=sys.stderr)

    return tell


def _writer(job: str) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            sys.stdout.buffer.write(f"{job} | ".encode() + line if job else line)
        sys.stdout.buffer.flush()

    return write
