"""The other pictures: how long jobs waited and ran, and how many were done when, as SVG.

Not the page around them (`page`), nor the numbers (`figures`).
"""

from collections.abc import Sequence

from fallow.coordinator.report.figures import Bucket, Distribution
from fallow.coordinator.report.words import clock, lasting, safe, ticks

_WIDTH, _HEIGHT = 480.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 8.0, 10.0, 34.0


def histogram(found: Distribution, what: str, kind: str) -> str:
    """Columns of how many jobs took how long; the dashed line is the median."""
    most = max(count for _, _, count in found.bins)
    wide = (_WIDTH - _LEFT - _RIGHT) / max(len(found.bins), 4)
    tall = _HEIGHT - _TOP - _BOTTOM
    parts = _grid(most, _WIDTH)
    every = max(1, -(-len(found.bins) // 8))
    for place, (low, high, count) in enumerate(found.bins):
        x = _LEFT + place * wide
        height = tall * count / most
        words = f"{count} jobs {what} {_between(low, high)}"
        parts.append(
            f'<rect class="{kind}" x="{x + 1:.1f}" y="{_TOP + tall - height:.1f}"'
            f' width="{wide - 2:.1f}" height="{height:.1f}"><title>{safe(words)}</title></rect>'
        )
        if place % every == 0:
            parts.append(_below(x, lasting(low)))
    last = len(found.bins)
    if last % every == 0 and found.bins[-1][1] < float("inf"):
        parts.append(_below(_LEFT + last * wide, lasting(found.bins[-1][1])))
    x = _LEFT + _place(found, found.median) * wide
    parts.append(f'<path class="median" d="M{x:.1f} {_TOP:g}V{_TOP + tall:g}"/>')
    return _svg(parts, f"How long jobs {what}: half of them less than {lasting(found.median)}")


def columns(buckets: Sequence[Bucket], begin: float, end: float) -> str:
    """Jobs that were over, step by step; those that failed are on top of those that succeeded."""
    width = 1000.0
    most = max(bucket.succeeded + bucket.failed for bucket in buckets)
    tall = _HEIGHT - _TOP - _BOTTOM
    length = max(buckets[-1].end - begin, 1e-3)
    parts = _grid(most, width)

    def x_of(wall: float) -> float:
        return _LEFT + (wall - begin) / length * (width - _LEFT - _RIGHT)

    for bucket in buckets:
        x, wide = x_of(bucket.begin), x_of(bucket.end) - x_of(bucket.begin)
        y = _TOP + tall
        for kind, count in (("succeeded", bucket.succeeded), ("failed", bucket.failed)):
            if not count:
                continue
            height = tall * count / most
            y -= height
            words = f"{clock(bucket.begin)}: {count} {kind}"
            parts.append(
                f'<rect class="{kind}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{wide - 1:.1f}"'
                f' height="{height:.1f}"><title>{safe(words)}</title></rect>'
            )
    for wall, words in ticks(begin, end):
        if 20 < x_of(wall) < width - 20:
            parts.append(_below(x_of(wall), words))
    return _svg(parts, "How many jobs were over, step by step", width)


def _grid(most: int, width: float) -> list[str]:
    tall = _HEIGHT - _TOP - _BOTTOM
    parts = []
    for count in _marks(most):
        y = _TOP + tall - tall * count / most
        parts.append(f'<path class="tick" d="M{_LEFT:g} {y:.1f}H{width - _RIGHT:g}"/>')
        parts.append(
            f'<text class="mark" x="{_LEFT - 5:g}" y="{y:.1f}" text-anchor="end"'
            f' dominant-baseline="central">{count}</text>'
        )
    return parts


def _marks(most: int) -> list[int]:
    """A few round counts from 0 on."""
    step = 1
    while most / step > 4:
        step = step * 2 if str(step)[0] in "15" else step * 5 // 2
    return list(range(0, most + 1, step))


def _below(x: float, words: str) -> str:
    y = _HEIGHT - _BOTTOM + 14
    return f'<text class="mark" x="{x:.1f}" y="{y:g}" text-anchor="middle">{safe(words)}</text>'


def _between(low: float, high: float) -> str:
    if high == float("inf"):
        return f"more than {lasting(low)}"
    return f"{lasting(low)} to {lasting(high)}"


def _place(found: Distribution, value: float) -> float:
    """Where a value lies among the bins, in bins."""
    for place, (low, high, _) in enumerate(found.bins):
        if value <= high:
            wide = high - low
            return place + (min(max((value - low) / wide, 0.0), 1.0) if wide < 1e300 else 0.5)
    return float(len(found.bins))


def _svg(parts: Sequence[str], words: str, width: float = _WIDTH) -> str:
    height = _HEIGHT - _BOTTOM + 22
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{safe(words)}">'
        f"{''.join(parts)}</svg>"
    )
