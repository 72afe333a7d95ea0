"""The verbs on a terminal: questions are asked, bars and tables are drawn, and go away again."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from main_job.conftest import SCRIPT, Coordinator
from waiting import wait_until

BATCH = """
meta: {namespace: ana, batch_name: b}
command: {run: "echo {x}", sweep: {x: [1, 2, 3]}, name: "x{x}"}
"""


class Terminal:
    """A verb that believes in a person at its terminal."""

    def __init__(self, coordinator: Coordinator, *words: str | Path) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [SCRIPT, "--coordinator", coordinator.data_dir, *words],
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.text = ""

    def read(self) -> str:
        while select.select([self._master], [], [], 0.01)[0]:
            try:
                self.text += os.read(self._master, 65536).decode()
            except OSError:
                break  # the verb has ended
        return self.text

    def until(self, words: str) -> None:
        wait_until(lambda: words in self.read(), 20, f"{words!r} on the terminal")

    def type(self, words: str) -> None:
        os.write(self._master, words.encode())

    def ended(self) -> int:
        deadline = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read()
        self.read()
        os.close(self._master)
        return self.process.wait(1)


def test_remove_asks_first(coordinator: Coordinator, batch_file: Callable[..., Path]) -> None:
    coordinator.verbs.ok("submit", batch_file(BATCH))
    coordinator.verbs.ok("kill", "b")
    refusing = Terminal(coordinator, "remove", "b")
    refusing.until("[y/N]")
    refusing.type("n\n")
    assert refusing.ended() == 130
    assert len(coordinator.verbs.json("status")["batches"]) == 1
    agreeing = Terminal(coordinator, "remove", "b")
    agreeing.until("[y/N]")
    agreeing.type("y\n")
    assert agreeing.ended() == 0
    assert coordinator.verbs.json("status")["batches"] == []


def test_waiting_shows_how_far_it_is(
    coordinator: Coordinator, batch_file: Callable[..., Path]
) -> None:
    waiting = Terminal(coordinator, "submit", batch_file(BATCH), "--wait")
    waiting.until("3 queued")
    assert "0/3" in waiting.text
    coordinator.verbs.ok("kill", "b/x1")
    waiting.until("1/3")
    waiting.process.send_signal(signal.SIGINT)
    assert waiting.ended() == 130
    assert "goes on without you" in waiting.text


def test_tables_fit_a_terminal(coordinator: Coordinator, batch_file: Callable[..., Path]) -> None:
    coordinator.verbs.ok("submit", batch_file(BATCH))
    shown = Terminal(coordinator, "status", "b")
    assert shown.ended() == 0
    assert "ana:b" in shown.text
    assert "no workstation" in shown.text
    watching = Terminal(coordinator, "status", "--watch")
    watching.until("ana:b")
    watching.process.send_signal(signal.SIGINT)
    assert watching.ended() == 130
    assert "Traceback" not in watching.text


def test_a_run_shows_what_runs_and_what_failed(
    coordinator: Coordinator,
    batch_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    line = "echo 0.25 > $FALLOW_PROGRESS; while [ ! -e /tmp/go ]; do sleep 0.1; done; test {x} != 2"
    text = BATCH.replace('"echo {x}"', f'"{line}"') + "resources: {cpus: 1}\n"
    file = batch_file(text.replace("/tmp/go", str(tmp_path / "go")))
    hidden = ["--set", "sweep.x=[1,2]", "--name", "again", "--jobs", "1"]
    # Its folder is seen by no job: the first one is ended by the signal below.
    terminal = Terminal(coordinator, "run", file, *hidden, "--output", tmp_path / "out")
    terminal.until("0/2")
    terminal.until("x1 25 %")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ended() == 130
    assert "the same command goes on from here" in terminal.text
    assert terminal.text.rstrip().endswith("interrupted")
    assert "Traceback" not in terminal.text
    file.write_text(BATCH.replace('"echo {x}"', '"test {x} != 2"'))
    terminal = Terminal(coordinator, "run", file, *hidden, "--output", tmp_path / "out")
    assert terminal.ended() == 4
    assert "x2: failed, exit code 1" in terminal.text
    assert "x1: succeeded" not in terminal.text
    assert "ana:again: 1 succeeded, 1 failed" in terminal.text
