"""What happened, told by workstation, job and attempt: the event stream folded into spans of time.

Not the drawing (`timeline`) nor the counting (`figures`). A stream that begins in the middle is
read as far as it goes. Times are wall-clock seconds of the coordinator.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

from fallow.shared.messages import Happening

Doing: TypeAlias = Literal["staging", "building", "running", "paused"]
"""What an attempt does on its workstation."""
Being: TypeAlias = Literal["free", "away", "off"]
"""What a workstation is with no job on it: at our disposal, somebody else's, or not there."""

_PHASES: dict[str, Doing] = {
    "assigned": "staging",
    "staging": "staging",
    "building": "building",
    "running": "running",
    "ending": "staging",  # its outputs are hashed: files move, nothing runs
}
_OVER = {"finished", "ended"}


class Span(Struct, frozen=True, gc=False):
    """From `begin` to `end` it did this."""

    kind: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


class Attempt(Struct):
    """One attempt: what it did when, and how it ended ("" while it goes on)."""

    ref: str
    number: int
    node: str
    begin: float
    spans: list[Span]
    end: float | None = None
    how: str = ""
    run_seconds: float = 0.0
    paused_seconds: float = 0.0


class Job(Struct):
    """One job: when it was asked for, first ran and was over; `outcome` is "" until then."""

    ref: str
    submitted: float | None = None
    started: float | None = None
    done: float | None = None
    outcome: str = ""
    attempts: int = 0
    run_seconds: float = 0.0
    paused_seconds: float = 0.0
    node: str = ""

    @property
    def batch(self) -> str:
        return self.ref.partition("/")[0]


class Station(Struct):
    """One workstation: what it was when, and the attempts it had."""

    name: str
    spans: list[Span]
    attempts: list[Attempt]


class History(Struct):
    """Everything between `begin` and `end`."""

    begin: float
    end: float
    stations: dict[str, Station]
    jobs: dict[str, Job]
    submitted: dict[str, float]

    def attempts(self) -> Iterable[Attempt]:
        for station in self.stations.values():
            yield from station.attempts


class _Doing(Struct):
    """An attempt that goes on: what it does since when."""

    attempt: Attempt
    phase: Doing
    since: float
    frozen: bool = False


class _Being(Struct):
    online: bool | None = None
    away: bool | None = None
    since: float = 0.0

    def word(self) -> Being | None:
        """None while nothing is known."""
        if self.online is False:
            return "off"
        if self.away is None:
            return None
        return "away" if self.away else "free"


def tell(
    events: Iterable[Happening],
    begin: float,
    end: float,
    now: dict[str, str] | None = None,
    silent: dict[str, float] | None = None,
) -> History:
    """The history of these events, oldest first, from `begin` to `end`.

    `now` has the present state ("free", "away" or "off") of workstations, for those of which the
    events say nothing: they have been that all the time. `silent` are those that went without a
    word, and the second in which they were heard last.
    """
    history = History(begin, end, {}, {}, {})
    doing: dict[tuple[str, int], _Doing] = {}
    being: dict[str, _Being] = {}
    for event in events:
        if event.wall > end:
            break
        if event.attempt and event.ref:
            _about_attempt(history, doing, event)
        elif event.kind == "done":
            job = _job(history, event.ref)
            job.done, job.outcome = event.wall, event.text
        elif event.kind == "submitted":
            history.submitted[event.ref] = event.wall
        elif event.node:
            _about_station(history, being, event)
    for each in doing.values():
        _close(each, end)
    for name, known in being.items():
        station = _station(history, name)
        if known.online and name in (silent or {}):
            _turn(station, known, max((silent or {})[name], known.since), begin)
            known.online = False
        _turn(station, known, end, begin)
    for name, word in (now or {}).items():
        station = _station(history, name)
        if not station.spans:
            station.spans.append(Span(word, begin, end))
    for job in history.jobs.values():
        job.submitted = history.submitted.get(job.batch)
    return history


def _about_attempt(
    history: History, doing: dict[tuple[str, int], _Doing], event: Happening
) -> None:
    key = (event.ref, event.attempt)
    known = doing.get(key)
    kind = event.kind
    if known is None:
        begin = max(event.wall, history.begin)
        attempt = Attempt(event.ref, event.attempt, event.node, begin, [])
        if kind in _OVER and kind != "finished":
            return  # the rest of it was before
        if kind not in _PHASES:
            # It begins in the middle: what it did until now is known from this event alone.
            attempt.begin = history.begin
        known = doing[key] = _Doing(attempt, _PHASES.get(kind, "running"), attempt.begin)
        known.frozen = kind == "resumed"
        _station(history, event.node).attempts.append(attempt)
        job = _job(history, event.ref)
        job.attempts = max(job.attempts, event.attempt)
        job.node = event.node
        if kind == "assigned":  # once more, after a retry
            job.done, job.outcome = None, ""
    attempt = known.attempt
    if kind in _PHASES:
        _close(known, event.wall)
        known.phase = _PHASES[kind]
        if kind == "running":
            _began(history, event.ref, event.wall)
    elif kind in ("paused", "resumed"):
        _close(known, event.wall)
        known.frozen = kind == "paused"
    elif kind == "finished":
        _finish(history, known, event)
    elif kind == "ended":
        if attempt.end is None:
            _close(known, event.wall)
            attempt.end = event.wall
        attempt.how = event.text
        del doing[key]


def _finish(history: History, known: _Doing, event: Happening) -> None:
    """It is over on its workstation; a run too short to be seen running ran until just now."""
    attempt, job = known.attempt, _job(history, event.ref)
    attempt.run_seconds, attempt.paused_seconds = event.run_seconds, event.paused_seconds
    job.run_seconds, job.paused_seconds = event.run_seconds, event.paused_seconds
    job.node = event.node
    seen = known.phase == "running" or any(span.kind == "running" for span in attempt.spans)
    if not seen and event.run_seconds > 0:
        began = max(event.wall - event.run_seconds, known.since)
        _close(known, began)
        known.phase, known.frozen = "running", False
        _began(history, event.ref, began)
    _close(known, event.wall)
    attempt.end = event.wall


def _began(history: History, ref: str, wall: float) -> None:
    job = _job(history, ref)
    if job.started is None:
        job.started = wall


def _close(known: _Doing, wall: float) -> None:
    """What it did until then is a span."""
    since = max(known.since, known.attempt.begin)
    if known.attempt.end is None and wall > since:
        kind = "paused" if known.frozen else known.phase
        spans = known.attempt.spans
        if spans and spans[-1].kind == kind and spans[-1].end == since:
            spans[-1] = Span(kind, spans[-1].begin, wall)
        else:
            spans.append(Span(kind, since, wall))
    known.since = wall


def _about_station(history: History, being: dict[str, _Being], event: Happening) -> None:
    known = being.get(event.node)
    if known is None:
        known = being[event.node] = _Being(since=event.wall)
    station = _station(history, event.node)
    if event.kind in ("online", "offline", "revoked"):
        _turn(station, known, event.wall, history.begin)
        known.online = event.kind == "online"
        if known.online:
            known.away = None
    elif event.kind == "verdict":
        _turn(station, known, event.wall, history.begin)
        known.online = True
        known.away = not event.text.startswith("away:")  # their word for a desk with nobody at it


def _turn(station: Station, known: _Being, wall: float, begin: float) -> None:
    word, since = known.word(), max(known.since, begin)
    if word is not None and wall > since:
        station.spans.append(Span(word, since, wall))
    known.since = wall


def _station(history: History, name: str) -> Station:
    found = history.stations.get(name)
    if found is None:
        found = history.stations[name] = Station(name, [], [])
    return found


def _job(history: History, ref: str) -> Job:
    found = history.jobs.get(ref)
    if found is None:
        found = history.jobs[ref] = Job(ref)
    return found
