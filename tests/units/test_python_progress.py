"""How a program shows how far its batch is: a notebook's cell, or lines in a log."""

from types import ModuleType
from typing import Any

import pytest

from fallow.coordinator.python_progress import progress


class Handle:
    def __init__(self, drawn: list[str]) -> None:
        self._drawn = drawn

    def update(self, content: str) -> None:
        self._drawn.append(content)


def notebook(drawn: list[str], kernel: bool = True) -> dict[str, ModuleType]:
    """What IPython looks like from outside; without a kernel it is a shell in a terminal."""
    ipython: Any = ModuleType("IPython")
    shell: Any = type("Shell", (), {"kernel": object()} if kernel else {})()
    ipython.get_ipython = lambda: shell
    display: Any = ModuleType("IPython.display")
    display.HTML = lambda text: text

    def show(content: str, display_id: bool) -> Handle:
        assert display_id
        drawn.append(content)
        return Handle(drawn)

    display.display = show
    return {"IPython": ipython, "IPython.display": display}


def test_a_cell_of_a_notebook_is_drawn_anew() -> None:
    drawn: list[str] = []
    with progress("ana:<b>", True, notebook(drawn)) as show:
        show({"queued": 2, "succeeded": 0})
        show({"queued": 2, "succeeded": 0})
        show({"queued": 0, "succeeded": 1, "failed": 1})
    assert len(drawn) == 2
    assert "ana:&lt;b&gt;" in drawn[0]
    assert '<progress value="0" max="2">' in drawn[0]
    assert '<progress value="2" max="2">' in drawn[1]
    assert "1 succeeded, 1 failed" in drawn[1]


def test_ipython_in_a_terminal_is_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    drawn: list[str] = []
    with progress("ana:b", True, notebook(drawn, kernel=False)) as show:
        show({"succeeded": 1})
    assert drawn == []
    assert capsys.readouterr().err == "ana:b: 1 succeeded\n"


def test_a_log_gets_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("ana:b", True, {}) as show:
        for done in range(101):
            show({"queued": 100 - done, "succeeded": done})
        show({"succeeded": 100})
    assert capsys.readouterr().err == "ana:b: 100 queued\nana:b: 100 succeeded\n"


def test_nobody_who_does_not_want_it_sees_it(capsys: pytest.CaptureFixture[str]) -> None:
    drawn: list[str] = []
    with progress("ana:b", False, notebook(drawn)) as show:
        show({"succeeded": 1})
    assert drawn == []
    assert capsys.readouterr().err == ""
