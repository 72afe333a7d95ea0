"""The main job on this one computer, from an empty folder to a picture, in under two minutes.

Starts a coordinator, two workstation agents and the tray (on the screen, or on a virtual one where
there is none), submits the example sweep, lets somebody type at one of the desks, and leaves the
results and two pictures in `demo-results/`. Everything it starts it ends again, by its own pid.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from timeline import Row, Span, draw
from virtual_screen import VirtualScreen

TOP = Path(__file__).resolve().parent.parent
BATCH = TOP / "examples" / "julia" / "batch.yaml"
OUT = TOP / "demo-results"
SCRIPTS = Path(sys.executable).parent
DESK, SERVER = "desk", "back-room"
# Jobs otherwise leave the processor to everybody else; a demo wants to end soon.
# The two share one computer, and the jobs of one are other people's programs for the other.
COMMON = "foreign_cpu = 1.0\n[offer]\ncpus = 1\n[jobs]\nnice = 0\n"
AGENTS = {
    DESK: '[presence]\nidle_after = "4s"\nsettle = "1s"\nac_only = false\n' + COMMON,
    # Nobody ever sits at this one, so it needs no screen to know that it is free; and whoever typed
    # the command that started all this, in a terminal, does not work at it.
    SERVER: (
        '[presence]\ndesk = false\nidle_after = "0s"\nsettle = "1s"\nac_only = false\n' + COMMON
    ),
}
LIMIT = 170.0

T = TypeVar("T")


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


def say(text: str) -> None:
    """One step, as a person wants to read it."""
    print(text, flush=True)


def wait_for(probe: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first answer of `probe` that is true; DemoError when none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.05)
    raise DemoError(f"waited {seconds:.0f} seconds in vain for {what}")


@dataclass
class Programs:
    """The programs of the demo: started here, with one environment, ended here."""

    folder: Path
    env: dict[str, str]
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, name: str, *words: str | Path) -> subprocess.Popen[str]:
        """Starts one of our own scripts; what it logs is in `<name>.log`."""
        with open(self.folder / f"{name}.log", "a") as log:
            child = subprocess.Popen(
                [SCRIPTS / words[0], *words[1:]],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if words[:2] == ("coordinator", "serve") else log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.running.append(child)
        return child

    def call(self, *words: str | Path) -> str:
        """Runs one of our own scripts to its end and returns what it printed."""
        done = subprocess.run(
            [SCRIPTS / words[0], *words[1:]],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise DemoError(f"{' '.join(map(str, words))} failed:\n{done.stderr.strip()}")
        return done.stdout

    def ask(self, *words: str | Path) -> Any:
        """The same for a verb that answers in JSON."""
        return json.loads(self.call(*words, "--json"))

    def stop(self) -> None:
        """Ends what still runs, the newest first."""
        for child in reversed(self.running):
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
            if child.stdout is not None:
                child.stdout.close()
        self.running.clear()


class Watcher:
    """Looks at the coordinator a few times a second and remembers who did what when."""

    def __init__(self, address: Path) -> None:
        from fallow.coordinator.client import Client

        self.client = Client(str(address))
        self.began = time.monotonic()
        self.rows = {name: Row(name) for name in AGENTS}
        self.counts: dict[str, int] = {}
        self.told = ""

    def now(self) -> float:
        return time.monotonic() - self.began

    def look(self, batch: str) -> dict[str, tuple[str, str]]:
        """What each workstation does now: (job, state) by its name."""
        from fallow.shared.messages import Status, StatusReply

        reply = self.client.ask(Status(batch), StatusReply)
        (found,) = reply.batches
        self.counts = {state: number for state, number in found.counts.items() if number}
        doing: dict[str, tuple[str, str]] = {}
        for job in found.jobs or ():
            if job.workstation in self.rows and job.state in SHOWN:
                doing.setdefault(job.workstation, (job.name, job.state))
        for name, row in self.rows.items():
            self._note(row, doing.get(name))
        self._tell(doing)
        return doing

    def _note(self, row: Row, doing: tuple[str, str] | None) -> None:
        now = self.now()
        last = row.spans[-1] if row.spans else None
        if last is not None and doing is not None and (last.text, last.state) == doing:
            last.end = now
            return
        if last is not None and now - last.end < 1.0:
            last.end = now
        if doing is not None:
            row.spans.append(Span(now, now, doing[1], doing[0]))

    def _tell(self, doing: dict[str, tuple[str, str]]) -> None:
        done = self.counts.get("succeeded", 0)
        total = sum(self.counts.values())
        now = "   ".join(f"{name}: {' '.join(doing.get(name, ('free', '')))}" for name in self.rows)
        line = f"{done:>3} of {total} done   {now}"
        if line != self.told:
            say(f"  {self.now():5.1f} s  {line}")
            self.told = line


SHOWN = {"staging", "building", "running", "paused", "collecting"}


def processor_time(pids: list[int]) -> int:
    """Nanoseconds that these processes have run, however they may be stopped."""
    ran = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            ran += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return ran


def until_still(pids: list[int], seconds: float = 5.0) -> float:
    """The instant (of `time.perf_counter`) from which on none of these processes ran any more."""
    end = time.perf_counter() + seconds
    since, before = time.perf_counter(), processor_time(pids)
    while time.perf_counter() < end:
        time.sleep(0.002)
        now = processor_time(pids)
        if now != before:
            since, before = time.perf_counter(), now
        elif time.perf_counter() - since > 0.2:
            return since
    raise DemoError(f"the job at the desk still ran {seconds:.0f} seconds after a key was pressed")


def type_at_the_desk(
    screen: VirtualScreen, programs: Programs, home: Path, row: Row, now: Callable[[], float]
) -> float:
    """Presses one key; milliseconds until every process of the job at the desk stood still."""
    status = programs.ask("tray", "status", "--data-dir", home / DESK)
    pids = [pid for run in status["runs"] for pid in run["pids"]]
    if not pids:
        raise DemoError("the agent at the desk names no process of its job")
    row.presses.append(now())
    pressed = time.perf_counter()
    screen.key("a")
    return (until_still(pids) - pressed) * 1e3


def main() -> int:
    """Run the demo; the exit code is 0 when every step came out right."""
    began = time.monotonic()
    if OUT.exists():
        shutil.rmtree(OUT)
    OUT.mkdir()
    with contextlib.ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="fallow-demo-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        screen = _screen(stack)
        env = (screen.env if screen else dict(os.environ)) | {
            "FALLOW_COORDINATOR": str(home / "coordinator"),
            "FALLOW_LOG": "info",
        }
        programs = Programs(home, env)
        stack.callback(programs.stop)
        try:
            _play(programs, screen, home)
        except Exception:
            kept = OUT / "logs"
            kept.mkdir(exist_ok=True)
            for log in home.glob("*.log"):
                shutil.copy(log, kept)
            say(f"The demo stopped early; the logs of its programs are in {kept}")
            raise
    say(f"\nAll programs of the demo have ended. It took {time.monotonic() - began:.0f} seconds.")
    return 0


def _screen(stack: contextlib.ExitStack) -> VirtualScreen | None:
    if os.environ.get("DISPLAY"):
        say("The tray icon appears on your screen.")
        return None
    say("There is no screen here, so a virtual one is used; pictures of it are kept.")
    return stack.enter_context(VirtualScreen("trayer"))


def _play(programs: Programs, screen: VirtualScreen | None, home: Path) -> None:
    say("\n1. A coordinator, two workstations, and a tray icon at one of them")
    _start(programs, home)
    say("\n2. A sweep is submitted")
    submitted = programs.ask("coordinator", "submit", BATCH)
    batch = f"{submitted['namespace']}:{submitted['batch']}"
    try:
        _watch(programs, screen, home, batch, submitted)
    except BaseException:
        _clear_away(programs, batch)
        raise


def _clear_away(programs: Programs, batch: str) -> None:
    """Jobs outlive their agent, frozen ones too: a demo that failed must end them itself."""

    def over() -> bool:
        (found,) = programs.ask("coordinator", "status", batch)["batches"]
        return not any(found["counts"].get(state) for state in {*SHOWN, "queued", "stopping"})

    with contextlib.suppress(DemoError, subprocess.SubprocessError):
        programs.call("coordinator", "kill", batch)
        wait_for(over, 20, "the jobs to end")


def _watch(
    programs: Programs,
    screen: VirtualScreen | None,
    home: Path,
    batch: str,
    submitted: dict[str, Any],
) -> None:
    say(f"   {submitted['jobs']} jobs of the batch {batch}, from {BATCH.relative_to(TOP)}")
    say("\n3. The workstations work; then somebody types at the desk")
    watcher = Watcher(home / "coordinator")
    _work(programs, screen, home, batch, watcher)
    say("\n4. The results come back")
    programs.call("coordinator", "pull", batch, "--dest", OUT / "results")
    _pictures(submitted["namespace"], submitted["batch"], watcher)


def _start(programs: Programs, home: Path) -> None:
    serve = programs.start(
        *("coordinator", "coordinator", "serve", "--data-dir", home / "coordinator"),
        *("--listen", "tcp://127.0.0.1:0"),
    )
    assert serve.stdout is not None
    ready = serve.stdout.readline().strip()
    if not ready.startswith("ready"):
        raise DemoError("the coordinator did not start")
    say(f"   the coordinator answers: {ready}")
    for name, settings in AGENTS.items():
        (home / name).mkdir(mode=0o700)
        (home / name / "agent.toml").write_text(settings)
        invited = programs.ask(
            *("coordinator", "invite", "--role", "workstation", "--name", name, "--local")
        )
        programs.start(name, "tray", "agent", "--data-dir", home / name, "--join", invited["token"])
    programs.start("tray", "tray", "--data-dir", home / DESK)

    def both_here() -> bool:
        nodes = programs.ask("coordinator", "nodes")["nodes"]
        return {node["name"] for node in nodes if node["state"] != "offline"} >= set(AGENTS)

    wait_for(both_here, 20, "both workstations to come online")
    say(
        f"   two workstations are online: {DESK}, where somebody may sit, "
        f"and {SERVER}, where nobody does"
    )


def _work(
    programs: Programs, screen: VirtualScreen | None, home: Path, batch: str, watcher: Watcher
) -> None:
    typed_at: float | None = None
    last_press = 0.0
    resumed = False
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        doing = watcher.look(batch)
        if not set(watcher.counts) & {"queued", "waiting", "stopping", *SHOWN}:
            break
        row = watcher.rows[DESK]
        state = doing.get(DESK, ("", ""))[1]
        ran = row.spans[-1].end - row.spans[-1].start if row.spans else 0.0
        if typed_at is None and state == "running" and ran > 1.0:
            typed_at = watcher.now()
            _somebody_comes(programs, screen, home, batch, watcher)
            last_press = watcher.now()
        elif typed_at is not None and screen and watcher.now() < typed_at + 3.0:
            if watcher.now() - last_press > 0.4:
                row.presses.append(watcher.now())
                screen.key("b")
                last_press = watcher.now()
        elif typed_at is not None and not resumed and state == "running":
            resumed = True
            say(f"           -> nobody typed for a while: the job at the {DESK} goes on")
        time.sleep(0.15)
    if watcher.counts.keys() != {"succeeded"}:
        raise DemoError(f"not every job succeeded in time: {watcher.counts}")
    if screen and not resumed:
        raise DemoError("the job at the desk never resumed")


def _somebody_comes(
    programs: Programs, screen: VirtualScreen | None, home: Path, batch: str, watcher: Watcher
) -> None:
    if screen is None:
        say(f"           -> now touch your keyboard or mouse: the job at the {DESK} pauses at once")
        return
    screen.screenshot(OUT / "desk-running.png")
    took = type_at_the_desk(screen, programs, home, watcher.rows[DESK], watcher.now)
    say(
        f"           -> a key was pressed: {took:.0f} ms later every process of the job stood still"
    )
    status = programs.ask("tray", "status", "--data-dir", home / DESK)
    reasons = "; ".join(reason["text"] for reason in status["reasons"])
    say(f"           -> the tray says: {status['state']} ({reasons})")
    screen.screenshot(OUT / "desk-paused.png")


def _pictures(namespace: str, batch: str, watcher: Watcher) -> None:
    results = OUT / "results" / namespace / batch
    picture = OUT / "sweep.png"
    subprocess.run(
        [sys.executable, BATCH.parent / "assemble.py", results, "-o", picture],
        check=True,
        timeout=60,
    )
    timeline = OUT / "timeline.png"
    draw(
        "One sweep on two computers, and a person at one of them",
        list(watcher.rows.values()),
        timeline,
    )
    say(f"   results:                 {results}")
    say(f"   what the sweep computed: {picture}")
    say(f"   who ran what, when:      {timeline}")
    if (OUT / "desk-paused.png").exists():
        say(f"   the desk while paused:   {OUT / 'desk-paused.png'}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DemoError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
