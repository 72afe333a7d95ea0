"""How far a batch is, for a program's user: a bar in a terminal or a notebook, else a few lines.

Not how far it is (`python` looks). IPython is used where the program runs in it, never needed.
"""

import html
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeAlias

from fallow.coordinator import render

Show: TypeAlias = Callable[[Mapping[str, int]], None]
"""Told the counts per state whenever they may have changed."""

_OVER = ("succeeded", "failed", "killed", "not run")
_EVERY = 10.0  # seconds between two lines in a log


@contextmanager
def progress(
    title: str, wanted: bool, modules: Mapping[str, ModuleType] | None = None
) -> Generator[Show]:
    """The way that suits where this program runs; `modules` are those that it has imported."""
    if not wanted:
        yield lambda counts: None
        return
    display = _notebook(sys.modules if modules is None else modules)
    if display is not None:
        yield _Cell(title, display).show
    elif sys.stderr.isatty():
        with render.job_progress(title, quiet=False) as show:
            yield show
    else:
        yield _Lines(title).show


def _notebook(modules: Mapping[str, ModuleType]) -> Any | None:
    """IPython's display module when this is a notebook's kernel; a shell of it is a terminal."""
    # Looked up, not imported: a program that does not use it should not wait for it.
    ipython: Any = modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return modules.get("IPython.display")


class _Cell:
    """One output of a notebook's cell, drawn anew."""

    def __init__(self, title: str, display: Any) -> None:
        self._title = title
        self._display = display
        self._handle: Any = None
        self._last = ""

    def show(self, counts: Mapping[str, int]) -> None:
        drawn = _drawn(self._title, counts)
        if drawn == self._last:
            return
        self._last = drawn
        content = self._display.HTML(drawn)
        if self._handle is None:
            self._handle = self._display.display(content, display_id=True)
        else:
            self._handle.update(content)


def _drawn(title: str, counts: Mapping[str, int]) -> str:
    total, over = sum(counts.values()), _over(counts)
    return (
        f"<div><b>{html.escape(title)}</b> "
        f'<progress value="{over}" max="{max(total, 1)}"></progress> '
        f"{over} / {total} &nbsp; {html.escape(_words(counts))}</div>"
    )


class _Lines:
    """A line at the start and the end, and now and then between them."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._last = ""
        self._at = 0.0

    def show(self, counts: Mapping[str, int]) -> None:
        words = _words(counts)
        now = time.monotonic()
        ended = _over(counts) == sum(counts.values())
        if words == self._last or (now - self._at < _EVERY and not ended):
            return
        self._last, self._at = words, now
        print(f"{self._title}: {words}", file=sys.stderr, flush=True)


def _over(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in _OVER)


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items() if number)
