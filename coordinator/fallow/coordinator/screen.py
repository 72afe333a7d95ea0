"""The picture of `status --watch` on a terminal: bars, and the jobs that run now.

Not the words for what is not a terminal (`verbs.status`), nor the asking. It is drawn anew when
something in it has changed, and left standing when it ends.
"""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fallow.coordinator import render
from fallow.shared.messages import BatchStatus, JobStatus

_STYLES = {
    "running": "green",
    "building": "green",
    "staging": "cyan",
    "collecting": "cyan",
    "paused": "yellow",
    "held": "yellow",
    "failed": "red",
    "killed": "red",
    "succeeded": "bold green",
}
_BAR = 24  # columns
_OVER = ("succeeded", "failed", "killed")
_SHRINK = ("job", "workstation", "why")


class Screen:
    """Use it in a `with`; `show` draws what is new."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._shown: object = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._live.stop()

    @property
    def room(self) -> int:
        """How many jobs there is room for below the batches."""
        return max(self._console.size.height - 9, 3)

    def show(self, batches: Sequence[BatchStatus], trouble: str = "") -> None:
        """Draw these, unless they are what is there; `trouble` is a line below."""
        size = self._console.size
        if (batches, trouble, size) == self._shown:
            return
        self._shown = (batches, trouble, size)
        shown = most_wanted(batches, max(size.height - 6, 3))
        parts: list[RenderableType] = [_batches(shown)]
        if len(shown) < len(batches):
            parts.append(Text(f"… and {len(batches) - len(shown)} more", style="dim"))
        for batch in shown:
            if batch.jobs:
                parts.append(_jobs(batch.jobs))
        if not batches:
            parts = [Text("No batches yet: see `coordinator submit --help`.")]
        at = time.strftime("%H:%M:%S")
        below = trouble or "Ctrl-C ends this view; the jobs go on"
        parts.append(Text(f"{at}  {below}", style="red" if trouble else "dim"))
        self._live.update(Group(*parts), refresh=True)


def most_wanted(batches: Sequence[BatchStatus], room: int) -> Sequence[BatchStatus]:
    """Where not all have room: those that are not over, then the newest; in their own order."""
    if len(batches) <= room:
        return batches
    places = sorted(
        range(len(batches)),
        key=lambda place: (batches[place].state in _OVER, -batches[place].submitted),
    )
    return [batches[place] for place in sorted(places[:room])]


def _batches(batches: Sequence[BatchStatus]) -> Table:
    table = Table("batch", "state", "", "", "jobs", "left", box=SIMPLE_HEAD, pad_edge=False)
    for batch in batches:
        over, total = progress(batch), sum(batch.counts.values())
        table.add_row(
            _text(f"{batch.namespace}:{batch.batch}"),
            Text(batch.state, _STYLES.get(batch.state, "")),
            _bar(over, total or 1, _BAR),
            f"{100 * over / total if total else 0:.0f} %",
            _text(", ".join(f"{number} {state}" for state, number in batch.counts.items())),
            render.duration(batch.eta_seconds) if over < total else "",
        )
    return table


def _jobs(jobs: Sequence[JobStatus]) -> Table:
    columns = ("job", "state", "workstation", "", "", "run", "left", "why")
    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.no_wrap = column.header not in _SHRINK
    for job in jobs:
        bar: RenderableType = ""
        if job.progress is not None:
            bar = _bar(job.progress, 1.0, _BAR // 2)
        table.add_row(
            _line(job.name),
            Text(job.state, _STYLES.get(job.state, "")),
            _line(job.workstation or ""),
            bar,
            render.percent(job.progress),
            render.duration(job.run_seconds) if job.run_seconds else "",
            render.duration(job.eta_seconds),
            _line(job.reason or job.progress_text or job.exit or ""),
        )
    return table


def _bar(done: float, total: float, width: int) -> ProgressBar:
    return ProgressBar(
        total, done, width=width, complete_style="blue", finished_style="green", style="dim"
    )


def progress(batch: BatchStatus) -> float:
    """Jobs done, those that run counted by what they say of themselves where they are shown."""
    counts = batch.counts
    over = float(sum(counts.get(state, 0) for state in _OVER))
    live = [job.progress for job in batch.jobs or () if job.progress is not None]
    return over + sum(live)


def _line(words: str) -> Text:
    """One line, cut to its column: else the jobs below would be pushed out of the picture."""
    return Text(render.clean(words), no_wrap=True, overflow="ellipsis")


def _text(words: str) -> Text:
    return Text(render.clean(words))
