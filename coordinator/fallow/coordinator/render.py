"""How replies look: tables for people, JSON for programs, and the words for times and sizes.

Not what is shown. rich is imported only when a table is printed, since JSON should be quick.
"""

import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, get_args

import msgspec

from fallow.shared.messages import JobStateName

if TYPE_CHECKING:
    from rich.progress import Progress

SCHEMA = 1
_BAR_AFTER = 0.4  # seconds: what is over by then needs no bar


def print_json(content: Mapping[str, Any]) -> None:
    """One complete object with its schema number first."""
    data = msgspec.json.format(msgspec.json.encode({"schema": SCHEMA, **content}), indent=2)
    sys.stdout.write(data.decode() + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns that line up; in a terminal they fit its width."""
    rows = [[clean(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _print_plain(columns, rows)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def clean(cell: str) -> str:
    """Without characters that would steer a terminal: some texts come from workstations."""
    return cell if cell.isprintable() else "".join(c if c.isprintable() else "?" for c in cell)


def _print_plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [columns, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def duration(seconds: float | None) -> str:
    """About how long, in at most two units: "2 h 5 min"."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min" + (f" {rest} s" if minutes < 10 and rest else "")
    if whole < 86400:
        hours, rest = divmod(whole // 60, 60)
        return f"{hours} h" + (f" {rest} min" if rest else "")
    days, rest = divmod(whole // 3600, 24)
    return f"{days} d" + (f" {rest} h" if rest else "")


def size(count: int) -> str:
    """Bytes for people, in binary units."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / 1024**power:.1f} {'KMGT'[power - 1]}iB"


def every_state(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts with a zero for each state that no job is in, so that programs need no default."""
    return {state: counts.get(state, 0) for state in get_args(JobStateName)}


def moment(wall: float | None) -> str:
    """A time of day, with the date unless it is today's."""
    if wall is None:
        return ""
    then = datetime.fromtimestamp(wall)
    if then.date() == datetime.now().date():
        return then.strftime("%H:%M:%S")
    return then.strftime("%Y-%m-%d %H:%M")


def percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.0f} %"


def iso(wall: float) -> str:
    """A wall-clock time as programs read it, with its offset from UTC."""
    return datetime.fromtimestamp(wall).astimezone().isoformat(timespec="seconds")


@contextmanager
def byte_progress(what: str, total: int | None, quiet: bool) -> Generator[Callable[[int], None]]:
    """A bar on a terminal's stderr; it is told how many bytes more have moved."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    moved = 0
    with _Late(lambda: _byte_bar(what, total)) as late:

        def show(count: int) -> None:
            nonlocal moved
            moved += count
            late.update(completed=moved)

        yield show


@contextmanager
def job_progress(what: str, quiet: bool) -> Generator[Callable[[Mapping[str, int]], None]]:
    """A bar of ended jobs on a terminal's stderr; it is told the counts per state."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    with _Late(lambda: _job_bar(what)) as late:

        def show(counts: Mapping[str, int]) -> None:
            over = sum(counts.get(state, 0) for state in ("succeeded", "failed", "killed"))
            words = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
            late.update(total=sum(counts.values()), completed=over, description=words)

        yield show


class _Late:
    """A bar that appears only when there is something to wait for."""

    def __init__(self, make: "Callable[[], Progress]") -> None:
        self._make = make
        self._begun = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, **changes: Any) -> None:
        if self._bar is None and time.monotonic() - self._begun > _BAR_AFTER:
            self._bar = self._make()
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], **changes)


def _byte_bar(what: str, total: int | None) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task(what, total=total)
    return bar


def _job_bar(what: str) -> "Progress":
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn(escape(what)),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task("")
    return bar
