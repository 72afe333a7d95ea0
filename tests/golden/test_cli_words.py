"""What `coordinator` prints: the help of every verb, and its tables for known replies.

Run as a program, this writes those words anew, to be read before they are committed.
"""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from fallow.coordinator import render
from fallow.coordinator.cli import VERBS, entry
from fallow.coordinator.verbs import status, why
from fallow.shared.messages import BatchStatus, JobStatus, NodeStatus, Obstacle, WhyReply

FOLDER = Path(__file__).parent / "cli"

COUNTS = {"queued": 9990, "running": 2, "paused": 1, "succeeded": 6, "failed": 1}
JOBS = (
    JobStatus("re100", "succeeded", 1, workstation="dino", run_seconds=3725.0, exit="exit 0"),
    JobStatus("re200", "paused", 2, 1, 0, 1, "rex", 61.0, 12.5, 0.43, None, "someone is here"),
    JobStatus("a job with a longer name", "queued", reason="no workstation is free"),
)
BATCHES = (
    BatchStatus("ana_cfd", "sweep_01", "ana", 1000.0, "running", COUNTS, 86400.0 * 2 + 7200, JOBS),
)
NODES = (
    NodeStatus(
        "dino", "running", "away", "", None, None, 8, 16 << 30, 0, ("gfortran",), ("a:b/c",), 1.0
    ),
    NodeStatus("rex", "offline", "barred", "on battery", None, None, 2, 1000, 0, (), (), None),
)


WHY = WhyReply(
    *("ana_cfd:sweep_01/re300", "queued"),
    "no workstation takes it now; the nearest to it: dino is at work on other jobs",
    (
        Obstacle("dino", "busy", "is at work on ana_cfd:sweep_01/re100 of ana"),
        Obstacle("rex", "capability", "has no gfortran"),
    ),
    "it starts on dino when ana_cfd:sweep_01/re100 of ana has ended",
    like_it=7,
    ahead=2,
    others=30,
)
HELD = WhyReply(
    *("ana_cfd:sweep_01/re300", "held", "held by ana", (), "let it go on"),
    command="coordinator release ana_cfd:sweep_01/re300",
)


def help_of(name: str | None) -> str:
    command: click.Command = entry if name is None else VERBS[name].load()
    words = "coordinator" if name is None else f"coordinator {name}"
    settings = {"terminal_width": 100, **entry.context_settings}
    with click.Context(command, info_name=words, **settings) as ctx:
        return command.get_help(ctx) + "\n"


def printed(show: Callable[[], None]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        show()
    return out.getvalue()


def show_nodes() -> None:
    render.print_table(status.NODE_COLUMNS, [status.node_row(node) for node in NODES])


SCREENS: dict[str, Callable[[], str]] = {
    "help": lambda: help_of(None),
    **{f"help_{name}": (lambda name=name: help_of(name)) for name in VERBS},  # type: ignore[misc]
    "status": lambda: printed(lambda: status.show(BATCHES, named=False, limit=200, after=0)),
    "status_of_a_batch": lambda: printed(
        lambda: status.show(BATCHES, named=True, limit=3, after=0)
    ),
    "no_batches": lambda: printed(lambda: status.show((), named=False, limit=200, after=0)),
    "nodes": lambda: printed(show_nodes),
    "why": lambda: printed(lambda: why.show(WHY)),
    "why_held": lambda: printed(lambda: why.show(HELD)),
    "nodes_json": lambda: printed(lambda: render.print_json({"nodes": NODES})),
    "status_json": lambda: printed(
        lambda: render.print_json({"batches": [status.plain(batch) for batch in BATCHES]})
    ),
}


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_prints_these_words(name: str) -> None:
    assert SCREENS[name]() == (FOLDER / f"{name}.txt").read_text()


def test_every_text_is_printed_by_something() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(SCREENS)


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_help_shows_an_example(name: str) -> None:
    assert f"Example:\n    coordinator {name}" in help_of(name)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (61, "1 min 1 s"),
        (660, "11 min"),
        (3600, "1 h"),
        (9000, "2 h 30 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert render.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1 << 20, "1.0 MiB"),
        (5 << 39, "2.5 TiB"),
        (3 << 50, "3072.0 TiB"),
    ],
)
def test_sizes_in_words(count: int, words: str) -> None:
    assert render.size(count) == words


if __name__ == "__main__":
    for name, screen in SCREENS.items():
        (FOLDER / f"{name}.txt").write_text(screen())
