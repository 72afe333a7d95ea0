"""A coordinator and its workstations for a benchmark: own folders, own ports, ended by their pids.

Not the measuring. Everything is a program of its own, as people have it, and on loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from fallow.coordinator.client import Client
from fallow.shared.messages import Nodes, NodesReply, Status, StatusReply

BIN = Path(sys.executable).parent
MB = 1e6
# Whoever started this in a terminal would count as being there for `idle_after`.
FREE_DESK = (
    '[presence]\ndesk = false\nidle_after = "0s"\nac_only = false\nsettle = "0s"\n'
    "foreign_cpu = 1.0\n"
)

T = TypeVar("T")
Program = subprocess.Popen[bytes]


class NotMeasured(Exception):
    """A part cannot be measured here; the words say why."""


class Group:
    """A folder in which a coordinator and workstations live; leaving the `with` ends all of it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fallow-bench-"))
        self.data = self.folder / "coordinator"
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FALLOW_", "XDG_", "DBUS_"))
            and name not in ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY")
        }
        for name in ("home", "config", "data", "state", "cache", "runtime"):
            place = self.folder / name
            place.mkdir(mode=0o700)
            self.env["HOME" if name == "home" else f"XDG_{name.upper()}_HOME"] = str(place)
        self.env["XDG_RUNTIME_DIR"] = str(self.folder / "runtime")
        self.programs: list[Program] = []
        self.coordinator: Program | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for program in reversed(self.programs):
            self.end(program)
        if error is not None:
            for place in sorted(self.folder.glob("*.log")):
                tail = place.read_text(errors="replace").splitlines()[-12:]
                print(f"--- {place.name}", *tail, sep="\n", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(
        self,
        name: str,
        *words: str,
        env: dict[str, str] | None = None,
        before: tuple[str, ...] = (),
    ) -> Program:
        """A program of ours by its script's name; its words go to a log in the folder.

        `before` are the words of another program that becomes it.
        """
        log = self.folder / f"{name}-{len(self.programs)}.log"
        with log.open("wb") as file:
            program = subprocess.Popen(
                [*before, str(BIN / words[0]), *words[1:]],
                env=env or self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if words[1] == "serve" else file,
                stderr=file,
                start_new_session=True,
            )
        self.programs.append(program)
        return program

    def end(self, program: Program, patience: float = 10.0) -> None:
        if program.poll() is None:
            program.terminate()
            try:
                program.wait(patience)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        if program.stdout is not None:
            program.stdout.close()
        if program in self.programs:
            self.programs.remove(program)

    def serve(self) -> None:
        """Start the coordinator and wait until it answers."""
        self.coordinator = program = self.start(
            *("serve", "coordinator", "serve", "--data-dir", str(self.data)),
            *("--listen", "tcp://127.0.0.1:0"),
        )
        assert program.stdout is not None
        if not select.select([program.stdout], [], [], 20)[0]:
            raise NotMeasured("the coordinator did not start within 20 s")
        line = program.stdout.readline().decode()
        if not line.startswith("ready "):
            raise NotMeasured(f"the coordinator did not start: {line or program.wait(5)}")

    def run(self, *words: str) -> str:
        """A verb's output."""
        done = subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            env={**self.env, "FALLOW_COORDINATOR": str(self.data)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise NotMeasured(f"{' '.join(words[:2])} failed: {done.stderr.strip()}")
        return done.stdout

    def timed(self, *words: str) -> float:
        """Seconds of a whole command."""
        start = time.perf_counter()
        self.run(*words)
        return time.perf_counter() - start

    def invite(self, name: str) -> str:
        words = ("--role", "workstation", "--name", name, "--local", "--json")
        return str(json.loads(self.run("coordinator", "invite", *words))["token"])

    def workstation(
        self,
        name: str,
        config: str,
        env: dict[str, str] | None = None,
        *,
        ready: bool = True,
        before: tuple[str, ...] = (),
    ) -> Program:
        """Start an agent that has joined; `ready` waits until it takes jobs."""
        data = self.folder / name
        data.mkdir(mode=0o700)
        (data / "agent.toml").write_text(config)
        words = ("tray", "agent", "--data-dir", str(data), "--join", self.invite(name))
        program = self.start(name, *words, env=env, before=before)
        with self.client() as client:
            states = {"idle"} if ready else {"idle", "paused", "running"}

            def here() -> bool:
                if program.poll() is not None:
                    raise NotMeasured(f"the agent ended with {program.returncode}")
                nodes = client.ask(Nodes(), NodesReply).nodes
                return any(node.name == name and node.state in states for node in nodes)

            wait_for(here, 30, f"the workstation {name}")
        return program

    def client(self) -> Client:
        return Client(str(self.data))

    def wait_done(self, client: Client, ref: str, timeout: float = 120) -> None:
        """Until every job of the batch has ended; not all succeeded is an error."""

        def counts() -> dict[str, int]:
            reply = client.ask(Status(ref, jobs=False), StatusReply)
            return reply.batches[0].counts

        def done() -> bool:
            found = counts()
            if found.get("failed") or found.get("held") or found.get("killed"):
                raise NotMeasured(f"jobs of {ref} did not succeed: {found}")
            return sum(found.values()) == found.get("succeeded", 0)

        wait_for(done, timeout, f"the end of {ref}", every=0.05)

    def write(self, name: str, text: str) -> Path:
        place = self.folder / name
        place.write_text(text)
        return place


def wait_for(predicate: Callable[[], T], timeout: float, what: str, every: float = 0.02) -> T:
    """The first true value; NotMeasured after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NotMeasured(f"waited {timeout:g} s for {what}")
        time.sleep(every)


def memory(pid: int) -> tuple[float, float]:
    """Resident memory in MB: (all of it, with shared pages shared out)."""
    found: dict[str, Any] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value = line.split(":")
        found[key] = int(value.split()[0]) * 1024 / MB
    return found["Rss"], found["Pss"]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process's living threads, to the nanosecond: ticks are too coarse."""
    spent = 0
    for place in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            spent += int((place / "schedstat").read_text().split()[0])
    return spent / 1e9


def sweep_of(name: str, jobs: int, run: str = '["/bin/true"]') -> str:
    """A batch of that many jobs, as a sweep."""
    return (
        f"meta: {{namespace: bench, batch_name: {name}}}\n"
        f"command:\n  run: {run}\n  sweep: {{n: {{from: 1, to: {jobs}}}}}\n  name: 'job_{{n}}'\n"
        "resources: {cpus: 1}\n"
    )


def written_out(name: str, jobs: int) -> str:
    """The same with every job written out, each with words of its own."""
    lines = [f"meta: {{namespace: bench, batch_name: {name}}}", "command:", "  jobs:"]
    for number in range(jobs):
        lines += [f"  - name: case_{number}", f"    run: ./solver --re {number} --grid 64"]
        lines += ["    env: {OMP_NUM_THREADS: '{cpus}'}"]
    return "\n".join([*lines, "resources: {cpus: 1}", ""])
