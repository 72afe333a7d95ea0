"""Real workstations that run real jobs in every kind of sandbox, with or without a desktop.

Not a test, and not the simpler workstation of workstation.py, on which it builds. Whatever a test
leaves running here, frozen jobs of killed agents too, is ended by its number and start.
"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from fallow.shared.work import processes, procfs
from main_job.conftest import Coordinator
from main_job.workstation import SCRIPT, Workstation, alive
from waiting import wait_until

Sandbox = Literal["hidden", "bare", "plain"]
SANDBOXES: tuple[Sandbox, ...] = ("hidden", "bare", "plain")
"""bubblewrap; `sandbox = "none"` where there is a bubblewrap; and where there is none."""

# What an agent is not to see is covered for this one process, which keeps its number. Terminals are
# covered because other tests open some, and those who type there count as being at the desk.
_COVERED = "mount -t tmpfs none /dev/pts"
_WITHOUT_BUBBLEWRAP = 'mount --bind /dev/null "$(command -v bwrap)"'
_FREE = 'desk = false\nidle_after = "0s"\nsettle = "0s"\nforeign_cpu = 1.0\n'


def config(
    presence: str = _FREE, sandbox: Sandbox = "hidden", cpus: int = 2, read_only: Path | None = None
) -> str:
    """An agent.toml; by default nobody ever sits there."""
    folders = [] if read_only is None else [str(read_only)]
    return (
        f"[presence]\n{presence}ac_only = false\n"
        f'[offer]\ncpus = {cpus}\nmemory = "1GiB"\ndisk_reserve = "0"\n'
        f'[jobs]\nsandbox = "{"auto" if sandbox == "hidden" else "none"}"\n'
        # At the usual 19 a busy test computer might not let them run at all.
        f"nice = 0\nread_only = {json.dumps(folders)}\n"
    )


WAITS = "while ! test -e distribute_save/go; do /bin/sleep 0.02; done; rm distribute_save/go"
"""What a job says to wait for `let_go`."""


class Birth(NamedTuple):
    """A process for good: its number, and when it started in ticks since boot."""

    pid: int
    start: int

    @property
    def alive(self) -> bool:
        stat = procfs.read_stat(self.pid)
        return stat is not None and not stat.gone and stat.start == self.start


def births(pids: set[int]) -> set[Birth]:
    found = {pid: procfs.read_stat(pid) for pid in pids}
    return {Birth(pid, stat.start) for pid, stat in found.items() if stat is not None}


def _kill(births: set[Birth]) -> None:
    for each in births:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)


class RealWorkstation(Workstation):
    """An agent's process; where it has no bubblewrap, it is told so by the file system."""

    def __init__(self, folder: Path, name: str, sandbox: Sandbox) -> None:
        super().__init__(folder, name)
        self.sandbox = sandbox
        self.covers_terminals = False
        self.meminfo: Path | None = None
        self.seen: set[Birth] = set()

    def start(self, token: str | None = None) -> None:
        words: list[str | Path] = [SCRIPT, "agent", "--data-dir", self.data_dir]
        words += ["--join", token] if token else []
        covered = [_COVERED] if self.covers_terminals else []
        covered += [f"mount --bind {self.meminfo} /proc/meminfo"] if self.meminfo else []
        covered += [_WITHOUT_BUBBLEWRAP] if self.sandbox == "plain" else []
        if covered:
            user = [] if os.geteuid() == 0 else ["--map-root-user"]
            steps = " && ".join([*covered, 'exec "$@"'])
            words = ["unshare", *user, "--mount", "sh", "-c", steps, "sh", *words]
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                words,
                env={**os.environ, "FALLOW_LOG": os.environ.get("LOG_OF_AGENT", "info")},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        wait_until(self._answers, 20, f"the agent of {self.name} to answer")

    def births(self) -> set[Birth]:
        """All processes of jobs and builds here."""
        found = births(self.pids())
        self.seen |= found
        return found

    def births_below(self, pid: int) -> set[Birth]:
        """The same without the agent: all below a process that started them."""
        table = procfs.table()
        tree = {pid}
        while more := {each for each, stat in table.items() if stat.parent in tree} - tree:
            tree |= more
        found = births(tree)
        self.seen |= found
        return found

    def wait_for_processes(self, number: int = 1, timeout: float = 40.0) -> set[Birth]:
        """All processes here, once there are at least so many."""

        def enough() -> set[Birth]:
            found = self.births()
            return found if len(found) >= number else set()

        return wait_until(enough, timeout, f"{number} processes of {self.name}")

    def wrappers(self) -> list[Path]:
        """The status files of all that was started here and has not been cleared away."""
        return [
            path.with_name("status")
            for folder in ("runs", "builds")
            for path in (self.data_dir / folder).glob("*/**/status.wrapper")
            if "work" not in path.parts
        ]

    def end_jobs(self) -> None:
        """End what is left here, frozen or not, with the agent or without."""
        for status in self.wrappers():
            identity = processes.find(status)
            if identity is not None and Birth(identity.pid, identity.start).alive:
                top = Birth(identity.pid, identity.start)
                # Its orphans come back to it, so it goes last.
                while below := {each for each in self.births_below(top.pid) - {top} if each.alive}:
                    _kill(below)
                _kill({top})
            processes.sweep(status)
        _kill({each for each in self.seen if each.alive})

    def left_running(self) -> list[str]:
        """Programs of ours that still know this folder."""
        found = []
        for pid in procfs.pids():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                if os.fsencode(self.data_dir) in words and pid != os.getpid():
                    found.append(f"{pid}: {words!r}")
        return found

    def let_go(self, number: int = 1) -> None:
        """Lets so many runs here, which do `WAITS`, go on."""
        works = [
            *(self.data_dir / "runs").glob("*/work/distribute_save"),
            *(self.data_dir / "builds").glob("*/work/distribute_save"),
        ]
        assert len(works) == number, works
        for work in works:
            (work / "go").touch()

    def files_with(self, marker: bytes) -> list[Path]:
        """Every file below the data folder that has these bytes in it, or in its name."""
        return files_with(self.data_dir, marker)


class Group:
    """A coordinator and the workstations of a test, which all end with it."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self._made: list[RealWorkstation] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            for each in self._made:
                if each.process is not None:
                    with contextlib.suppress(Exception):
                        each.births()
                    code = each.stop()
                    assert kind is not None or code == 0, each.errors
        finally:
            for each in self._made:
                if each.process is not None:
                    each.kill()
                each.end_jobs()
        for each in self._made:
            left = each.left_running()
            assert not left, left
            assert "Traceback" not in each.errors, each.errors
            assert "this cannot happen" not in each.errors, each.errors

    def workstation(
        self,
        name: str = "ws1",
        configuration: str | None = None,
        sandbox: Sandbox = "hidden",
        covers_terminals: bool = False,
        meminfo: Path | None = None,
    ) -> RealWorkstation:
        """A workstation that has joined and is online; `meminfo` is what it reads of its memory."""
        made = RealWorkstation(self.coordinator.folder / "workstations", name, sandbox)
        self._made.append(made)
        made.covers_terminals = covers_terminals
        made.meminfo = meminfo
        made.configure(config(sandbox=sandbox) if configuration is None else configuration)
        made.start(self.coordinator.token(name))
        made.wait_online()
        return made

    # --- batches ---

    def submit(self, text: str, **files: str) -> Path:
        """Submit a batch file with these files beside it."""
        file = self.write(text, **files)
        self.coordinator.verbs.ok("submit", file)
        return file

    def write(self, text: str, **files: str) -> Path:
        """A batch file with these files beside it; a name may have slashes."""
        folder = self.coordinator.folder / "batches"
        for name, content in {"batch.yaml": text, **files}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        return folder / "batch.yaml"

    def jobs(self, ref: str) -> dict[str, Any]:
        """What the coordinator says of each job, by name."""
        (batch,) = self.coordinator.verbs.json("status", ref)["batches"]
        return {job["name"]: job for job in batch["jobs"]}

    def job(self, ref: str) -> Any:
        """The same of the only job."""
        (job,) = self.jobs(ref).values()
        return job

    def wait_for_state(self, ref: str, state: str, timeout: float = 40.0) -> Any:
        """The only job of the batch, once it is in this state."""

        def there() -> Any:
            job = self.job(ref)
            return job if job["state"] == state else None

        return wait_until(there, timeout, f"{ref} to be {state}")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the coordinator's database says, read as another program would."""
        place = self.coordinator.data_dir / "fallow.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def committed(self) -> list[tuple[int, str, str]]:
        """All results that were committed, or are being: attempt number, outcome, state."""
        return [
            (int(number), str(outcome), str(state))
            for number, outcome, state in self.rows("SELECT number, outcome, state FROM result")
        ]


def files_with(folder: Path, marker: bytes) -> list[Path]:
    """Every file below the folder that has these bytes in it, or in its name."""
    return [
        path
        for path in folder.rglob("*")
        if marker in os.fsencode(path.name)
        or (path.is_file() and not path.is_symlink() and marker in path.read_bytes())
    ]


@contextlib.contextmanager
def following(coordinator: Coordinator, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A verb that does not end by itself."""
    process = coordinator.verbs.start(*words)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def one_job(line: str, name: str = "b", more: str = "") -> str:
    """A batch of one small job."""
    return (
        f"meta: {{namespace: ana, batch_name: {name}}}\n"
        f"command:\n{more}  jobs:\n    - name: j\n      run: {json.dumps(line)}\n"
        "resources: {cpus: 1, memory: 64MiB}\n"
    )


__all__ = ["SANDBOXES", "WAITS", "Birth", "Group", "RealWorkstation", "Sandbox", "alive"]
