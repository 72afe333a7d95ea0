"""The picture of who ran where and when: a row per workstation, a lane per job at once, as SVG.

Not the page around it (`page`), nor the story (`history`). However many jobs there were, the
picture stays small: a lane has so many columns, and each shows what filled most of it.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from fallow.coordinator.report.history import Attempt, History, Span, Station
from fallow.coordinator.report.words import clock, lasting, safe, ticks

WIDTH = 1000.0
_LABEL = 120.0  # room for the names of workstations
_LANE, _GAP = 12.0, 6.0
_CELLS = 120_000  # lanes times columns: what keeps the page small
_NAMED = 400  # jobs that can be pointed at, the longest
KINDS = ("running", "paused", "building", "staging", "other")
BEINGS = ("free", "away", "off")


def draw(history: History, mine: frozenset[str] | None) -> str:
    """The SVG text; jobs of other batches than `mine` (None: all are) are shown as others."""
    rows = [
        (station, lanes(station.attempts))
        for station in sorted(history.stations.values(), key=lambda each: each.name)
    ]
    total = sum(max(len(found), 1) for _, found in rows)
    columns = int(min(WIDTH - _LABEL, max(_CELLS / max(total, 1), 100)))
    lane = _LANE if total <= 60 else max(_LANE * 60 / total, 2.0)
    scale = _Scale(history.begin, history.end)
    parts: list[str] = []
    top = 4.0
    for station, found in rows:
        height = max(len(found), 1) * lane
        parts.append(_label(station.name, top + height / 2))
        parts += _own(station, scale, columns, top, height)
        for place, attempts in enumerate(found):
            spans = (
                Span(span.kind if _is_mine(attempt, mine) else "other", span.begin, span.end)
                for attempt in attempts
                for span in attempt.spans
            )
            y = top + place * lane
            filled = fill(spans, KINDS, scale.begin, scale.end, columns)
            parts += _cells(filled, y, lane - (1.0 if lane > 6 else 0.0), columns)
        top += height + _GAP
    bottom = top
    parts += _axis(scale, bottom)
    parts += _names(rows, scale, lane, mine)
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {bottom + 22:g}" role="img" aria-label="What each workstation'
        f' did over time; the table below says it in numbers">{"".join(parts)}</svg>'
    )


def lanes(attempts: Iterable[Attempt]) -> list[list[Attempt]]:
    """Attempts in as few rows as they need not to overlap, by their beginning."""
    found: list[list[Attempt]] = []
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for attempt in sorted(attempts, key=lambda each: (each.begin, each.ref)):
        while busy and busy[0][0] <= attempt.begin:
            heappush(free, heappop(busy)[1])
        if free:
            place = heappop(free)
        else:
            place = len(found)
            found.append([])
        found[place].append(attempt)
        end = attempt.spans[-1].end if attempt.spans else attempt.begin
        heappush(busy, (end, place))
    return found


def fill(
    spans: Iterable[Span], kinds: Sequence[str], begin: float, end: float, columns: int
) -> list[tuple[str, int, int]]:
    """What fills most of each column, as (kind, first column, column after the last).

    A column in which something happened is never shown empty.
    """
    width = (end - begin) / columns
    if width <= 0:
        return []
    shares: dict[int, dict[str, float]] = {}
    runs: list[tuple[str, int, int]] = []
    for span in spans:
        low = max((span.begin - begin) / width, 0.0)
        high = min((span.end - begin) / width, float(columns))
        if high <= low or span.kind not in kinds:
            continue
        first, last = int(low), min(int(high), columns - 1)
        if last - first > 1:
            runs.append((span.kind, first + 1, last))
        for column in {first, last}:
            part = min(high, column + 1) - max(low, column)
            if part > 0:
                mixed = shares.setdefault(column, {})
                mixed[span.kind] = mixed.get(span.kind, 0.0) + part
    for column, mixed in shares.items():
        runs.append((max(mixed, key=mixed.__getitem__), column, column + 1))
    runs.sort(key=lambda run: run[1])
    joined: list[tuple[str, int, int]] = []
    for kind, first, last in runs:
        if joined and joined[-1][0] == kind and joined[-1][2] >= first:
            joined[-1] = (kind, joined[-1][1], max(last, joined[-1][2]))
        else:
            joined.append((kind, first, last))
    return joined


class _Scale:
    """From moments to places on the picture."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin = begin
        self.end = max(end, begin + 1e-3)

    def x(self, wall: float) -> float:
        share = (wall - self.begin) / (self.end - self.begin)
        return _LABEL + min(max(share, 0.0), 1.0) * (WIDTH - _LABEL)


def _is_mine(attempt: Attempt, mine: frozenset[str] | None) -> bool:
    return mine is None or attempt.ref in mine or attempt.ref.partition("/")[0] in mine


def _label(name: str, y: float) -> str:
    shown = name if len(name) <= 17 else name[:16] + "…"
    return (
        f'<text class="name" x="{_LABEL - 8:g}" y="{y:g}" text-anchor="end"'
        f' dominant-baseline="central">{safe(shown)}<title>{safe(name)}</title></text>'
    )


def _own(station: Station, scale: _Scale, columns: int, top: float, height: float) -> list[str]:
    filled = fill(station.spans, BEINGS, scale.begin, scale.end, columns)
    frame = (
        f'<rect class="unknown" x="{_LABEL:g}" y="{top:g}" width="{WIDTH - _LABEL:g}"'
        f' height="{height:g}"/>'
    )
    return [frame, *_cells(filled, top, height, columns)]


def _cells(
    runs: Iterable[tuple[str, int, int]], y: float, height: float, columns: int
) -> list[str]:
    """One path per kind: many small pieces cost few letters."""
    width = (WIDTH - _LABEL) / columns
    paths: dict[str, list[str]] = {}
    for kind, first, last in runs:
        x, wide = _LABEL + first * width, (last - first) * width
        paths.setdefault(kind, []).append(
            f"M{_short(x)} {_short(y)}h{_short(wide)}v{_short(height)}h-{_short(wide)}z"
        )
    return [f'<path class="{kind}" d="{"".join(parts)}"/>' for kind, parts in paths.items()]


def _axis(scale: _Scale, y: float) -> list[str]:
    parts = [f'<path class="axis" d="M{_LABEL:g} {y:g}H{WIDTH:g}"/>']
    last = -1e9
    for wall, words in ticks(scale.begin, scale.end):
        x = scale.x(wall)
        parts.append(f'<path class="tick" d="M{_short(x)} 0V{_short(y + 4)}"/>')
        half = 3.1 * len(words)
        # Words that would run out of the picture or into their neighbours are left away.
        if x - half > last + 6 and x + half < WIDTH + 2:
            parts.append(
                f'<text class="mark" x="{_short(x)}" y="{_short(y + 15)}"'
                f' text-anchor="middle">{safe(words)}</text>'
            )
            last = x + half
    return parts


def _names(
    rows: Sequence[tuple[Station, list[list[Attempt]]]],
    scale: _Scale,
    lane: float,
    mine: frozenset[str] | None,
) -> list[str]:
    """Words to point at, and inside, the longest pieces."""
    places: list[tuple[float, float, Attempt]] = []
    top = 4.0
    for _, found in rows:
        for place, attempts in enumerate(found):
            places += (
                (scale.x(each.spans[-1].end) - scale.x(each.begin), top + place * lane, each)
                for each in attempts
                if each.spans
            )
        top += max(len(found), 1) * lane + _GAP
    places.sort(key=lambda place: -place[0])
    parts = []
    for wide, y, attempt in places[:_NAMED]:
        if wide < 3:
            break
        x, job = scale.x(attempt.begin), attempt.ref.partition("/")[2] or attempt.ref
        again = f", attempt {attempt.number}" if attempt.number > 1 else ""
        title = f"{attempt.ref}{again}: {_in_words(attempt)}"
        parts.append(
            f'<rect class="spot" x="{_short(x)}" y="{_short(y)}" width="{_short(wide)}"'
            f' height="{lane:g}"><title>{safe(title)}</title></rect>'
        )
        # Words over a pattern cannot be read: they go where it ran longest at a stretch.
        runs = [span for span in attempt.spans if span.kind == "running"]
        if not runs or lane < 10 or not _is_mine(attempt, mine):
            continue
        longest = max(runs, key=lambda span: span.seconds)
        x = scale.x(longest.begin)
        letters = int((scale.x(longest.end) - x - 5) / 5.6)
        if letters >= min(len(job), 4):
            shown = job if len(job) <= letters else job[: letters - 1] + "…"
            parts.append(
                f'<text class="job" x="{_short(x + 3)}" y="{_short(y + lane / 2 - 0.5)}"'
                f' dominant-baseline="central">{safe(shown)}</text>'
            )
    return parts


def _in_words(attempt: Attempt) -> str:
    seconds: dict[str, float] = {}
    for span in attempt.spans:
        seconds[span.kind] = seconds.get(span.kind, 0.0) + span.seconds
    said = ", ".join(f"{kind} {lasting(length)}" for kind, length in seconds.items())
    return f"from {clock(attempt.begin)}; {said}" + (f"; {attempt.how}" if attempt.how else "")


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
