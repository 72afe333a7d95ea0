"""One line an event, as `coordinator watch` prints it."""

import time

import pytest

from fallow.coordinator.verbs.watch import as_line
from fallow.shared.messages import Happening

NOW = time.time()


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Happening(1, NOW, "verdict", node="dino", text="away: "), ["verdict", "dino", "free"]),
        (
            Happening(1, NOW, "verdict", node="dino", text="present: you are here"),
            ["verdict", "dino", "in", "use:", "you", "are", "here"],
        ),
        (
            Happening(1, NOW, "finished", "a:b/c", "dino", 2, "", 61.0, 12.0),
            [
                "finished",
                "a:b/c",
                "(attempt",
                "2)",
                "dino",
                *["ran", "1", "min", "1", "s,", "paused", "12", "s"],
            ],
        ),
        (Happening(1, NOW, "done", "a:b/c", text="failed"), ["done", "a:b/c", "failed"]),
        (Happening(1, NOW, "trouble", text="\x1b[2J\nx"), ["trouble", "?[2J?x"]),
    ],
)
def test_a_line(event: Happening, words: list[str]) -> None:
    line = as_line(event)
    assert "\n" not in line
    assert line.split()[1:] == words
