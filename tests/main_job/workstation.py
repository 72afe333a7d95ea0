"""A real workstation without a screen: `tray agent` by its installed script, as a person has it.

Not the coordinator (conftest.py). The desk is free from the start unless a test says otherwise.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from fallow.shared.clock import SystemClock
from fallow.shared.errors import Unreachable
from fallow.shared.work import procfs
from fallow.tray.local import Activity, LocalClient
from fallow.tray.presence import Reading
from waiting import wait_until

SCRIPT = Path(sys.executable).parent / "tray"
# Whoever types in a terminal, as other tests do, would count as being there for `idle_after`.
FREE_DESK = (
    '[presence]\ndesk = false\nidle_after = "0s"\nsettle = "0s"\nac_only = false\n'
    # The other tests are other programs.
    "foreign_cpu = 1.0\n"
)
# The tests' own load would starve jobs of the lowest priority.
JOBS = "[jobs]\nnice = 0\n"


class Workstation:
    """One agent's process on one data folder; it can be killed and started again."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.data_dir = folder / name
        self.data_dir.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.around: list[str] = []
        self._errors = folder / f"{name}.err"
        self.configure(FREE_DESK + "[offer]\ncpus = 2\n" + JOBS)

    def configure(self, text: str) -> None:
        (self.data_dir / "agent.toml").write_text(text)

    def start(self, token: str | None = None) -> None:
        words = ["--join", token] if token else []
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*self.around, SCRIPT, "agent", "--data-dir", self.data_dir, *words],
                env={**os.environ, "FALLOW_LOG": os.environ.get("LOG_OF_AGENT", "info")},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        wait_until(self._answers, 20, f"the agent of {self.name} to answer")

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def kill(self) -> None:
        """As a power cut would, for the agent alone."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """In good order; the exit code."""
        return self._signal(signal.SIGTERM)

    def verb(self, *words: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [SCRIPT, *words, "--data-dir", self.data_dir],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def status(self) -> Any:
        done = self.verb("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def quick_status(self) -> Any:
        """As `status`, without starting a process."""
        with LocalClient(self.data_dir) as client:
            return client.status()

    def wait_online(self) -> None:
        wait_until(
            lambda: self.quick_status().connection == "online", 20, f"{self.name} to be online"
        )

    def person(self) -> "Person":
        return Person(self.data_dir)

    def wait_for_run(self, *states: str, timeout: float = 30.0) -> Any:
        """The one run here, once it is in one of these states; running, it has processes."""

        def found() -> Any:
            runs = self.quick_status().runs
            if len(runs) != 1 or runs[0].state not in states:
                return None
            return runs[0] if runs[0].pids or runs[0].state != "running" else None

        return wait_until(found, timeout, f"a run of {self.name} to be {states}")

    def pids(self) -> set[int]:
        """All processes of jobs and builds here, as the agent sees them."""
        return {pid for run in self.quick_status().runs for pid in run.pids}

    def left_on_disk(self) -> list[Path]:
        """What is still here of any run."""
        spool = [each for each in (self.data_dir / "spool").rglob("*") if each.is_file()]
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        runs = list((self.data_dir / "runs").iterdir())
        return [*runs, *(each for each in spool if each.parent.name + each.name != empty)]

    def end_jobs(self) -> None:
        """End what is left of jobs here, whether or not an agent knows of it."""
        table = procfs.table()
        ours = {pid for pid in table if str(self.data_dir).encode() in _words_of(pid)}
        for _ in range(len(table)):
            below = {pid for pid, stat in table.items() if stat.parent in ours} - ours
            if not below:
                break
            ours |= below
        for pid in ours - {os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.errors
        try:
            self.quick_status()
        except Exception:
            return False
        return True

    def _signal(self, number: int) -> int:
        assert self.process is not None
        # Its own process, not the one that may be around it.
        os.kill(int((self.data_dir / "agent.lock").read_text()), number)
        code = self.process.wait(30)
        self.process = None
        return code


WITHOUT_BUBBLEWRAP = [
    *("bwrap", "--dev-bind", "/", "/", "--ro-bind", "/dev/null", str(shutil.which("bwrap"))),
    *("--die-with-parent", "--"),
]
"""Put before a command, it finds a computer on which bubblewrap cannot be started."""


class Person:
    """Somebody at the desk: a tray's connection to the agent, which says when keys are pressed.

    As a tray does, it says again every second when the last one was.
    """

    def __init__(self, data_dir: Path) -> None:
        self._client = LocalClient(data_dir)
        self._clock = SystemClock()
        self._touched = self._clock.now().boot
        self._sending = threading.Lock()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._sit, daemon=True)
        self._thread.start()

    def touch(self) -> float:
        """Press a key now; seconds until the agent has done what follows from it."""
        self._touched = now = self._clock.now().boot
        with self._sending:
            self._tell()
            # The status is answered after the activity, which is handled before it returns.
            self._client.status()
        return self._clock.now().boot - now

    def leave(self) -> None:
        """The session ends, and with it its sensors."""
        self._left.set()
        self._thread.join()
        self._client.close()

    def _tell(self) -> None:
        self._client.send(Activity((Reading("keys", "input", True, "", self._touched),)))

    def _sit(self) -> None:
        while not self._left.wait(1.0):
            with self._sending:
                try:
                    self._tell()
                except Unreachable:
                    return


def ticks(pids: set[int]) -> int:
    """Processor time that these processes have used, in clock ticks."""
    stats = [procfs.read_stat(pid) for pid in pids]
    return sum(stat.ticks for stat in stats if stat is not None)


def _words_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and not stat.gone
