"""A workstation as seen from here: its session, its word about itself, its builds and its room.

Not what becomes of its runs (`hearing`, `lives`), nor what is kept of it (`records.NodeRecord`).
"""

from collections import deque
from collections.abc import Container
from typing import NamedTuple

from fallow.coordinator.attempt import takes_room
from fallow.coordinator.plan import Seat, Wish
from fallow.coordinator.records import AttemptRecord, BuildRecord, NodeRecord
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import Report, RunReport
from fallow.shared.moments import Moment
from fallow.shared.runs import Reason, RunState, Verdict

REPORT_EVERY = 5.0
"""Seconds between Reports where nothing changes."""
QUIET_AFTER = 15.0
"""After so many seconds without a Report, a workstation counts as offline for new work."""
MANY_WORDS = 500
SAY_AGAIN = 10.0
"""What an agent has not heard after so many seconds, though it reports, is said again."""
QUICK = 5.0
"""A failure after fewer running seconds is a quick one."""
QUICK_FAILURES = 5
"""So many different jobs failing quickly within QUICK_WINDOW look like the workstation's fault."""
QUICK_WINDOW = 60.0
QUARANTINE = 600.0
"""Seconds without new jobs for a workstation that fails everything."""


class Said(NamedTuple):
    """One numbered message of a session: its n, and the boot-clock second it was sent."""

    n: int
    boot: float

    def was_lost(self, heard: int, now: Moment) -> bool:
        """Whether an agent that has heard so much by now should be sent it again."""
        return self.n > heard and now.boot - self.boot >= SAY_AGAIN


class Session:
    """One conversation with a workstation's agent, from its Hello on."""

    __slots__ = ("n", "number", "said", "seq", "told")

    def __init__(self, number: int) -> None:
        self.number = number
        self.seq = -1
        self.n = 0
        self.said: dict[AttemptId, Said] = {}  # Assigns
        self.told: dict[AttemptId, Said] = {}  # Withdraws

    def forget(self, *kept: Container[AttemptId]) -> None:
        """Now and then, drop what was said about attempts that none of these holds any more."""
        for words in (self.said, self.told):
            if len(words) > MANY_WORDS:
                for id in [id for id in words if not any(id in each for each in kept)]:
                    del words[id]

    def number_next(self, now: Moment) -> Said:
        """The number of the next message, and when it is sent."""
        self.n += 1
        return Said(self.n, now.boot)


_CLUSTER = "slurm:"


def cluster_name(export: str) -> str:
    """The cluster of this export, where a workstation's name stands."""
    return f"{_CLUSTER}{export}"


def is_cluster(name: str) -> bool:
    """Whether this is the name of a cluster: no workstation's has a colon."""
    return name.startswith(_CLUSTER)


class Workstation:
    """One workstation: what is kept of it, and what only the present connection says."""

    __slots__ = (
        "accepting",
        "attempts",
        "builds",
        "heard",
        "kept_for",
        "last_batch",
        "listening",
        "quarantined",
        "quick",
        "record",
        "runs",
        "session",
        "since",
        "strays",
        "verdict",
        "watched",
    )

    def __init__(self, record: NodeRecord, now: Moment) -> None:
        self.record = record
        self.session: Session | None = None
        self.heard = now.boot  # boot-clock seconds of its last word, or of our start
        self.since: float | None = None  # wall-clock seconds of the last change of its verdict
        self.verdict: Verdict | None = None
        self.accepting = False
        self.runs: dict[AttemptId, RunReport] = {}  # as of the last Report
        self.strays = 0  # runs of the last Report that nobody wants and that still take room
        self.attempts: dict[AttemptId, AttemptRecord] = {}  # those here that have not ended
        self.builds: dict[str, BuildRecord] = {}
        self.last_batch: str | None = None
        self.kept_for: Wish | None = None  # as of the last plan
        self.quick: deque[tuple[float, JobId]] = deque(maxlen=4 * QUICK_FAILURES)
        self.quarantined: float | None = None  # boot-clock end
        # Whether an alarm asks if it has fallen silent: in a session, unless it is known to have.
        self.listening = False
        # The boot-clock second at which an alarm asks if its runs are to be given up.
        self.watched: float | None = None

    @property
    def name(self) -> str:
        return self.record.name

    def is_news(self, report: Report) -> bool:
        """Whether the Report is of this session and newer than any before; remembers it if so."""
        session = self.session
        if session is None or report.session != session.number or report.seq <= session.seq:
            return False
        session.seq = report.seq
        return True

    def open(self, record: NodeRecord, now: Moment) -> Session:
        """Begin a session; what the one before had said counts no more."""
        self.record = record
        self.session = Session(record.sessions)
        self.heard = now.boot
        self.since = now.wall
        self.verdict = None
        self.accepting = False
        self.strays = 0
        return self.session

    def close(self, now: Moment) -> None:
        """End the session: it said Bye, or its key was revoked."""
        self.session = None
        self.verdict = None
        self.accepting = False
        self.runs = {}
        self.strays = 0
        self.since = now.wall

    def is_online(self, now: Moment) -> bool:
        """Whether it has a session and was heard of lately."""
        return self.session is not None and now.boot - self.heard < QUIET_AFTER

    def closed(self, now: Moment) -> Reason | None:
        """Why no new job may start here now, as the end of a sentence; None when one may."""
        if self.record.revoked is not None:
            return Reason("revoked", "is no longer part of the group")
        if not self.is_online(now):
            return Reason("offline", "is offline")
        if self.record.drained:
            return Reason("drained", f"is drained by {self.record.drained}")
        verdict = self.verdict
        if verdict is None:
            return Reason("connecting", "has only just connected")
        if not verdict.accepts:
            kind = verdict.reasons[0].kind if verdict.reasons else verdict.kind
            # Other people's programs are at work there, which is not what the planner calls busy.
            kind = "load" if kind == "busy" else kind
            return Reason(kind, _because("does not take jobs now", verdict.why), verdict.until)
        if not self.accepting:
            asked = verdict.why if verdict.reasons and verdict.reasons[0].kind == "finish" else ""
            return Reason("finish", _because("takes no new jobs", asked))
        if self.is_quarantined(now):
            text = "failed many jobs one after the other and is left alone for a while"
            return Reason("quarantined", text)
        if self.strays:
            return Reason("ending", "is ending a job that is not wanted any more")
        return None

    def is_quarantined(self, now: Moment) -> bool:
        return self.quarantined is not None and now.boot < self.quarantined

    def state(self, now: Moment) -> str:
        """One word: revoked, offline, draining, drained, quarantined, paused, running, finishing
        or idle."""
        if self.record.revoked is not None:
            return "revoked"
        if not self.is_online(now):
            return "offline"
        if self.record.drained:
            return "draining" if self.attempts else "drained"
        if self.is_quarantined(now):
            return "quarantined"
        if self.verdict is not None and not self.verdict.runs:
            return "paused"
        if any(takes_room(attempt) for attempt in self.attempts.values()):
            return "running" if self.accepting else "finishing"
        return "idle"

    def seat(self, now: Moment) -> Seat | None:
        """What the planner sees; None until it has said what it offers."""
        resources = self.record.resources
        if resources is None:
            return None
        cpus, memory = resources.cpus, resources.memory
        gpus, disk = resources.gpus, resources.disk
        for attempt in self.attempts.values():
            if takes_room(attempt):
                cpus -= attempt.cpus
                memory -= attempt.memory
                gpus -= attempt.gpus
                disk -= attempt.disk
        built = [uid for uid, build in self.builds.items() if build.state != "failed"]
        if self.last_batch in built:
            built.remove(self.last_batch)
            built.insert(0, self.last_batch)
        return Seat(
            name=self.record.name,
            closed=self.closed(now),
            cpus=resources.cpus,
            memory=resources.memory,
            free_cpus=cpus,
            free_memory=memory,
            capabilities=frozenset(resources.capabilities),
            affine=tuple(built),
            failed_builds=frozenset(
                uid for uid, build in self.builds.items() if build.state == "failed"
            ),
            gpus=resources.gpus,
            disk=resources.disk,
            free_gpus=gpus,
            free_disk=disk,
            not_from=frozenset(resources.not_from),
            kept_for=self.kept_for,
        )


def _because(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


def is_at_work(state: RunState) -> bool:
    """Whether a run in this state still takes processors of its workstation."""
    return state.__struct_config__.tag not in {"finished", "declined"}
