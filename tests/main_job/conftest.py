"""A real coordinator, started by its installed script, and its verbs as a person calls them.

Not a workstation: a scripted one is in scripted_agent.py, the real one in workstation.py.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from main_job.workstation import Workstation
from waiting import wait_until

SCRIPT = Path(sys.executable).parent / "coordinator"


class Ended:
    """How a verb ended: code, what it printed, what it complained."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Account:
    """A person's account: its own configuration folder, and the verbs called from it."""

    def __init__(self, folder: Path, coordinator: Path | str | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._env = {
            **os.environ,
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        if coordinator is not None:
            self._env["FALLOW_COORDINATOR"] = str(coordinator)

    def start(self, *words: str | Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [SCRIPT, *words],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str | Path, timeout: float = 60.0) -> Ended:
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{words} took longer than {timeout} s") from None
        assert "Traceback" not in err, err
        return Ended(subprocess.CompletedProcess(words, process.returncode, out, err))

    def ok(self, *words: str | Path) -> Ended:
        done = self.run(*words)
        assert done.code == 0, f"{words}: {done.code}\n{done.err}"
        return done

    def json(self, *words: str | Path) -> Any:
        return self.ok(*words, "--json").json


class Coordinator:
    """A coordinator's process on one data folder; it can be killed and started again.

    `verbs` are those of the user who runs it. The port stays the same over restarts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "coordinator"
        self.results = self.data_dir / "results"
        self.listen = "tcp://127.0.0.1:0"
        self.address = ""
        self.verbs = Account(folder / "owner", self.data_dir)
        self.process: subprocess.Popen[str] | None = None
        self._errors = folder / "coordinator.err"

    def start(self, command: list[str | Path] | None = None) -> None:
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [
                    *(command or [SCRIPT, "serve"]),
                    "--data-dir",
                    self.data_dir,
                    "--listen",
                    self.listen,
                ],
                env={**os.environ, "FALLOW_LOG": "info"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready tcp://"), self.errors
        self.address = self.listen = line.split()[1]

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """As a power cut would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """In good order; the exit code."""
        return self._signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for the process to end by itself; its exit code."""
        assert self.process is not None
        code = self.process.wait(30)
        self._forget()
        return code

    def token(self, name: str, role: str = "workstation", *words: str) -> str:
        said = self.verbs.json("invite", "--local", "--role", role, "--name", name, *words)
        token: str = said["token"]
        return token

    def account(self, name: str, role: str = "submitter") -> Account:
        """Another person, joined by a token."""
        account = Account(self.folder / name, None)
        account.ok("join", self.token(name, role))
        return account

    def counts(self, ref: str) -> dict[str, int]:
        """The states that jobs of the batch are in."""
        (batch,) = self.verbs.json("status", ref)["batches"]
        return {state: number for state, number in batch["counts"].items() if number}

    def wait_for(self, ref: str, counts: dict[str, int], timeout: float = 30.0) -> None:
        wait_until(lambda: self.counts(ref) == counts, timeout, f"{ref} to be {counts}")

    def _signal(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.ended()

    def _forget(self) -> None:
        assert self.process is not None
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None


@pytest.fixture
def coordinator(tmp_path: Path) -> Generator[Coordinator]:
    made = Coordinator(tmp_path)
    made.start()
    yield made
    if made.process is not None:
        assert made.stop() == 0, made.errors
    assert "Traceback" not in made.errors, made.errors


@pytest.fixture
def batch_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a batch file with files beside it."""

    def write(text: str, name: str = "batch.yaml", **files: str) -> Path:
        folder = tmp_path / "batches"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        for each, content in files.items():
            (folder / each).write_text(content)
        return folder / name

    return write


@pytest.fixture
def new_workstation(
    tmp_path: Path, coordinator: Coordinator
) -> Generator[Callable[..., Workstation]]:
    """Makes workstations that have joined the coordinator; ends them and all their jobs."""
    made: list[Workstation] = []

    def make(
        name: str = "ws1", configuration: str | None = None, around: Sequence[str] = ()
    ) -> Workstation:
        workstation = Workstation(tmp_path / "workstations", name)
        workstation.around = list(around)
        made.append(workstation)
        if configuration is not None:
            workstation.configure(configuration)
        workstation.start(coordinator.token(name))
        workstation.wait_online()
        return workstation

    yield make
    for workstation in made:
        code = workstation.stop() if workstation.process is not None else 0
        workstation.end_jobs()
        assert code == 0, workstation.errors
        assert "Traceback" not in workstation.errors, workstation.errors


@pytest.fixture
def workstation(new_workstation: Callable[..., Workstation]) -> Workstation:
    return new_workstation("ws1")
