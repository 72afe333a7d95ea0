"""Numbers about a history: how long jobs waited and ran, how much was done when, who did what.

Not the story (`history`) nor the pictures (`charts`). Seconds throughout.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from msgspec import Struct

from fallow.coordinator.report.history import History, Span

# What a person calls a duration: bins of a distribution, seconds.
EDGES = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400),
    *(28800, 57600, 86400, 172800, 345600, 604800, 1209600),
)
_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400),
    *(172800, 604800),
)


class Distribution(Struct, frozen=True):
    """Of `count` durations: the quantiles, and how many lie between two of `EDGES`.

    `bins` holds (from, to, count) from the first that is not empty to the last.
    """

    count: int
    least: float
    quarter: float
    median: float
    three_quarters: float
    most: float
    mean: float
    bins: tuple[tuple[float, float, int], ...]


class Bucket(Struct, frozen=True):
    """Jobs that were over between two moments."""

    begin: float
    end: float
    succeeded: int
    failed: int


class Use(Struct, frozen=True):
    """What one workstation did with the time: seconds of jobs, and of itself.

    `free` is the time in which no job was there.
    """

    name: str
    jobs: int
    staging: float
    building: float
    running: float
    paused: float
    free: float
    away: float
    off: float


def distribution(values: Iterable[float]) -> Distribution | None:
    """None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    counts = [0] * (len(EDGES) + 1)
    for value in ordered:
        counts[bisect_right(EDGES, value)] += 1
    full = [place for place, count in enumerate(counts) if count]
    bounds = (0.0, *EDGES, math.inf)
    bins = tuple(
        (bounds[place], bounds[place + 1], counts[place]) for place in range(full[0], full[-1] + 1)
    )
    return Distribution(
        len(ordered),
        ordered[0],
        _quantile(ordered, 0.25),
        _quantile(ordered, 0.5),
        _quantile(ordered, 0.75),
        ordered[-1],
        math.fsum(ordered) / len(ordered),
        bins,
    )


def waits(history: History) -> list[float]:
    """From being submitted to first running, of every job that did."""
    return [
        max(job.started - job.submitted, 0.0)
        for job in history.jobs.values()
        if job.started is not None and job.submitted is not None
    ]


def run_times(history: History) -> list[float]:
    """Running seconds of every attempt that finished."""
    return [each.run_seconds for each in history.attempts() if each.end and each.run_seconds > 0]


def throughput(history: History, at_most: int = 60) -> list[Bucket]:
    """How many jobs were over, in steps of a length that people know."""
    ends = [(job.done, job.outcome) for job in history.jobs.values() if job.done is not None]
    if not ends:
        return []
    step = step_of(history.end - history.begin, at_most)
    count = max(1, math.ceil((history.end - history.begin) / step))
    good, bad = [0] * count, [0] * count
    for done, outcome in ends:
        place = min(max(int((done - history.begin) / step), 0), count - 1)
        (good if outcome == "succeeded" else bad)[place] += 1
    return [
        Bucket(history.begin + k * step, history.begin + (k + 1) * step, good[k], bad[k])
        for k in range(count)
    ]


def step_of(length: float, at_most: int) -> float:
    """The shortest step that people know which divides a length into at most so many."""
    for step in _STEPS:
        if length <= step * at_most:
            return float(step)
    return _STEPS[-1] * math.ceil(length / at_most / _STEPS[-1])


def uses(history: History) -> list[Use]:
    """Every workstation by name.

    With several jobs at once, theirs add up to more than the time there was.
    """
    found = []
    for station in sorted(history.stations.values(), key=lambda each: each.name):
        sums = dict.fromkeys(("staging", "building", "running", "paused"), 0.0)
        for attempt in station.attempts:
            for span in attempt.spans:
                sums[span.kind] += span.seconds
        busy = union(span for attempt in station.attempts for span in attempt.spans)
        free = _outside(station.spans, "free", busy)
        away, off = (
            sum(span.seconds for span in station.spans if span.kind == kind)
            for kind in ("away", "off")
        )
        jobs = len({attempt.ref for attempt in station.attempts})
        found.append(Use(station.name, jobs, **sums, free=free, away=away, off=off))
    return found


def paused_share(history: History) -> float | None:
    """Of the time that programs were on workstations, the part that they stood still."""
    running = paused = 0.0
    for attempt in history.attempts():
        for span in attempt.spans:
            if span.kind == "running":
                running += span.seconds
            elif span.kind == "paused":
                paused += span.seconds
    return paused / (running + paused) if running + paused else None


def union(spans: Iterable[Span]) -> list[tuple[float, float]]:
    """The time that any of these covers, as intervals in order."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted((span.begin, span.end) for span in spans):
        if found and begin <= found[-1][1]:
            if end > found[-1][1]:
                found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _outside(spans: Sequence[Span], kind: str, busy: list[tuple[float, float]]) -> float:
    """Seconds of this kind in which nothing of ours was there."""
    ends = [end for _, end in busy]
    total = 0.0
    for span in spans:
        if span.kind != kind:
            continue
        total += span.seconds
        place = bisect_right(ends, span.begin)
        while place < len(busy) and busy[place][0] < span.end:
            begin, end = busy[place]
            total -= min(end, span.end) - max(begin, span.begin)
            place += 1
    return total


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
